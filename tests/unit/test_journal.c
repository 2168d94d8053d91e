/* SPDX-License-Identifier: MIT */
/* The journal: its text row by row, and its file when it is damaged, torn, foreign, of another
 * boot, or cannot be written. */
#include "daemon/journal.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#define BOOT "0c9f0a52-8f5b-4b27-9d0e-0d35b5f4e8a1"

static const struct journal_entry buckets = {
	.netns = 4026531840,
	.cookie = 1,
	.key = SYSCTL_TIME_WAITS_MAX,
	.original = {.count = 1, .number = {4096}},
	.written = {.count = 1, .number = {5120}},
	.intended = {.count = 1, .number = {6400}},
};
static const struct journal_entry ports = {
	.netns = 4026532291,
	.cookie = 18446744073709551615u,
	.key = SYSCTL_PORT_RANGE,
	.original = {.count = 2, .number = {32768, 60999}},
	.written = {.count = 2, .number = {32768, 60999}},
	.intended = {.count = 2, .number = {1024, 65535}},
};

static char folder[] = "/tmp/closeside-journal.XXXXXX", path[PATH_MAX], aside[PATH_MAX];
static struct journal journal;

static void assert_entry(const struct journal_entry *got, const struct journal_entry *expected)
{
	assert_true(got->netns == expected->netns && got->cookie == expected->cookie);
	assert_int_equal(got->key, expected->key);
	assert_true(sysctl_same(&got->original, &expected->original));
	assert_true(sysctl_same(&got->written, &expected->written));
	assert_true(sysctl_same(&got->intended, &expected->intended));
}

/* --- the text --------------------------------------------------------------------------------- */

static void a_line_comes_back(void **state)
{
	const struct journal_entry *entries[] = {&buckets, &ports};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char line[JOURNAL_LINE];
		struct journal_entry entry;
		size_t len = journal_format_entry(BOOT, entries[i], line);

		assert_int_equal(len, strlen(line));
		assert_int_equal(line[len - 1], '\n');
		line[len - 1] = '\0';
		assert_true(journal_parse_entry(BOOT, line, &entry));
		assert_entry(&entry, entries[i]);
		assert_false(journal_parse_entry("another", line, &entry));
	}
}

/* Whichever letter changes, it is seen. */
static void each_letter_counts(void **state)
{
	char line[JOURNAL_LINE];
	struct journal_entry entry = buckets, kept = entry;
	size_t len = journal_format_entry(BOOT, &ports, line) - 1;

	(void)state;
	line[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		char was = line[i];

		for (int bit = 0; bit < 8; bit++) {
			line[i] = (char)(was ^ 1 << bit);
			assert_false(journal_parse_entry(BOOT, line, &entry));
		}
		line[i] = was;
	}
	assert_memory_equal(&entry, &kept, sizeof(entry));
	assert_true(journal_parse_entry(BOOT, line, &entry));
}

/* A line as it would be, with a checksum that fits. */
static void seal(const char *text, char line[JOURNAL_LINE])
{
	uint32_t sum = 0xffffffff;
	const char *parts[] = {BOOT, text};

	for (int i = 0; i < 2; i++)
		for (const char *at = parts[i]; *at; at++) {
			sum ^= (unsigned char)*at;
			for (int bit = 0; bit < 8; bit++)
				sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
		}
	snprintf(line, JOURNAL_LINE, "%s %08x", text, ~sum);
}

static void what_we_would_not_write_is_no_line(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"5 6 net.ipv4.tcp_max_tw_buckets 1 2 3", true},
		{"5 6 net/ipv4/tcp_max_tw_buckets 1 2 3", false},
		{"05 6 net.ipv4.tcp_max_tw_buckets 1 2 3", false},
		{"5 6 net.ipv4.tcp_max_tw_buckets 1 2  3", false},
		{"5 6 net.ipv4.tcp_max_tw_buckets 1 2 3,4", false},
		{"5 6 net.ipv4.tcp_max_tw_buckets 1 2", false},
		{"5 6 net.ipv4.tcp_max_tw_buckets 1 2 3 4", false},
		{"-5 6 net.ipv4.tcp_max_tw_buckets 1 2 3", false},
		{"99999999999999999999 6 net.ipv4.tcp_max_tw_buckets 1 2 3", false},
		{"5 6 net.ipv4.ip_local_port_range 1,2 3,4 5,6", true},
		{"5 6 net.ipv4.ip_local_port_range 1,2 3,4 5", false},
		/* never: they are only read */
		{"5 6 net.ipv4.tcp_syncookies 1 0 0", false},
		{"5 6 net.ipv4.tcp_mem 1,2,3 1,2,3 1,2,3", false},
		{"5 6 net.ipv4.ip_forward 0 1 1", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char line[JOURNAL_LINE];
		struct journal_entry entry;

		seal(rows[i].text, line);
		assert_int_equal(journal_parse_entry(BOOT, line, &entry), rows[i].good);
	}
}

/* What is between two values is written: ports and buckets, or what *state says. */
static size_t whole(const char *boot, char *text)
{
	size_t len = journal_format_header(boot, text);

	len += journal_format_entry(boot, &buckets, text + len);
	return len + journal_format_entry(boot, &ports, text + len);
}

static void a_whole_one_is_intact(void **state)
{
	char text[4 * JOURNAL_LINE];
	size_t len = whole(BOOT, text);

	(void)state;
	assert_int_equal(journal_parse(BOOT, text, len, &journal), JOURNAL_INTACT);
	assert_int_equal(journal.count, 2);
	assert_entry(&journal.entry[0], &buckets);
	assert_entry(&journal.entry[1], &ports);
	assert_int_equal(journal_parse(BOOT, text, 0, &journal), JOURNAL_NONE);
	assert_int_equal(journal.count, 0);
}

/* Wherever it ends: never a line that was not there, and all that were whole. */
static void a_torn_one_has_its_whole_lines(void **state)
{
	char text[4 * JOURNAL_LINE];
	size_t len = whole(BOOT, text), head = strcspn(text, "\n") + 1,
	       first = head + strcspn(text + head, "\n") + 1;

	(void)state;
	for (size_t cut = 1; cut < len; cut++) {
		char *part = malloc(cut); /* so that a sanitizer sees who reads on */
		enum journal_state got;

		memcpy(part, text, cut);
		got = journal_parse(BOOT, part, cut, &journal);
		free(part);
		assert_int_equal(got, cut < head ? JOURNAL_FOREIGN : JOURNAL_INTACT);
		assert_int_equal(journal.count, cut < first ? 0 : 1);
	}
}

/* Each bit of each byte: what is not hit is there, and what is hit is not believed. */
static void damage_costs_what_it_hits(void **state)
{
	char text[4 * JOURNAL_LINE];
	size_t len = whole(BOOT, text), head = strcspn(text, "\n");

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		enum journal_state got;

		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
		got = journal_parse(BOOT, text, len, &journal);
		/* without its last newline the last line is one that was never finished */
		assert_true(got == JOURNAL_DAMAGED ||
			    (got == JOURNAL_INTACT && bit / 8 == len - 1));
		assert_in_range(journal.count, 0, 2);
		assert_true(journal.count == 2 || bit / 8 >= head);
		for (size_t i = 0; i < journal.count; i++)
			assert_entry(&journal.entry[i],
				     journal.entry[i].key == buckets.key ? &buckets : &ports);
		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
	}
}

static void others_are_told_apart(void **state)
{
	char text[4 * JOURNAL_LINE];
	size_t len = whole("another-boot", text);
	static const char *const foreign[] = {"\n", "closeside-journal\n", "closeside-journal 1\n",
					      "SQLite format 3\n",
					      "closeside-journal 2 " BOOT " 00000000\n"};

	(void)state;
	assert_int_equal(journal_parse(BOOT, text, len, &journal), JOURNAL_OTHER_BOOT);
	assert_int_equal(journal.count, 0);
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		assert_int_equal(journal_parse(BOOT, foreign[i], strlen(foreign[i]), &journal),
				 JOURNAL_FOREIGN);
		assert_int_equal(journal.count, 0);
	}
	/* the same key twice: the first counts */
	len = whole(BOOT, text);
	len += journal_format_entry(BOOT, &buckets, text + len);
	assert_int_equal(journal_parse(BOOT, text, len, &journal), JOURNAL_DAMAGED);
	assert_int_equal(journal.count, 2);
}

/* A newer closeside's, intact: not ours to read, though its lines look like ours. */
static void another_version_is_foreign(void **state)
{
	char text[4 * JOURNAL_LINE], line[JOURNAL_LINE];
	size_t len;
	uint32_t sum = 0xffffffff;

	(void)state;
	snprintf(line, sizeof(line), "closeside-journal 2 " BOOT);
	for (const char *at = line; *at; at++) {
		sum ^= (unsigned char)*at;
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
	}
	len = (size_t)snprintf(text, sizeof(text), "%s %08x\n", line, ~sum);
	len += journal_format_entry(BOOT, &buckets, text + len);
	assert_int_equal(journal_parse(BOOT, text, len, &journal), JOURNAL_FOREIGN);
	assert_int_equal(journal.count, 0);
}

static void entries_come_and_go(void **state)
{
	struct journal_entry entry = buckets;

	(void)state;
	journal.count = 0;
	for (size_t i = 0; i < JOURNAL_MAX; i++) {
		entry.netns = i;
		assert_non_null(journal_add(&journal, &entry));
	}
	assert_null(journal_add(&journal, &entry));
	journal_remove(&journal, journal_find(&journal, 7, 1, entry.key));
	assert_null(journal_find(&journal, 7, 1, entry.key));
	assert_null(journal_find(&journal, 8, 2, entry.key));
	assert_null(journal_find(&journal, 8, 1, SYSCTL_SOMAXCONN));
	assert_non_null(journal_find(&journal, JOURNAL_MAX - 1, 1, entry.key));
	assert_int_equal(journal.count, JOURNAL_MAX - 1);
}

/* --- the file --------------------------------------------------------------------------------- */

static void put(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static bool there(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static int clean(void **state)
{
	char new[PATH_MAX + 8];

	(void)state;
	snprintf(new, sizeof(new), "%s.new", path);
	unlink(path);
	unlink(aside);
	unlink(new);
	journal.count = 0;
	return rmdir(path) < 0 && errno != ENOENT;
}

static void fill(void)
{
	journal.count = 0;
	journal_add(&journal, &buckets);
	journal_add(&journal, &ports);
}

static void saved_is_loaded(void **state)
{
	struct stat st;
	char new[PATH_MAX + 8];

	(void)state;
	fill();
	assert_true(journal_save(path, BOOT, &journal));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(new, sizeof(new), "%s.new", path);
	assert_false(there(new));
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_INTACT);
	assert_int_equal(journal.count, 2);
	assert_entry(&journal.entry[1], &ports);
	journal.count = 0;
	assert_true(journal_save(path, BOOT, &journal));
	assert_false(there(path));
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_NONE);
	assert_true(journal_save(path, BOOT, &journal));
}

static void a_damaged_file_is_put_aside(void **state)
{
	char text[4 * JOURNAL_LINE], kept[4 * JOURNAL_LINE];
	size_t len = whole(BOOT, text);
	int fd;

	(void)state;
	*strstr(text, "5120") = '9';
	put(text, len);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_DAMAGED);
	assert_int_equal(journal.count, 1);
	assert_entry(&journal.entry[0], &ports);
	fd = open(aside, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, kept, sizeof(kept)), len);
	assert_memory_equal(kept, text, len);
	close(fd);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_INTACT);
	assert_int_equal(journal.count, 1);
}

static void a_foreign_file_is_put_aside(void **state)
{
	static const char text[] = "what is this?\n";
	char *huge = calloc(1, JOURNAL_FILE_MAX + 1);

	(void)state;
	put(text, strlen(text));
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_FOREIGN);
	assert_true(!there(path) && there(aside));
	put(huge, JOURNAL_FILE_MAX + 1);
	free(huge);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_FOREIGN);
	assert_false(there(path));
	put(text, 0);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_NONE);
}

static void of_another_boot_is_dropped(void **state)
{
	char text[4 * JOURNAL_LINE];
	size_t len = whole("another-boot", text);

	(void)state;
	put(text, len);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_OTHER_BOOT);
	assert_int_equal(journal.count, 0);
	assert_true(!there(path) && !there(aside));
}

/* A link, a FIFO, a folder, a file that others may write: not touched, not followed. */
static void what_is_not_ours_is_left_alone(void **state)
{
	char text[4 * JOURNAL_LINE], other[PATH_MAX + 8];
	size_t len = whole(BOOT, text);

	(void)state;
	put(text, len);
	snprintf(other, sizeof(other), "%s.other", path);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_UNUSABLE);
	assert_int_equal(journal.count, 0);
	assert_true(there(path) && there(other) && !there(aside));
	unlink(path);
	assert_int_equal(rename(other, path), 0);

	assert_int_equal(chmod(path, 0620), 0);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_UNUSABLE);
	assert_int_equal(chmod(path, 0602), 0);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_UNUSABLE);
	assert_int_equal(chmod(path, 0600), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 0), 0);
		assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_UNUSABLE);
		assert_int_equal(journal.count, 0);
	}
	unlink(path);

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_UNUSABLE);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_UNUSABLE);
}

/* The new file breaks off: the old one is as it was. */
static void no_room_changes_nothing(void **state)
{
	struct rlimit limit, was;
	char new[PATH_MAX + 8];

	(void)state;
	fill();
	journal.count = 1;
	assert_true(journal_save(path, BOOT, &journal));
	fill();
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = was;
	limit.rlim_cur = 200; /* within the second line */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_false(journal_save(path, BOOT, &journal));
	assert_int_equal(errno, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	snprintf(new, sizeof(new), "%s.new", path);
	assert_false(there(new));
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_INTACT);
	assert_int_equal(journal.count, 1);
	assert_false(journal_save("/nowhere/at/all", BOOT, &journal));
	assert_int_equal(errno, ENOENT);
}

/* What a SIGKILL left, or somebody put there, does not stop or mislead a save. */
static void what_is_in_the_way_is_not_followed(void **state)
{
	char new[PATH_MAX + 8], victim[PATH_MAX + 8];
	struct stat st;

	(void)state;
	fill();
	snprintf(new, sizeof(new), "%s.new", path);
	snprintf(victim, sizeof(victim), "%s.victim", path);
	put("", 0);
	assert_int_equal(rename(path, victim), 0);
	assert_int_equal(symlink(victim, new), 0);
	assert_true(journal_save(path, BOOT, &journal));
	assert_int_equal(stat(victim, &st), 0);
	assert_int_equal(st.st_size, 0);
	unlink(victim);
	assert_int_equal(journal_load(path, BOOT, &journal), JOURNAL_INTACT);
	assert_int_equal(journal.count, 2);
	assert_int_equal(mkdir(new, 0700), 0);
	assert_false(journal_save(path, BOOT, &journal));
	rmdir(new);
}

static void the_boot_has_an_id(void **state)
{
	char boot[JOURNAL_BOOT], again[JOURNAL_BOOT];

	(void)state;
	assert_true(journal_boot(boot) && journal_boot(again));
	assert_string_equal(boot, again);
	assert_int_equal(strlen(boot), 36);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_comes_back),
		cmocka_unit_test(each_letter_counts),
		cmocka_unit_test(what_we_would_not_write_is_no_line),
		cmocka_unit_test(a_whole_one_is_intact),
		cmocka_unit_test(a_torn_one_has_its_whole_lines),
		cmocka_unit_test(damage_costs_what_it_hits),
		cmocka_unit_test(others_are_told_apart),
		cmocka_unit_test(another_version_is_foreign),
		cmocka_unit_test(entries_come_and_go),
		cmocka_unit_test_teardown(saved_is_loaded, clean),
		cmocka_unit_test_teardown(a_damaged_file_is_put_aside, clean),
		cmocka_unit_test_teardown(a_foreign_file_is_put_aside, clean),
		cmocka_unit_test_teardown(of_another_boot_is_dropped, clean),
		cmocka_unit_test_teardown(what_is_not_ours_is_left_alone, clean),
		cmocka_unit_test_teardown(no_room_changes_nothing, clean),
		cmocka_unit_test_teardown(what_is_in_the_way_is_not_followed, clean),
		cmocka_unit_test(the_boot_has_an_id),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/journal", folder);
	snprintf(aside, sizeof(aside), "%s/journal.damaged", folder);
	failed = cmocka_run_group_tests_name("journal", tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
