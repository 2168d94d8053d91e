/* SPDX-License-Identifier: MIT */
/* A row of top's second table: a connection of the process that was chosen. */
#ifndef DAEMON_TOP_CONN_H
#define DAEMON_TOP_CONN_H

#include "daemon/cli_grid.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

/* X(name, title, numbers, shrinks to, rank in going) */
#define TOP_CONN_COLUMNS(X)               \
	X(STATE, "STATE", false, 0, 0)    \
	X(IN_STATE, "TIME", true, 0, 2)   \
	X(LOCAL, "LOCAL", false, 12, 1)   \
	X(REMOTE, "REMOTE", false, 12, 0) \
	X(ROLE, "ROLE", false, 0, 6)      \
	X(POLICY, "POLICY", false, 6, 7)  \
	X(SIDE, "FIRST", false, 0, 3)     \
	X(HELD, "HELD", false, 0, 5)      \
	X(UNREAD, "UNREAD", true, 0, 9)   \
	X(UNACKED, "UNACKED", true, 0, 8) \
	X(RETRANS, "RETRANS", true, 0, 4) \
	X(RTT, "RTT", true, 0, 10)        \
	X(AGE, "AGE", true, 0, 11)

enum top_conn_column {
#define X(name, title, right, least, rank) TOP_CONN_##name,
	TOP_CONN_COLUMNS(X)
#undef X
		TOP_CONN_COLUMN_COUNT
};

struct top_conn {
	char cookie[24], local[64], remote[64], role[8], policy[64], side[8], held[12];
	unsigned int state; /* enum tcp_state, 0: of a name that isn't known here */
	int64_t state_ms, age_ms, unread, unacked, retrans, rtt_us; /* -1: not known */
};

struct top_kind;
extern const struct top_kind top_conn_kind;

/* From a row of type "conn". */
void top_conn_take(struct top_conn *conn, const json_t *json);

#endif
