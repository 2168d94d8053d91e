/* SPDX-License-Identifier: MIT */
/* tune: the balance sheet, and what is done about it. */
#include "daemon/cli_tune.h"

#include "daemon/cli_control.h"
#include "daemon/cli_grid.h"
#include "daemon/cli_output.h"
#include "daemon/cli_table.h"
#include "daemon/cli_text.h"

#include "common/near.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_CELLS = 200, FIGURES_OLD_MS = 15000 };

static const char *text_at(const json_t *row, const char *member)
{
	const char *text = json_string_value(json_object_get(row, member));

	return text ? text : "";
}

/* Fit for a terminal. */
static const char *clean(const char *text, char *buf, size_t size)
{
	cli_text_clean(text, buf, size, NAME_MAX_CELLS);
	return buf;
}

/* --- the sheet -------------------------------------------------------------------------------- */

const char *tune_finding(const json_t *resource)
{
	const char *level = text_at(resource, "level");

	return !strcmp(level, "near") || !strcmp(level, "over") ? level : "";
}

static void keep_row(void *arg, json_t *row)
{
	struct tune_sheet *sheet = arg;
	const char *type = text_at(row, "type");

	json_array_append(sheet->rows, row);
	if (!strcmp(type, "resource"))
		json_array_append(sheet->resources, row);
	else if (!strcmp(type, "advice"))
		json_array_append(sheet->advice, row);
	else if (!strcmp(type, "key"))
		json_array_append(sheet->keys, row);
	else if (!strcmp(type, "tune") && !sheet->tune)
		sheet->tune = json_incref(row);
}

static void drop_sheet(struct tune_sheet *sheet)
{
	json_decref(sheet->rows);
	json_decref(sheet->tune);
	json_decref(sheet->resources);
	json_decref(sheet->advice);
	json_decref(sheet->keys);
}

/* An exit code, with everything said; drop_sheet() whatever it is. */
static int ask_sheet(const struct cli *cli, struct tune_sheet *sheet)
{
	*sheet = (struct tune_sheet){.rows = json_array(),
				     .resources = json_array(),
				     .advice = json_array(),
				     .keys = json_array(),
				     .socket = cli->value[OPT_SOCKET] ? cli->socket : NULL};
	if (!sheet->rows || !sheet->resources || !sheet->advice || !sheet->keys)
		return cli_fail(CLI_FAILED, "out of memory");
	return control_run(cli, "tune", NULL, keep_row, sheet);
}

static bool is_off(const struct tune_sheet *sheet)
{
	return !strcmp(text_at(sheet->tune, "mode"), "off");
}

static void print_missing(const json_t *tune)
{
	const json_t *item;
	char text[NAME_MAX_CELLS + 1];
	size_t i;

	fflush(stdout);
	json_array_foreach(json_object_get(tune, "missing"), i, item) if (json_is_string(item))
		cli_fail(0, "the daemon lacks %s",
			 clean(json_string_value(item), text, sizeof(text)));
}

static void print_mode(const json_t *tune, unsigned int columns)
{
	json_int_t cooldown = json_integer_value(json_object_get(tune, "cooldown_ms")),
		   age = json_integer_value(json_object_get(tune, "as_of_ms"));
	char words[256], cooldown_text[32], age_text[32];

	if (!strcmp(text_at(tune, "mode"), "apply"))
		snprintf(words, sizeof(words),
			 "mode apply: closeside sets sysctls itself, each at most every %s, and "
			 "every 3s while connections are dropped",
			 table_age_ms(cooldown, cooldown_text, sizeof(cooldown_text)));
	else
		snprintf(words, sizeof(words),
			 "mode advise: nothing is changed but by `closeside tune apply`");
	if (age > FIGURES_OLD_MS)
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 "; the figures are %s old", table_age_ms(age, age_text, sizeof(age_text)));
	tune_print_prose(words, columns);
}

static void show_plain(const struct tune_sheet *sheet, bool all)
{
	unsigned int columns = output_width();

	setlocale(LC_CTYPE, "");
	if (is_off(sheet)) {
		tune_print_prose(
			"the tuner is off: `tune { mode = advise }` in closeside.conf would "
			"keep the balance sheet",
			columns);
	} else {
		tune_print_sheet(sheet, all, columns);
		tune_print_findings(sheet, columns);
	}
	tune_print_keys(sheet, columns);
	if (!is_off(sheet))
		print_mode(sheet->tune, columns);
	print_missing(sheet->tune);
}

static void show_jsonl(const struct tune_sheet *sheet)
{
	const json_t *row;
	size_t i;

	json_array_foreach(sheet->rows, i, row)
	{
		json_dumpf(row, stdout, JSON_COMPACT);
		putchar('\n');
	}
}

static void show_json(const struct tune_sheet *sheet)
{
	json_t *whole = json_pack("{s:i, s:O, s:O, s:O, s:O}", "schema", CLI_SCHEMA, "tune",
				  sheet->tune, "resources", sheet->resources, "advice",
				  sheet->advice, "keys", sheet->keys);

	json_dumpf(whole, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(whole);
}

static int show(const struct cli *cli, const struct tune_sheet *sheet)
{
	const json_t *resource;
	size_t i;

	if (!sheet->tune)
		return cli_fail(CLI_FAILED, "tune: the daemon's answer is not understood");
	if (cli->format == FORMAT_PLAIN)
		show_plain(sheet, cli->value[OPT_ALL]);
	else if (cli->format == FORMAT_JSON)
		show_json(sheet);
	else
		show_jsonl(sheet);
	json_array_foreach(sheet->resources, i,
			   resource) if (*tune_finding(resource)) return CLI_FINDING;
	return CLI_FINE;
}

int cli_tune_show(struct cli *cli)
{
	struct tune_sheet sheet;
	int code = ask_sheet(cli, &sheet);

	if (code == CLI_FINE)
		code = show(cli, &sheet);
	drop_sheet(&sheet);
	return code;
}

/* --- changes ---------------------------------------------------------------------------------- */

struct changes {
	struct table *table; /* of JSON; NULL: plain */
	unsigned int done, failed;
};

static const char *namespace_text(const json_t *row, char *buf, size_t size)
{
	const json_t *netns = json_object_get(row, "netns");

	buf[0] = '\0';
	if (json_is_integer(netns))
		snprintf(buf, size, " in network namespace %" JSON_INTEGER_FORMAT,
			 json_integer_value(netns));
	return buf;
}

static void print_change(const json_t *row, const char *error)
{
	const char *key = text_at(row, "key"), *from = text_at(row, "from"),
		   *to = text_at(row, "to");
	char what[NAME_MAX_CELLS + 1], before[64], after[64], why[NAME_MAX_CELLS + 1], where[64];

	clean(*key ? key : text_at(row, "id"), what, sizeof(what));
	clean(from, before, sizeof(before));
	clean(to, after, sizeof(after));
	namespace_text(row, where, sizeof(where));
	if (error)
		printf("%snot changed%s: %s%s: %s\n", color_on(COLOR_BAD), color_off(COLOR_BAD),
		       what, where, clean(error, why, sizeof(why)));
	else if (*to)
		printf("%s%s: %s -> %s\n", what, where, before, after);
	else
		printf("%s%s: %s\n", what, where, clean(text_at(row, "outcome"), why, sizeof(why)));
}

static void on_change(void *arg, json_t *row)
{
	struct changes *changes = arg;
	const char *error = json_string_value(json_object_get(row, "error"));

	if (changes->table)
		table_row(changes->table, row);
	else
		print_change(row, error);
	if (error)
		changes->failed++;
	else
		changes->done++;
}

/* Sends it, and prints what it did; nothing: if it did nothing. more is stolen. */
static int change(const struct cli *cli, const char *command, json_t *more, const char *nothing)
{
	struct changes changes = {NULL, 0, 0};
	int code;

	setlocale(LC_CTYPE, "");
	if (cli->format != FORMAT_PLAIN) {
		changes.table = table_new(cli->format, "changes", NULL);
		if (!changes.table) {
			json_decref(more);
			return cli_fail(CLI_FAILED, "out of memory");
		}
	}
	code = control_run(cli, command, more, on_change, &changes);
	if (changes.table && code == CLI_FINE)
		table_end(changes.table);
	else if (changes.table)
		table_drop(changes.table);
	if (code != CLI_FINE)
		return code;
	if (!changes.table && !changes.done && !changes.failed)
		puts(nothing);
	return changes.failed ? CLI_FINDING : CLI_FINE;
}

/* --- ids -------------------------------------------------------------------------------------- */

/* What of the ids was meant, or what it is of which they are the advice. */
static void suggest(const json_t *advice, const char *typed)
{
	unsigned int best = near_limit(strlen(typed));
	size_t i, len = strlen(typed);
	const char *near = NULL;
	const json_t *row;
	char text[NAME_MAX_CELLS + 1];

	json_array_foreach(advice, i, row) if (near_improves(&best, typed, len, text_at(row, "id")))
		near = text_at(row, "id");
	if (near) {
		fprintf(stderr, "closeside: did you mean '%s'?\n", clean(near, text, sizeof(text)));
		return;
	}
	json_array_foreach(advice, i, row)
	{
		const char *id = text_at(row, "id");

		if (!strncmp(id, typed, len) && id[len] == '/')
			fprintf(stderr, "closeside: what mends it is '%s'\n",
				clean(id, text, sizeof(text)));
	}
}

/* Is this the id of an advice? An exit code, with everything said. */
static int check_id(const struct cli *cli, const char *typed)
{
	struct tune_sheet sheet;
	char text[NAME_MAX_CELLS + 1];
	bool found = false;
	const json_t *row;
	size_t i;
	int code = ask_sheet(cli, &sheet);

	setlocale(LC_CTYPE, "");
	json_array_foreach(sheet.advice, i, row) found |= !strcmp(text_at(row, "id"), typed);
	if (code == CLI_FINE && !found) {
		code = cli_fail(CLI_FINDING,
				"%s: there is no advice '%s': `closeside tune show` has the ids",
				cli->command->name, clean(typed, text, sizeof(text)));
		suggest(sheet.advice, typed);
	}
	drop_sheet(&sheet);
	return code;
}

/* --- the commands ----------------------------------------------------------------------------- */

int cli_tune_apply(struct cli *cli)
{
	int code = cli->argc ? check_id(cli, cli->argv[0]) : CLI_FINE;

	if (code != CLI_FINE)
		return code;
	return change(cli, "tune-apply", cli->argc ? json_pack("{s:s}", "id", cli->argv[0]) : NULL,
		      "nothing to apply: no advice is open that closeside could carry out");
}

int cli_tune_ignore(struct cli *cli)
{
	int code = check_id(cli, cli->argv[0]);

	if (code != CLI_FINE)
		return code;
	return change(cli, "tune-ignore", json_pack("{s:s}", "id", cli->argv[0]),
		      "ignored from now on: `closeside tune resume` with its id brings it back");
}

int cli_tune_revert(struct cli *cli)
{
	return change(cli, "tune-revert", NULL, "nothing to put back: no sysctl is closeside's");
}

int cli_tune_resume(struct cli *cli)
{
	return change(cli, "tune-resume", json_pack("{s:s}", "key", cli->argv[0]),
		      "closeside goes on with it");
}
