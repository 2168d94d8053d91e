/* SPDX-License-Identifier: MIT */
#include "daemon/top_list.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTHS_KEPT = 16 };

void top_list_init(struct top_list *list, const struct top_kind *kind)
{
	*list = (struct top_list){.kind = kind, .sort = kind->sort};
	grid_init(&list->grid, kind->columns, kind->column_count, kind->cell);
}

void top_list_free(struct top_list *list)
{
	free(list->now.row);
	free(list->coming.row);
	free(list->order);
}

static const void *row_at(const struct top_list *list, size_t i)
{
	return list->now.row + i * list->kind->size;
}

const void *top_list_at(const struct top_list *list, size_t i)
{
	return i < list->shown ? row_at(list, list->order[i]) : NULL;
}

/* --- order ------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b, void *arg)
{
	const struct top_list *list = arg;
	const size_t *i = a, *k = b;
	int order = list->kind->compare(row_at(list, *i), row_at(list, *k), list->sort);

	return list->reverse ? -order : order;
}

static void choose(struct top_list *list)
{
	list->shown = 0;
	for (size_t i = 0; i < list->now.count; i++)
		if (!*list->filter || list->kind->matches(row_at(list, i), list->filter))
			list->order[list->shown++] = i;
	if (list->shown)
		qsort_r(list->order, list->shown, sizeof(*list->order), compare, list);
	if (list->cursor >= list->shown)
		list->cursor = list->shown ? list->shown - 1 : 0;
}

/* Where this row is now, or as before if it is gone. */
static void follow(struct top_list *list, const void *row)
{
	for (size_t i = 0; i < list->shown; i++)
		if (list->kind->same(top_list_at(list, i), row)) {
			list->cursor = i;
			return;
		}
}

/* The cursor's row, to be freed; NULL if it is at home, where it stays. */
static void *cursor_row(const struct top_list *list)
{
	const void *row = list->cursor ? top_list_at(list, list->cursor) : NULL;
	void *copy = row ? malloc(list->kind->size) : NULL;

	return copy ? memcpy(copy, row, list->kind->size) : NULL;
}

/* Columns do not jump with each digit, but what was wide once is not wide for ever. */
static void measure(struct top_list *list)
{
	if (++list->takes % WIDTHS_KEPT == 0)
		grid_init(&list->grid, list->kind->columns, list->kind->column_count,
			  list->kind->cell);
	for (size_t i = 0; i < list->now.count; i++)
		grid_want(&list->grid, row_at(list, i));
}

static void arrange(struct top_list *list)
{
	void *row = cursor_row(list);

	choose(list);
	if (row)
		follow(list, row);
	free(row);
}

/* --- rows ------------------------------------------------------------------------------------- */

void *top_list_add(struct top_list *list)
{
	struct top_rows *coming = &list->coming;

	if (coming->count == coming->room) {
		size_t room = coming->room ? 2 * coming->room : 64;
		char *row = reallocarray(coming->row, room, list->kind->size);

		if (!row)
			return NULL;
		coming->row = row;
		coming->room = room;
	}
	return coming->row + coming->count++ * list->kind->size;
}

void top_list_discard(struct top_list *list)
{
	list->coming.count = 0;
}

void top_list_take(struct top_list *list)
{
	struct top_rows before = list->now;
	void *row = cursor_row(list);
	size_t *order = reallocarray(list->order, list->coming.count + 1, sizeof(*order));

	if (!order) {
		free(row);
		return;
	}
	list->order = order;
	list->now = list->coming;
	list->coming = before;
	list->coming.count = 0;
	measure(list);
	choose(list);
	if (row)
		follow(list, row);
	free(row);
}

void top_list_clear(struct top_list *list)
{
	list->now.count = list->coming.count = list->shown = 0;
	list->cursor = list->first = 0;
}

/* --- what the keys do ------------------------------------------------------------------------- */

void top_list_sort(struct top_list *list, unsigned int column)
{
	list->sort = column;
	arrange(list);
}

void top_list_reverse(struct top_list *list)
{
	list->reverse = !list->reverse;
	arrange(list);
}

void top_list_filter(struct top_list *list, const char *text)
{
	if (text != list->filter)
		snprintf(list->filter, sizeof(list->filter), "%s", text);
	arrange(list);
}

void top_list_move(struct top_list *list, long steps)
{
	size_t last = list->shown ? list->shown - 1 : 0;
	size_t far = (size_t)(steps < 0 ? -(steps + 1) : steps) + (steps < 0);

	if (steps < 0)
		list->cursor -= far < list->cursor ? far : list->cursor;
	else
		list->cursor += far < last - list->cursor ? far : last - list->cursor;
}

void top_list_scroll(struct top_list *list, size_t page)
{
	size_t most = list->shown > page ? list->shown - page : 0;

	if (list->cursor < list->first)
		list->first = list->cursor;
	if (page && list->cursor >= list->first + page)
		list->first = list->cursor - page + 1;
	if (list->first > most)
		list->first = most;
}
