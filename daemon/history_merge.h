/* SPDX-License-Identifier: MIT */
/* Samples made fewer: of those whose middle falls into the same step of time, counts are added up,
 * and states are averaged over the time that they stood for; the highest is kept beside. Pure. */
#ifndef DAEMON_HISTORY_MERGE_H
#define DAEMON_HISTORY_MERGE_H

#include "daemon/history_sample.h"

#include <stdbool.h>
#include <stdint.h>

struct history_sum {
	uint64_t state_ms[HISTORY_STATES]; /* connections times milliseconds */
	uint32_t state_max[HISTORY_STATES];
	uint64_t count[HISTORY_VALUES - HISTORY_STATES];
	bool is_there;
};

struct history_bucket {
	int64_t index;
	uint64_t start_ms, end_ms; /* of its first sample, and its last */
	uint64_t covered_ms;	   /* by samples */
	uint64_t last_seq, lost;
	unsigned int samples;
	bool on;
};

void history_sum_add(struct history_sum *sum, const struct history_row *row, uint32_t length_ms);

uint64_t history_start_ms(const struct history_sample *sample);
/* Which step of step_ms it belongs to; offset_ms is what local time is ahead. A step no longer than
 * the interval: each sample is one. */
int64_t history_index(const struct history_sample *sample, uint64_t step_ms, int64_t offset_ms);
/* When the step begins. */
uint64_t history_index_ms(int64_t index, uint64_t step_ms, int64_t offset_ms);
void history_bucket_add(struct history_bucket *bucket, const struct history_sample *sample,
			int64_t index);

/* The shortest step of those that people count in with which span_ms becomes at most so many rows;
 * fine: of any ten seconds, to fill a line. */
uint64_t history_step(uint64_t span_ms, unsigned int rows, bool fine);

#endif
