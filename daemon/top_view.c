/* SPDX-License-Identifier: MIT */
/* Four lines of head (the last for what is typed or amiss), the titles, and rows to the bottom. */
#include "daemon/top.h"

#include "daemon/cli_table.h"
#include "daemon/cli_text.h"
#include "daemon/top_conn.h"

#include <stdio.h>
#include <string.h>

enum { LINE_MESSAGE = 3, LINE_TITLES = 4, LINE_ROWS = 5, WIDTH_MAX = 500 };

struct view {
	unsigned int width, height;
	top_put_fn *put;
	void *arg;
};

/* --- lines ------------------------------------------------------------------------------------ */

static void put(const struct view *view, unsigned int y, unsigned int x, enum top_style style,
		const char *text)
{
	char clean[GRID_LINE_MAX];

	if (y >= view->height || x >= view->width || !*text)
		return;
	cli_text_clean(text, clean, sizeof(clean), view->width - x);
	view->put(view->arg, y, x, clean, style);
}

/* The whole width of the line in this style. */
static void put_bar(const struct view *view, unsigned int y, enum top_style style, const char *text)
{
	char line[GRID_LINE_MAX];
	size_t used;
	unsigned int cells = cli_text_clean(text, line, sizeof(line) - view->width, view->width);

	for (used = strlen(line); cells < view->width && used + 1 < sizeof(line); cells++)
		line[used++] = ' ';
	line[used] = '\0';
	put(view, y, 0, style, line);
}

/* A line made of pieces: what does not fit is left out, and what comes after it. */
struct pieces {
	char text[GRID_LINE_MAX];
	unsigned int width;
	bool full;
};

static void piece(struct pieces *pieces, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void piece(struct pieces *pieces, const char *format, ...)
{
	size_t used = strlen(pieces->text), left = sizeof(pieces->text) - used;
	const char *gap = used ? "  " : "";
	char more[GRID_CELL_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(more, sizeof(more), format, ap);
	va_end(ap);
	if (pieces->full ||
	    cli_text_width(pieces->text) + strlen(gap) + cli_text_width(more) > pieces->width) {
		pieces->full = true;
		return;
	}
	snprintf(pieces->text + used, left, "%s%s", gap, more);
}

/* --- the head --------------------------------------------------------------------------------- */

static const char *age(uint64_t ms, char *buf, size_t size)
{
	json_t *value = json_integer((json_int_t)ms);

	snprintf(buf, size, "?");
	if (value)
		table_age(value, buf, size);
	json_decref(value);
	return buf;
}

static void head_daemon(struct top *top, struct pieces *line)
{
	const struct top_list *list = top_current(top);
	char text[32];

	if (top->paused)
		piece(line, "PAUSED");
	if (!top->known)
		piece(line, "closeside");
	else if (top->on)
		piece(line, "closeside on, up %s", age(top->uptime_ms, text, sizeof(text)));
	else
		piece(line, "closeside OFF: only watching");
	piece(line, "%zu %s", list->now.count, top->inside ? "connections" : "processes");
	if (*list->filter)
		piece(line, "%zu shown", list->shown);
	piece(line, "by %s%s", list->kind->columns[list->sort].title,
	      list->reverse ? " reversed" : "");
	piece(line, "every %g s", (double)top->delay_ms / 1000);
	piece(line, "%s", top->clock);
	piece(line, "h help");
}

static void head_states(const struct top *top, struct pieces *line)
{
	if (!top->total.row.conns) {
		piece(line, "no connections");
		return;
	}
	piece(line, "%llu connections:", (unsigned long long)top->total.row.conns);
	for (unsigned int i = 1; i < STATE_COUNT; i++)
		if (top->total.state[i])
			piece(line, "%s %llu", tcp_state_ss(i),
			      (unsigned long long)top->total.state[i]);
}

static void head_rates(const struct top *top, struct pieces *line)
{
	const struct ps_total *total = &top->total;

	if (total->row.conns)
		piece(line, "attributed %.1f%%", 100 * total->share);
	piece(line, "opens %.1f/s", total->row.opens_s);
	piece(line, "closes %.1f/s", total->row.closes_s);
	piece(line, "lost %llu", (unsigned long long)total->lost);
	if (total->as_of_ms > 1000)
		piece(line, "data %.1f s old", (double)total->as_of_ms / 1000);
	if (*top->missing)
		piece(line, "lacks %s", top->missing);
}

/* The cursor of what is typed is its last cell. */
static void put_prompt(const struct view *view, const struct top *top)
{
	char line[GRID_CELL_MAX], cursor[] = "_";

	if (top->mode == TOP_ASK_FILTER)
		snprintf(line, sizeof(line), "show only: %s%s", top->input, cursor);
	else
		snprintf(line, sizeof(line), "seconds, now %g: %s%s", (double)top->delay_ms / 1000,
			 top->input, cursor);
	put(view, LINE_MESSAGE, 0, TOP_BOLD, line);
}

static void put_message(const struct view *view, struct top *top)
{
	const char *filter = top_current(top)->filter;
	char line[GRID_CELL_MAX];

	if (top->mode == TOP_ASK_FILTER || top->mode == TOP_ASK_DELAY) {
		put_prompt(view, top);
	} else if (*top->trouble) {
		put(view, LINE_MESSAGE, 0, TOP_INVERSE, top->trouble);
	} else if (*top->notice) {
		put(view, LINE_MESSAGE, 0, TOP_BOLD, top->notice);
	} else if (*filter) {
		snprintf(line, sizeof(line), "only: %s (Esc shows all)", filter);
		put(view, LINE_MESSAGE, 0, TOP_BOLD, line);
	} else if (top->inside) {
		snprintf(line, sizeof(line), "connections of %s, pid %lld%s (Esc: back)",
			 top->subject.program, (long long)top->subject.pid,
			 top->cut ? ": not all of them" : "");
		put(view, LINE_MESSAGE, 0, TOP_BOLD, line);
	}
}

static void put_head(const struct view *view, struct top *top)
{
	struct pieces lines[3] = {
		{.width = view->width}, {.width = view->width}, {.width = view->width}};

	head_daemon(top, &lines[0]);
	head_states(top, &lines[1]);
	head_rates(top, &lines[2]);
	for (unsigned int i = 0; i < 3; i++)
		put(view, i, 0, i ? TOP_PLAIN : TOP_BOLD, lines[i].text);
	put_message(view, top);
}

/* --- the table -------------------------------------------------------------------------------- */

static void put_titles(const struct view *view, const struct top_list *list)
{
	const struct grid *grid = &list->grid;
	const char *title = grid->columns[list->sort].title;
	unsigned int width = grid->width[list->sort], indent = 0;
	char line[GRID_LINE_MAX];

	grid_line(grid, NULL, line);
	put(view, LINE_TITLES, 0, TOP_BOLD, line);
	if (!width)
		return;
	if (grid->columns[list->sort].right)
		indent = width - cli_text_width(title);
	put(view, LINE_TITLES, grid_offset(grid, list->sort) + indent, TOP_INVERSE, title);
}

static void put_rows(const struct view *view, const struct top_list *list, size_t page)
{
	for (size_t i = 0; i < page; i++) {
		const void *row = top_list_at(list, list->first + i);
		unsigned int y = LINE_ROWS + (unsigned int)i;
		char line[GRID_LINE_MAX];

		if (!row)
			return;
		grid_line(&list->grid, row, line);
		if (list->first + i == list->cursor)
			put_bar(view, y, TOP_INVERSE, line);
		else
			put(view, y, 0, TOP_PLAIN, line);
	}
}

/* --- help ------------------------------------------------------------------------------------- */

static const char *const help_keys[] = {
#define X(name, key, another, shown, text) shown,
	TOP_KEYS(X)
#undef X
};

static const char *const help_texts[] = {
#define X(name, key, another, shown, text) text,
	TOP_KEYS(X)
#undef X
};

enum { HELP_COLUMNS = TOP_ACTION_COUNT + 2, HELP_LINES = HELP_COLUMNS + PS_COLUMN_COUNT };

static void help_line(unsigned int i, char *line, size_t size)
{
	unsigned int column = i - HELP_COLUMNS;

	line[0] = '\0';
	if (i < TOP_ACTION_COUNT)
		snprintf(line, size, "  %-9s %s", help_keys[i], help_texts[i]);
	else if (i == HELP_COLUMNS - 1)
		snprintf(line, size, "Capital letters sort the processes:");
	else if (i >= HELP_COLUMNS)
		snprintf(line, size, "  %c %-8s %s", ps_column_keys[column],
			 ps_columns[column].title, ps_column_texts[column]);
}

static void put_help(const struct view *view, struct top *top)
{
	unsigned int page = view->height - 1, most = HELP_LINES > page ? HELP_LINES - page : 0;
	char line[GRID_CELL_MAX];

	if (top->help_first > most)
		top->help_first = most;
	top->page = page;
	put(view, 0, 0, TOP_BOLD,
	    most ? "Keys (Up, Down, PgUp, PgDn; any other key: back)"
		 : "Keys (any other key: back)");
	for (unsigned int i = 0; i < page && top->help_first + i < HELP_LINES; i++) {
		help_line(top->help_first + i, line, sizeof(line));
		put(view, i + 1, 0, TOP_PLAIN, line);
	}
}

/* --- all -------------------------------------------------------------------------------------- */

static void put_too_small(const struct view *view)
{
	char line[64];

	snprintf(line, sizeof(line), "%ux%u is too small", view->width, view->height);
	put(view, 0, 0, TOP_PLAIN, line);
	snprintf(line, sizeof(line), "%dx%d is needed", TOP_LEAST_WIDTH, TOP_LEAST_HEIGHT);
	put(view, 1, 0, TOP_PLAIN, line);
}

void top_view(struct top *top, unsigned int width, unsigned int height, top_put_fn *put_fn,
	      void *arg)
{
	struct view view = {width < WIDTH_MAX ? width : WIDTH_MAX, height, put_fn, arg};
	struct top_list *list = top_current(top);

	if (width < TOP_LEAST_WIDTH || height < TOP_LEAST_HEIGHT) {
		put_too_small(&view);
		return;
	}
	if (top->mode == TOP_HELP) {
		put_help(&view, top);
		return;
	}
	top->page = height - LINE_ROWS;
	top_list_scroll(list, top->page);
	grid_fit(&list->grid, view.width);
	put_head(&view, top);
	put_titles(&view, list);
	put_rows(&view, list, top->page);
}
