/* SPDX-License-Identifier: MIT */
/* TCP connection states: one table for the enum, the kernel's names and ss's. */
#ifndef COMMON_TCP_STATE_H
#define COMMON_TCP_STATE_H

/* X(kernel name, kernel number, ss name); numbers as in the kernel's
 * include/net/tcp_states.h, names of the filter words as in ss(8). */
#define TCP_STATES(X)                    \
	X(ESTABLISHED, 1, "established") \
	X(SYN_SENT, 2, "syn-sent")       \
	X(SYN_RECV, 3, "syn-recv")       \
	X(FIN_WAIT1, 4, "fin-wait-1")    \
	X(FIN_WAIT2, 5, "fin-wait-2")    \
	X(TIME_WAIT, 6, "time-wait")     \
	X(CLOSE, 7, "closed")            \
	X(CLOSE_WAIT, 8, "close-wait")   \
	X(LAST_ACK, 9, "last-ack")       \
	X(LISTEN, 10, "listening")       \
	X(CLOSING, 11, "closing")        \
	X(NEW_SYN_RECV, 12, "new-syn-recv")

enum tcp_state {
#define X(name, number, ss) STATE_##name = number,
	TCP_STATES(X)
#undef X
		STATE_COUNT = 13,
};

/* The kernel's name ("TIME_WAIT"), or "UNKNOWN". */
const char *tcp_state_name(unsigned int state);

/* ss's name ("time-wait"), or "unknown". */
const char *tcp_state_ss(unsigned int state);

/* The state of either spelling, or as ss(8) and netstat(8) print it; case, '-' and '_' do not
 * matter. 0 if there is none such. */
unsigned int tcp_state_parse(const char *name);

#endif
