/* SPDX-License-Identifier: MIT */
#include "daemon/cli_grid.h"

#include "daemon/cli_text.h"

#include <string.h>

void grid_init(struct grid *grid, const struct grid_column *columns, unsigned int count,
	       grid_cell_fn *cell)
{
	*grid = (struct grid){.columns = columns, .count = count, .cell = cell};
	for (unsigned int i = 0; i < count; i++)
		grid->wanted[i] = cli_text_width(columns[i].title);
	grid_fit(grid, GRID_UNLIMITED);
}

void grid_want(struct grid *grid, const void *row)
{
	char buf[GRID_CELL_MAX];

	for (unsigned int i = 0; i < grid->count; i++) {
		unsigned int width = cli_text_width(grid->cell(row, i, buf, sizeof(buf)));

		if (width > grid->wanted[i])
			grid->wanted[i] = width;
	}
}

/* --- fitting ---------------------------------------------------------------------------------- */

static unsigned int total_width(const struct grid *grid)
{
	unsigned int total = 0;

	for (unsigned int i = 0; i < grid->count; i++)
		if (grid->width[i])
			total += grid->width[i] + (total ? 1 : 0);
	return total;
}

/* How far a column can still shrink. */
static unsigned int slack(const struct grid *grid, unsigned int i)
{
	unsigned int least = grid->columns[i].least;

	return least && grid->width[i] > least ? grid->width[i] - least : 0;
}

/* Takes from whichever text has most to give, a cell at a time. */
static void shrink(struct grid *grid, unsigned int width)
{
	for (unsigned int over = total_width(grid); over > width; over--) {
		unsigned int widest = 0;

		for (unsigned int i = 1; i < grid->count; i++)
			if (slack(grid, i) > slack(grid, widest))
				widest = i;
		if (!slack(grid, widest))
			return;
		grid->width[widest]--;
	}
}

/* The column that goes next, or count. */
static unsigned int least_needed(const struct grid *grid, const bool *dropped)
{
	unsigned int found = grid->count;

	for (unsigned int i = 0; i < grid->count; i++)
		if (!dropped[i] && grid->columns[i].rank &&
		    (found == grid->count || grid->columns[i].rank > grid->columns[found].rank))
			found = i;
	return found;
}

void grid_fit(struct grid *grid, unsigned int width)
{
	bool dropped[GRID_COLUMNS_MAX] = {false};
	unsigned int next;

	for (;;) {
		for (unsigned int i = 0; i < grid->count; i++)
			grid->width[i] = dropped[i] ? 0 : grid->wanted[i];
		shrink(grid, width);
		next = least_needed(grid, dropped);
		if (total_width(grid) <= width || next == grid->count)
			return;
		dropped[next] = true;
	}
}

/* --- lines ------------------------------------------------------------------------------------ */

static size_t pad(char *out, size_t used, unsigned int cells)
{
	while (cells-- > 0 && used + 1 < GRID_LINE_MAX)
		out[used++] = ' ';
	return used;
}

void grid_line(const struct grid *grid, const void *row, char *out)
{
	size_t used = 0;

	for (unsigned int i = 0; i < grid->count; i++) {
		char raw[GRID_CELL_MAX], text[GRID_CELL_MAX];
		unsigned int width = grid->width[i], taken;
		size_t len;

		if (!width)
			continue;
		taken = cli_text_clean(row ? grid->cell(row, i, raw, sizeof(raw))
					   : grid->columns[i].title,
				       text, sizeof(text), width);
		len = strlen(text);
		if (used)
			used = pad(out, used, 1);
		if (grid->columns[i].right)
			used = pad(out, used, width - taken);
		if (used + len + 1 > GRID_LINE_MAX)
			break;
		memcpy(out + used, text, len);
		used += len;
		if (!grid->columns[i].right)
			used = pad(out, used, width - taken);
	}
	while (used > 0 && out[used - 1] == ' ')
		used--;
	out[used] = '\0';
}

unsigned int grid_offset(const struct grid *grid, unsigned int column)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < column; i++)
		at += grid->width[i] ? grid->width[i] + 1 : 0;
	return at;
}

unsigned int grid_next(const struct grid *grid, unsigned int column, int step)
{
	for (unsigned int i = column + (unsigned int)step; i < grid->count; i += (unsigned int)step)
		if (grid->width[i])
			return i;
	return column;
}
