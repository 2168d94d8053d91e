/* SPDX-License-Identifier: MIT */
/* history: what was, as the daemon has kept it. */
#include "daemon/cli_history.h"

#include "daemon/cli_control.h"
#include "daemon/cli_output.h"
#include "daemon/cli_table.h"

#include "common/parse.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { STEP_MIN_MS = 10000, DAY_MS = 86400000, ROWS = 24, ROWS_LEAST = 8, AROUND = 6 };

struct history_cli {
	const struct cli *cli;
	struct table *table; /* JSON */
	json_t *rows;	     /* for people */
	json_t *about;
	bool found; /* what was asked for was there */
};

/* --- the request ------------------------------------------------------------------------------ */

static bool take_time(const struct cli *cli, int option, const char *word, time_t now, time_t *out)
{
	const char *text = cli->value[option];

	if (!text || history_parse_time(text, now, out))
		return true;
	cli_fail(
		CLI_USAGE,
		"history --%s '%s': expected how long ago (90m, 2h, 1d), a time of day (14:30), or "
		"a date and a time (2026-11-22 14:30)",
		word, text);
	return false;
}

static bool take_step(const struct cli *cli, uint32_t *step_ms)
{
	const char *text = cli->value[OPT_STEP], *at = text;

	if (!text)
		return true;
	if (parse_duration(&at, step_ms) && !*at && *step_ms >= STEP_MIN_MS && *step_ms <= DAY_MS)
		return true;
	cli_fail(CLI_USAGE, "history --step '%s': expected a duration from 10s to 24h", text);
	return false;
}

/* As many as a terminal shows at once beside the title and what is below. */
static unsigned int rows_wanted(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 ||
	    size.ws_row < ROWS_LEAST + AROUND)
		return ROWS;
	return size.ws_row - AROUND;
}

static void ask_for_steps(const struct cli *cli, json_t *request, uint32_t step_ms)
{
	if (step_ms) {
		json_object_set_new(request, "step_ms", json_integer(step_ms));
	} else if (cli->value[OPT_SPARK]) {
		json_object_set_new(request, "rows",
				    json_integer(history_spark_cells(output_width())));
		json_object_set_new(request, "fine", json_true());
	} else if (cli->format == FORMAT_PLAIN) {
		json_object_set_new(request, "rows", json_integer(rows_wanted()));
	}
}

/* NULL with everything said. */
static json_t *request_of(const struct cli *cli)
{
	time_t now = time(NULL), since = now - DAY_MS / 1000, until = now;
	bool spark = cli->value[OPT_SPARK] != NULL, programs = cli->value[OPT_PROGRAMS] != NULL;
	uint32_t step_ms = 0;
	json_t *request;

	if (!take_time(cli, OPT_SINCE, "since", now, &since) ||
	    !take_time(cli, OPT_UNTIL, "until", now, &until) || !take_step(cli, &step_ms))
		return NULL;
	if (since >= until && (cli->value[OPT_SINCE] || cli->value[OPT_UNTIL])) {
		cli_fail(CLI_USAGE,
			 since > now ? "history --since '%s': that is still to come"
				     : "history: --since is not before --until",
			 cli->value[OPT_SINCE] ? cli->value[OPT_SINCE] : "");
		return NULL;
	}
	if (spark && (cli->format != FORMAT_PLAIN || programs)) {
		cli_fail(CLI_USAGE, "history: --spark goes with neither -f nor --programs");
		return NULL;
	}
	if (programs && cli->argc) {
		cli_fail(CLI_USAGE, "history: either one program, or --programs");
		return NULL;
	}
	request = json_object();
	json_object_set_new(request, "since_ms", json_integer((json_int_t)since * 1000));
	if (cli->value[OPT_UNTIL])
		json_object_set_new(request, "until_ms", json_integer((json_int_t)until * 1000));
	json_object_set_new(request, "offset_ms", json_integer(history_offset_ms(since)));
	ask_for_steps(cli, request, step_ms);
	if (programs)
		json_object_set_new(request, "programs", json_true());
	if (cli->argc)
		json_object_set_new(request, "program", json_string(cli->argv[0]));
	return request;
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool has_something(const json_t *row)
{
	struct history_values values;

	history_values_take(&values, row);
	for (size_t i = 0; i < history_quantity_count; i++)
		if (history_quantities[i].value != HISTORY_VALUES &&
		    history_value_max(&values, &history_quantities[i]) > 0)
			return true;
	return false;
}

static void on_row(void *arg, json_t *row)
{
	struct history_cli *history = arg;
	const char *type = json_string_value(json_object_get(row, "type"));

	if (type && !strcmp(type, "history")) {
		json_decref(history->about);
		history->about = json_incref(row);
		return;
	}
	if (type && !strcmp(type, "sample"))
		history->found = history->found || !history->cli->argc || has_something(row);
	if (history->table)
		table_row(history->table, row);
	else
		json_array_append(history->rows, row);
}

static void print_plain(const struct history_cli *history)
{
	uint64_t step_ms = (uint64_t)json_integer_value(json_object_get(history->about, "step_ms"));

	setlocale(LC_CTYPE, "");
	if (history->cli->value[OPT_SPARK])
		history_print_spark(history->rows, step_ms ? step_ms : STEP_MIN_MS);
	else if (history->cli->value[OPT_PROGRAMS])
		history_print_programs(history->rows);
	else
		history_print_table(history->rows, step_ms);
	if (json_is_false(json_object_get(history->about, "kept"))) {
		fflush(stdout);
		cli_warn("the history is in the daemon's memory only, and ends with it");
	}
}

static int print_it(struct history_cli *history)
{
	const char *program = history->cli->argc ? history->cli->argv[0] : NULL;

	if (history->table) {
		table_end_with(history->table, "about", history->about);
		history->table = NULL;
	} else if (history->found) {
		print_plain(history);
	}
	if (history->found)
		return CLI_FINE;
	if (program)
		return cli_fail(CLI_FINDING,
				"history: nothing is known of a program '%s' in that time",
				program);
	return cli_fail(CLI_FINDING,
			"history: there are no samples of that time; one is taken each "
			"ten seconds");
}

int cli_history(struct cli *cli)
{
	struct history_cli history = {.cli = cli};
	json_t *request = request_of(cli);
	int code;

	if (!request)
		return CLI_USAGE;
	if (cli->format == FORMAT_PLAIN)
		history.rows = json_array();
	else
		history.table = table_new(cli->format, "history", NULL);
	code = control_run(cli, "history", request, on_row, &history);
	if (code == CLI_FINE && history.about)
		code = print_it(&history);
	if (history.table)
		table_drop(history.table);
	json_decref(history.rows);
	json_decref(history.about);
	return code;
}
