/* SPDX-License-Identifier: MIT */
#include "daemon/conn.h"
#include "daemon/proc.h"

#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

enum { MAX = 8, PER_OWNER = 4 };

struct fixture {
	struct conns *conns;
	struct conn_owner root, parent, child, stranger;
};

static struct conn_owner owner(pid_t pid, pid_t ppid, uid_t uid)
{
	return (struct conn_owner){.process = {.pid = pid, .ppid = ppid, .uid = uid}, .pidfd = -1};
}

static int setup(void **state)
{
	static struct fixture fixture;

	fixture.conns = conns_new(MAX, PER_OWNER, NULL);
	fixture.root = owner(10, 1, 0);
	fixture.parent = owner(20, 1, 1000);
	fixture.child = owner(21, 20, 1001);
	fixture.stranger = owner(30, 1, 1002);
	*state = &fixture;
	return fixture.conns ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	conns_free(fixture->conns);
	return 0;
}

static struct wire_record record_of(uint64_t cookie)
{
	struct wire_record record = {.cookie = cookie, .role = ROLE_SERVER, .fd = 5};

	record.local.family = record.remote.family = AF_INET;
	record.local.port = 80;
	record.remote.port = (uint16_t)(40000 + cookie);
	return record;
}

static struct conn *open_one(struct fixture *fixture, struct conn_owner *by, uint64_t cookie)
{
	struct wire_record record = record_of(cookie);
	bool opened;

	return conn_open(fixture->conns, by, &record, (struct account){0}, 1, &opened);
}

static void opened_found_and_removed(void **state)
{
	struct fixture *fixture = *state;
	struct conn *conn = open_one(fixture, &fixture->parent, 1);

	assert_non_null(conn);
	assert_ptr_equal(conn_find(fixture->conns, 1), conn);
	assert_int_equal(fixture->parent.count, 1);
	conn_remove(fixture->conns, conn);
	assert_null(conn_find(fixture->conns, 1));
	assert_int_equal(fixture->parent.count, 0);
	assert_int_equal(conns_count(fixture->conns), 0);
}

static void a_child_that_serves_it_has_it(void **state)
{
	struct fixture *fixture = *state;
	struct wire_record record = record_of(1);
	struct conn *conn = open_one(fixture, &fixture->parent, 1);
	bool opened = true;

	assert_ptr_equal(conn_open(fixture->conns, &fixture->child, &record, (struct account){0}, 2,
				   &opened),
			 conn);
	assert_false(opened);
	assert_int_equal(conn_process(conn)->pid, 21);
	assert_int_equal(fixture->parent.count, 0);
	assert_int_equal(fixture->child.count, 1);
	conn_owner_gone(fixture->conns, &fixture->parent, UINT_MAX);
	assert_ptr_equal(conn_find(fixture->conns, 1), conn);
}

static void what_may_have_ended_without_a_word(void **state)
{
	static _Atomic uint32_t lost;
	struct fixture *fixture = *state;
	struct conn *conn = open_one(fixture, &fixture->parent, 1);

	assert_false(conn_may_be_over(conn));
	fixture->parent.lost = &lost;
	assert_false(conn_may_be_over(conn));
	atomic_store(&lost, 1);
	assert_true(conn_may_be_over(conn));
	fixture->parent.lost = NULL;
	conn_let_go(fixture->conns, conn, &fixture->parent);
	assert_true(conn_may_be_over(conn));
	conn->custody = CUSTODY_WAITING;
	assert_false(conn_may_be_over(conn));
	conn->custody = CUSTODY_NONE;
	conn_set_netns(fixture->conns, conn, CONN_NETNS_NONE);
	assert_false(conn_may_be_over(conn));
	conn_set_netns(fixture->conns, conn, CONN_NETNS_OWN);
	open_one(fixture, &fixture->child, 1); /* it has it now */
	assert_false(conn_may_be_over(conn));
}

static void a_child_that_inherited_it_has_it_once_the_parent_has_let_go(void **state)
{
	struct fixture *fixture = *state;
	struct wire_record record = record_of(1);
	struct conn *conn = open_one(fixture, &fixture->parent, 1);
	bool opened;

	record.how = 1;
	conn_open(fixture->conns, &fixture->child, &record, (struct account){0}, 2, &opened);
	assert_int_equal(conn_process(conn)->pid, 20);
	conn_let_go(fixture->conns, conn, &fixture->parent);
	assert_int_equal(conn_process(conn)->pid, 21);
	assert_int_equal(fixture->child.count, 1);
	conn_remove(fixture->conns, conn);
	assert_int_equal(fixture->child.count, 0);
}

static void an_heir_that_has_gone_inherits_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct wire_record record = record_of(1);
	struct conn *conn = open_one(fixture, &fixture->parent, 1);
	bool opened;

	record.how = 1;
	conn_open(fixture->conns, &fixture->child, &record, (struct account){0}, 2, &opened);
	assert_int_equal(conn_owner_gone(fixture->conns, &fixture->child, UINT_MAX), 0);
	assert_int_equal(conn_process(conn)->pid, 20);
	assert_int_equal(conn_owner_gone(fixture->conns, &fixture->parent, UINT_MAX), 1);
	assert_null(conn_find(fixture->conns, 1));
}

static void a_stranger_may_not_speak_for_it(void **state)
{
	struct fixture *fixture = *state;
	struct conn *conn = open_one(fixture, &fixture->parent, 1);

	assert_false(conn_speaks_for(conn, &fixture->stranger));
	assert_true(conn_speaks_for(conn, &fixture->root));
	assert_null(open_one(fixture, &fixture->stranger, 1));
	assert_int_equal(conn_process(conn)->pid, 20);
}

static void limits_hold(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t cookie = 1; cookie <= PER_OWNER; cookie++)
		assert_non_null(open_one(fixture, &fixture->parent, cookie));
	assert_null(open_one(fixture, &fixture->parent, 99));
	assert_non_null(open_one(fixture, &fixture->parent, 1)); /* it is there */
	for (uint64_t cookie = 11; cookie <= 10 + MAX - PER_OWNER; cookie++)
		assert_non_null(open_one(fixture, &fixture->root, cookie));
	assert_null(open_one(fixture, &fixture->stranger, 100));
}

static void what_is_in_custody_outlives_its_session(void **state)
{
	struct fixture *fixture = *state;
	struct conn *held = open_one(fixture, &fixture->parent, 1);

	open_one(fixture, &fixture->parent, 2);
	held->custody = CUSTODY_WAITING;
	assert_int_equal(conn_owner_gone(fixture->conns, &fixture->parent, UINT_MAX), 1);
	assert_ptr_equal(conn_find(fixture->conns, 1), held);
	assert_null(held->owner);
	assert_null(conn_find(fixture->conns, 2));
}

static void the_other_end_is_found_where_it_closes_itself(void **state)
{
	struct fixture *fixture = *state;
	struct wire_record record = record_of(1);
	struct endpoint server = record.remote, client = record.local;
	struct conn *conn;
	bool opened;

	record.close_first = FIRST_SELF;
	record.role = ROLE_CLIENT;
	conn = conn_open(fixture->conns, &fixture->parent, &record, (struct account){0}, 1,
			 &opened);
	assert_ptr_equal(conn_find_self(fixture->conns, &server, &client), conn);
	assert_null(conn_find_self(fixture->conns, &client, &server));
	record.cookie = 2; /* the same tuple again, the old one never said that it closed */
	assert_non_null(conn_open(fixture->conns, &fixture->parent, &record, (struct account){0}, 1,
				  &opened));
	assert_int_equal(conn_find_self(fixture->conns, &server, &client)->cookie, 2);
	conn_remove(fixture->conns, conn);
	assert_int_equal(conn_find_self(fixture->conns, &server, &client)->cookie, 2);
	record.close_first = FIRST_APP; /* a reload */
	conn_open(fixture->conns, &fixture->parent, &record, (struct account){0}, 1, &opened);
	assert_null(conn_find_self(fixture->conns, &server, &client));
}

static void a_walk_survives_removals(void **state)
{
	struct fixture *fixture = *state;
	struct conn_walk walk;
	uint64_t seen = 0;

	for (uint64_t cookie = 1; cookie <= 4; cookie++)
		open_one(fixture, &fixture->parent, cookie);
	conn_walk_begin(fixture->conns, &walk);
	for (int i = 0; i < 2; i++) { /* that it is at, and that it would have come to */
		struct conn *conn = conn_walk_next(fixture->conns, &walk);

		seen |= UINT64_C(1) << conn->cookie;
		conn_remove(fixture->conns, conn);
		if (walk.next) {
			seen |= UINT64_C(1) << walk.next->cookie;
			conn_remove(fixture->conns, walk.next);
		}
	}
	assert_int_equal(seen, 0x1e);
	assert_null(conn_walk_next(fixture->conns, &walk));
	conn_walk_end(fixture->conns, &walk);
}

/* The table grows many times meanwhile. */
static void a_walk_meets_each_once_while_the_table_grows(void **state)
{
	enum { FIRST = 1000, ALL = 60000 };
	struct fixture *fixture = *state;
	struct conns *conns = conns_new(ALL, ALL, NULL);
	static uint8_t met[ALL + 1];
	struct wire_record record = record_of(1);
	struct conn_walk walk;
	struct conn *conn;
	bool opened;

	for (record.cookie = 1; record.cookie <= FIRST; record.cookie++)
		conn_open(conns, &fixture->parent, &record, (struct account){0}, 1, &opened);
	conn_walk_begin(conns, &walk);
	for (int i = 0; i < FIRST / 2; i++)
		met[conn_walk_next(conns, &walk)->cookie]++;
	for (; record.cookie <= ALL; record.cookie++)
		conn_open(conns, &fixture->parent, &record, (struct account){0}, 1, &opened);
	while ((conn = conn_walk_next(conns, &walk)))
		met[conn->cookie]++;
	conn_walk_end(conns, &walk);
	for (uint64_t cookie = 1; cookie <= ALL; cookie++) {
		assert_non_null(conn_find(conns, cookie));
		assert_true(met[cookie] <= 1);
		assert_true(cookie > FIRST || met[cookie] == 1);
	}
	assert_null(conn_find(conns, ALL + 1));
	conn_owner_gone(conns, &fixture->parent, UINT_MAX);
	conns_free(conns);
}

/* Those that are the kernel's alone and in TIME_WAIT it passes over, also when that is so only
 * since it began; and it comes to what is live again. */
static void a_walk_of_the_live_passes_over_time_waits(void **state)
{
	struct fixture *fixture = *state;
	struct conns *conns = fixture->conns;
	struct conn_walk walk;
	struct conn *conn;

	conns_set_followed(conns, true);
	for (uint64_t cookie = 1; cookie <= 4; cookie++)
		open_one(fixture, &fixture->parent, cookie);
	conn_end(conns, conn_find(conns, 2), STATE_TIME_WAIT);
	conn_set_state(conns, conn_find(conns, 4), STATE_TIME_WAIT, 1); /* but it has an owner */
	conn_walk_begin_live(conns, &walk);
	assert_int_equal(conn_walk_next(conns, &walk)->cookie, 1);
	conn_end(conns, conn_find(conns, 3), STATE_TIME_WAIT);
	conn_remove(conns, conn_find(conns, 1));
	conn = conn_find(conns, 2);
	conn_set_state(conns, conn, STATE_ESTABLISHED, 2); /* the kernel was asked again */
	assert_int_equal(conn_walk_next(conns, &walk)->cookie, 4);
	assert_ptr_equal(conn_walk_next(conns, &walk), conn);
	assert_null(conn_walk_next(conns, &walk));
	conn_walk_end(conns, &walk);
	conn_set_state(conns, conn, STATE_TIME_WAIT, 3);
	open_one(fixture, &fixture->parent, 2); /* of a process that is heard of late */
	conn_walk_begin_live(conns, &walk);
	assert_int_equal(conn_walk_next(conns, &walk)->cookie, 4);
	assert_int_equal(conn_walk_next(conns, &walk)->cookie, 2);
	conn_walk_end(conns, &walk);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static size_t allocated(void)
{
	return 0; /* the sanitizer's malloc says nothing */
}
#else
static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}
#endif

static void each_takes_at_most_224_bytes(void **state)
{
	enum { MANY = 100000 };
	struct fixture *fixture = *state;
	struct conns *conns = conns_new(MANY, MANY, NULL);
	struct wire_record record = record_of(1);
	size_t before = allocated();
	bool opened;

	for (uint64_t cookie = 1; cookie <= MANY; cookie++) {
		record.cookie = cookie * 3;
		conn_open(conns, &fixture->parent, &record, (struct account){0}, 1, &opened);
	}
	assert_int_equal(conns_count(conns), MANY);
	assert_true(allocated() - before <= MANY * 224);
	assert_true(sizeof(struct conn) + 16 <= 224);
	conn_owner_gone(conns, &fixture->parent, UINT_MAX);
	conns_free(conns);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void rates_never_run_backwards(void **state)
{
	struct census census = {.opens = 100};

	(void)state;
	for (int i = 0; i < 100; i++, census.opens += 50)
		census_tick(&census, 1000);
	assert_true(census.opens_s > 49 && census.opens_s < 51);
	census.opens -= 60; /* they have found their owner */
	census_tick(&census, 1000);
	assert_true(census.opens_s >= 0 && census.opens_s < 50);
	for (int i = 0; i < 100; i++)
		census_tick(&census, 1000);
	assert_true(census.opens_s == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opened_found_and_removed),
		TEST(a_child_that_serves_it_has_it),
		TEST(what_may_have_ended_without_a_word),
		TEST(a_child_that_inherited_it_has_it_once_the_parent_has_let_go),
		TEST(an_heir_that_has_gone_inherits_nothing),
		TEST(a_stranger_may_not_speak_for_it),
		TEST(limits_hold),
		TEST(what_is_in_custody_outlives_its_session),
		TEST(the_other_end_is_found_where_it_closes_itself),
		TEST(a_walk_survives_removals),
		TEST(a_walk_meets_each_once_while_the_table_grows),
		TEST(a_walk_of_the_live_passes_over_time_waits),
		TEST(rates_never_run_backwards),
		TEST(each_takes_at_most_224_bytes),
	};

	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
