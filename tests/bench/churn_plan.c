/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_plan.h"

#include <math.h>
#include <stdio.h>

bool churn_plan_parse_rate(const char *text, struct churn_plan *plan)
{
	double lo, hi, period_s;
	int end = 0;

	if (sscanf(text, "%lf-%lf/%lf%n", &lo, &hi, &period_s, &end) != 3) {
		if (sscanf(text, "%lf%n", &lo, &end) != 1)
			return false;
		hi = lo;
		period_s = 1;
	}
	if (text[end] || !(lo >= 0) || !(hi >= lo) || !(hi > 0) || !(hi <= 1e6) || !(period_s > 0))
		return false;
	plan->lo = lo;
	plan->hi = hi;
	plan->period_s = period_s;
	return true;
}

/* How many of a period are due in its first t seconds: the rate's integral. */
static double within_period(const struct churn_plan *plan, double t)
{
	return plan->lo * t + (plan->hi - plan->lo) * t * t / (2 * plan->period_s);
}

/* The reverse; written so that a constant rate needs no case of its own. */
static double time_in_period(const struct churn_plan *plan, double count)
{
	double slope = (plan->hi - plan->lo) / plan->period_s;
	double below = plan->lo + sqrt(plan->lo * plan->lo + 2 * slope * count);

	return below > 0 ? 2 * count / below : 0;
}

uint64_t churn_plan_due(const struct churn_plan *plan, uint64_t number)
{
	double of_period = within_period(plan, plan->period_s), n, periods, at_s;

	if (plan->burst > 1)
		number -= number % plan->burst;
	n = (double)number;
	periods = floor(n / of_period);
	at_s = periods * plan->period_s + time_in_period(plan, n - periods * of_period);
	return at_s < plan->seconds ? (uint64_t)(at_s * 1e9) : UINT64_MAX;
}

uint64_t churn_plan_count(const struct churn_plan *plan, uint64_t ns)
{
	double s = fmin((double)ns / 1e9, plan->seconds), periods = floor(s / plan->period_s);
	double count = periods * within_period(plan, plan->period_s) +
		       within_period(plan, s - periods * plan->period_s);
	uint64_t number = (uint64_t)ceil(count);

	if (plan->burst > 1)
		number += (plan->burst - number % plan->burst) % plan->burst;
	return number;
}
