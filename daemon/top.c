/* SPDX-License-Identifier: MIT */
#include "daemon/top.h"

#include "daemon/top_conn.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct top_kind process_kind = {
	.size = sizeof(struct ps_row),
	.columns = ps_columns,
	.column_count = PS_COLUMN_COUNT,
	.sort = PS_CONNS,
	.keys = ps_column_keys,
	.cell = ps_cell,
	.compare = ps_compare,
	.matches = ps_matches,
	.same = ps_same,
};

void top_init(struct top *top, unsigned int delay_ms)
{
	*top = (struct top){.delay_ms = delay_ms, .page = 1};
	top_list_init(&top->processes, &process_kind);
	top_list_init(&top->connections, &top_conn_kind);
}

void top_free(struct top *top)
{
	top_list_free(&top->processes);
	top_list_free(&top->connections);
}

struct top_list *top_current(struct top *top)
{
	return top->inside ? &top->connections : &top->processes;
}

bool top_parse_delay(const char *text, unsigned int *ms)
{
	char *end;
	double seconds;

	/* strtod() would take more: signs, blanks, 0x, nan */
	if (!*text || text[strspn(text, "0123456789.")])
		return false;
	seconds = strtod(text, &end);
	if (*end || seconds * 1000 < TOP_DELAY_LEAST_MS || seconds * 1000 > TOP_DELAY_MOST_MS)
		return false;
	*ms = (unsigned int)(seconds * 1000 + 0.5);
	return true;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void take_missing(struct top *top, const json_t *missing)
{
	const json_t *item;
	size_t i, used = 0;

	top->missing[0] = '\0';
	json_array_foreach(missing, i, item)
	{
		const char *text = json_string_value(item);
		int len = text ? (int)strcspn(text, ":") : 0;
		int n = snprintf(top->missing + used, sizeof(top->missing) - used, "%s%.*s",
				 used ? ", " : "", len, text ? text : "");

		if (n < 0 || (size_t)n >= sizeof(top->missing) - used)
			return;
		used += (size_t)n;
	}
}

static bool take_conn(struct top *top, const json_t *json)
{
	struct top_conn *conn;

	top->cut = top->connections.coming.count >= TOP_CONNS_MAX;
	conn = top->cut ? NULL : top_list_add(&top->connections);
	if (conn)
		top_conn_take(conn, json);
	return conn;
}

static void take_process(struct top *top, const json_t *json)
{
	struct ps_row row, *slot;

	ps_row_take(&row, json);
	slot = ps_row_is_empty(&row) ? NULL : top_list_add(&top->processes);
	if (slot)
		*slot = row;
}

bool top_row(struct top *top, const json_t *json)
{
	const char *type = json_string_value(json_object_get(json, "type"));

	if (!strcmp(type, "conn"))
		return take_conn(top, json);
	if (!strcmp(type, "process"))
		take_process(top, json);
	if (!strcmp(type, "total")) {
		ps_total_take(&top->total, json);
		take_missing(top, json_object_get(json, "missing"));
	}
	if (!strcmp(type, "status")) {
		top->on = json_is_true(json_object_get(json, "on"));
		top->uptime_ms = (uint64_t)json_integer_value(json_object_get(json, "uptime_ms"));
		top->known = true;
	}
	return true;
}

void top_take(struct top *top)
{
	if (!top->paused || !top->processes.now.count)
		top_list_take(&top->processes);
	top_list_discard(&top->processes);
	if (top->inside)
		top_list_take(&top->connections);
	top_list_discard(&top->connections);
}

void top_discard(struct top *top)
{
	top_list_discard(&top->processes);
	top_list_discard(&top->connections);
}

/* --- what is typed ---------------------------------------------------------------------------- */

static void say(struct top *top, const char *text)
{
	snprintf(top->notice, sizeof(top->notice), "%s", text);
}

static void ask(struct top *top, enum top_mode mode)
{
	top->mode = mode;
	top->input[0] = '\0';
	if (mode == TOP_ASK_FILTER)
		top_list_filter(top_current(top), "");
}

/* Appends the character in UTF-8, if it fits. */
static void type(char *input, size_t size, uint32_t code)
{
	size_t used = strlen(input), len = code < 0x80	    ? 1
					   : code < 0x800   ? 2
					   : code < 0x10000 ? 3
							    : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	if (code < ' ' || code == 127 || code > 0x10ffff || used + len >= size)
		return;
	for (size_t i = len - 1; i > 0; i--, code >>= 6)
		input[used + i] = (char)(0x80 | (code & 0x3f));
	input[used] = (char)(len == 1 ? code : lead[len] | code);
	input[used + len] = '\0';
}

static void rub_out(char *input)
{
	size_t used = strlen(input);

	while (used > 0 && (input[used - 1] & 0xc0) == 0x80)
		used--;
	input[used ? used - 1 : 0] = '\0';
}

static void take_delay(struct top *top)
{
	if (*top->input && !top_parse_delay(top->input, &top->delay_ms))
		say(top, "the delay: expected 0.1 to 3600 seconds");
}

static void typed(struct top *top, uint32_t key)
{
	bool filter = top->mode == TOP_ASK_FILTER;

	if (key == TOP_ENTER || key == TOP_ESC) {
		top->mode = TOP_TABLE;
		if (key == TOP_ESC)
			top->input[0] = '\0';
		else if (!filter)
			take_delay(top);
	} else if (key == TOP_BACKSPACE) {
		rub_out(top->input);
	} else if (key == 'U' - '@') {
		top->input[0] = '\0';
	} else {
		type(top->input, sizeof(top->input), key);
	}
	if (filter)
		top_list_filter(top_current(top), top->input);
}

/* --- keys of the tables ----------------------------------------------------------------------- */

static void go_inside(struct top *top)
{
	const struct ps_row *row = top_list_at(&top->processes, top->processes.cursor);

	if (row && row->kind != PS_PROCESS)
		say(top, "whose these are, nobody can say");
	if (!row || row->kind != PS_PROCESS)
		return;
	top->subject = *row;
	top->inside = top->hurry = true;
	top->cut = false;
	top_list_filter(&top->connections, "");
	top_list_clear(&top->connections);
}

static void go_back(struct top *top)
{
	if (*top_current(top)->filter)
		top_list_filter(top_current(top), "");
	else
		top->inside = false;
}

static void sort_by_key(struct top *top, uint32_t key)
{
	struct top_list *list = top_current(top);
	const char *keys = list->kind->keys;
	const char *found = keys && key > ' ' && key < 127 ? strchr(keys, (int)key) : NULL;

	if (found)
		top_list_sort(list, (unsigned int)(found - keys));
}

static void act(struct top *top, enum top_action action)
{
	struct top_list *list = top_current(top);
	long page = top->page ? (long)top->page : 1;

	switch (action) {
	case TOP_DO_QUIT:
		top->quit = true;
		break;
	case TOP_DO_UP:
		top_list_move(list, -1);
		break;
	case TOP_DO_DOWN:
		top_list_move(list, 1);
		break;
	case TOP_DO_PGUP:
		top_list_move(list, -page);
		break;
	case TOP_DO_PGDN:
		top_list_move(list, page);
		break;
	case TOP_DO_HOME:
		top_list_move(list, -LONG_MAX);
		break;
	case TOP_DO_END:
		top_list_move(list, LONG_MAX);
		break;
	case TOP_DO_ENTER:
		if (top->inside)
			top->inside = false;
		else
			go_inside(top);
		break;
	case TOP_DO_SORT_LEFT:
		top_list_sort(list, grid_next(&list->grid, list->sort, -1));
		break;
	case TOP_DO_SORT_RIGHT:
		top_list_sort(list, grid_next(&list->grid, list->sort, 1));
		break;
	case TOP_DO_REVERSE:
		top_list_reverse(list);
		break;
	case TOP_DO_FILTER:
		ask(top, TOP_ASK_FILTER);
		break;
	case TOP_DO_PAUSE:
		top->paused = !top->paused;
		top->hurry = !top->paused;
		break;
	case TOP_DO_DELAY:
		ask(top, TOP_ASK_DELAY);
		break;
	case TOP_DO_BACK:
		go_back(top);
		break;
	case TOP_DO_HELP:
	case TOP_ACTION_COUNT:
		top->mode = TOP_HELP;
		top->help_first = 0;
		break;
	}
}

static const struct {
	uint32_t key, another;
} keys[TOP_ACTION_COUNT] = {
#define X(name, key, another, shown, text) {key, another},
	TOP_KEYS(X)
#undef X
};

static enum top_action action_of(uint32_t key)
{
	for (unsigned int i = 0; key && i < TOP_ACTION_COUNT; i++)
		if (key == keys[i].key || key == keys[i].another)
			return (enum top_action)i;
	return TOP_ACTION_COUNT;
}

/* Any key leaves the help but those that scroll it. */
static void key_in_help(struct top *top, enum top_action action)
{
	unsigned int page = (unsigned int)top->page;

	if (action == TOP_DO_QUIT)
		top->quit = true;
	else if (action == TOP_DO_UP)
		top->help_first -= top->help_first > 0;
	else if (action == TOP_DO_DOWN)
		top->help_first++;
	else if (action == TOP_DO_PGUP)
		top->help_first = top->help_first < page ? 0 : top->help_first - page;
	else if (action == TOP_DO_PGDN)
		top->help_first += page;
	else
		top->mode = TOP_TABLE;
}

void top_key(struct top *top, uint32_t key)
{
	enum top_action action = action_of(key);

	top->notice[0] = '\0';
	if (top->mode == TOP_HELP)
		key_in_help(top, action);
	else if (top->mode != TOP_TABLE)
		typed(top, key);
	else if (action != TOP_ACTION_COUNT)
		act(top, action);
	else
		sort_by_key(top, key);
}
