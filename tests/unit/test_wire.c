/* SPDX-License-Identifier: MIT */
/* What crosses between shim and daemon: the seqlock around the policies, and socket names. */
#include "common/wire.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <string.h>

struct seen {
	unsigned int looks;
	struct policy_page *writer; /* what the daemon does while we look */
	unsigned int writes;	    /* how often it still does */
	uint32_t count;
};

static void look(const struct policy_page *page, void *arg)
{
	struct seen *seen = arg;

	seen->looks++;
	seen->count = page->count;
	if (seen->writes) {
		seen->writes--;
		atomic_fetch_add(&seen->writer->seq, 2);
	}
}

static struct policy_page page;

static int fresh_page(void **state)
{
	(void)state;
	memset(&page, 0, sizeof(page));
	page.count = 3;
	return 0;
}

static void a_quiet_page_is_read_once(void **state)
{
	struct seen seen = {0};

	(void)state;
	assert_true(policy_page_read(&page, look, &seen));
	assert_int_equal(seen.looks, 1);
	assert_int_equal(seen.count, 3);
}

static void a_page_in_mid_write_is_given_up(void **state)
{
	struct seen seen = {0};

	(void)state;
	page.seq = 7; /* a daemon killed in mid-write leaves it odd */
	assert_false(policy_page_read(&page, look, &seen));
	assert_int_equal(seen.looks, 0);
}

static void a_page_written_while_read_is_read_again(void **state)
{
	struct seen seen = {.writer = &page, .writes = 2};

	(void)state;
	assert_true(policy_page_read(&page, look, &seen));
	assert_int_equal(seen.looks, 3);
}

static void a_page_that_never_rests_is_given_up(void **state)
{
	struct seen seen = {.writer = &page, .writes = 1000};

	(void)state;
	assert_false(policy_page_read(&page, look, &seen));
	assert_int_equal(seen.looks, WIRE_SEQLOCK_TRIES);
}

/* A writer as the daemon is one, and a reader as a shim is: what was read is never half of each.
 * Members are written with atomics here, for ThreadSanitizer does not know seqlocks. */
static _Atomic bool writer_stops;

static void *write_for_ever(void *arg)
{
	(void)arg;
	for (uint32_t i = 1; !atomic_load(&writer_stops); i++) {
		atomic_fetch_add(&page.seq, 1);
		for (unsigned int rule = 0; rule < WIRE_RULES_MAX; rule++)
			__atomic_store_n(&page.rules[rule].id, i, __ATOMIC_RELEASE);
		atomic_fetch_add(&page.seq, 1);
		for (volatile int pause = 0; pause < 2000; pause++)
			;
	}
	return NULL;
}

static void copy_ids(const struct policy_page *from, void *arg)
{
	uint32_t *ids = arg;

	for (unsigned int rule = 0; rule < WIRE_RULES_MAX; rule++)
		ids[rule] = __atomic_load_n(&from->rules[rule].id, __ATOMIC_ACQUIRE);
}

static void what_was_read_is_of_one_write(void **state)
{
	pthread_t writer;
	unsigned int read = 0;

	(void)state;
	atomic_store(&writer_stops, false);
	assert_int_equal(pthread_create(&writer, NULL, write_for_ever, NULL), 0);
	for (unsigned int i = 0; i < 200000 && read < 20000; i++) {
		uint32_t ids[WIRE_RULES_MAX];

		if (!policy_page_read(&page, copy_ids, ids))
			continue;
		read++;
		for (unsigned int rule = 1; rule < WIRE_RULES_MAX; rule++)
			if (ids[rule] != ids[0])
				fail_msg("rule 0 of write %u, rule %u of write %u", ids[0], rule,
					 ids[rule]);
	}
	atomic_store(&writer_stops, true);
	pthread_join(writer, NULL);
	assert_true(read > 0);
}

static const struct {
	const char *text, *path, *options;
} socket_rows[] = {
	{NULL, WIRE_SOCKET_DEFAULT, ""},
	{"", WIRE_SOCKET_DEFAULT, ""},
	{"/tmp/s", "/tmp/s", ""},
	{"/tmp/s?", "/tmp/s", ""},
	{"/tmp/s?close-first=peer,tag=a", "/tmp/s", "close-first=peer,tag=a"},
	{"/tmp/s?a=b?c", "/tmp/s", "a=b?c"},
	{"?close-first=peer", NULL, NULL},
};

static void sockets_are_split_at_the_question_mark(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(socket_rows); i++) {
		char path[WIRE_PATH_MAX] = "untouched";
		const char *options = "untouched";
		bool taken = wire_split_socket(socket_rows[i].text, path, &options);

		assert_int_equal(taken, socket_rows[i].path != NULL);
		assert_string_equal(path, taken ? socket_rows[i].path : "untouched");
		assert_string_equal(options, taken ? socket_rows[i].options : "untouched");
	}
}

static void a_path_too_long_is_refused(void **state)
{
	char text[WIRE_PATH_MAX + 10], path[WIRE_PATH_MAX];
	const char *options;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[WIRE_PATH_MAX] = '\0';
	assert_false(wire_split_socket(text, path, &options));
	text[WIRE_PATH_MAX - 1] = '\0';
	assert_true(wire_split_socket(text, path, &options));
	assert_int_equal(strlen(path), WIRE_PATH_MAX - 1);
	memcpy(text + WIRE_PATH_MAX - 1, "?a=b", 5);
	assert_true(wire_split_socket(text, path, &options));
	assert_string_equal(options, "a=b");
}

static void the_longest_path_and_suffix_fit_a_unix_socket(void **state)
{
	(void)state;
	/* sizeof(struct sockaddr_un.sun_path) is 108 on Linux */
	assert_true(WIRE_PATH_MAX - 1 + strlen(WIRE_CONTROL_SUFFIX) < 108);
	assert_true(WIRE_PATH_MAX - 1 + strlen(WIRE_POLICY_SUFFIX) < 108);
}

static void types_have_words(void **state)
{
	(void)state;
	for (unsigned int type = 0; type < WIRE_TYPE_COUNT; type++)
		assert_true(strlen(wire_type_word(type)) > 0);
	assert_string_equal(wire_type_word(WIRE_HAND_OVER), "hand-over");
	assert_string_equal(wire_type_word(WIRE_TYPE_COUNT), "unknown");
	assert_string_equal(wire_type_word(UINT32_MAX), "unknown");
}

static void the_clock_runs(void **state)
{
	uint64_t now = wire_now_ms();

	(void)state;
	assert_true(now > 0);
	assert_true(wire_now_ms() >= now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_quiet_page_is_read_once, fresh_page),
		cmocka_unit_test_setup(a_page_in_mid_write_is_given_up, fresh_page),
		cmocka_unit_test_setup(a_page_written_while_read_is_read_again, fresh_page),
		cmocka_unit_test_setup(a_page_that_never_rests_is_given_up, fresh_page),
		cmocka_unit_test_setup(what_was_read_is_of_one_write, fresh_page),
		cmocka_unit_test(sockets_are_split_at_the_question_mark),
		cmocka_unit_test(a_path_too_long_is_refused),
		cmocka_unit_test(the_longest_path_and_suffix_fit_a_unix_socket),
		cmocka_unit_test(types_have_words),
		cmocka_unit_test(the_clock_runs),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
