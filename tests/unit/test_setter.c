/* SPDX-License-Identifier: MIT */
/* The setter as the loop sees it: what it writes, what it refuses and why, what is ours and for how
 * long; and its channel. What goes wrong is in test_setter_faults, what a SIGKILL does in
 * test_setter_kill, other namespaces are in test_setter_spaces. */
#include "tests/unit/setter_world.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const enum sysctl buckets = SYSCTL_TIME_WAITS_MAX;

/* --- what is written -------------------------------------------------------------------------- */

static void each_key_is_written_and_put_back(void **state)
{
	struct world_values before;

	(void)state;
	world_need();
	world_read_all(&before);
	for (int i = 0; i < WORLD_KEYS; i++) {
		const struct world_key *key = &world_keys[i];
		struct setter_answer answer = world_write(&here, key->key, &key->one);

		assert_int_equal(answer.outcome, SETTER_DONE);
		assert_int_equal(answer.error, 0);
		assert_true(answer.is_ours && sysctl_same(&answer.original, &key->base));
		assert_true(sysctl_same(&answer.before, &key->base));
		assert_true(sysctl_same(&answer.now, &key->one));
		assert_true(world_has_journal());
	}
	for (int i = 0; i < WORLD_KEYS; i++) {
		const struct world_key *key = &world_keys[i];
		struct setter_answer answer = world_revert(&here, key->key);
		struct sysctl_value now = world_value(key->key);

		assert_int_equal(answer.outcome, SETTER_DONE);
		assert_true(!answer.is_ours && !answer.original.count);
		assert_true(sysctl_same(&answer.before, &key->one));
		assert_true(sysctl_same(&now, &key->base));
	}
	assert_false(world_has_journal());
}

static void the_original_is_that_of_the_first_write(void **state)
{
	struct setter_answer answer;

	(void)state;
	world_need();
	write_number(buckets, 5120);
	answer = write_number(buckets, 6400);
	assert_number(answer.original, 4096);
	assert_number(answer.before, 5120);
	answer = write_number(buckets, 5000); /* shrinks */
	assert_int_equal(answer.outcome, SETTER_DONE);
	assert_number(answer.original, 4096);
	answer = write_number(buckets, 4096); /* all the way */
	assert_int_equal(answer.outcome, SETTER_DONE);
	assert_false(answer.is_ours);
	assert_false(world_has_journal());
	answer = world_revert(&here, buckets);
	assert_int_equal(answer.outcome, SETTER_CHANGED);
	assert_number(world_value(buckets), 4096);
}

static void what_it_is_already_is_done(void **state)
{
	struct setter_answer answer;

	(void)state;
	world_need();
	answer = write_number(buckets, 4096);
	assert_int_equal(answer.outcome, SETTER_DONE);
	assert_false(answer.is_ours || world_has_journal());
}

static void all_are_listed_and_put_back(void **state)
{
	struct setter_answer answers[WORLD_KEYS + 1];

	(void)state;
	world_need();
	assert_int_equal(world_walk(&here, SETTER_LIST, answers, 1), 0);
	for (int i = 0; i < WORLD_KEYS; i++)
		world_write(&here, world_keys[i].key, &world_keys[i].one);
	for (int round = 0; round < 2; round++) {
		enum setter_op op = round ? SETTER_REVERT : SETTER_LIST;

		assert_int_equal(world_walk(&here, op, answers, WORLD_KEYS + 1), WORLD_KEYS);
		for (int i = 0; i < WORLD_KEYS; i++) {
			assert_int_equal(answers[i].key, world_keys[i].key);
			assert_int_equal(answers[i].outcome, SETTER_DONE);
			assert_int_equal(answers[i].netns, 0);
			assert_int_equal(answers[i].is_ours, !round);
			assert_true(sysctl_same(&answers[i].before, &world_keys[i].one));
		}
	}
	assert_int_equal(world_walk(&here, SETTER_LIST, answers, 1), 0);
}

/* --- what is not ------------------------------------------------------------------------------ */

static const struct refused_row {
	const char *name;
	enum sysctl key;
	const char *value;
} refused_rows[] = {
	{"forbidden: buckets down", SYSCTL_TIME_WAITS_MAX, "4095"},
	{"forbidden: buckets too many", SYSCTL_TIME_WAITS_MAX, "4194305"},
	{"forbidden: orphans down", SYSCTL_ORPHANS_MAX, "4095"},
	{"forbidden: fin timeout up", SYSCTL_FIN_TIMEOUT_S, "61"},
	{"forbidden: fin timeout too short", SYSCTL_FIN_TIMEOUT_S, "4"},
	{"forbidden: somaxconn down", SYSCTL_SOMAXCONN, "127"},
	{"forbidden: a range that moves", SYSCTL_PORT_RANGE, "30000 50000"},
	{"forbidden: a range of one number", SYSCTL_PORT_RANGE, "1024"},
	{"forbidden: reuse off", SYSCTL_TIME_WAIT_REUSE, "0"},
	{"forbidden: syncookies off", SYSCTL_SYN_COOKIES, "0"},
	{"forbidden: timestamps", SYSCTL_TIMESTAMPS, "0"},
	{"forbidden: tcp_mem", SYSCTL_MEMORY_PAGES, "1 2 3"},
	{"forbidden: conntrack", SYSCTL_CONNTRACK_MAX, "1"},
	{"forbidden: a key that is none", SYSCTL_COUNT, "1"},
	{"forbidden: all of them at once", (enum sysctl)SETTER_ALL, "1"},
};

static void is_refused(void **state)
{
	const struct refused_row *row = *state;
	struct world_values before, now;
	struct sysctl_value value;

	world_need();
	world_read_all(&before);
	assert_true(sysctl_parse(row->value, &value));
	assert_int_equal(world_write(&here, row->key, &value).outcome, SETTER_FORBIDDEN);
	world_read_all(&now);
	assert_memory_equal(&before, &now, sizeof(now));
	assert_false(world_has_journal());
}

/* What the loop asks for may be anything: it was taken over, or it is mistaken. */
static void nonsense_is_forbidden(void **state)
{
	struct setter_request request = {.op = 77, .key = SYSCTL_SOMAXCONN};
	struct world_values before, now;
	uint32_t seed = 1;

	(void)state;
	world_need();
	world_read_all(&before);
	assert_int_equal(world_ask(&here, &request).outcome, SETTER_FORBIDDEN);
	request = (struct setter_request){.op = SETTER_REVERT, .key = SYSCTL_COUNT};
	assert_int_equal(world_ask(&here, &request).outcome, SETTER_FORBIDDEN);
	request = (struct setter_request){
		.key = SYSCTL_SOMAXCONN, .expected = {.count = 99}, .value = {.count = 99}};
	assert_int_equal(world_ask(&here, &request).outcome, SETTER_FORBIDDEN);
	for (int i = 0; i < 20000; i++) {
		unsigned char bytes[sizeof(request)];

		for (size_t at = 0; at < sizeof(bytes); at++) {
			seed = seed * 1664525 + 1013904223;
			bytes[at] = (unsigned char)(seed >> 24);
		}
		memcpy(&request, bytes, sizeof(request));
		request.op = (uint8_t)(i % 3 == 0 ? SETTER_WRITE : 3 + request.op % 250);
		request.key %= SYSCTL_COUNT + 1;
		request.netns = 0;
		assert_int_equal(world_ask(&here, &request).outcome, SETTER_FORBIDDEN);
	}
	assert_int_equal(send(here.fd, "short", 5, 0), 5);
	setter_serve(here.setter);
	world_read_all(&now);
	assert_memory_equal(&before, &now, sizeof(now));
}

static void what_is_named_is_left_alone(void **state)
{
	(void)state;
	world_need();
	world_put_text("/etc/sysctl.d/50-admin.conf", "net.core.somaxconn = 128\n");
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 160).outcome, SETTER_NAMED);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_false(world_has_journal());
	assert_int_equal(write_number(buckets, 5120).outcome, SETTER_DONE);
	unlink("/etc/sysctl.d/50-admin.conf");
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 160).outcome, SETTER_DONE);
	/* Named now, and not applied: no step further, but the way back. */
	world_put_text("/etc/sysctl.d/50-admin.conf", "net/core/* = 300\n");
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 200).outcome, SETTER_NAMED);
	assert_number(world_value(SYSCTL_SOMAXCONN), 160);
	assert_int_equal(world_revert(&here, SYSCTL_SOMAXCONN).outcome, SETTER_DONE);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	unlink("/etc/sysctl.d/50-admin.conf");
}

static void what_has_changed_is_left_alone(void **state)
{
	struct setter_request request = {.op = SETTER_WRITE, .key = SYSCTL_TIME_WAITS_MAX};
	struct sysctl_value admins = sysctl_number(9000);
	struct setter_answer answer;

	(void)state;
	world_need();
	world_set(buckets, &admins);
	request.expected = sysctl_number(4096); /* as the loop has seen it */
	request.value = sysctl_number(5120);
	answer = world_ask(&here, &request);
	assert_int_equal(answer.outcome, SETTER_CHANGED);
	assert_number(answer.now, 9000);
	assert_false(answer.is_ours || world_has_journal());
	/* Of ours as well: it is not ours any more, nor is it put back. */
	request.expected = sysctl_number(9000);
	request.value = sysctl_number(10000);
	assert_int_equal(world_ask(&here, &request).outcome, SETTER_DONE);
	world_set(buckets, &admins);
	request.expected = sysctl_number(10000);
	request.value = sysctl_number(11000);
	answer = world_ask(&here, &request);
	assert_int_equal(answer.outcome, SETTER_CHANGED);
	assert_false(answer.is_ours);
	assert_int_equal(world_revert(&here, buckets).outcome, SETTER_CHANGED);
	assert_number(world_value(buckets), 9000);
	/* Nor may it go back to where we once found it. */
	request.expected = sysctl_number(9000);
	request.value = sysctl_number(8000);
	assert_int_equal(world_ask(&here, &request).outcome, SETTER_FORBIDDEN);
}

static void a_list_sees_who_has_changed_what(void **state)
{
	struct sysctl_value admins = sysctl_number(9000);
	struct setter_answer answers[2];

	(void)state;
	world_need();
	write_number(buckets, 5120);
	write_number(SYSCTL_SOMAXCONN, 160);
	world_set(buckets, &admins);
	assert_int_equal(world_walk(&here, SETTER_LIST, answers, 2), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(answers[i].outcome,
				 answers[i].key == buckets ? SETTER_CHANGED : SETTER_DONE);
		assert_int_equal(answers[i].is_ours, answers[i].key != buckets);
	}
	assert_int_equal(world_walk(&here, SETTER_LIST, answers, 2), 1);
}

static void what_is_not_there_is_said(void **state)
{
	(void)state;
	world_need();
	setter_seam.read = sysctl_read; /* the real tcp_max_orphans: not in this namespace */
	assert_int_equal(write_number(SYSCTL_ORPHANS_MAX, 5000).outcome, SETTER_NO_SUCH);
	assert_false(world_has_journal());
}

/* --- the channel ------------------------------------------------------------------------------ */

static void a_request_wakes_and_an_answer_does_not(void **state)
{
	static const struct timespec at_once = {0, 0};
	struct setter_request request = {.op = SETTER_LIST, .key = SETTER_ALL};
	struct setter_answer answer;
	sigset_t set, old;

	(void)state;
	world_need();
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	signal(SIGIO, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &old);
	assert_int_equal(sigtimedwait(&set, NULL, &at_once), -1);
	assert_true(setter_ask(here.fd, &request));
	assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGIO);
	setter_serve(here.setter);
	assert_true(setter_take(here.fd, &answer));
	assert_int_equal(sigtimedwait(&set, NULL, &at_once), -1);
	signal(SIGIO, SIG_IGN);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* The loop asks and does not listen: the guardian does not wait, and nothing is lost. */
static void a_full_channel_is_emptied_later(void **state)
{
	enum { LISTS = 200 };
	struct setter_request request = {.op = SETTER_LIST, .key = SETTER_ALL};
	struct setter_answer answer;
	unsigned int asked = 0, ends = 0, rows = 0, idle = 0;

	(void)state;
	world_need();
	for (int i = 0; i < WORLD_KEYS; i++)
		world_write(&here, world_keys[i].key, &world_keys[i].one);
	while (asked < LISTS && idle < 50) {
		request.serial = asked + 1;
		asked += setter_ask(here.fd, &request);
		setter_serve(here.setter);
		idle++;
	}
	while (ends < LISTS) {
		bool got = setter_take(here.fd, &answer);

		if (!got && asked < LISTS) {
			request.serial = asked + 1;
			asked += setter_ask(here.fd, &request);
		}
		setter_serve(here.setter);
		if (!got)
			continue;
		assert_int_equal(answer.serial, ends + 1);
		assert_int_equal(answer.key,
				 rows == WORLD_KEYS ? SETTER_ALL : world_keys[rows].key);
		ends += answer.key == SETTER_ALL;
		rows = answer.key == SETTER_ALL ? 0 : rows + 1;
	}
}

static void a_new_loop_is_not_told_what_the_old_one_asked(void **state)
{
	struct setter_request request = {.serial = 7,
					 .op = SETTER_WRITE,
					 .key = SYSCTL_SOMAXCONN,
					 .expected = sysctl_number(128),
					 .value = sysctl_number(160)};
	struct setter_answer answer;

	(void)state;
	world_need();
	assert_true(setter_ask(here.fd, &request));
	close(here.fd);
	here.fd = setter_connect(here.setter);
	setter_serve(here.setter);
	assert_false(setter_take(here.fd, &answer));
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_true(setter_ask(here.fd, &request));
	setter_serve(here.setter);
	assert_true(setter_take(here.fd, &answer));
	assert_int_equal(answer.outcome, SETTER_DONE);
	assert_false(setter_ask(-1, &request));
	assert_false(setter_take(-1, &answer));
}

static void each_outcome_has_its_words(void **state)
{
	(void)state;
	for (enum setter_outcome i = 0; i < SETTER_OUTCOME_COUNT; i++)
		assert_true(strlen(setter_outcome_text(i)) > 3);
	assert_string_equal(setter_outcome_text(SETTER_OUTCOME_COUNT), "not known");
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		WORLD_TEST(each_key_is_written_and_put_back),
		WORLD_TEST(the_original_is_that_of_the_first_write),
		WORLD_TEST(what_it_is_already_is_done),
		WORLD_TEST(all_are_listed_and_put_back),
		WORLD_TEST(nonsense_is_forbidden),
		WORLD_TEST(what_is_named_is_left_alone),
		WORLD_TEST(what_has_changed_is_left_alone),
		WORLD_TEST(a_list_sees_who_has_changed_what),
		WORLD_TEST(what_is_not_there_is_said),
		WORLD_TEST(a_request_wakes_and_an_answer_does_not),
		WORLD_TEST(a_full_channel_is_emptied_later),
		WORLD_TEST(a_new_loop_is_not_told_what_the_old_one_asked),
		WORLD_TEST(each_outcome_has_its_words),
	};
	struct CMUnitTest tests[ARRAY_SIZE(others) + ARRAY_SIZE(refused_rows)];

	memcpy(tests, others, sizeof(others));
	for (size_t i = 0; i < ARRAY_SIZE(refused_rows); i++) {
		struct CMUnitTest *test = &tests[ARRAY_SIZE(others) + i];

		*test = unit_row(refused_rows[i].name, is_refused, &refused_rows[i]);
		test->setup_func = world_begin;
		test->teardown_func = world_end;
	}

	world_open();
	return world_close(cmocka_run_group_tests_name("setter", tests, NULL, NULL));
}
