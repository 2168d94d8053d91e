/* SPDX-License-Identifier: MIT */
#include "common/tcp_state.h"

#include <netinet/tcp.h>
#include <stddef.h>
#include <strings.h>

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

unsigned int tcp_state_parse(const char *name)
{
	for (unsigned int i = 1; i < STATE_COUNT; i++)
		if (!strcasecmp(name, names[i].kernel) || !strcasecmp(name, names[i].ss))
			return i;
	return 0;
}
