/* SPDX-License-Identifier: MIT */
/* When each connection of a run is due: a function of its number alone. So an open loop keeps the
 * rate that it offers, whatever becomes of the connections before. */
#ifndef CHURN_PLAN_H
#define CHURN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

struct churn_plan {
	double lo, hi; /* connections a second; a saw-tooth rises from lo to hi, and starts again */
	double period_s; /* of the saw-tooth */
	double seconds;	 /* how long it goes on */
	uint32_t burst;	 /* so many are due at once; 1: each at its time */
};

/* "1000", or "100-2000/20": a saw-tooth of 20 s. Nothing is modified on failure. */
bool churn_plan_parse_rate(const char *text, struct churn_plan *plan);
/* Nanoseconds after the start; UINT64_MAX: it is after the end. */
uint64_t churn_plan_due(const struct churn_plan *plan, uint64_t number);
/* How many are due until then, of all. */
uint64_t churn_plan_count(const struct churn_plan *plan, uint64_t ns);

#endif
