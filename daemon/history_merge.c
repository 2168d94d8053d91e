/* SPDX-License-Identifier: MIT */
#include "daemon/history_merge.h"

#include "daemon/history.h"

#include <stddef.h>

void history_sum_add(struct history_sum *sum, const struct history_row *row, uint32_t length_ms)
{
	sum->is_there = true;
	for (unsigned int i = 0; i < HISTORY_STATES; i++) {
		sum->state_ms[i] += (uint64_t)row->value[i] * length_ms;
		if (row->value[i] > sum->state_max[i])
			sum->state_max[i] = row->value[i];
	}
	for (unsigned int i = HISTORY_STATES; i < HISTORY_VALUES; i++)
		sum->count[i - HISTORY_STATES] += row->value[i];
}

uint64_t history_start_ms(const struct history_sample *sample)
{
	return sample->end_ms > sample->length_ms ? sample->end_ms - sample->length_ms : 0;
}

int64_t history_index(const struct history_sample *sample, uint64_t step_ms, int64_t offset_ms)
{
	int64_t middle = (int64_t)(history_start_ms(sample) / 2 + sample->end_ms / 2) + offset_ms;
	int64_t step = (int64_t)step_ms;

	if (step_ms <= HISTORY_INTERVAL_MS)
		return (int64_t)sample->seq;
	return middle / step - (middle % step < 0);
}

uint64_t history_index_ms(int64_t index, uint64_t step_ms, int64_t offset_ms)
{
	int64_t ms = index * (int64_t)step_ms - offset_ms;

	return ms > 0 ? (uint64_t)ms : 0;
}

void history_bucket_add(struct history_bucket *bucket, const struct history_sample *sample,
			int64_t index)
{
	if (!bucket->samples)
		*bucket = (struct history_bucket){
			.index = index,
			.start_ms = history_start_ms(sample),
		};
	bucket->samples++;
	bucket->end_ms = sample->end_ms;
	bucket->covered_ms += sample->length_ms;
	bucket->last_seq = sample->seq;
	bucket->lost += sample->lost;
	bucket->on = sample->flags & HISTORY_ON;
}

uint64_t history_step(uint64_t span_ms, unsigned int rows, bool fine)
{
	static const unsigned int steps[] = {10,  20,  30,   60,   120,	 300,
					     600, 900, 1800, 3600, 7200, 14400};
	uint64_t least = (span_ms + rows - 1) / rows;
	size_t i = 0;

	if (fine && least > HISTORY_INTERVAL_MS)
		return (least + HISTORY_INTERVAL_MS - 1) / HISTORY_INTERVAL_MS *
		       HISTORY_INTERVAL_MS;
	while (i + 1 < sizeof(steps) / sizeof(steps[0]) && (uint64_t)steps[i] * 1000 < least)
		i++;
	return (uint64_t)steps[i] * 1000;
}
