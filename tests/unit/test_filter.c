/* SPDX-License-Identifier: MIT */
#include "daemon/filter.h"

#include "common/tcp_state.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static char error[128];

static bool parse(struct filter *filter, const char *text)
{
	json_t *words = json_string(text);
	bool sound = filter_parse(filter, words, error, sizeof(error));

	json_decref(words);
	return sound;
}

static void all_words_must_match(void **state)
{
	struct conn conn = {.state = STATE_CLOSE_WAIT, .pid = 42, .program = "nginx"};
	struct book *book = book_new();
	struct filter filter;

	(void)state;
	book_name_policy(book, 7, "web");
	conn.account.policy = book_policy_slot(book, 7);
	assert_true(parse(&filter, ""));
	assert_true(filter_matches(&filter, book, &conn));
	assert_true(parse(&filter, "state close-wait  pid 42 program nginx policy web"));
	assert_true(filter_matches(&filter, book, &conn));
	assert_true(parse(&filter, "state close-wait pid 43"));
	assert_false(filter_matches(&filter, book, &conn));
	assert_true(parse(&filter, "policy other"));
	assert_false(filter_matches(&filter, book, &conn));
	book_free(book);
}

static void words_may_come_as_an_array(void **state)
{
	json_t *words = json_pack("[s, s]", "program", "a b");
	struct filter filter;

	(void)state;
	assert_true(filter_parse(&filter, words, error, sizeof(error)));
	assert_string_equal(filter.program, "a b");
	json_decref(words);
	assert_true(filter_parse(&filter, NULL, error, sizeof(error)));
}

static void what_is_not_understood_is_refused(void **state)
{
	static const char *const bad[] = {"state nowhere", "pid x",   "pid -1", "pid",
					  "port 80",	   "program", "policy"};
	json_t *numbers = json_pack("[i]", 1), *number = json_integer(1);
	struct filter filter;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		error[0] = '\0';
		assert_false(parse(&filter, bad[i]));
		assert_non_null(strstr(error, "filter"));
	}
	assert_false(filter_parse(&filter, numbers, error, sizeof(error)));
	json_decref(numbers);
	assert_false(filter_parse(&filter, number, error, sizeof(error)));
	json_decref(number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_words_must_match),
		cmocka_unit_test(words_may_come_as_an_array),
		cmocka_unit_test(what_is_not_understood_is_refused),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
