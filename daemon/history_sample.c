/* SPDX-License-Identifier: MIT */
#include "daemon/history_sample.h"

#include <string.h>

enum { ID_SHIFT = 24 };

bool history_put(struct history_sample *sample, const struct history_row *row)
{
	uint32_t at = sample->used + 1, mask = 0;

	for (uint32_t i = 0; i < HISTORY_VALUES; i++)
		mask |= row->value[i] ? 1u << i : 0;
	if (sample->used + 1 + (uint32_t)__builtin_popcount(mask) > HISTORY_WORDS)
		return false;
	sample->words[sample->used] = row->id << ID_SHIFT | mask;
	for (uint32_t i = 0; i < HISTORY_VALUES; i++)
		if (row->value[i])
			sample->words[at++] = row->value[i];
	sample->used = at;
	return true;
}

bool history_next(const struct history_sample *sample, uint32_t *at, struct history_row *row)
{
	uint32_t end = sample->used < HISTORY_WORDS ? sample->used : HISTORY_WORDS, mask;

	if (*at >= end)
		return false;
	*row = (struct history_row){.id = sample->words[*at] >> ID_SHIFT};
	mask = sample->words[(*at)++] & ((1u << ID_SHIFT) - 1);
	if (mask >> HISTORY_VALUES || (uint32_t)__builtin_popcount(mask) > end - *at)
		return false;
	for (uint32_t i = 0; i < HISTORY_VALUES; i++)
		if (mask & 1u << i)
			row->value[i] = sample->words[(*at)++];
	return true;
}

uint32_t history_check(const void *data, uint32_t size)
{
	const unsigned char *bytes = data;
	uint32_t sum = 2166136261u, word;

	for (uint32_t i = 0; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		sum = (sum ^ word) * 16777619u;
		sum ^= sum >> 15; /* of words, high bits would never come down */
	}
	return sum;
}

static uint32_t sum_of(const struct history_sample *sample)
{
	struct history_sample copy = *sample;

	copy.check = 0;
	return history_check(&copy, sizeof(copy));
}

void history_seal(struct history_sample *sample)
{
	sample->check = sum_of(sample);
}

bool history_is_whole(const struct history_sample *sample)
{
	return sample->seq && sample->used <= HISTORY_WORDS && sample->check == sum_of(sample);
}
