/* SPDX-License-Identifier: MIT */
#include "common/tcp_state.h"

#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>

/* glibc's numbers are the kernel's; ours must be too. */
_Static_assert((int)STATE_ESTABLISHED == (int)TCP_ESTABLISHED, "TCP_ESTABLISHED");
_Static_assert((int)STATE_SYN_SENT == (int)TCP_SYN_SENT, "TCP_SYN_SENT");
_Static_assert((int)STATE_SYN_RECV == (int)TCP_SYN_RECV, "TCP_SYN_RECV");
_Static_assert((int)STATE_FIN_WAIT1 == (int)TCP_FIN_WAIT1, "TCP_FIN_WAIT1");
_Static_assert((int)STATE_FIN_WAIT2 == (int)TCP_FIN_WAIT2, "TCP_FIN_WAIT2");
_Static_assert((int)STATE_TIME_WAIT == (int)TCP_TIME_WAIT, "TCP_TIME_WAIT");
_Static_assert((int)STATE_CLOSE == (int)TCP_CLOSE, "TCP_CLOSE");
_Static_assert((int)STATE_CLOSE_WAIT == (int)TCP_CLOSE_WAIT, "TCP_CLOSE_WAIT");
_Static_assert((int)STATE_LAST_ACK == (int)TCP_LAST_ACK, "TCP_LAST_ACK");
_Static_assert((int)STATE_LISTEN == (int)TCP_LISTEN, "TCP_LISTEN");
_Static_assert((int)STATE_CLOSING == (int)TCP_CLOSING, "TCP_CLOSING");

static const struct {
	const char *kernel, *ss;
} names[STATE_COUNT] = {
#define X(name, number, ss_name) [number] = {#name, ss_name},
	TCP_STATES(X)
#undef X
};

const char *tcp_state_name(unsigned int state)
{
	return state > 0 && state < STATE_COUNT ? names[state].kernel : "UNKNOWN";
}

const char *tcp_state_ss(unsigned int state)
{
	return state > 0 && state < STATE_COUNT ? names[state].ss : "unknown";
}

/* What else ss(8) and netstat(8) print or take. */
static const struct {
	const char *name;
	unsigned int state;
} aliases[] = {
	{"estab", STATE_ESTABLISHED}, {"syn-rcv", STATE_SYN_RECV}, {"unconn", STATE_CLOSE},
	{"unconnected", STATE_CLOSE}, {"closed", STATE_CLOSE},	   {"listen", STATE_LISTEN},
};

static bool is_filler(char c)
{
	return c == '-' || c == '_';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* TIME_WAIT, time-wait and TimeWait are the same. */
static bool same_name(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (is_filler(*a))
			a++;
		while (is_filler(*b))
			b++;
		if (lower(*a) != lower(*b))
			return false;
		if (!*a)
			return true;
	}
}

unsigned int tcp_state_parse(const char *name)
{
	for (unsigned int i = 1; i < STATE_COUNT; i++)
		if (same_name(name, names[i].kernel) || same_name(name, names[i].ss))
			return i;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (same_name(name, aliases[i].name))
			return aliases[i].state;
	return 0;
}
