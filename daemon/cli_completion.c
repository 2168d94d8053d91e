/* SPDX-License-Identifier: MIT */
/* completion: a script for a shell, made of the tables that parsing goes by: subcommands, options,
 * the filter's keys, the policies' keys, what can be explained. */
#include "daemon/cli_completion.h"

#include "daemon/cli_args.h"
#include "daemon/explain.h"
#include "daemon/filter.h"

#include "common/policy.h"
#include "common/tcp_state.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* --- what is meant by what help calls an argument -----------------------------------------------
 */

enum { KIND_MAX = 64 };

/* A word of usage or of an option's row, and the kind of it. One that is not here and is no list of
 * words ("bash|zsh") cannot be completed. */
static const char *const kinds[][2] = {
	{"FORMAT", "words plain json jsonl"},
	{"TIME", "words now 10m 1h 2h 24h"},
	{"DURATION", "words 10s 1m 10m 1h"},
	{"FILE", "file"},
	{"PATH", "file"},
	{"NAME", "policy"},
	{"ID", "advice"},
	{"KEY", "left-alone"},
	{"POLICY", "policy"},
	{"KEY=VALUE", "keys"},
	{"ROLE", "words server client"},
	{"USER", "user"},
	{"PROGRAM", "program"},
	{"UNIT", "unit"},
	{"COMMAND", "command"},
	{"FILTER", "filter"},
	{"WORD", "explain"},
};

/* The kind of the argument that is the first len characters of text. Returns buf; "": none. */
static const char *kind_of(const char *text, size_t len, char buf[KIND_MAX])
{
	int n;

	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i][0]) == len && !strncmp(kinds[i][0], text, len))
			snprintf(buf, KIND_MAX, "%s", kinds[i][1]);
	if (buf[0] || !memchr(text, '|', len) || !islower((unsigned char)*text))
		return buf;
	n = snprintf(buf, KIND_MAX, "words %.*s", (int)len, text);
	for (int i = 0; i < n && i < KIND_MAX; i++)
		if (buf[i] == '|')
			buf[i] = ' ';
	return buf;
}

/* An argument in usage: up to a blank, a bracket or dots. */
static size_t argument_length(const char *text)
{
	size_t len = strcspn(text, " ]");

	return len > 3 && !strncmp(text + len - 3, "...", 3) ? len - 3 : len;
}

/* What a subcommand's option takes: usage may say more than the option's row. */
static const char *option_kind(const struct cli_command *command, const struct option_row *row,
			       char buf[KIND_MAX])
{
	char flag[] = {'-', (char)row->letter, ' ', '\0'};
	const char *at = command && row->letter ? strstr(command->usage, flag) : NULL;

	if (at && *kind_of(at + 3, argument_length(at + 3), buf))
		return buf;
	return kind_of(row->argument, strlen(row->argument), buf);
}

/* What the arguments of a subcommand are: the first in usage that belongs to no option and can be
 * completed. */
static const char *argument_kind(const struct cli_command *command, char buf[KIND_MAX])
{
	const char *at = command->usage;

	buf[0] = '\0';
	while (command->max && *at) {
		if (!strncmp(at, "[-", 2))
			at += strcspn(at, "]");
		else if (isalpha((unsigned char)*at)) {
			size_t len = argument_length(at);

			if (*kind_of(at, len, buf))
				return buf;
			at += len - 1;
		}
		at += *at != '\0';
	}
	return buf;
}

/* --- the table ----------------------------------------------------------------------------------
 */

static void put_quoted(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
}

/* A line: word, and what it is unless that is NULL. */
static void put_line(const char *word, const char *what)
{
	printf(" \\\n\t\t'");
	put_quoted(word);
	printf("%s", what ? ":" : "");
	put_quoted(what ? what : "");
	putchar('\'');
}

static void begin(const char *key, const char *rest)
{
	printf("\t'%s%s%s')\n\t\tprintf '%%s\\n'", key, rest ? " " : "", rest ? rest : "");
}

static void end(void)
{
	printf(" ;;\n");
}

static void put_one(const char *key, const char *rest, const char *kind)
{
	if (!*kind)
		return;
	begin(key, rest);
	put_line(kind, NULL);
	end();
}

/* Each first word once. */
static void put_commands(const struct cli_command *commands, size_t count)
{
	begin("commands", NULL);
	for (size_t i = 0; i < count; i++) {
		size_t len = strcspn(commands[i].name, " ");
		char first[32];

		snprintf(first, sizeof(first), "%.*s", (int)len, commands[i].name);
		if (!commands[i].name[len])
			put_line(first, commands[i].summary);
		else if (!i || strncmp(commands[i - 1].name, commands[i].name, len + 1))
			put_line(first, "has commands of its own");
	}
	put_line("help", "how a command is used");
	end();
}

static bool is_family(const char *name, const char *first, size_t len)
{
	return !strncmp(name, first, len) && name[len] == ' ';
}

/* The second words, once for each first word. */
static void put_families(const struct cli_command *commands, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strcspn(commands[i].name, " ");
		char first[32];

		if (!commands[i].name[len] ||
		    (i && is_family(commands[i - 1].name, commands[i].name, len)))
			continue;
		snprintf(first, sizeof(first), "%.*s", (int)len, commands[i].name);
		begin("commands", first);
		for (size_t j = i; j < count; j++)
			if (is_family(commands[j].name, first, len))
				put_line(commands[j].name + len + 1, commands[j].summary);
		end();
	}
}

/* command NULL: those before any. */
static void put_options(const struct cli_command *command, unsigned int mask)
{
	char word[64], key[128], kind[KIND_MAX];

	begin("options", command ? command->name : NULL);
	for (int i = 0; i < OPT_COUNT; i++) {
		if (!(mask & OPT(i)))
			continue;
		snprintf(word, sizeof(word), "-%c", option_rows[i].letter);
		if (option_rows[i].letter)
			put_line(word, option_rows[i].text);
		snprintf(word, sizeof(word), "--%s", option_rows[i].word);
		put_line(word, option_rows[i].text);
	}
	end();
	for (int i = 0; i < OPT_COUNT; i++) {
		if (!(mask & OPT(i)) || !option_rows[i].argument || option_is_tied(&option_rows[i]))
			continue;
		option_kind(command, &option_rows[i], kind);
		snprintf(key, sizeof(key), "%s,--%s", command ? command->name : "",
			 option_rows[i].word);
		put_one("takes", key, *kind ? kind : "nothing");
		snprintf(key, sizeof(key), "%s,-%c", command ? command->name : "",
			 option_rows[i].letter);
		if (option_rows[i].letter)
			put_one("takes", key, *kind ? kind : "nothing");
	}
}

/* --- filters, keys, words -----------------------------------------------------------------------
 */

static void put_states(void)
{
	const char *name;

	printf(" \\\n\t\t'words");
	for (unsigned int i = 1; i < STATE_COUNT; i++)
		printf(" %s", tcp_state_ss(i));
	for (unsigned int i = 0; (name = filter_state_group(i)); i++)
		printf(" %s", name);
	putchar('\'');
}

static void put_choices(const struct filter_key *key)
{
	const char *word;

	printf(" \\\n\t\t'words");
	for (unsigned int i = 0; (word = key->choice(i)); i++)
		printf(" %s", word);
	putchar('\'');
}

static void put_filter_key(const struct filter_key *key)
{
	if (key->value == VALUE_PLACE)
		return;
	begin("filter", key->word);
	switch (key->value) {
	case VALUE_STATE:
		put_states();
		break;
	case VALUE_CHOICE:
		put_choices(key);
		break;
	case VALUE_PORT:
		put_line("words = != < > <= >=", NULL);
		break;
	case VALUE_DURATION:
		put_line("words < > <= >=", NULL);
		break;
	default: /* its own word is what a shell knows: pid, program, unit, policy, user */
		put_line(key->word, NULL);
		break;
	}
	end();
}

static void put_filter(void)
{
	begin("filter", NULL);
	for (size_t i = 0; i < filter_key_count; i++)
		put_line(filter_keys[i].word, filter_keys[i].expected);
	put_line("and", "both");
	put_line("or", "either");
	put_line("not", "the opposite");
	end();
	for (size_t i = 0; i < filter_key_count; i++)
		put_filter_key(&filter_keys[i]);
}

/* "app, a range: 20000-60999" has one plain word. */
static bool is_plain(const char *text, size_t len)
{
	return len && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") >= len;
}

static void put_key_values(const struct policy_key *key)
{
	bool begun = false;
	char word[32];
	size_t len;

	for (const char *at = key->values; *at; at += len + strspn(at + len, ", ")) {
		len = strcspn(at, ",");
		if (!is_plain(at, len) || len >= sizeof(word))
			continue;
		if (!begun)
			begin("key", key->name);
		begun = true;
		snprintf(word, sizeof(word), "%.*s", (int)len, at);
		put_line(word, NULL);
	}
	if (begun)
		end();
}

static void put_keys(void)
{
	begin("key", NULL);
	for (size_t i = 0; i < policy_key_count; i++)
		put_line(policy_keys[i].name, policy_keys[i].values);
	end();
	for (size_t i = 0; i < policy_key_count; i++)
		put_key_values(&policy_keys[i]);
}

static void put_explanations(void)
{
	begin("explain", NULL);
	for (size_t i = 0; i < explanation_count; i++)
		put_line(explanations[i].word, explanations[i].summary);
	end();
}

static void put_table(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);
	char kind[KIND_MAX];

	puts("_closeside_table()\n{\n\tcase $1 in");
	put_commands(commands, count);
	put_families(commands, count);
	put_options(NULL, OPT(OPT_HELP) | OPT(OPT_VERSION) | OPT(OPT_SOCKET) | OPT(OPT_FORMAT));
	for (size_t i = 0; i < count; i++) {
		put_options(&commands[i], cli_options_of(&commands[i]));
		put_one("arguments", commands[i].name, argument_kind(&commands[i], kind));
	}
	put_one("arguments", "help", "commands");
	put_filter();
	put_keys();
	put_explanations();
	puts("\tesac\n}");
}

int cli_completion(struct cli *cli)
{
	bool zsh = !strcmp(cli->argv[0], "zsh");

	if (!zsh && strcmp(cli->argv[0], "bash"))
		return cli_fail(CLI_USAGE, "completion '%s': expected bash or zsh", cli->argv[0]);
	if (zsh)
		puts("#compdef closeside");
	puts("# Made by `closeside completion`: the tables are those of the program.\n");
	put_table();
	fputs(zsh ? completion_zsh : completion_bash, stdout);
	return CLI_FINE;
}
