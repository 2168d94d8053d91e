/* SPDX-License-Identifier: MIT */
/* The balance sheet as a table, and the sentence about what is fine. */
#include "daemon/cli_tune.h"

#include "daemon/cli_bar.h"
#include "daemon/cli_color.h"
#include "daemon/cli_grid.h"
#include "daemon/cli_table.h"
#include "daemon/cli_text.h"

#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_NARROW = 12, BAR_WIDE = 20, WIDE_COLUMNS = 120, TEXT_MAX = 512 };

enum column {
	COLUMN_RESOURCE,
	COLUMN_BAR,
	COLUMN_USED,
	COLUMN_OF,
	COLUMN_NEED,
	COLUMN_RATE,
	COLUMN_HOLD,
	COLUMN_SLOW,
	COLUMN_FULL,
	COLUMN_DROPS,
	COLUMN_PROGRAM,
	COLUMN_COUNT
};

static const struct grid_column columns[COLUMN_COUNT] = {
	[COLUMN_RESOURCE] = {"RESOURCE", false, 16, 0}, [COLUMN_BAR] = {"", false, 0, 1},
	[COLUMN_USED] = {"USED", true, 0, 0},		[COLUMN_OF] = {"OF", true, 0, 0},
	[COLUMN_NEED] = {"NEED", true, 0, 4},		[COLUMN_RATE] = {"RATE/s", true, 0, 5},
	[COLUMN_HOLD] = {"HOLD", true, 0, 6},		[COLUMN_SLOW] = {"SLOW IN", true, 0, 7},
	[COLUMN_FULL] = {"FULL IN", true, 0, 0},	[COLUMN_DROPS] = {"DROPS", true, 0, 2},
	[COLUMN_PROGRAM] = {"PROGRAM", false, 6, 8},
};

static unsigned int bar_cells; /* of the bars that are being printed */

static const json_t *at(const json_t *row, const char *member)
{
	return json_object_get(row, member);
}

static const char *text_at(const json_t *row, const char *member)
{
	const char *text = json_string_value(at(row, member));

	return text ? text : "";
}

/* --- cells ------------------------------------------------------------------------------------ */

static bool is_memory(const json_t *row)
{
	return !strcmp(text_at(row, "resource"), "tcp-memory");
}

/* Memory comes in pages. */
static const char *memory_text(double pages, char *buf, size_t size)
{
	static const char *const units[] = {"B", "K", "M", "G", "T"};
	double number = pages * (double)sysconf(_SC_PAGESIZE);
	size_t i = 0;

	for (; number >= 1024 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		number /= 1024;
	snprintf(buf, size, "%.*f%s", number < 10 && i ? 1 : 0, number, units[i]);
	return buf;
}

static const char *amount_text(const json_t *row, const char *member, char *buf, size_t size)
{
	double number = json_number_value(at(row, member));

	if (is_memory(row))
		return memory_text(number, buf, size);
	snprintf(buf, size, "%.0f", number);
	return buf;
}

/* What is not known, or not a matter of a rate, is "-". */
static const char *rate_text(const json_t *row, char *buf, size_t size)
{
	double rate = json_number_value(at(row, "rate_s"));

	if (!(rate > 0))
		return "-";
	if (is_memory(row))
		return memory_text(rate, buf, size);
	snprintf(buf, size, "%.*f", rate < 10 ? 1 : 0, rate);
	return buf;
}

static const char *hold_text(const json_t *row, char *buf, size_t size)
{
	double seconds = json_number_value(at(row, "hold_s"));

	if (!(seconds > 0))
		return "-";
	return table_age_ms((json_int_t)(seconds * 1000 + 0.5), buf, size);
}

static const char *until_text(const json_t *ms, char *buf, size_t size)
{
	if (!json_is_integer(ms))
		return "-";
	return json_integer_value(ms) > 0 ? table_age(ms, buf, size) : "now";
}

static const char *program_text(const json_t *row, char *buf, size_t size)
{
	const json_t *pid = at(row, "pid");

	if (!json_is_integer(pid))
		return text_at(row, "program");
	snprintf(buf, size, "%s[%" JSON_INTEGER_FORMAT "]", text_at(row, "program"),
		 json_integer_value(pid));
	return buf;
}

static bool has_blocks(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

static const char *bar_text(const json_t *row, char *buf, size_t size)
{
	double capacity = json_number_value(at(row, "capacity"));
	struct bar bar = {.target = json_number_value(at(row, "target")),
			  .cells = bar_cells,
			  .blocks = has_blocks()};
	char text[BAR_TEXT_MAX];

	if (capacity > 0) {
		bar.used = json_number_value(at(row, "used")) / capacity;
		bar.peak = json_number_value(at(row, "peak")) / capacity;
	}
	snprintf(buf, size, "%s", bar_draw(&bar, text));
	return buf;
}

static const char *cell(const void *data, unsigned int column, char *buf, size_t size)
{
	const json_t *row = data;

	switch ((enum column)column) {
	case COLUMN_RESOURCE:
		return text_at(row, "id");
	case COLUMN_BAR:
		return bar_text(row, buf, size);
	case COLUMN_USED:
		return amount_text(row, "used", buf, size);
	case COLUMN_OF:
		return amount_text(row, "capacity", buf, size);
	case COLUMN_NEED:
		return amount_text(row, "need", buf, size);
	case COLUMN_RATE:
		return rate_text(row, buf, size);
	case COLUMN_HOLD:
		return hold_text(row, buf, size);
	case COLUMN_SLOW:
		return until_text(at(row, "slow_ms"), buf, size);
	case COLUMN_FULL:
		return until_text(at(row, "exhausted_ms"), buf, size);
	case COLUMN_DROPS: /* for memory, how often there was too little: no pages */
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(at(row, "drops")));
		return buf;
	case COLUMN_PROGRAM:
		return program_text(row, buf, size);
	case COLUMN_COUNT:
		break;
	}
	return "";
}

/* --- the table -------------------------------------------------------------------------------- */

static enum color color_of(const json_t *row)
{
	const char *finding = tune_finding(row);

	return !*finding ? COLOR_NONE : strcmp(finding, "over") ? COLOR_NOTABLE : COLOR_BAD;
}

static void print_line(const struct grid *grid, const json_t *row)
{
	char line[GRID_LINE_MAX];
	enum color color = row ? color_of(row) : COLOR_NONE;

	grid_line(grid, row, line);
	printf("%s%s%s\n", color_on(color), line, color_off(color));
}

static void print_table(const json_t *resources, bool all, unsigned int width)
{
	struct grid grid;
	const json_t *row;
	size_t i;

	bar_cells = width < WIDE_COLUMNS ? BAR_NARROW : BAR_WIDE;
	grid_init(&grid, columns, COLUMN_COUNT, cell);
	json_array_foreach(resources, i, row) if (all || *tune_finding(row)) grid_want(&grid, row);
	grid_fit(&grid, width);
	print_line(&grid, NULL);
	json_array_foreach(resources, i, row) if (all || *tune_finding(row)) print_line(&grid, row);
	if (grid.width[COLUMN_BAR])
		tune_print_prose(
			has_blocks() ? "█ used, ▒ its peak of the last ten seconds, │ the target"
				     : "# used, - its peak of the last ten seconds, | the target",
			width);
}

/* --- what is fine ----------------------------------------------------------------------------- */

/* How near it is to its target: 1 is there. */
static double nearness(const json_t *row)
{
	double used = json_number_value(at(row, "used")), peak = json_number_value(at(row, "peak")),
	       need = json_number_value(at(row, "need")),
	       limit = json_number_value(at(row, "capacity")) *
		       json_number_value(at(row, "target"));
	double most = used > peak ? used : peak;

	if (need > most)
		most = need;
	return limit > 0 ? most / limit : 0;
}

/* Of those that are fine: how many, and which is the nearest to its target; NULL: there are none.
 */
static const json_t *nearest_fine(const json_t *resources, size_t *count)
{
	const json_t *row, *nearest = NULL;
	size_t i;

	*count = 0;
	json_array_foreach(resources, i, row)
	{
		if (*tune_finding(row))
			continue;
		++*count;
		if (!nearest || nearness(row) > nearness(nearest))
			nearest = row;
	}
	return nearest;
}

/* "18178 of 131072 in use, 60012 needed at this rate" */
static void put_amounts(const json_t *row, char *buf, size_t size)
{
	bool needs_more = json_number_value(at(row, "need")) > json_number_value(at(row, "used"));
	char used[32], capacity[32], need[32], more[64] = "";

	if (needs_more)
		snprintf(more, sizeof(more), ", %s needed at this rate",
			 amount_text(row, "need", need, sizeof(need)));
	snprintf(buf, size, "%s of %s in use%s", amount_text(row, "used", used, sizeof(used)),
		 amount_text(row, "capacity", capacity, sizeof(capacity)), more);
}

/* "8 more are fine; ...", or that all are. */
static void print_fine(const json_t *resources, bool all, unsigned int width)
{
	size_t fine, count = json_array_size(resources);
	const json_t *nearest = nearest_fine(resources, &fine);
	char amounts[128], id[TEXT_MAX], words[2 * TEXT_MAX];

	if (!count)
		tune_print_prose(
			"there is no balance sheet yet: it takes a few seconds of looking on",
			width);
	if (!nearest)
		return;
	cli_text_clean(text_at(nearest, "id"), id, sizeof(id), TEXT_MAX);
	put_amounts(nearest, amounts, sizeof(amounts));
	if (fine == count)
		snprintf(
			words, sizeof(words),
			"nothing that TCP can run out of is near its limit; nearest of %zu: %s, %s",
			count, id, amounts);
	else
		snprintf(words, sizeof(words), "%zu %s%s fine; nearest: %s, %s", fine,
			 all ? "" : "more ", fine == 1 ? "is" : "are", id, amounts);
	tune_print_prose(words, width);
}

void tune_print_sheet(const struct tune_sheet *sheet, bool all, unsigned int width)
{
	const json_t *row;
	bool any = all && json_array_size(sheet->resources);
	size_t i;

	json_array_foreach(sheet->resources, i, row) any |= *tune_finding(row) != '\0';
	if (any)
		print_table(sheet->resources, all, width);
	print_fine(sheet->resources, all, width);
}
