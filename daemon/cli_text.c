/* SPDX-License-Identifier: MIT */
#include "daemon/cli_text.h"

#include <langinfo.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* One character as it may be shown: its bytes, of which the terminal makes `cells`. */
struct glyph {
	const char *bytes;
	size_t len;
	unsigned int cells;
};

static bool is_utf8(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

/* The character at text and its length, 0 if it is none: too long, cut off, a surrogate, too high.
 */
static size_t decode(const char *text, uint32_t *code)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < 3; i++) {
		size_t len = i + 2;

		if ((p[0] & forms[i].mask) != forms[i].lead)
			continue;
		*code = p[0] & (unsigned char)~forms[i].mask;
		for (size_t k = 1; k < len; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
			*code = *code << 6 | (p[k] & 0x3f);
		}
		if (*code < forms[i].least || *code > 0x10ffff ||
		    (*code >= 0xd800 && *code <= 0xdfff))
			return 0;
		return len;
	}
	return 0;
}

/* Takes one character from *text. */
static struct glyph take(const char **text, bool utf8)
{
	struct glyph unknown = {"?", 1, 1}, glyph = {*text, 1, 1};
	uint32_t code;
	int cells;

	if (!(**text & 0x80)) {
		bool plain = **text >= ' ' && **text < 127;

		(*text)++;
		return plain ? glyph : unknown;
	}
	glyph.len = decode(*text, &code);
	*text += glyph.len ? glyph.len : 1;
	/* what takes no cell of its own (combining, direction marks) would move its neighbours */
	cells = glyph.len && utf8 && iswprint((wint_t)code) ? wcwidth((wchar_t)code) : 0;
	if (cells < 1)
		return unknown;
	glyph.cells = (unsigned int)cells;
	return glyph;
}

unsigned int cli_text_width(const char *text)
{
	bool utf8 = is_utf8();
	unsigned int cells = 0;

	while (*text)
		cells += take(&text, utf8).cells;
	return cells;
}

unsigned int cli_text_clean(const char *text, char *out, size_t size, unsigned int cells)
{
	bool utf8 = is_utf8(), cut = cli_text_width(text) > cells;
	unsigned int room = cut && cells ? cells - 1 : cells, taken = 0;
	size_t used = 0;

	while (*text) {
		struct glyph glyph = take(&text, utf8);

		if (taken + glyph.cells > room || used + glyph.len + 2 > size)
			break;
		memcpy(out + used, glyph.bytes, glyph.len);
		used += glyph.len;
		taken += glyph.cells;
	}
	if (cut && cells && used + 2 <= size) {
		out[used++] = '+';
		taken++;
	}
	if (size)
		out[used] = '\0';
	return taken;
}

bool cli_text_line(const char **text, char *out, size_t size, unsigned int cells)
{
	char word[256];
	size_t used = 0;
	unsigned int taken = 0;

	for (*text += strspn(*text, " "); **text; *text += strspn(*text, " ")) {
		size_t len = strcspn(*text, " "),
		       kept = len < sizeof(word) ? len : sizeof(word) - 1;
		unsigned int wide, gap = used ? 1 : 0;

		memcpy(word, *text, kept);
		word[kept] = '\0';
		wide = cli_text_width(word);
		if (used && (taken + gap + wide > cells || used + gap + len >= size))
			return true;
		if (gap)
			out[used++] = ' ';
		taken += gap + cli_text_clean(word, out + used, size - used, wide);
		used += strlen(out + used);
		*text += kept;
	}
	return used > 0;
}
