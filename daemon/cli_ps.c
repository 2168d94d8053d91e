/* SPDX-License-Identifier: MIT */
/* ps: the processes, their connections by state, and how much of all is attributed. */
#include "daemon/cli_control.h"
#include "daemon/cli_output.h"
#include "daemon/cli_ps_row.h"
#include "daemon/cli_table.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	const char *wanted;  /* a pid or a program, or NULL: all */
	struct table *table; /* of JSON; NULL: plain */
	struct ps_row *rows;
	size_t count, room;
	bool out_of_memory;
	struct ps_total total;
	json_t *total_json;
};

/* --- taking ----------------------------------------------------------------------------------- */

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool is_wanted(const struct listing *listing, const struct ps_row *row)
{
	char pid[32];

	if (!listing->wanted)
		return true;
	snprintf(pid, sizeof(pid), "%lld", (long long)row->pid);
	return row->kind == PS_PROCESS &&
	       (!strcmp(listing->wanted, pid) || !strcmp(listing->wanted, row->program));
}

static void keep_row(struct listing *listing, const struct ps_row *row)
{
	if (listing->count == listing->room) {
		size_t room = listing->room ? 2 * listing->room : 64;
		struct ps_row *rows = reallocarray(listing->rows, room, sizeof(*rows));

		if (!rows) {
			listing->out_of_memory = true;
			return;
		}
		listing->rows = rows;
		listing->room = room;
	}
	listing->rows[listing->count++] = *row;
}

static void on_process(struct listing *listing, json_t *json)
{
	struct ps_row row;

	ps_row_take(&row, json);
	if (!is_wanted(listing, &row))
		return;
	if (listing->table) {
		table_row(listing->table, json);
		listing->count++;
	} else if (!ps_row_is_empty(&row)) {
		keep_row(listing, &row);
	}
}

static void on_row(void *arg, json_t *json)
{
	struct listing *listing = arg;
	const char *type = json_string_value(json_object_get(json, "type"));

	if (!strcmp(type, "process"))
		on_process(listing, json);
	if (strcmp(type, "total"))
		return;
	json_decref(listing->total_json);
	listing->total_json = json_incref(json);
	ps_total_take(&listing->total, json);
}

/* --- printing --------------------------------------------------------------------------------- */

static int by_conns(const void *a, const void *b)
{
	return ps_compare(a, b, PS_CONNS);
}

static void print_line(const struct grid *grid, const struct ps_row *row)
{
	char line[GRID_LINE_MAX];

	grid_line(grid, row, line);
	puts(line);
}

static void print_total(const struct ps_total *total)
{
	printf("attributed: %llu of %llu", (unsigned long long)total->attributed,
	       (unsigned long long)total->row.conns);
	if (total->row.conns)
		printf(", %.1f %%", 100 * total->share);
	if (total->lost)
		printf("; %llu records were lost", (unsigned long long)total->lost);
	if (total->as_of_ms > 1000)
		printf("; the kernel's data are %.1f s old", (double)total->as_of_ms / 1000);
	putchar('\n');
}

static void print_plain(struct listing *listing)
{
	struct grid grid;

	setlocale(LC_CTYPE, "");
	grid_init(&grid, ps_columns, PS_COLUMN_COUNT, ps_cell);
	if (listing->count)
		qsort(listing->rows, listing->count, sizeof(*listing->rows), by_conns);
	for (size_t i = 0; i < listing->count; i++)
		grid_want(&grid, &listing->rows[i]);
	if (!listing->wanted)
		grid_want(&grid, &listing->total.row);
	grid_fit(&grid, output_width());
	print_line(&grid, NULL);
	for (size_t i = 0; i < listing->count; i++)
		print_line(&grid, &listing->rows[i]);
	if (!listing->wanted && listing->total_json) {
		print_line(&grid, &listing->total.row);
		print_total(&listing->total);
	}
}

static void print_missing(const struct listing *listing)
{
	const json_t *missing = json_object_get(listing->total_json, "missing"), *item;
	size_t i;

	fflush(stdout);
	json_array_foreach(missing, i, item) if (json_is_string(item))
		fprintf(stderr, "closeside: the daemon lacks %s\n", json_string_value(item));
}

/* --- the command ------------------------------------------------------------------------------ */

static int not_found(const char *wanted)
{
	int64_t pid = is_number(wanted) ? strtoll(wanted, NULL, 10) : 0;

	if (!is_number(wanted))
		return cli_fail(CLI_FINDING, "ps: no process '%s' has connections", wanted);
	if (pid < 1 || pid > INT32_MAX || (kill((pid_t)pid, 0) < 0 && errno == ESRCH))
		return cli_fail(CLI_FINDING, "ps: there is no process %s", wanted);
	return cli_fail(CLI_FINDING, "ps: process %s has no connections", wanted);
}

static int print_it(struct listing *listing)
{
	if (listing->out_of_memory)
		return cli_fail(CLI_FAILED, "out of memory");
	if (listing->table && !listing->wanted && listing->total_json)
		table_end_with(listing->table, "total", listing->total_json);
	else if (listing->table)
		table_end(listing->table);
	else if (!listing->wanted || listing->count)
		print_plain(listing);
	listing->table = NULL;
	print_missing(listing);
	return listing->wanted && !listing->count ? not_found(listing->wanted) : CLI_FINE;
}

int cli_ps(struct cli *cli)
{
	struct listing listing = {.wanted = cli->argv[0]};
	int code;

	if (cli->format != FORMAT_PLAIN) {
		listing.table = table_new(cli->format, "ps", NULL);
		if (!listing.table)
			return cli_fail(CLI_FAILED, "out of memory");
	}
	code = control_run(cli, "ps", NULL, on_row, &listing);
	if (code == CLI_FINE)
		code = print_it(&listing);
	if (listing.table)
		table_drop(listing.table);
	json_decref(listing.total_json);
	free(listing.rows);
	return code;
}
