/* SPDX-License-Identifier: MIT */
/* What top shows: rows of some kind, sorted and filtered, with a cursor and the part that is on the
 * screen. Pure: no terminal in here. */
#ifndef DAEMON_TOP_LIST_H
#define DAEMON_TOP_LIST_H

#include "daemon/cli_grid.h"

#include <stdbool.h>
#include <stddef.h>

enum { TOP_FILTER_MAX = 64 };

struct top_kind {
	size_t size; /* of a row */
	const struct grid_column *columns;
	unsigned int column_count, sort; /* the column it is sorted by at first */
	const char *keys;		 /* one for each column, or NULL */
	grid_cell_fn *cell;
	int (*compare)(const void *a, const void *b, unsigned int column);
	bool (*matches)(const void *row, const char *text);
	bool (*same)(const void *a, const void *b); /* the same thing, at another time */
};

struct top_rows {
	char *row;
	size_t count, room;
};

struct top_list {
	const struct top_kind *kind;
	struct grid grid;
	struct top_rows now, coming; /* coming: until all have come */
	size_t *order, shown;	     /* which rows are shown, and in which order */
	unsigned int sort;
	bool reverse;
	char filter[TOP_FILTER_MAX]; /* "": all */
	size_t cursor, first;	     /* among those shown */
	unsigned int takes;	     /* how often rows have come */
};

void top_list_init(struct top_list *list, const struct top_kind *kind);
void top_list_free(struct top_list *list);

/* Room for one more of the rows to come, or NULL. */
void *top_list_add(struct top_list *list);
/* Those that have come are now shown; the cursor stays with its row, unless it is the first. */
void top_list_take(struct top_list *list);
/* Or they are not: the answer broke off. */
void top_list_discard(struct top_list *list);
/* No rows at all, the cursor at home. */
void top_list_clear(struct top_list *list);

void top_list_sort(struct top_list *list, unsigned int column);
void top_list_reverse(struct top_list *list);
void top_list_filter(struct top_list *list, const char *text);

/* By so many rows, up if negative, as far as there are any. */
void top_list_move(struct top_list *list, long steps);

/* Scrolls so that the cursor is among the `page` rows from list->first. */
void top_list_scroll(struct top_list *list, size_t page);

/* The i-th of those shown, or NULL. */
const void *top_list_at(const struct top_list *list, size_t i);

#endif
