/* SPDX-License-Identifier: MIT */
/* Columns in a given width: what `ps` prints and `top` shows. Too narrow, first the texts shrink to
 * what is still of use, then the columns that matter least go. Pure: no terminal in here. */
#ifndef DAEMON_CLI_GRID_H
#define DAEMON_CLI_GRID_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { GRID_COLUMNS_MAX = 32, GRID_CELL_MAX = 256, GRID_LINE_MAX = 2048 };

/* A width that nothing is too wide for. */
#define GRID_UNLIMITED UINT_MAX

struct grid_column {
	const char *title;
	bool right;	    /* numbers */
	unsigned int least; /* cells to which it may shrink; 0: it does not */
	unsigned int rank;  /* the highest goes first; 0 stays */
};

/* What stands in this column of a row, as it came: it is made fit for a terminal here. */
typedef const char *grid_cell_fn(const void *row, unsigned int column, char *buf, size_t size);

struct grid {
	const struct grid_column *columns;
	unsigned int count;
	grid_cell_fn *cell;
	unsigned int wanted[GRID_COLUMNS_MAX]; /* cells, for all rows seen */
	unsigned int width[GRID_COLUMNS_MAX];  /* cells, 0: not shown */
};

void grid_init(struct grid *grid, const struct grid_column *columns, unsigned int count,
	       grid_cell_fn *cell);

/* Makes the columns wide enough for this row; they never become narrower. */
void grid_want(struct grid *grid, const void *row);

void grid_fit(struct grid *grid, unsigned int width);

/* The line of a row, or of the titles if row is NULL: out needs GRID_LINE_MAX bytes. No blanks at
 * the end. */
void grid_line(const struct grid *grid, const void *row, char *out);

/* The cell at which a column that is shown begins. */
unsigned int grid_offset(const struct grid *grid, unsigned int column);

/* The next column that is shown, to the right or left; the same if there is none. */
unsigned int grid_next(const struct grid *grid, unsigned int column, int step);

#endif
