/* SPDX-License-Identifier: MIT */
#include "daemon/proportion.h"

#include <math.h>

#define Z 1.959964 /* of 95 % */

struct interval {
	double value, low, high;
};

/* E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927). */
static struct interval wilson(struct proportion p)
{
	double n = (double)p.of, value = (double)p.hits / n;
	double middle = (value + Z * Z / (2 * n)) / (1 + Z * Z / n);
	double half = Z * sqrt(value * (1 - value) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n);

	return (struct interval){value, fmax(0, middle - half), fmin(1, middle + half)};
}

/* R. G. Newcombe, "Interval estimation for the difference between independent proportions" (1998),
 * method 10. */
bool proportion_compare(struct proportion a, struct proportion b, struct proportion_difference *out)
{
	struct interval x, y;

	if (!a.of || !b.of)
		return false;
	x = wilson(a);
	y = wilson(b);
	out->value = x.value - y.value;
	out->low = out->value - hypot(x.value - x.low, y.high - y.value);
	out->high = out->value + hypot(x.high - x.value, y.value - y.low);
	return true;
}

bool proportion_differs(const struct proportion_difference *difference)
{
	return difference->low > 0 || difference->high < 0;
}
