/* SPDX-License-Identifier: MIT */
#include "daemon/note.h"

#include <stdarg.h>
#include <stdio.h>

static struct {
	note_sink *keep;
	void *arg;
} sink;

const char *note_word(unsigned int kind)
{
	static const char *const words[] = {
#define X(name, word) [name] = word,
		NOTE_KINDS(X)
#undef X
	};

	return kind < NOTE_COUNT ? words[kind] : "unknown";
}

void note_set_sink(note_sink *keep, void *arg)
{
	sink.keep = keep;
	sink.arg = arg;
}

void note(enum note_kind kind, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!sink.keep)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sink.keep(sink.arg, kind, text);
}
