/* SPDX-License-Identifier: MIT */
/* explain: what a word means, and how many there are here. Without a daemon it explains all the
 * same. */
#include "daemon/cli_control.h"
#include "daemon/cli_table.h"
#include "daemon/explain.h"

#include "common/tcp_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_COLUMNS = 80, LABEL_COLUMNS = 6, TYPED_MAX = 128 };

/* --- how many ----------------------------------------------------------------------------------
 */

/* What the daemon says of the states, in all and of the process that has most of what is asked. */
struct census {
	json_t *total; /* {"TIME_WAIT":3,...}; NULL: not known, for this reason */
	char why[200];
	uint32_t states;
	json_int_t most;
	char program[64];
};

static json_int_t count_states(const json_t *states, uint32_t bits)
{
	json_int_t sum = 0;

	for (unsigned int i = 1; i < STATE_COUNT; i++)
		if (bits >> i & 1)
			sum += json_integer_value(json_object_get(states, tcp_state_name(i)));
	return sum;
}

static void take_row(struct census *census, const json_t *row)
{
	const char *type = json_string_value(json_object_get(row, "type")),
		   *program = json_string_value(json_object_get(row, "program"));
	json_t *states = json_object_get(row, "states");
	json_int_t count = count_states(states, census->states);

	if (!strcmp(type, "total") && states && !census->total)
		census->total = json_incref(states);
	if (strcmp(type, "process") || !json_is_integer(json_object_get(row, "pid")) ||
	    count <= census->most)
		return;
	census->most = count;
	snprintf(census->program, sizeof(census->program), "%s", program ? program : "?");
}

static void take_census(const struct cli *cli, struct census *census)
{
	struct control *control;
	json_t *row;
	int error = control_open(&control, cli->socket), more;

	if (error) {
		snprintf(census->why, sizeof(census->why),
			 "how many there are only a daemon knows, and none answers at %s",
			 cli->socket);
		return;
	}
	error = control_request(control, "ps", NULL);
	while (!error && (more = control_next(control, &row)) != 0) {
		if (more < 0)
			break;
		take_row(census, row);
		json_decref(row);
	}
	if (!census->total)
		snprintf(census->why, sizeof(census->why),
			 "the daemon does not say how many there are: %s",
			 error ? strerror(error) : control_error(control));
	control_close(control);
}

/* --- for people --------------------------------------------------------------------------------
 */

static void print_wrapped(const char *label, const char *text)
{
	size_t column = LABEL_COLUMNS;

	printf("%-*s", LABEL_COLUMNS, label);
	for (const char *word = text; *word;) {
		size_t len = strcspn(word, " ");

		if (column > LABEL_COLUMNS && column + 1 + len > TEXT_COLUMNS) {
			printf("\n%*s", LABEL_COLUMNS, "");
			column = LABEL_COLUMNS;
		} else if (column > LABEL_COLUMNS) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)len, word);
		column += len;
		word += len + (word[len] == ' ');
	}
	putchar('\n');
}

static const char *say_count(const struct explanation *row, const struct census *census, char *buf,
			     size_t size)
{
	json_int_t count;

	if (!census->total) {
		snprintf(buf, size, "%s", census->why);
		return buf;
	}
	count = count_states(census->total, row->states);
	if (!count)
		snprintf(buf, size, "none now");
	else if (!census->most)
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT " now", count);
	else
		snprintf(buf, size,
			 "%" JSON_INTEGER_FORMAT " now; most of one process: %" JSON_INTEGER_FORMAT
			 ", %s",
			 count, census->most, census->program);
	return buf;
}

static void print_here(const struct explanation *row, const struct census *census)
{
	char text[400], names[200] = "";
	size_t used = 0;

	if (row->kind == EXPLAIN_VERDICT)
		for (unsigned int i = 1; i < STATE_COUNT; i++)
			if (row->states >> i & 1)
				used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
							 used ? ", " : "", tcp_state_name(i));
	if (used)
		snprintf(names + used, sizeof(names) - used, ": ");
	say_count(row, census, text, sizeof(text));
	memmove(text + strlen(names), text, sizeof(text) - strlen(names));
	memcpy(text, names, strlen(names));
	text[sizeof(text) - 1] = '\0';
	print_wrapped("here", text);
}

static void print_explanation(const struct explanation *row, const struct census *census)
{
	printf("%s: %s\n", row->word, row->summary);
	if (row->kind == EXPLAIN_ERROR)
		printf("%*serrno %d, \"%s\"\n", LABEL_COLUMNS, "", row->error,
		       strerror(row->error));
	print_wrapped("what", row->what);
	print_wrapped("why", row->why);
	if (row->states)
		print_here(row, census);
	if (row->kind == EXPLAIN_VERDICT)
		print_wrapped("", "`closeside doctor` says whether it is so here.");
	print_wrapped("do", row->remedy);
	if (row->see)
		print_wrapped("see", row->see);
}

static void print_list(void)
{
	static const char *const titles[] = {
		"States of a connection, and of sockets:",
		"What calls fail with:",
		"Verdicts of `closeside doctor`:",
	};

	for (unsigned int kind = 0; kind < EXPLAIN_KINDS; kind++) {
		printf("%s%s\n", kind ? "\n" : "", titles[kind]);
		for (size_t i = 0; i < explanation_count; i++)
			if (explanations[i].kind == kind)
				printf("  %-23s  %s\n", explanations[i].word,
				       explanations[i].summary);
	}
}

/* --- as JSON -----------------------------------------------------------------------------------
 */

static json_t *counts_by_state(const struct explanation *row, const struct census *census)
{
	json_t *counts;

	if (!row->states || !census || !census->total)
		return json_null();
	counts = json_object();
	for (unsigned int i = 1; i < STATE_COUNT; i++)
		if (row->states >> i & 1)
			json_object_set_new(counts, tcp_state_name(i),
					    json_integer(count_states(census->total, 1u << i)));
	return counts;
}

/* census NULL: nobody was asked. */
static void add_row(struct table *table, const struct explanation *row, const struct census *census)
{
	json_t *json = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:o, s:o}", "type", "explanation",
		"word", row->word, "kind", explain_kind_word(row->kind), "summary", row->summary,
		"what", row->what, "why", row->why, "do", row->remedy, "see", row->see, "errno",
		row->kind == EXPLAIN_ERROR ? json_integer(row->error) : json_null(), "states",
		counts_by_state(row, census));

	table_row(table, json);
	json_decref(json);
}

/* --- the words that were typed -----------------------------------------------------------------
 */

static int unknown(const char *text)
{
	const struct explanation *near = explain_near(text);

	if (near)
		return cli_fail(CLI_USAGE, "explain: there is no word '%s': did you mean '%s'?",
				text, near->word);
	return cli_fail(CLI_USAGE, "explain: there is no word '%s': `closeside explain` lists them",
			text);
}

static void explain_row(const struct cli *cli, struct table *table, const struct explanation *row,
			bool first)
{
	struct census census = {.states = row->states};

	if (row->states)
		take_census(cli, &census);
	if (table) {
		add_row(table, row, &census);
	} else {
		printf("%s", first ? "" : "\n");
		print_explanation(row, &census);
	}
	json_decref(census.total);
}

/* All of them as one ("connection refused"), or each by itself. False with everything said. */
static bool check_words(const struct cli *cli, const struct explanation **whole)
{
	char text[TYPED_MAX] = "";

	for (int i = 0; i < cli->argc; i++) {
		size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "", cli->argv[i]);
	}
	*whole = explain_find(text);
	for (int i = 0; !*whole && i < cli->argc; i++)
		if (!explain_find(cli->argv[i])) {
			unknown(cli->argv[i]);
			return false;
		}
	return true;
}

int cli_explain(struct cli *cli)
{
	static const struct table_column columns[] = {{NULL, NULL, false, NULL}};
	const struct explanation *whole;
	struct table *table = NULL;

	if (!check_words(cli, &whole))
		return CLI_USAGE;
	if (cli->format != FORMAT_PLAIN) {
		table = table_new(cli->format, "explanations", columns);
		if (!table)
			return cli_fail(CLI_FAILED, "out of memory");
	}
	if (whole)
		explain_row(cli, table, whole, true);
	for (int i = 0; !whole && i < cli->argc; i++)
		explain_row(cli, table, explain_find(cli->argv[i]), !i);
	if (!cli->argc && !table)
		print_list();
	for (size_t i = 0; !cli->argc && table && i < explanation_count; i++)
		add_row(table, &explanations[i], NULL);
	if (table)
		table_end(table);
	return CLI_FINE;
}
