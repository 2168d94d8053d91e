/* SPDX-License-Identifier: MIT */
#include "daemon/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "closeside-journal"
enum { VERSION_NOW = 1, FIELDS = 7 };

/* CRC-32 as in ISO 3309, from what came before it on. */
static uint32_t crc(uint32_t sum, const char *text, size_t len)
{
	sum = ~sum;
	for (size_t i = 0; i < len; i++) {
		sum ^= (unsigned char)text[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
	}
	return ~sum;
}

/* The line so far gets its checksum and its end. */
static size_t seal(const char *boot, char line[JOURNAL_LINE])
{
	size_t len = strlen(line);
	uint32_t sum = crc(crc(0, boot, strlen(boot)), line, len);

	return len + (size_t)snprintf(line + len, JOURNAL_LINE - len, " %08" PRIx32 "\n", sum);
}

/* --- an entry --------------------------------------------------------------------------------- */

/* "32768,60999" */
static void format_value(const struct sysctl_value *value, char text[SYSCTL_TEXT])
{
	sysctl_format(value, text, SYSCTL_TEXT);
	for (char *at = text; *at; at++)
		*at = *at == ' ' ? ',' : *at;
}

static bool parse_value(enum sysctl key, char *text, struct sysctl_value *value)
{
	for (char *at = text; *at; at++)
		*at = *at == ',' ? ' ' : *at;
	return sysctl_parse(text, value) && value->count == sysctls[key].numbers;
}

size_t journal_format_entry(const char *boot, const struct journal_entry *entry,
			    char line[JOURNAL_LINE])
{
	char original[SYSCTL_TEXT], written[SYSCTL_TEXT], intended[SYSCTL_TEXT];

	format_value(&entry->original, original);
	format_value(&entry->written, written);
	format_value(&entry->intended, intended);
	snprintf(line, JOURNAL_LINE - 16, "%" PRIu64 " %" PRIu64 " %s %s %s %s", entry->netns,
		 entry->cookie, sysctls[entry->key].name, original, written, intended);
	return seal(boot, line);
}

/* Only what we would have written ourselves, letter by letter, is a line of ours. */
bool journal_parse_entry(const char *boot, const char *text, struct journal_entry *entry)
{
	char copy[JOURNAL_LINE], line[JOURNAL_LINE], *field[FIELDS], *rest = copy;
	struct journal_entry parsed = {.key = SYSCTL_COUNT};
	size_t len = strlen(text);

	if (len + 2 > sizeof(copy))
		return false;
	memcpy(copy, text, len + 1);
	for (int i = 0; i < FIELDS; i++)
		if (!(field[i] = strsep(&rest, " ")))
			return false;
	parsed.netns = strtoull(field[0], NULL, 10);
	parsed.cookie = strtoull(field[1], NULL, 10);
	parsed.key = sysctl_find(field[2]);
	if (rest || parsed.key == SYSCTL_COUNT || sysctls[parsed.key].lever == SYSCTL_READ ||
	    !parse_value(parsed.key, field[3], &parsed.original) ||
	    !parse_value(parsed.key, field[4], &parsed.written) ||
	    !parse_value(parsed.key, field[5], &parsed.intended))
		return false;
	if (journal_format_entry(boot, &parsed, line) != len + 1 || memcmp(line, text, len) != 0)
		return false;
	*entry = parsed;
	return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

static size_t format_header(unsigned int version, const char *boot, char line[JOURNAL_LINE])
{
	snprintf(line, JOURNAL_LINE - 16, MAGIC " %u %.*s", version, JOURNAL_BOOT - 1, boot);
	return seal("", line);
}

size_t journal_format_header(const char *boot, char line[JOURNAL_LINE])
{
	return format_header(VERSION_NOW, boot, line);
}

/* False: it is none, or not intact. */
static bool parse_header(const char *text, unsigned int *version, char boot[JOURNAL_BOOT])
{
	char line[JOURNAL_LINE];
	size_t len = strlen(text);

	return sscanf(text, MAGIC " %u %39s", version, boot) == 2 &&
	       format_header(*version, boot, line) == len + 1 && !memcmp(line, text, len);
}

struct journal_entry *journal_find(struct journal *journal, uint64_t netns, uint64_t cookie,
				   enum sysctl key)
{
	for (size_t i = 0; i < journal->count; i++) {
		struct journal_entry *entry = &journal->entry[i];

		if (entry->netns == netns && entry->cookie == cookie && entry->key == key)
			return entry;
	}
	return NULL;
}

struct journal_entry *journal_add(struct journal *journal, const struct journal_entry *entry)
{
	if (journal->count == JOURNAL_MAX)
		return NULL;
	journal->entry[journal->count] = *entry;
	return &journal->entry[journal->count++];
}

void journal_remove(struct journal *journal, struct journal_entry *entry)
{
	const struct journal_entry *end = journal->entry + journal->count--;

	memmove(entry, entry + 1, (size_t)((const char *)end - (const char *)(entry + 1)));
}

/* The next line of [*text, end), as a string in line, and *text after it. False: there is no line
 * that ends. One that is longer than any of ours is cut, and will not do. */
static bool next_line(const char **text, const char *end, char line[JOURNAL_LINE])
{
	const char *newline = *text < end ? memchr(*text, '\n', (size_t)(end - *text)) : NULL;
	size_t len;

	if (!newline)
		return false;
	len = (size_t)(newline - *text);
	if (len > JOURNAL_LINE - 1)
		len = JOURNAL_LINE - 1;
	memcpy(line, *text, len);
	/* Within a line there is no NUL: what is after one must not look as if it were not there.
	 */
	for (size_t i = 0; i < len; i++)
		line[i] = line[i] ? line[i] : '?';
	line[len] = '\0';
	*text = newline + 1;
	return true;
}

/* False: some are damaged. */
static bool parse_entries(const char *boot, const char *text, const char *end,
			  struct journal *journal)
{
	char line[JOURNAL_LINE];
	bool intact = true;

	while (next_line(&text, end, line)) {
		struct journal_entry entry;

		if (!journal_parse_entry(boot, line, &entry) ||
		    journal_find(journal, entry.netns, entry.cookie, entry.key) ||
		    !journal_add(journal, &entry))
			intact = false;
	}
	return intact;
}

enum journal_state journal_parse(const char *boot, const char *text, size_t size,
				 struct journal *journal)
{
	const char *end = text + size;
	char line[JOURNAL_LINE], of[JOURNAL_BOOT];
	unsigned int version;

	journal->count = 0;
	if (!size)
		return JOURNAL_NONE;
	if (!next_line(&text, end, line))
		return JOURNAL_FOREIGN;
	if (!parse_header(line, &version, of)) {
		parse_entries(boot, text, end, journal);
		return journal->count ? JOURNAL_DAMAGED : JOURNAL_FOREIGN;
	}
	if (version != VERSION_NOW)
		return JOURNAL_FOREIGN;
	if (strcmp(of, boot) != 0)
		return JOURNAL_OTHER_BOOT;
	return parse_entries(boot, text, end, journal) ? JOURNAL_INTACT : JOURNAL_DAMAGED;
}
