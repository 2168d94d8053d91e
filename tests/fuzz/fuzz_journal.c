/* SPDX-License-Identifier: MIT */
/* The journal of sysctls, and the lines of sysctl.d. What is read from a journal is never of a
 * sysctl that closeside does not write, never twice there, and comes back the same when it is
 * written; a line is what we would write, letter by letter. */
#include "daemon/journal.h"
#include "daemon/sysctld.h"

#include "tests/fuzz/fuzz.h"

#include <stdbool.h>

/* The seeds have it. */
#define BOOT "11111111-2222-3333-4444-555555555555"

static struct journal journal, again;

static void check_entry(const struct journal_entry *entry)
{
	fuzz_check(entry->key < SYSCTL_COUNT && sysctls[entry->key].lever != SYSCTL_READ);
	fuzz_check(entry->original.count == sysctls[entry->key].numbers);
	fuzz_check(entry->written.count == entry->original.count);
	fuzz_check(entry->intended.count == entry->original.count);
	fuzz_check(journal_find(&journal, entry->netns, entry->cookie, entry->key) == entry);
}

static void check_written_again(void)
{
	char *text = malloc((journal.count + 1) * JOURNAL_LINE);
	size_t len;

	fuzz_check(text != NULL);
	len = journal_format_header(BOOT, text);
	for (size_t i = 0; i < journal.count; i++)
		len += journal_format_entry(BOOT, &journal.entry[i], text + len);
	fuzz_check(journal_parse(BOOT, text, len, &again) == JOURNAL_INTACT);
	fuzz_check(again.count == journal.count);
	for (size_t i = 0; i < journal.count; i++)
		fuzz_check(sysctl_same(&again.entry[i].original, &journal.entry[i].original) &&
			   sysctl_same(&again.entry[i].written, &journal.entry[i].written) &&
			   sysctl_same(&again.entry[i].intended, &journal.entry[i].intended));
	free(text);
}

static void try_journal(const uint8_t *data, size_t size)
{
	/* exactly as long, so that a sanitizer sees who reads on */
	char *text = malloc(size ? size : 1);
	enum journal_state state;

	fuzz_check(text != NULL);
	if (size)
		memcpy(text, data, size);
	state = journal_parse(BOOT, text, size, &journal);
	fuzz_check(journal.count <= JOURNAL_MAX);
	fuzz_check(state == JOURNAL_INTACT || state == JOURNAL_DAMAGED || !journal.count);
	fuzz_check((state == JOURNAL_NONE) == !size);
	for (size_t i = 0; i < journal.count; i++)
		check_entry(&journal.entry[i]);
	check_written_again();
	free(text);
}

/* Of a line that is hardly ever right: the checksum is supplied. */
static void try_line(const char *text)
{
	char line[JOURNAL_LINE];
	struct journal_entry entry, same;
	struct sysctl_value value;
	size_t len;

	if (journal_parse_entry(BOOT, text, &entry)) {
		len = journal_format_entry(BOOT, &entry, line);
		fuzz_check(len == strlen(text) + 1 && !memcmp(line, text, len - 1));
	}
	if (!sysctl_parse(text, &value))
		return;
	fuzz_check(value.count >= 1 && value.count <= SYSCTL_NUMBERS);
	entry = (struct journal_entry){
		.netns = (uint64_t)value.number[0],
		.key = value.count == 2 ? SYSCTL_PORT_RANGE : SYSCTL_SOMAXCONN,
		.original = value,
		.written = value,
		.intended = value,
	};
	len = journal_format_entry(BOOT, &entry, line);
	line[len - 1] = '\0';
	fuzz_check(journal_parse_entry(BOOT, line, &same) == (value.count < 3));
}

static void try_sysctld(const char *text)
{
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++)
		if (sysctld_line_names(text, key))
			fuzz_check(strpbrk(text, "=-") != NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	try_journal(data, size);
	try_line(text);
	try_sysctld(text);
	free(text);
	return 0;
}
