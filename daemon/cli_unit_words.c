/* SPDX-License-Identifier: MIT */
/* systemd's words: what systemctl prints, what EnvironmentFile= reads, what a unit file needs in
 * quotes. */
#include "daemon/cli_unit.h"

#include <stdio.h>
#include <string.h>

/* What a word or a value is collected in. */
struct sink {
	char *out;
	size_t len, size;
	bool full;
};

static void put(struct sink *sink, char c)
{
	if (sink->len + 1 < sink->size)
		sink->out[sink->len++] = c;
	else
		sink->full = true;
	sink->out[sink->len] = '\0';
}

static void put_text(struct sink *sink, const char *text)
{
	for (; *text; text++)
		put(sink, *text);
}

/* --- lists ---------------------------------------------------------------------------------------
 */

static char unescaped(char c)
{
	return c == 'n' ? '\n' : c == 't' ? '\t' : c;
}

bool words_next(const char **at, char *out, size_t size)
{
	struct sink sink = {out, 0, size, false};
	const char *p = *at + strspn(*at, " \n");
	bool dollar = false;
	char quote = '\0';

	if (!*p)
		return false;
	out[0] = '\0';
	for (; *p && (quote || !strchr(" \n", *p)); p++) {
		bool opens = !quote && (*p == '"' || !strncmp(p, "$'", 2));

		if (opens) {
			dollar = *p == '$';
			p += dollar;
			quote = *p;
		} else if (quote && *p == quote) {
			quote = '\0';
		} else if (quote && *p == '\\' && p[1]) {
			p++;
			put(&sink, dollar ? unescaped(*p) : *p);
		} else {
			put(&sink, *p);
		}
	}
	*at = p;
	return !sink.full;
}

bool words_assigned(const char *list, const char *name, char *out, size_t size)
{
	char word[8192];
	size_t len = strlen(name);
	bool found = false;

	out[0] = '\0';
	while (words_next(&list, word, sizeof(word)))
		if (!strncmp(word, name, len) && word[len] == '=')
			found = snprintf(out, size, "%s", word + len + 1) < (int)size;
	return found;
}

bool words_have(const char *list, const char *word)
{
	char one[8192];

	while (words_next(&list, one, sizeof(one)))
		if (!strcmp(one, word))
			return true;
	return false;
}

/* --- EnvironmentFile= ----------------------------------------------------------------------------
 */

/* One value, with its quotes and its continued lines; *at is left behind its line. */
static bool take_value(const char **at, struct sink *sink)
{
	const char *p = *at + strspn(*at, " \t");
	size_t kept = 0;   /* blanks at the end are not of it, unless quoted */
	bool fresh = true; /* a quote is one here, and none behind a letter */
	char quote = '\0';

	sink->out[0] = '\0';
	for (; *p && (quote || *p != '\n'); p++) {
		bool escape = *p == '\\' && quote != '\'' &&
			      (!quote || (p[1] && strchr("\"\\`$\n", p[1])));
		bool turns = quote ? *p == quote : fresh && (*p == '\'' || *p == '"');

		if (escape && p[1]) {
			if (*++p != '\n')
				put(sink, *p);
			kept = sink->len;
			fresh = false;
		} else if (turns) {
			fresh = quote != '\0';
			quote = quote ? '\0' : *p;
			kept = sink->len;
		} else {
			put(sink, *p);
			if (quote || !strchr(" \t", *p)) {
				kept = sink->len;
				fresh = false;
			}
		}
	}
	sink->out[kept] = '\0';
	*at = p;
	return !sink->full;
}

bool env_file_assigned(const char *text, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);
	char other[8192];
	bool found = false;

	out[0] = '\0';
	for (const char *p = text; *p; p += *p == '\n') {
		struct sink sink = {other, 0, sizeof(other), false};

		p += strspn(p, " \t");
		if (*p == '#' || *p == ';') {
			p += strcspn(p, "\n");
		} else if (!strncmp(p, name, len) && p[len + strspn(p + len, " \t")] == '=') {
			p += len + strspn(p + len, " \t") + 1;
			found = take_value(&p, &sink) &&
				snprintf(out, size, "%s", other) < (int)size;
		} else {
			p += strcspn(p, "=\n");
			if (*p == '=') {
				p++;
				take_value(&p, &sink);
			}
		}
	}
	return found;
}

/* --- quotes --------------------------------------------------------------------------------------
 */

bool quote_for_unit(const char *text, char *out, size_t size)
{
	struct sink sink = {out, 0, size, false};

	put(&sink, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			put(&sink, '\\');
		if (*text == '%')
			put(&sink, '%');
		if (*text == '\n')
			put_text(&sink, "\\n");
		else
			put(&sink, *text);
	}
	put(&sink, '"');
	return !sink.full;
}

bool quote_for_env_file(const char *text, char *out, size_t size)
{
	struct sink sink = {out, 0, size, false};

	put(&sink, '"');
	for (; *text; text++) {
		if (strchr("\"\\`$", *text))
			put(&sink, '\\');
		put(&sink, *text);
	}
	put(&sink, '"');
	return !sink.full;
}

/* --- LD_PRELOAD ----------------------------------------------------------------------------------
 */

static const char separators[] = " :"; /* ld.so(8) */

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Is this entry the library, by whatever path? */
static bool is_entry(const char *entry, size_t len, const char *library)
{
	size_t base_len = strlen(base(library));

	return len >= base_len && !strncmp(entry + len - base_len, base(library), base_len) &&
	       (len == base_len || entry[len - base_len - 1] == '/');
}

bool preload_has(const char *list, const char *library)
{
	for (const char *p = list; *p; p += strspn(p, separators)) {
		size_t len = strcspn(p, separators);

		if (is_entry(p, len, library))
			return true;
		p += len;
	}
	return false;
}

bool preload_add(const char *list, const char *library, char *out, size_t size)
{
	list += strspn(list, separators);
	if (preload_has(list, library))
		return snprintf(out, size, "%s", list) < (int)size;
	return snprintf(out, size, "%s%s%s", library, *list ? ":" : "", list) < (int)size;
}

void preload_drop(const char *list, const char *library, char *out, size_t size)
{
	struct sink sink = {out, 0, size, false};

	out[0] = '\0';
	for (const char *p = list; *p;) {
		size_t before = strspn(p, separators), len = strcspn(p + before, separators);

		if (strncmp(p + before, library, len) != 0 || library[len])
			for (size_t i = sink.len ? 0 : before; i < before + len; i++)
				put(&sink, p[i]);
		p += before + len;
	}
}
