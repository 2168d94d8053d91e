/* SPDX-License-Identifier: MIT */
#include "daemon/cli_args.h"

#include "common/wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct option_row option_rows[OPT_COUNT] = {
#define X(name, letter, word, argument, text) [name] = {letter, word, argument, text},
	CLI_OPTIONS(X)
#undef X
};

bool option_is_tied(const struct option_row *row)
{
	return row->argument && row->argument[0] == '[';
}

void option_print(FILE *out, const struct option_row *row)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", row->letter ? "-" : " ",
		 row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->word,
		 row->argument && !option_is_tied(row) ? " " : "",
		 row->argument ? row->argument : "");
	fprintf(out, "  %-28s %s\n", left, row->text);
}

bool word_is_near(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	if (!*a && !*b)
		return true;
	return (*a && !strcmp(a + 1, b)) || (*b && !strcmp(a, b + 1)) ||
	       (*a && *b &&
		(!strcmp(a + 1, b + 1) || (a[1] == b[0] && a[0] == b[1] && !strcmp(a + 2, b + 2))));
}

/* What runs a command or has a filter takes any number of arguments, and what comes after the first
 * of them is no option of ours: "+" stops there. */
static bool stops_at_first(const struct cli *cli)
{
	return !cli->command || cli->command->max < 0;
}

static void build_getopt(unsigned int mask, bool stops, char *letters, struct option *words)
{
	char *p = letters;

	if (stops)
		*p++ = '+';
	*p++ = ':'; /* a missing argument is told from an unknown option */
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct option_row *row = &option_rows[i];

		if (!(mask & OPT(i)))
			continue;
		*words++ = (struct option){row->word,
					   option_is_tied(row) ? optional_argument
					   : row->argument     ? required_argument
							       : no_argument,
					   NULL, 256 + i};
		if (row->letter)
			*p++ = (char)row->letter;
		if (row->letter && row->argument)
			*p++ = ':';
	}
	*p = '\0';
	*words = (struct option){NULL, 0, NULL, 0};
}

static int option_index(int found)
{
	if (found >= 256)
		return found - 256;
	for (int i = 0; i < OPT_COUNT; i++)
		if (option_rows[i].letter && option_rows[i].letter == found)
			return i;
	return -1;
}

/* -o a=1 -o b=2 is -o a=1,b=2. */
static const char *joined(const char *before, const char *value)
{
	size_t size = strlen(before) + strlen(value) + 2;
	char *text = malloc(size);

	if (text)
		snprintf(text, size, "%s,%s", before, value);
	return text;
}

/* What getopt stopped at: an option that is not there, or one without its argument. */
static void bad_option(const struct cli *cli, unsigned int mask, bool no_argument_given,
		       const char *at)
{
	const char *where = cli->command ? cli->command->name : "option", *word = at + 2;

	if (no_argument_given) {
		cli_fail(CLI_USAGE, "%s %s: expected an argument", where, at);
		return;
	}
	for (int i = 0; !strncmp(at, "--", 2) && i < OPT_COUNT; i++)
		if ((mask & OPT(i)) && word_is_near(word, option_rows[i].word)) {
			cli_fail(CLI_USAGE, "%s %s: did you mean --%s?", where, at,
				 option_rows[i].word);
			return;
		}
	cli_fail(CLI_USAGE, "%s %s: there is no such option", where, at);
}

bool options_parse(struct cli *cli, unsigned int mask, int argc, char **argv)
{
	char letters[2 * OPT_COUNT + 3];
	struct option words[OPT_COUNT + 1];
	int found;

	build_getopt(mask, stops_at_first(cli), letters, words);
	optind = 0;
	opterr = 0;
	while ((found = getopt_long(argc, argv, letters, words, NULL)) != -1) {
		int i = option_index(found);

		if (i < 0) {
			char letter[] = {'-', (char)optopt, '\0'};

			/* optopt is a letter, or 0 or 256 and more of a word */
			bad_option(cli, mask, found == ':',
				   optopt > 0 && optopt < 256 ? letter : argv[optind - 1]);
			return false;
		}
		if (i == OPT_OPTION && cli->value[i])
			cli->value[i] = joined(cli->value[i], optarg);
		else
			cli->value[i] = optarg ? optarg : "";
	}
	cli->argc = argc - optind;
	cli->argv = argv + optind;
	return true;
}

bool options_take_format(struct cli *cli)
{
	static const char *const words[] = {"plain",	  "json",	 "jsonl",
					    "prometheus", "openmetrics", "zabbix"};
	bool status = cli->command && cli->command->run == cli_status;

	if (!cli->value[OPT_FORMAT])
		return true;
	for (int i = 0; i < (status ? 6 : 3); i++)
		if (!strcmp(words[i], cli->value[OPT_FORMAT])) {
			cli->format = (enum cli_format)i;
			return true;
		}
	cli_fail(CLI_USAGE, "-f %s: expected plain, json%s", cli->value[OPT_FORMAT],
		 status ? ", jsonl, prometheus, openmetrics or zabbix" : " or jsonl");
	return false;
}

bool options_take_socket(struct cli *cli)
{
	static char path[WIRE_PATH_MAX];
	const char *text = cli->value[OPT_SOCKET], *options;

	if (!text)
		text = getenv("CLOSESIDE_SOCKET");
	if (!wire_split_socket(text, path, &options)) {
		cli_fail(CLI_USAGE, "the socket's path is longer than %d bytes: %s",
			 WIRE_PATH_MAX - 1, text);
		return false;
	}
	cli->socket = path;
	return true;
}
