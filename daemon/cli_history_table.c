/* SPDX-License-Identifier: MIT */
/* history as a table: a row for each step of time, and between the rows what was done then. A
 * column whose numbers are all zero is left out, but for the few that everybody looks for. */
#include "daemon/cli_grid.h"
#include "daemon/cli_history.h"
#include "daemon/cli_output.h"
#include "daemon/cli_table.h"
#include "daemon/cli_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_MAX = 64 };

struct line {
	char label[LABEL_MAX];
	struct history_values values;
	bool is_sum; /* of several rows */
	bool is_max; /* the highest of each */
};

struct sheet {
	struct grid grid;
	struct grid_column columns[GRID_COLUMNS_MAX];
	const struct history_quantity *shown[GRID_COLUMNS_MAX]; /* [0]: the label */
	unsigned int count;
	struct line *lines;
	size_t line_count;
};
_Static_assert(1 + HISTORY_VALUES + 2 <= GRID_COLUMNS_MAX,
	       "the label, all values, and what was lost");

/* No number: whether it was on at the end of the row. */
static const struct history_quantity steering = {"STEERING", 0, 0};

/* grid_cell_fn has no argument of the sheet's. */
static const struct sheet *current;

static const char *cell(const void *row, unsigned int column, char *buf, size_t size)
{
	const struct history_quantity *quantity = current->shown[column];
	const struct line *line = row;

	if (!quantity)
		return line->label;
	if (quantity == &steering)
		return line->is_sum ? "" : line->values.off ? "off" : "on";
	return history_number(line->is_max ? history_value_max(&line->values, quantity)
					   : history_value(&line->values, quantity),
			      buf, size);
}

static bool is_ever(const struct sheet *sheet, const struct history_quantity *quantity)
{
	for (size_t i = 0; i < sheet->line_count; i++)
		if (history_value_max(&sheet->lines[i].values, quantity) > 0)
			return true;
	return false;
}

static bool is_ever_off(const struct sheet *sheet)
{
	for (size_t i = 0; i < sheet->line_count; i++)
		if (sheet->lines[i].values.off && !sheet->lines[i].is_sum)
			return true;
	return false;
}

static void add_column(struct sheet *sheet, const struct history_quantity *quantity)
{
	sheet->shown[sheet->count] = quantity;
	sheet->columns[sheet->count++] = (struct grid_column){
		.title = quantity->title,
		.right = true,
		.rank = quantity->rank,
	};
}

static void choose_columns(struct sheet *sheet, const char *label)
{
	sheet->columns[0] = (struct grid_column){.title = label};
	sheet->shown[0] = NULL;
	sheet->count = 1;
	for (size_t i = 0; i < history_quantity_count; i++)
		if (!history_quantities[i].rank || is_ever(sheet, &history_quantities[i]))
			add_column(sheet, &history_quantities[i]);
	if (is_ever_off(sheet))
		add_column(sheet, &steering);
}

static void begin(struct sheet *sheet, const char *label, const struct line *last, size_t count)
{
	choose_columns(sheet, label);
	current = sheet;
	grid_init(&sheet->grid, sheet->columns, sheet->count, cell);
	for (size_t i = 0; i < sheet->line_count; i++)
		grid_want(&sheet->grid, &sheet->lines[i]);
	for (size_t i = 0; i < count; i++)
		grid_want(&sheet->grid, &last[i]);
	grid_fit(&sheet->grid, output_width());
}

static void print_line(const struct sheet *sheet, const struct line *line)
{
	char text[GRID_LINE_MAX];

	grid_line(&sheet->grid, line, text);
	puts(text);
}

/* Averages, and the highest of each. */
static void sum_up(const struct sheet *sheet, struct line last[2])
{
	memset(last, 0, 2 * sizeof(last[0]));
	snprintf(last[0].label, LABEL_MAX, "average");
	snprintf(last[1].label, LABEL_MAX, "maximum");
	last[0].is_sum = last[1].is_sum = last[1].is_max = true;
	last[1].values.covered_ms = 1000; /* counts are per second there */
	for (size_t i = 0; i < sheet->line_count; i++) {
		history_values_add(&last[0].values, &sheet->lines[i].values);
		for (size_t j = 0; j < history_quantity_count; j++) {
			const struct history_quantity *q = &history_quantities[j];
			double value = history_value_max(&sheet->lines[i].values, q);
			struct history_values *most = &last[1].values;
			double *out = q->value < HISTORY_STATES ? &most->most[q->value]
				      : q->value == HISTORY_VALUES
					      ? &most->lost
					      : &most->count[q->value - HISTORY_STATES];

			if (value > *out)
				*out = value;
		}
	}
}

/* --- by time ---------------------------------------------------------------------------------- */

struct clock {
	bool date, seconds;
};

static uint64_t time_of(const json_t *row)
{
	return (uint64_t)json_integer_value(json_object_get(row, "time_ms"));
}

static bool is_type(const json_t *row, const char *type)
{
	const char *text = json_string_value(json_object_get(row, "type"));

	return text && !strcmp(text, type);
}

static struct clock clock_for(const json_t *rows, uint64_t step_ms)
{
	struct clock clock = {.seconds = step_ms % 60000 != 0};
	char first[LABEL_MAX] = "", day[LABEL_MAX];
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		history_time_text(time_of(row), true, true, day, sizeof(day));
		day[strlen("2026-11-22")] = '\0';
		if (!i)
			memcpy(first, day, sizeof(first));
		clock.date |= strcmp(first, day) != 0;
	}
	return clock;
}

static void take_lines(struct sheet *sheet, const json_t *rows, struct clock clock)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		struct line *line = &sheet->lines[sheet->line_count];

		if (!is_type(row, "sample"))
			continue;
		history_values_take(&line->values, row);
		history_time_text(line->values.time_ms, clock.date, clock.seconds, line->label,
				  LABEL_MAX);
		sheet->line_count++;
	}
}

static void print_between(const json_t *row, struct clock clock)
{
	const char *event = json_string_value(json_object_get(row, "event"));
	const char *text = json_string_value(json_object_get(row, "text"));
	char when[LABEL_MAX], age[32], clean[512];

	history_time_text(time_of(row), clock.date, true, when, sizeof(when));
	if (is_type(row, "gap")) {
		printf("%s  -- no samples for %s\n", when,
		       table_age(json_object_get(row, "length_ms"), age, sizeof(age)));
		return;
	}
	cli_text_clean(text ? text : "", clean, sizeof(clean), sizeof(clean));
	printf("%s  -- %s: %s\n", when, event ? event : "?", clean);
}

void history_print_table(const json_t *rows, uint64_t step_ms)
{
	struct clock clock = clock_for(rows, step_ms);
	struct sheet sheet = {.lines = calloc(json_array_size(rows) + 1, sizeof(struct line))};
	struct line last[2];
	const json_t *row;
	size_t i, at = 0;

	if (!sheet.lines)
		return;
	take_lines(&sheet, rows, clock);
	sum_up(&sheet, last);
	begin(&sheet, "TIME", last, 2);
	print_line(&sheet, NULL);
	json_array_foreach(rows, i, row)
	{
		if (is_type(row, "sample"))
			print_line(&sheet, &sheet.lines[at++]);
		else
			print_between(row, clock);
	}
	for (i = 0; i < 2 && sheet.line_count; i++)
		print_line(&sheet, &last[i]);
	free(sheet.lines);
}

/* --- by program ------------------------------------------------------------------------------- */

static struct line *line_of(struct sheet *sheet, const char *name)
{
	char clean[LABEL_MAX];

	cli_text_clean(name, clean, sizeof(clean), LABEL_MAX - 1);
	for (size_t i = 0; i < sheet->line_count; i++)
		if (!strcmp(sheet->lines[i].label, clean))
			return &sheet->lines[i];
	if (sheet->line_count == HISTORY_IDS)
		return NULL;
	memcpy(sheet->lines[sheet->line_count].label, clean, sizeof(clean));
	return &sheet->lines[sheet->line_count++];
}

/* Where a program is not in a row, it had nothing: its average is over all the time. */
static void add_programs(struct sheet *sheet, const json_t *row)
{
	const json_t *list = json_object_get(row, "programs"), *one;
	uint64_t covered = (uint64_t)json_integer_value(json_object_get(row, "covered_ms"));
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "program"));
		struct line *line = line_of(sheet, name ? name : "?");
		struct history_values values;

		if (!line)
			continue;
		history_values_take(&values, one);
		for (unsigned int j = 0; j < HISTORY_STATES; j++) {
			line->values.state[j] += values.state[j] * (double)covered;
			if (values.most[j] > line->values.most[j])
				line->values.most[j] = values.most[j];
		}
		for (unsigned int j = 0; j < HISTORY_COUNTS; j++)
			line->values.count[j] += values.count[j];
	}
}

static double closes_and_opens(const struct line *line)
{
	double sum = 0;

	for (unsigned int i = 0; i < 1 + SIDE_COUNT; i++)
		sum += line->values.count[i];
	for (unsigned int i = 0; i < HISTORY_STATES; i++)
		sum += line->values.state[i];
	return sum;
}

static int by_activity(const void *a, const void *b)
{
	double first = closes_and_opens(a), second = closes_and_opens(b);

	return first < second ? 1 : first > second ? -1 : strcmp(a, b);
}

void history_print_programs(const json_t *rows)
{
	struct sheet sheet = {.lines = calloc(HISTORY_IDS, sizeof(struct line))};
	struct line all = {.label = "total", .is_sum = true};
	struct history_values values;
	const json_t *row;
	size_t i;

	if (!sheet.lines)
		return;
	json_array_foreach(rows, i, row)
	{
		if (!is_type(row, "sample"))
			continue;
		history_values_take(&values, row);
		history_values_add(&all.values, &values);
		add_programs(&sheet, row);
	}
	for (i = 0; i < sheet.line_count; i++) {
		sheet.lines[i].values.covered_ms = all.values.covered_ms;
		for (unsigned int j = 0; j < HISTORY_STATES && all.values.covered_ms; j++)
			sheet.lines[i].values.state[j] /= (double)all.values.covered_ms;
	}
	qsort(sheet.lines, sheet.line_count, sizeof(struct line), by_activity);
	begin(&sheet, "PROGRAM", &all, 1);
	print_line(&sheet, NULL);
	for (i = 0; i < sheet.line_count; i++)
		print_line(&sheet, &sheet.lines[i]);
	print_line(&sheet, &all);
	free(sheet.lines);
}
