/* SPDX-License-Identifier: MIT */
/* Two proportions, and whether they differ. Pure. */
#ifndef DAEMON_PROPORTION_H
#define DAEMON_PROPORTION_H

#include <stdbool.h>
#include <stdint.h>

struct proportion {
	uint64_t hits, of; /* hits <= of */
};

/* a's less b's, from -1 to 1, and where the true difference is with 95 % confidence (Newcombe's
 * interval of Wilson's score intervals: sound for few and for none as well). */
struct proportion_difference {
	double value, low, high;
};

/* False, and nothing is said: one of them is of none. */
bool proportion_compare(struct proportion a, struct proportion b,
			struct proportion_difference *out);
/* Zero is out of the interval. */
bool proportion_differs(const struct proportion_difference *difference);

#endif
