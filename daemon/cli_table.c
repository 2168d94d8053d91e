/* SPDX-License-Identifier: MIT */
#include "daemon/cli_table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { TABLE_KEPT = 500, TABLE_COLUMNS = 16, TABLE_CELL = 256 };

struct table {
	enum cli_format format;
	const char *name;
	const struct table_column *columns;
	json_t *kept; /* rows not yet printed, or NULL: the widths are settled */
	size_t width[TABLE_COLUMNS];
	int shown; /* columns; 0: not yet known */
	bool stream, fit;
	table_paint_fn *paint;
	unsigned int printed;
};

static const json_t *member_of(const json_t *row, const char *path)
{
	const char *dot = strchr(path, '.');
	char first[64];

	if (!dot)
		return json_object_get(row, path);
	snprintf(first, sizeof(first), "%.*s", (int)(dot - path), path);
	return member_of(json_object_get(row, first), dot + 1);
}

const char *table_age_ms(json_int_t ms, char *buf, size_t size)
{
	static const struct {
		json_int_t ms;
		const char *unit;
	} steps[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {0, "ms"}};
	size_t i = 0;

	if (ms < 0)
		ms = 0;
	while (ms < 2 * steps[i].ms)
		i++;
	snprintf(buf, size, "%" JSON_INTEGER_FORMAT "%s", steps[i].ms ? ms / steps[i].ms : ms,
		 steps[i].unit);
	return buf;
}

const char *table_age(const json_t *value, char *buf, size_t size)
{
	return table_age_ms(json_integer_value(value), buf, size);
}

const char *table_counts(const json_t *counts, char *buf, size_t size)
{
	size_t used = 0;
	const char *name;
	json_t *value;

	buf[0] = '\0';
	json_object_foreach((json_t *)counts, name, value)
	{
		int n = json_integer_value(value) == 0
				? 0
				: snprintf(buf + used, size - used, "%s%s %" JSON_INTEGER_FORMAT,
					   used ? ", " : "", name, json_integer_value(value));

		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	return buf;
}

/* Text from elsewhere: a program's name may hold anything, a terminal obeys some of it. */
static const char *printable(const char *text, char *buf, size_t size)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < size; i++)
		buf[i] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
	buf[i] = '\0';
	return buf;
}

static const char *cell(const struct table_column *column, const json_t *row, char *buf,
			size_t size)
{
	const json_t *value = member_of(row, column->member);

	if (value && !json_is_null(value) && column->text)
		return column->text(value, buf, size);
	if (json_is_string(value))
		return printable(json_string_value(value), buf, size);
	if (json_is_integer(value))
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(buf, size, "%s",
			 json_is_true(value)	? "yes"
			 : json_is_false(value) ? "no"
						: "-");
	return buf;
}

static void print_cell(const struct table *table, int i, const json_t *row)
{
	const struct table_column *column = &table->columns[i];
	char buf[TABLE_CELL];
	const char *text = row ? cell(column, row, buf, sizeof(buf)) : column->title;
	size_t len = strlen(text);
	int pad = len < table->width[i] ? (int)(table->width[i] - len) : 0;
	enum color color = row && table->paint ? table->paint(column, row) : COLOR_NONE;

	if (column->right)
		printf("%*s", pad, "");
	printf("%s%s%s", color_on(color), text, color_off(color));
	if (!column->right && i + 1 < table->shown)
		printf("%*s", pad, "");
}

static void print_cells(const struct table *table, const json_t *row)
{
	for (int i = 0; i < table->shown; i++) {
		if (i)
			fputs("  ", stdout);
		print_cell(table, i, row);
	}
	putchar('\n');
}

/* How many of the columns fit in the terminal, by the widths that are known; two at least. */
static int columns_shown(const struct table *table)
{
	struct winsize size;
	size_t used = 0;
	int i = 0;

	if (!table->fit || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		size.ws_col = UINT16_MAX;
	for (; table->columns[i].title; i++) {
		used += table->width[i] + (i ? 2 : 0);
		if (used > size.ws_col && i >= 2)
			break;
	}
	return i;
}

static void widen(struct table *table, int i)
{
	char buf[TABLE_CELL];
	json_t *row;
	size_t n, width = strlen(table->columns[i].title);

	if (width > table->width[i])
		table->width[i] = width;
	json_array_foreach(table->kept, n, row)
	{
		width = strlen(cell(&table->columns[i], row, buf, sizeof(buf)));
		if (width > table->width[i])
			table->width[i] = width;
	}
}

static void settle(struct table *table)
{
	json_t *row;
	size_t n;

	if (!table->kept)
		return;
	for (int i = 0; table->columns[i].title; i++)
		widen(table, i);
	if (!table->shown) {
		table->shown = columns_shown(table);
		print_cells(table, NULL);
	}
	json_array_foreach(table->kept, n, row) print_cells(table, row);
	if (table->stream) {
		json_array_clear(table->kept);
		return;
	}
	json_decref(table->kept);
	table->kept = NULL;
}

struct table *table_new(enum cli_format format, const char *name,
			const struct table_column *columns)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->format = format;
	table->name = name;
	table->columns = columns;
	if (format == FORMAT_PLAIN)
		table->kept = json_array();
	return table;
}

void table_stream(struct table *table, const unsigned char *widths)
{
	table->stream = true;
	for (int i = 0; table->columns[i].title; i++)
		table->width[i] = widths[i];
}

void table_flush(struct table *table)
{
	if (table->format == FORMAT_PLAIN)
		settle(table);
	fflush(stdout);
}

void table_fit(struct table *table)
{
	table->fit = isatty(STDOUT_FILENO);
}

void table_paint(struct table *table, table_paint_fn *paint)
{
	table->paint = paint;
}

static void print_opening(const struct table *table)
{
	printf("{\"schema\":%d,\"%s\":[", CLI_SCHEMA, table->name);
}

void table_row(struct table *table, json_t *row)
{
	if (table->format == FORMAT_PLAIN) {
		if (table->kept && json_array_append(table->kept, row) == 0 &&
		    json_array_size(table->kept) < TABLE_KEPT)
			return;
		if (table->kept)
			settle(table);
		else
			print_cells(table, row);
		return;
	}
	if (table->format == FORMAT_JSON && !table->printed)
		print_opening(table);
	if (table->format == FORMAT_JSON)
		fputs(table->printed++ ? ",\n" : "\n", stdout);
	json_dumpf(row, stdout, JSON_COMPACT);
	if (table->format == FORMAT_JSONL)
		putchar('\n');
}

void table_end_with(struct table *table, const char *name, const json_t *last)
{
	if (table->format == FORMAT_JSON) {
		if (!table->printed)
			print_opening(table);
		printf("%s],\n\"%s\":", table->printed ? "\n" : "", name);
	}
	json_dumpf(last, stdout, JSON_COMPACT);
	puts(table->format == FORMAT_JSON ? "}" : "");
	free(table);
}

void table_end(struct table *table)
{
	if (table->format == FORMAT_PLAIN) {
		settle(table);
	} else if (table->format == FORMAT_JSON) {
		if (!table->printed)
			print_opening(table);
		puts(table->printed ? "\n]}" : "]}");
	}
	json_decref(table->kept);
	free(table);
}

void table_drop(struct table *table)
{
	json_decref(table->kept);
	free(table);
}
