/* SPDX-License-Identifier: MIT */
#include "daemon/tally.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static void a_percentile_is_at_most_a_quarter_high(void **state)
{
	static struct waits waits;

	(void)state;
	assert_int_equal(waits_percentile(&waits, 50), 0);
	for (uint32_t ms = 1; ms <= 1000; ms++)
		waits_add(&waits, ms);
	assert_in_range(waits_percentile(&waits, 50), 500, 625);
	assert_in_range(waits_percentile(&waits, 99), 990, 1000);
	assert_int_equal(waits_percentile(&waits, 100), 1000);
	assert_int_equal(waits.max_ms, 1000);
	waits_add(&waits, UINT32_MAX);
	assert_int_equal(waits.max_ms, UINT32_MAX);
}

static void short_waits_are_exact(void **state)
{
	static struct waits waits;

	(void)state;
	for (int i = 0; i < 10; i++)
		waits_add(&waits, 3);
	waits_add(&waits, 40);
	assert_int_equal(waits_percentile(&waits, 50), 3);
}

static void counts_go_to_all_three(void **state)
{
	struct book *book = book_new();
	struct account account;

	(void)state;
	book_name_policy(book, 7, "web");
	account.policy = book_policy_slot(book, 7);
	account.tag = book_tag_slot(book, "run1", 4, 0);
	BOOK_ADD(book, account, opens, 2);
	assert_int_equal(book->all.opens, 2);
	assert_int_equal(book->policy[account.policy].tally.opens, 2);
	assert_string_equal(book->policy[account.policy].name, "web");
	assert_int_equal(book->tag[book_find_tag(book, "run1", 4)].tally.opens, 2);
	assert_int_equal(book_find_tag(book, "run", 3), 0);
	book_free(book);
}

static void strange_ids_leave_room_for_the_configs(void **state)
{
	struct book *book = book_new();

	(void)state;
	for (uint32_t id = 1; id < 10000; id++)
		book_policy_slot(book, id);
	for (uint32_t id = 20000; id < 20000 + WIRE_RULES_MAX; id++) {
		book_name_policy(book, id, "web");
		assert_int_not_equal(book_policy_slot(book, id), 0);
	}
	assert_int_equal(book_policy_slot(book, 10001), 0);
	book_free(book);
}

static void a_tag_that_is_in_use_keeps_its_slot(void **state)
{
	struct book *book = book_new();
	uint16_t first = book_tag_slot(book, "first", 5, 0);
	char tag[16];

	(void)state;
	book->tag[first].sessions = 1;
	for (unsigned int i = 0; i < 10 * BOOK_TAGS; i++) {
		snprintf(tag, sizeof(tag), "t%u", i);
		assert_int_not_equal(book_tag_slot(book, tag, strlen(tag), 0), first);
	}
	assert_int_equal(book_find_tag(book, "first", 5), first);
	book_free(book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_percentile_is_at_most_a_quarter_high),
		cmocka_unit_test(short_waits_are_exact),
		cmocka_unit_test(counts_go_to_all_three),
		cmocka_unit_test(strange_ids_leave_room_for_the_configs),
		cmocka_unit_test(a_tag_that_is_in_use_keeps_its_slot),
	};

	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
