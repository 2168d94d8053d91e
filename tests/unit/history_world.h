/* SPDX-License-Identifier: MIT */
/* A model with programs and connections, and a clock, for tests of the history. */
#ifndef TESTS_UNIT_HISTORY_WORLD_H
#define TESTS_UNIT_HISTORY_WORLD_H

#include "daemon/history.h"

#include <stdbool.h>
#include <stdint.h>

struct world {
	struct conns *conns;
	struct book *book;
	struct history *history;
	struct history_now now;
	uint64_t next_cookie;
	char folder[64], path[96], aside[112];
};

void world_new(struct world *world);
void world_free(struct world *world);
/* The history alone is begun, and ended, as the daemon's start and stop do. */
void world_begin(struct world *world);
void world_end(struct world *world);
void world_restart(struct world *world);

/* Another ten seconds have gone by. */
void world_sample(struct world *world);
/* A process; its program's name is exe's. */
struct process world_process(pid_t pid, const char *exe);
/* A connection of it, or nobody's (NULL), that is established. */
struct conn *world_open(struct world *world, const struct process *process);
/* It ends, this side first. */
void world_close(struct world *world, struct conn *conn, enum close_side side);

/* The last sample, and the row of a program in it; HISTORY_FIXED and what is below by number. */
bool world_last(struct world *world, struct history_sample *sample);
bool world_row(struct world *world, const struct history_sample *sample, const char *name,
	       struct history_row *row);
bool world_row_id(const struct history_sample *sample, uint32_t id, struct history_row *row);

#endif
