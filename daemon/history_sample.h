/* SPDX-License-Identifier: MIT */
/* One sample of the history: what happened in some ten seconds, in all and per program. A fixed
 * size in the file, in which only what is not zero takes room: of 23 numbers a program mostly has
 * seven. So 31 programs fit as a rule, and HISTORY_FULL_ROWS whatever they do. Pure. */
#ifndef DAEMON_HISTORY_SAMPLE_H
#define DAEMON_HISTORY_SAMPLE_H

#include "daemon/tally.h"

#include "common/close_decide.h"
#include "common/tcp_state.h"

#include <stdbool.h>
#include <stdint.h>

/* The numbers of a row: connections in each state at the end, then what was counted meanwhile. */
enum {
	HISTORY_STATES = STATE_COUNT - 1, /* value[i] is of state i + 1 */
	HISTORY_OPENS = HISTORY_STATES,
	HISTORY_CLOSES, /* and so on, by enum close_side */
	HISTORY_OUTCOMES = HISTORY_CLOSES + SIDE_COUNT,
	HISTORY_VALUES = HISTORY_OUTCOMES + OUTCOME_COUNT,
};

/* Rows by number: these three, then names' (history_file.h). */
enum {
	HISTORY_ALL,
	HISTORY_OTHER,	 /* the programs that did not fit */
	HISTORY_UNKNOWN, /* what is nobody's that we know */
	HISTORY_FIXED,
	HISTORY_IDS = 256,
};

struct history_row {
	uint32_t id;
	uint32_t value[HISTORY_VALUES];
};

enum {
	HISTORY_WORDS = 432,
	HISTORY_FULL_ROW = 1 + HISTORY_VALUES, /* words */
	HISTORY_FULL_ROWS = HISTORY_WORDS / HISTORY_FULL_ROW,
	HISTORY_PROGRAMS = 31, /* in a sample at most */
};
_Static_assert(HISTORY_VALUES <= 24, "a bit for each, beside the id in one word");
_Static_assert(HISTORY_FULL_ROWS >= HISTORY_FIXED + 15, "15 programs fit whatever they do");

enum { HISTORY_ON = 1 }; /* flags: steering was on at the end */

struct history_sample {
	uint64_t seq;	    /* from 1 on */
	uint64_t end_ms;    /* CLOCK_REALTIME */
	uint32_t length_ms; /* monotonic */
	uint32_t run;	    /* of the loop: another one after each start */
	uint32_t flags;
	uint32_t lost; /* records */
	uint32_t used; /* words */
	uint32_t check;
	uint32_t words[HISTORY_WORDS];
};
_Static_assert(sizeof(struct history_sample) == 1768, "as in the file");

/* false: there is no room for it. */
bool history_put(struct history_sample *sample, const struct history_row *row);
/* The row at *at, which goes past it. false: there are no more, or they are damaged. */
bool history_next(const struct history_sample *sample, uint32_t *at, struct history_row *row);

/* FNV-1a over words; size is a multiple of four. */
uint32_t history_check(const void *data, uint32_t size);
void history_seal(struct history_sample *sample);
bool history_is_whole(const struct history_sample *sample);

#endif
