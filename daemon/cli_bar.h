/* SPDX-License-Identifier: MIT */
/* How full something is, as a bar. Pure. */
#ifndef DAEMON_CLI_BAR_H
#define DAEMON_CLI_BAR_H

#include <stdbool.h>
#include <stddef.h>

enum { BAR_CELLS_MAX = 40, BAR_TEXT_MAX = 3 * BAR_CELLS_MAX + 1 };

struct bar {
	double used, peak, target; /* shares of all there is; over 1 is 1 */
	unsigned int cells;	   /* from 4 to BAR_CELLS_MAX, with its ends in ASCII */
	bool blocks;		   /* block characters of UTF-8, else ASCII */
};

/* "[####--|..]": used, its peak, the target, what is left; "████▒▒│░░░". Returns out. */
char *bar_draw(const struct bar *bar, char out[BAR_TEXT_MAX]);

#endif
