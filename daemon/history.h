/* SPDX-License-Identifier: MIT */
/* The history: a sample each ten seconds, in all and per program; what `closeside history` shows.
 *
 * The model counts per process, and processes come and go: what one has counted since the last
 * sample is added to its program when a sample is taken, or when it is forgotten, whichever comes
 * first. A sample has the rows of the programs that were busiest of late, and one for the rest. */
#ifndef DAEMON_HISTORY_H
#define DAEMON_HISTORY_H

#include "daemon/conn.h"
#include "daemon/history_file.h"
#include "daemon/tally.h"

#include <stdbool.h>
#include <stdint.h>

enum { HISTORY_INTERVAL_MS = 10000 };

struct history;

/* What is read from the loop, and outlives it. */
struct history_parts {
	struct conns *conns;
	const struct book *book;
};

/* What a sample is taken with; wall_ms is CLOCK_REALTIME, the other never jumps. */
struct history_now {
	uint64_t now_ms, wall_ms;
	uint64_t lost; /* records, in all */
	bool on;
};

/* path: history_file_open(). NULL: no memory. */
struct history *history_new(const char *path, const struct history_parts *parts,
			    const struct history_now *now);
void history_free(struct history *history);
struct history_file *history_file_of(struct history *history);

uint64_t history_wall_ms(void);
/* Is it time for a sample? Every ten seconds, where the wall clock has full ones. */
bool history_is_due(const struct history *history, uint64_t now_ms);
void history_take(struct history *history, const struct history_now *now);
/* A note_sink. */
void history_note(void *history, enum note_kind kind, const char *text);

#endif
