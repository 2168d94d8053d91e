/* SPDX-License-Identifier: MIT */
/* What the generator of connections reckons with: when each is due, and quantiles. */
#include "tests/bench/churn_hist.h"
#include "tests/bench/churn_plan.h"

#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdlib.h>

static const uint64_t second = UINT64_C(1000000000);

static struct churn_plan plan_of(const char *rate, double seconds, uint32_t burst)
{
	struct churn_plan plan = {.seconds = seconds, .burst = burst};

	assert_true(churn_plan_parse_rate(rate, &plan));
	return plan;
}

static bool about(uint64_t a, uint64_t b, uint64_t off)
{
	return a > b ? a - b <= off : b - a <= off;
}

static void a_constant_rate_is_even(void **state)
{
	struct churn_plan plan = plan_of("1000", 10, 1);

	(void)state;
	assert_int_equal(churn_plan_due(&plan, 0), 0);
	for (uint64_t n = 0; n < 10000; n += 7)
		assert_true(about(churn_plan_due(&plan, n), n * 1000000, 10));
	assert_true(churn_plan_due(&plan, 10000) == UINT64_MAX);
	assert_true(about(churn_plan_count(&plan, 4 * second), 4000, 1));
	assert_true(about(churn_plan_count(&plan, 400 * second), 10000, 1));
}

static void a_saw_tooth_rises_and_starts_again(void **state)
{
	struct churn_plan plan = plan_of("100-300/10", 40, 1);

	(void)state;
	/* in a period 2,000; in its first half 100 * 5 and half of what the rate rises by */
	assert_true(about(churn_plan_count(&plan, 10 * second), 2000, 1));
	assert_true(about(churn_plan_count(&plan, 5 * second), 750, 1));
	assert_true(about(churn_plan_count(&plan, 25 * second), 4750, 1));
	assert_true(about(churn_plan_due(&plan, 2000), 10 * second, 1000));
	assert_true(about(churn_plan_due(&plan, 4750), 25 * second, 1000));
	assert_true(churn_plan_due(&plan, 8000) == UINT64_MAX);
}

static void due_and_count_are_one_anothers_reverse(void **state)
{
	static const char *const rates[] = {"1000", "0-500/7", "1-25/6", "33.5", "100-100/3"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct churn_plan plan = plan_of(rates[i], 60, 1);
		uint64_t before = 0, due;

		for (uint64_t n = 0; (due = churn_plan_due(&plan, n)) != UINT64_MAX; n++) {
			assert_true(due >= before);
			assert_true(about(churn_plan_count(&plan, due), n, 1));
			before = due;
		}
	}
}

static void bursts_are_due_at_once(void **state)
{
	struct churn_plan plan = plan_of("240", 5, 48);

	(void)state;
	for (uint64_t n = 0; n < 480; n++)
		assert_true(about(churn_plan_due(&plan, n), n / 48 * second / 5, 10));
	assert_int_equal(churn_plan_count(&plan, second / 10), 48);
}

static void rates_that_are_none(void **state)
{
	static const char *const texts[] = {"",	      "0",     "-5",  "x",   "10x",
					    "5-1/10", "1-5/0", "1-5", "nan", "1e9"};
	struct churn_plan plan = {.hi = 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_false(churn_plan_parse_rate(texts[i], &plan));
		assert_true(plan.hi == 7);
	}
}

static struct churn_hist *hist_new(void)
{
	struct churn_hist *hist = calloc(1, sizeof(*hist));

	assert_non_null(hist);
	return hist;
}

static void a_quantile_is_at_most_a_32nd_high(void **state)
{
	struct churn_hist *hist = hist_new();

	(void)state;
	assert_int_equal(churn_hist_quantile(hist, 50), 0);
	for (uint64_t value = 1; value <= 100000; value++)
		churn_hist_record(hist, value * 1000);
	for (unsigned int percent = 1; percent <= 100; percent++) {
		uint64_t exact = percent * UINT64_C(1000000);
		uint64_t got = churn_hist_quantile(hist, percent);

		assert_true(got >= exact && got <= exact + exact / 32);
	}
	assert_int_equal(hist->max, 100000000);
	free(hist);
}

static void what_is_small_or_huge_has_its_place(void **state)
{
	struct churn_hist *hist = hist_new(), *more = hist_new();

	(void)state;
	churn_hist_record(hist, 0);
	churn_hist_record(hist, 3);
	churn_hist_record(more, UINT64_MAX);
	churn_hist_add(hist, more);
	assert_int_equal(hist->count, 3);
	assert_int_equal(churn_hist_quantile(hist, 1), 0);
	assert_int_equal(churn_hist_quantile(hist, 50), 3);
	assert_true(churn_hist_quantile(hist, 100) == UINT64_MAX);
	free(hist);
	free(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_constant_rate_is_even),
		cmocka_unit_test(a_saw_tooth_rises_and_starts_again),
		cmocka_unit_test(due_and_count_are_one_anothers_reverse),
		cmocka_unit_test(bursts_are_due_at_once),
		cmocka_unit_test(rates_that_are_none),
		cmocka_unit_test(a_quantile_is_at_most_a_32nd_high),
		cmocka_unit_test(what_is_small_or_huge_has_its_place),
	};

	return cmocka_run_group_tests_name("churn", tests, NULL, NULL);
}
