/* SPDX-License-Identifier: MIT */
#include "daemon/cli_filter.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

enum { EXCERPT_COLUMNS = 64 };

bool filter_find_user(const char *name, uid_t *uid)
{
	const struct passwd *user = getpwnam(name);

	if (user)
		*uid = user->pw_uid;
	return user;
}

/* A column begins at each byte that does not continue a character of UTF-8. */
static bool begins_column(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static size_t columns(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && text[i]; i++)
		n += begins_column(text[i]);
	return n;
}

size_t filter_excerpt(const char *text, size_t at, char *out, size_t size)
{
	size_t begin = 0, used = 0, shown = 0, at_column;

	while (at - begin > EXCERPT_COLUMNS / 2 &&
	       columns(text + begin, strlen(text + begin)) > EXCERPT_COLUMNS) {
		begin++;
		while (!begins_column(text[begin]))
			begin++;
	}
	at_column = columns(text + begin, at - begin) + (begin ? 3 : 0);
	if (begin)
		used = (size_t)snprintf(out, size, "...");
	for (const char *p = text + begin; *p && used + 5 < size; p++) {
		shown += begins_column(*p);
		if (shown > EXCERPT_COLUMNS) {
			used += (size_t)snprintf(out + used, size - used, "...");
			break;
		}
		out[used++] = (char)((unsigned char)*p < ' ' || *p == 127 ? ' ' : *p);
	}
	out[used] = '\0';
	return at_column;
}

/* Two lines: what was typed, and under its place what is wrong. */
static void complain(const struct cli *cli, const char *text, const struct filter_error *error)
{
	char excerpt[4 * EXCERPT_COLUMNS + 16];
	size_t column = filter_excerpt(text, error->at, excerpt, sizeof(excerpt)),
	       prefix = strlen("closeside: ") + strlen(cli->command->name) + strlen(": ");

	cli_fail(CLI_USAGE, "%s: %s", cli->command->name, excerpt);
	fprintf(stderr, "%*s^ %s\n", (int)(prefix + column), "",
		text[error->at] == '-' ? "options come before the filter" : error->text);
}

json_t *filter_take(const struct cli *cli, struct filter *filter)
{
	static char canonical[FILTER_FORMAT_MAX];
	char text[FILTER_TYPED_MAX] = "";
	struct filter_error error;
	json_t *words;

	for (int i = 0; i < cli->argc; i++)
		if (!filter_add_word(text, sizeof(text), cli->argv[i])) {
			cli_fail(CLI_USAGE, "%s: the filter is longer than %d characters",
				 cli->command->name, FILTER_TYPED_MAX - 1);
			return NULL;
		}
	if (!filter_parse(filter, text, filter_find_user, &error)) {
		complain(cli, text, &error);
		return NULL;
	}
	words = json_string(filter_format(filter, canonical, sizeof(canonical)));
	if (!words || strlen(canonical) >= FILTER_TEXT_MAX) {
		cli_fail(CLI_USAGE, "%s: the filter is %s", cli->command->name,
			 words ? "too long" : "not UTF-8");
		json_decref(words);
		return NULL;
	}
	return json_pack("{s:o}", "filter", words);
}
