/* SPDX-License-Identifier: MIT */
/* A row of `ps` and `top`: a process and its connections, as the daemon tells it. */
#ifndef DAEMON_CLI_PS_ROW_H
#define DAEMON_CLI_PS_ROW_H

#include "daemon/cli_grid.h"

#include "common/tcp_state.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

/* X(name, title, key of top, numbers, shrinks to, rank in going, what it is). The keys are not
 * among those of TOP_KEYS. */
#define PS_COLUMNS(X)                                                                     \
	X(PID, "PID", 'P', true, 0, 0, "process; (in parentheses) when it has ended")     \
	X(PROGRAM, "PROGRAM", 'N', false, 8, 0,                                           \
	  "its name; unknown: whose connections, nobody says")                            \
	X(UNIT, "UNIT", 'U', false, 10, 13, "its systemd unit or cgroup")                 \
	X(USER, "USER", 'W', false, 6, 10, "its effective user")                          \
	X(SHIM, "SHIM", 'H', false, 0, 5, "does libcloseside steer it?")                  \
	X(CONNS, "CONNS", 'C', true, 0, 0, "its connections; a listener is none")         \
	X(ESTAB, "ESTAB", 'E', true, 0, 3, "ESTABLISHED")                                 \
	X(SYN, "SYN", 'S', true, 0, 9, "SYN_SENT and SYN_RECV")                           \
	X(FIN_WAIT, "FIN-W", 'F', true, 0, 4, "FIN_WAIT1 and FIN_WAIT2")                  \
	X(CLOSE_WAIT, "CLOSE-W", 'A', true, 0, 1, "CLOSE_WAIT")                           \
	X(LAST_ACK, "LAST-A", 'K', true, 0, 11, "LAST_ACK and CLOSING")                   \
	X(LISTEN, "LISTEN", 'L', true, 0, 12, "LISTEN")                                   \
	X(TIME_WAIT, "TIME-W", 'T', true, 0, 2, "TIME_WAITs that it left and still owns") \
	X(OPEN_S, "OPEN/S", 'O', true, 0, 7, "connections opened each second")            \
	X(CLOSE_S, "CLOSE/S", 'D', true, 0, 6, "connections closed each second")          \
	X(PEER, "PEER%", 'B', true, 0, 8, "share of closes in which the peer was first")

enum ps_column {
#define X(name, title, key, right, least, rank, text) PS_##name,
	PS_COLUMNS(X)
#undef X
		PS_COLUMN_COUNT
};

enum ps_kind { PS_PROCESS, PS_UNKNOWN, PS_TOTAL };

struct ps_row {
	enum ps_kind kind;
	bool shim, alive;
	int64_t pid;
	uint64_t start; /* with the pid: which process, though numbers come again */
	char program[64], unit[128], user[48];
	uint64_t conns, count[PS_COLUMN_COUNT]; /* of the columns that count states */
	double opens_s, closes_s, peer_share;	/* peer_share below 0: nothing was closed */
};

/* What the daemon says of all. */
struct ps_total {
	uint64_t attributed, lost, as_of_ms;
	uint64_t state[STATE_COUNT];
	double share;
	struct ps_row row;
};

/* From a row of type "process" or "total". What is missing in it is nothing, or unknown. */
void ps_row_take(struct ps_row *row, const json_t *json);
void ps_total_take(struct ps_total *total, const json_t *json);

/* Nothing to show: the row `unknown` of a daemon that knows everything. */
bool ps_row_is_empty(const struct ps_row *row);

extern const struct grid_column ps_columns[PS_COLUMN_COUNT];
extern const char ps_column_keys[PS_COLUMN_COUNT + 1];
extern const char *const ps_column_texts[PS_COLUMN_COUNT];

/* Of struct ps_row: for struct grid and struct top_list. */
const char *ps_cell(const void *row, unsigned int column, char *buf, size_t size);
int ps_compare(const void *a, const void *b, unsigned int column);
bool ps_matches(const void *row, const char *text);
bool ps_same(const void *a, const void *b);

#endif
