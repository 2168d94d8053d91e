/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_hist.h"

#include <math.h>

enum { WITHIN = 1 << CHURN_HIST_BITS };

/* Up to 31 each value has a bucket of its own; from there on each octave has 32. */
static unsigned int bucket_of(uint64_t value)
{
	unsigned int octave;

	if (value < WITHIN)
		return (unsigned int)value;
	octave = 63 - (unsigned int)__builtin_clzll(value) - CHURN_HIST_BITS;
	return (octave + 1) * WITHIN + (unsigned int)((value >> octave) - WITHIN);
}

static uint64_t highest_in(unsigned int bucket)
{
	unsigned int octave = bucket / WITHIN;

	if (octave == 0)
		return bucket;
	return ((uint64_t)(bucket % WITHIN + WITHIN + 1) << (octave - 1)) - 1;
}

void churn_hist_record(struct churn_hist *hist, uint64_t value)
{
	hist->count++;
	hist->bucket[bucket_of(value)]++;
	if (value > hist->max)
		hist->max = value;
}

void churn_hist_add(struct churn_hist *to, const struct churn_hist *from)
{
	to->count += from->count;
	if (from->max > to->max)
		to->max = from->max;
	for (unsigned int i = 0; i < CHURN_HIST_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t churn_hist_quantile(const struct churn_hist *hist, double percent)
{
	uint64_t wanted = (uint64_t)ceil((double)hist->count * percent / 100), seen = 0, value;
	unsigned int i;

	if (hist->count == 0)
		return 0;
	if (wanted == 0)
		wanted = 1;
	for (i = 0; i < CHURN_HIST_BUCKETS - 1; i++)
		if ((seen += hist->bucket[i]) >= wanted)
			break;
	value = highest_in(i);
	return value < hist->max ? value : hist->max;
}
