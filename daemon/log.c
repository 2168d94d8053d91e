/* SPDX-License-Identifier: MIT */
#include "daemon/log.h"

#include "common/wire.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool with_priority;
static int max_level = LOG_NOTICE;

void log_open(void)
{
	with_priority = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(int level)
{
	max_level = level;
}

/* One write for one line: guardian and loop share stderr. A line that does not fit is cut. */
__attribute__((format(printf, 3, 0))) static void emit(int level, const char *suffix,
						       const char *format, va_list args)
{
	char line[1024];
	size_t len = 0;
	int n;

	if (level > max_level)
		return;
	if (with_priority)
		n = snprintf(line, sizeof(line), "<%d>", level);
	else
		n = snprintf(line, sizeof(line), "closesided: ");
	len = (size_t)n;
	n = vsnprintf(line + len, sizeof(line) - len, format, args);
	len = n < 0 ? len : len + (size_t)n;
	if (len < sizeof(line)) {
		n = snprintf(line + len, sizeof(line) - len, "%s", suffix);
		len = n < 0 ? len : len + (size_t)n;
	}
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	for (size_t i = 0; i < len; i++) /* the name of a program may be anything */
		if ((unsigned char)line[i] < ' ' || line[i] == 127)
			line[i] = '?';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nowhere left to say it */
}

void log_line(int level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	emit(level, "", format, args);
	va_end(args);
}

void log_limited_line(struct log_place *place, int level, const char *format, ...)
{
	uint64_t now = wire_now_ms();
	char suffix[48] = "";
	va_list args;

	if (now - place->window_ms >= LOG_WINDOW_MS) {
		place->window_ms = now;
		place->written = 0;
	}
	if (place->written >= LOG_BURST) {
		place->left_out++;
		return;
	}
	place->written++;
	if (place->left_out)
		snprintf(suffix, sizeof(suffix), " (%u more like it)", place->left_out);
	place->left_out = 0;
	va_start(args, format);
	emit(level, suffix, format, args);
	va_end(args);
}
