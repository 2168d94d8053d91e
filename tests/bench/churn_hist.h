/* SPDX-License-Identifier: MIT */
/* Latencies in a histogram whose buckets are a 32nd of an octave: a quantile is off by 3 % at most,
 * whatever its size, and two histograms are added bucket by bucket. */
#ifndef CHURN_HIST_H
#define CHURN_HIST_H

#include <stdint.h>

enum {
	CHURN_HIST_BITS = 5, /* of precision */
	CHURN_HIST_BUCKETS = (64 - CHURN_HIST_BITS + 1) << CHURN_HIST_BITS,
};

struct churn_hist {
	uint64_t count, max; /* max is exact */
	uint32_t bucket[CHURN_HIST_BUCKETS];
};

void churn_hist_record(struct churn_hist *hist, uint64_t value);
void churn_hist_add(struct churn_hist *to, const struct churn_hist *from);
/* The least value that so many hundredths of all are not over, as its bucket's highest; 0: there
 * are none. */
uint64_t churn_hist_quantile(const struct churn_hist *hist, double percent);

#endif
