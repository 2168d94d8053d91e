/* SPDX-License-Identifier: MIT */
#include "daemon/config_scan.h"

#include <string.h>

struct scan {
	const char *p, *end;
	unsigned int line;
	unsigned int depth;	/* of braces */
	unsigned int open_line; /* of the outermost open brace */
	bool says_something;
};

/* All of these stop at the end of the text; *p may be its end. */

static void skip_line(struct scan *scan)
{
	const char *newline = memchr(scan->p, '\n', (size_t)(scan->end - scan->p));

	scan->p = newline ? newline : scan->end;
}

static bool skip_comment(struct scan *scan)
{
	for (scan->p += 2; scan->end - scan->p >= 2; scan->p++) {
		if (scan->p[0] == '*' && scan->p[1] == '/') {
			scan->p += 2;
			return true;
		}
		scan->line += *scan->p == '\n';
	}
	return false;
}

static bool skip_string(struct scan *scan)
{
	char quote = *scan->p++;

	for (; scan->p < scan->end; scan->p++) {
		if (*scan->p == quote) {
			scan->p++;
			return true;
		}
		if (*scan->p == '\\' && scan->end - scan->p > 1)
			scan->p++;
		scan->line += *scan->p == '\n';
	}
	return false;
}

static const char *scan_brace(struct scan *scan)
{
	if (*scan->p++ == '{') {
		if (scan->depth++ == 0)
			scan->open_line = scan->line;
		return NULL;
	}
	if (scan->depth == 0)
		return "a '}' that closes nothing, expected a section or the end of the file";
	scan->depth--;
	return NULL;
}

/* libconfuse silently drops what is no token of its own: program = nginx* would be nginx. */
static bool is_dropped(char c, char next)
{
	if (c == '*')
		return true;
	if (c == '+')
		return next != '=';
	return c == '/' && (!next || strchr(" #\"'\t\n\r={}()+,*", next));
}

/* One token, comment or blank. Returns what is wrong, with scan->line where, or NULL. */
static const char *scan_next(struct scan *scan)
{
	unsigned int line = scan->line;
	char next = scan->end - scan->p > 1 ? scan->p[1] : '\0';

	switch (*scan->p) {
	case '\n':
		scan->line++;
		scan->p++;
		return NULL;
	case ' ':
	case '\t':
	case '\r':
		scan->p++;
		return NULL;
	case '#':
		skip_line(scan);
		return NULL;
	case '/':
		if (next == '/') {
			skip_line(scan);
			return NULL;
		}
		if (next != '*')
			break;
		if (skip_comment(scan))
			return NULL;
		scan->line = line;
		return "a comment that is never closed, expected */";
	case '"':
	case '\'':
		scan->says_something = true;
		if (skip_string(scan))
			return NULL;
		scan->line = line;
		return "a string that is never closed, expected another quote";
	case '{':
	case '}':
		scan->says_something = true;
		return scan_brace(scan);
	}
	scan->says_something = true;
	scan->p++;
	return is_dropped(scan->p[-1], next)
		       ? "a '*', '+' or '/' that would be dropped, expected quotes "
			 "around the value"
		       : NULL;
}

bool config_scan(const char *text, size_t len, unsigned int *line, const char **wrong)
{
	struct scan scan = {.p = text, .end = text + len, .line = 1};

	*wrong = memchr(text, '\0', len) ? "a NUL byte, expected text" : NULL;
	while (!*wrong && scan.p < scan.end)
		*wrong = scan_next(&scan);
	*line = scan.line;
	if (!*wrong && scan.depth) {
		*line = scan.open_line;
		*wrong = "a '{' that is never closed, expected '}' before the end of the file";
	}
	if (!*wrong && !scan.says_something) {
		*line = 1;
		*wrong = "nothing is said here, expected policy NAME { ... }, defaults { ... } or "
			 "limits { ... }";
	}
	return !*wrong;
}

unsigned int config_scan_back(const char *text, unsigned int line, const char *word)
{
	unsigned int found = line, at = 1;
	size_t len = strlen(word);

	for (; *text && at <= line; text++) {
		if (!strncmp(text, word, len))
			found = at;
		at += *text == '\n';
	}
	return found;
}
