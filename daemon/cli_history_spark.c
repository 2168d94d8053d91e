/* SPDX-License-Identifier: MIT */
/* history as sparklines: one for each quantity, from zero to the highest. */
#include "daemon/cli_history.h"

#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS = 47, CELLS_LEAST = 10, CELLS_UNLIMITED = 80, LEVELS = 8, CELLS_MAX = 400 };

unsigned int history_spark_cells(unsigned int width)
{
	unsigned int cells = width > LABELS ? width - LABELS : 0;

	if (width > CELLS_MAX)
		return CELLS_UNLIMITED;
	return cells < CELLS_LEAST ? CELLS_LEAST : cells;
}

static const char *block(int level, bool utf8)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};

	return utf8 ? blocks[level] : letters[level];
}

/* Zero is the lowest, and only zero. */
static int level_of(double value, double most)
{
	int level = value > 0 ? 1 + (int)(value / most * (LEVELS - 1)) : 0;

	return level < LEVELS ? level : LEVELS - 1;
}

struct spark {
	struct history_values *rows; /* covered_ms 0: a gap */
	size_t count;
};

static void print_quantity(const struct spark *spark, const struct history_quantity *quantity,
			   bool utf8)
{
	double most = 0, peak = 0, least = -1, last = 0;
	char low[32], high[32], now[32];

	for (size_t i = 0; i < spark->count; i++) {
		double value = history_value(&spark->rows[i], quantity);
		double max = history_value_max(&spark->rows[i], quantity);

		if (!spark->rows[i].covered_ms)
			continue;
		most = value > most ? value : most;
		peak = max > peak ? max : peak;
		least = least < 0 || value < least ? value : least;
		last = value;
	}
	if (quantity->rank && peak <= 0)
		return;
	printf("%-12s %10s %10s %10s ", quantity->title,
	       history_number(least < 0 ? 0 : least, low, sizeof(low)),
	       history_number(peak, high, sizeof(high)), history_number(last, now, sizeof(now)));
	for (size_t i = 0; i < spark->count; i++) {
		double value = history_value(&spark->rows[i], quantity);

		fputs(spark->rows[i].covered_ms ? block(level_of(value, most), utf8) : " ", stdout);
	}
	putchar('\n');
}

/* Where there was no sample, a cell without a height. */
static void add_gap(struct spark *spark, uint64_t until_ms, uint64_t step_ms)
{
	const struct history_values *last = &spark->rows[spark->count - 1];
	uint64_t steps = spark->count && until_ms > last->time_ms
				 ? (until_ms - last->time_ms + step_ms / 2) / step_ms
				 : 0;

	for (uint64_t i = 1; i < steps && spark->count < CELLS_MAX; i++)
		spark->rows[spark->count++] = (struct history_values){.covered_ms = 0};
}

static void print_title(const struct spark *spark, uint64_t step_ms)
{
	char first[64], last[64];

	printf("%s to %s, %llu s each\n",
	       history_time_text(spark->rows[0].time_ms, true, false, first, sizeof(first)),
	       history_time_text(spark->rows[spark->count - 1].time_ms + step_ms, true, false, last,
				 sizeof(last)),
	       (unsigned long long)(step_ms / 1000));
	printf("%-12s %10s %10s %10s\n", "", "LEAST", "MOST", "LAST");
}

void history_print_spark(const json_t *rows, uint64_t step_ms)
{
	bool utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	struct spark spark = {.rows = calloc(CELLS_MAX, sizeof(struct history_values))};
	const json_t *row;
	size_t i;

	if (!spark.rows)
		return;
	json_array_foreach(rows, i, row)
	{
		struct history_values values;
		const char *type = json_string_value(json_object_get(row, "type"));

		if (!type || strcmp(type, "sample") != 0)
			continue;
		history_values_take(&values, row);
		if (spark.count)
			add_gap(&spark, values.time_ms, step_ms);
		if (spark.count < CELLS_MAX)
			spark.rows[spark.count++] = values;
	}
	if (spark.count) {
		print_title(&spark, step_ms);
		for (i = 0; i < history_quantity_count; i++)
			print_quantity(&spark, &history_quantities[i], utf8);
	}
	free(spark.rows);
}
