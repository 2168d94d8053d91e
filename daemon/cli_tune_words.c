/* SPDX-License-Identifier: MIT */
/* What the balance sheet means: the evidence, what would mend it, and whose the sysctls are. */
#include "daemon/cli_tune.h"

#include "daemon/cli_color.h"
#include "daemon/cli_table.h"
#include "daemon/cli_text.h"
#include "daemon/verdict.h"

#include <stdio.h>
#include <string.h>

enum { PROSE_LEAST = 40, PROSE_MOST = 100, PROSE_USUAL = 80, TEXT_MAX = 1024 };

static const char *text_at(const json_t *row, const char *member)
{
	const char *text = json_string_value(json_object_get(row, member));

	return text ? text : "";
}

static bool is(const json_t *row, const char *member, const char *text)
{
	return !strcmp(text_at(row, member), text);
}

/* --- prose ------------------------------------------------------------------------------------ */

static unsigned int prose_columns(unsigned int columns)
{
	if (columns > 10000)
		return PROSE_USUAL;
	return columns < PROSE_LEAST ? PROSE_LEAST : columns > PROSE_MOST ? PROSE_MOST : columns;
}

/* A paragraph: its first line after what has been printed of it, `used` cells, the others at the
 * same cell as `indent` says. */
static void print_wrapped(const char *text, unsigned int used, unsigned int indent,
			  unsigned int columns)
{
	char line[TEXT_MAX];
	unsigned int room = prose_columns(columns);

	if (used > indent && used + strcspn(text, " ") > room) {
		printf("\n%*s", (int)indent, "");
		used = indent;
	}
	while (cli_text_line(&text, line, sizeof(line), room > used ? room - used : 1)) {
		printf("%s\n", line);
		used = indent;
		if (*text)
			printf("%*s", (int)indent, "");
	}
}

void tune_print_prose(const char *text, unsigned int columns)
{
	print_wrapped(text, 0, 4, columns);
}

static void print_labelled(const char *label, const char *text, unsigned int indent,
			   unsigned int columns)
{
	if (!*text)
		return;
	printf("%*s%s", (int)indent, "", label);
	print_wrapped(text, indent + (unsigned int)strlen(label), indent, columns);
}

/* To be pasted: whole, whatever the width. A tab would be no printable character. */
static void print_verbatim(const char *text, unsigned int indent)
{
	char line[2 * TEXT_MAX];

	printf("%*s", (int)indent, "");
	for (; *text == '\t'; text++)
		fputs("    ", stdout);
	cli_text_clean(text, line, sizeof(line), sizeof(line));
	puts(line);
}

/* --- advice ----------------------------------------------------------------------------------- */

static const char *state_words(const json_t *advice)
{
	if (is(advice, "state", "ignored"))
		return " (ignored)";
	return is(advice, "state", "applied") ? " (applied)" : "";
}

/* Does `tune apply` do it? */
static bool can_apply(const json_t *advice)
{
	return (is(advice, "kind", "sysctl") || is(advice, "kind", "relisten")) &&
	       !*text_at(advice, "why_not");
}

/* Prints them; is `tune apply` among them? */
static bool print_lines(const json_t *lines)
{
	bool applies = false;
	const json_t *line;
	size_t i;

	if (json_array_size(lines))
		puts("    paste:");
	json_array_foreach(lines, i, line) if (json_is_string(line))
	{
		print_verbatim(json_string_value(line), 8);
		applies |= strstr(json_string_value(line), "tune apply") != NULL;
	}
	return applies;
}

/* The two ways to do it. */
static void print_ways(const json_t *advice, const char *socket)
{
	const json_t *lines = json_object_get(advice, "lines");
	bool applies = print_lines(lines);
	char id[TEXT_MAX], path[TEXT_MAX], command[2 * TEXT_MAX + 32];

	if (applies || !can_apply(advice) ||
	    !verdict_quoted(text_at(advice, "id"), id, sizeof(id)) ||
	    (socket && !verdict_quoted(socket, path, sizeof(path))))
		return;
	printf("    %s:\n", json_array_size(lines) ? "or" : "do");
	snprintf(command, sizeof(command), "closeside%s%s tune apply %s", socket ? " -s " : "",
		 socket ? path : "", id);
	print_verbatim(command, 8);
}

static void print_sufficiency(const json_t *advice, unsigned int columns)
{
	const char *with = text_at(advice, "with");

	if (*with)
		print_labelled("only together with ", with, 4, columns);
	else if (json_is_false(json_object_get(advice, "enough")))
		print_labelled("", "this alone does not suffice", 4, columns);
}

static void print_advice(const json_t *advice, unsigned int number, const char *socket,
			 unsigned int columns)
{
	const char *state = state_words(advice);
	char lever[64];
	unsigned int cells = cli_text_clean(text_at(advice, "lever"), lever, sizeof(lever), 40);

	cells += (unsigned int)printf("  %u ", number);
	printf("%s%s%s%s: ", color_on(COLOR_PASSING), lever, color_off(COLOR_PASSING), state);
	print_wrapped(text_at(advice, "title"), cells + (unsigned int)strlen(state) + 2, 4,
		      columns);
	if (*state)
		return;
	print_labelled("effect: ", text_at(advice, "effect"), 4, columns);
	print_labelled("cost: ", text_at(advice, "cost"), 4, columns);
	print_sufficiency(advice, columns);
	print_labelled("closeside cannot do it itself: ", text_at(advice, "why_not"), 4, columns);
	print_ways(advice, socket);
}

/* --- findings --------------------------------------------------------------------------------- */

static void print_finding(const json_t *resource, unsigned int columns)
{
	bool over = !strcmp(tune_finding(resource), "over");
	enum color color = over ? COLOR_BAD : COLOR_NOTABLE;
	const json_t *evidence = json_object_get(resource, "evidence"), *line;
	char id[TEXT_MAX];
	unsigned int cells = cli_text_clean(text_at(resource, "id"), id, sizeof(id), TEXT_MAX);
	size_t i;

	printf("\n%s%s%s%s: ", color_on(color), over ? "OVER " : "near ", id, color_off(color));
	print_wrapped(text_at(resource, "title"), cells + 7, 2, columns);
	json_array_foreach(evidence, i, line) if (json_is_string(line))
		print_labelled("", json_string_value(line), 2, columns);
}

void tune_print_findings(const struct tune_sheet *sheet, unsigned int columns)
{
	const json_t *resource, *advice;
	size_t i, j;

	json_array_foreach(sheet->resources, i, resource)
	{
		unsigned int number = 0;

		if (!*tune_finding(resource))
			continue;
		print_finding(resource, columns);
		json_array_foreach(sheet->advice, j,
				   advice) if (is(advice, "resource", text_at(resource, "id")))
			print_advice(advice, ++number, sheet->socket, columns);
	}
	if (json_array_size(sheet->resources))
		putchar('\n');
}

/* --- sysctls ---------------------------------------------------------------------------------- */

static const char *key_words(const json_t *key, char *buf, size_t size)
{
	const json_t *changed = json_object_get(key, "changed_ms");
	const char *by = text_at(key, "by");
	char age[32];

	if (is(key, "state", "ours"))
		snprintf(buf, size, "set by closeside%s%s%s; it was %s",
			 json_is_integer(changed) ? ", " : "",
			 json_is_integer(changed) ? table_age(changed, age, sizeof(age)) : "",
			 json_is_integer(changed) ? " ago" : "", text_at(key, "original"));
	else if (is(key, "state", "named"))
		snprintf(buf, size, "left alone: it is named in %s", *by ? by : "sysctl.d");
	else if (is(key, "state", "yielded"))
		snprintf(buf, size,
			 "left alone: somebody else has changed it; `closeside tune resume %s` "
			 "takes "
			 "it up again",
			 text_at(key, "key"));
	else if (is(key, "state", "refused"))
		snprintf(buf, size, "could not be set%s%s", *by ? ": " : "", by);
	else
		*buf = '\0';
	return buf;
}

static void print_key(const json_t *key, unsigned int columns)
{
	const json_t *netns = json_object_get(key, "netns");
	char words[2 * TEXT_MAX], text[3 * TEXT_MAX], where[64] = "";

	if (!*key_words(key, words, sizeof(words)))
		return;
	if (json_is_integer(netns))
		snprintf(where, sizeof(where), " in network namespace %" JSON_INTEGER_FORMAT,
			 json_integer_value(netns));
	snprintf(text, sizeof(text), "%s = %s%s: %s", text_at(key, "key"), text_at(key, "value"),
		 where, words);
	tune_print_prose(text, columns);
}

void tune_print_keys(const struct tune_sheet *sheet, unsigned int columns)
{
	const json_t *key;
	size_t i;

	json_array_foreach(sheet->keys, i, key) print_key(key, columns);
}
