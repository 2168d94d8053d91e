/* SPDX-License-Identifier: MIT */
/* The interval of a difference, against the table that its author published. */
#include "daemon/proportion.h"

#include "tests/unit/unit.h"

#include <math.h>

/* R. G. Newcombe, Statistics in Medicine 17 (1998), table II, method 10. */
static const struct row {
	const char *name;
	struct proportion a, b;
	double low, high;
	bool differs;
} rows[] = {
	{"56/70 - 48/80", {56, 70}, {48, 80}, 0.0524, 0.3339, true},
	{"9/10 - 3/10", {9, 10}, {3, 10}, 0.1705, 0.8090, true},
	{"5/56 - 0/29", {5, 56}, {0, 29}, -0.0381, 0.1926, false},
	{"0/10 - 0/20", {0, 10}, {0, 20}, -0.1611, 0.2775, false},
	{"10/10 - 0/10", {10, 10}, {0, 10}, 0.6075, 1.0000, true},
	{"0/10 - 10/10", {0, 10}, {10, 10}, -1.0000, -0.6075, true},
};

static void row(void **state)
{
	const struct row *r = *state;
	struct proportion_difference difference;

	assert_true(proportion_compare(r->a, r->b, &difference));
	if (fabs(difference.low - r->low) > 0.0001 || fabs(difference.high - r->high) > 0.0001)
		fail_msg("%.4f to %.4f", difference.low, difference.high);
	assert_int_equal(proportion_differs(&difference), r->differs);
}

static void of_none_nothing_is_said(void **state)
{
	struct proportion_difference difference;

	(void)state;
	assert_false(proportion_compare((struct proportion){0, 0}, (struct proportion){1, 2},
					&difference));
	assert_false(proportion_compare((struct proportion){1, 2}, (struct proportion){0, 0},
					&difference));
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 1] = {cmocka_unit_test(of_none_nothing_is_said)};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i + 1] = unit_row(rows[i].name, row, &rows[i]);
	return cmocka_run_group_tests_name("proportion", tests, NULL, NULL);
}
