/* SPDX-License-Identifier: MIT */
/* Sysctls of other network namespaces: written, put back, and what becomes of the journal when they
 * go, or when their number is used again. */
#include "daemon/journal.h"
#include "daemon/spaces.h"

#include "tests/unit/setter_world.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const enum sysctl buckets = SYSCTL_TIME_WAITS_MAX;

/* --- another namespace ------------------------------------------------------------------------ */

static struct setter_answer write_there(const struct neighbour *there, int64_t from, int64_t to)
{
	struct setter_request request = {
		.op = SETTER_WRITE,
		.key = SYSCTL_SOMAXCONN,
		.netns = there->netns,
		.pid = there->pid,
		.expected = sysctl_number(from),
		.value = sysctl_number(to),
	};

	return world_ask(&here, &request);
}

static int64_t value_there(const struct neighbour *there)
{
	struct sysctl_value value;

	assert_true(sysctl_read(there->folders, SYSCTL_SOMAXCONN, &value));
	return value.number[0];
}

static void another_namespace_is_written_and_put_back(void **state)
{
	struct neighbour there;
	struct setter_answer answer;
	int64_t was;

	(void)state;
	world_need();
	there = neighbour_new();
	was = value_there(&there);
	for (int round = 0; round < 2; round++) {
		answer = write_there(&there, was, was + 100);
		assert_int_equal(answer.outcome, SETTER_DONE);
		assert_true(answer.netns == there.netns && answer.is_ours);
		assert_int_equal(value_there(&there), was + 100);
		assert_number(world_value(SYSCTL_SOMAXCONN), 128); /* ours is as it was */
		/* The next guardian finds the way by itself. */
		if (round) {
			world_stop(&here, false);
			here = world_start();
			assert_int_equal(world_walk(&here, SETTER_LIST, &answer, 1), 1);
			assert_true(answer.is_ours && answer.netns == there.netns);
		}
		assert_int_equal(world_walk(&here, SETTER_REVERT, &answer, 1), 1);
		assert_int_equal(answer.outcome, SETTER_DONE);
		assert_int_equal(value_there(&there), was);
		assert_false(world_has_journal());
	}
	/* and so does a stop */
	write_there(&there, was, was + 100);
	world_stop(&here, false);
	here = world_start();
	world_stop(&here, true);
	assert_int_equal(value_there(&there), was);
	here = world_start();
	neighbour_end(&there);
}

static void a_namespace_that_goes_takes_its_lines_along(void **state)
{
	struct neighbour there;
	struct setter_answer answer;
	int64_t was;

	(void)state;
	world_need();
	there = neighbour_new();
	was = value_there(&there);
	assert_int_equal(write_there(&there, was, was + 100).outcome, SETTER_DONE);
	assert_int_equal(write_number(buckets, 5120).outcome, SETTER_DONE);
	neighbour_end(&there);
	answer = write_there(&there, was + 100, was + 200);
	assert_int_equal(answer.outcome, SETTER_GONE);
	assert_false(answer.is_ours);
	assert_int_equal(world_walk(&here, SETTER_LIST, &answer, 1), 1);
	assert_int_equal(answer.key, buckets);
	assert_int_equal(write_there(&there, was, was + 100).outcome, SETTER_NO_NAMESPACE);
	assert_int_equal(world_revert(&here, buckets).outcome, SETTER_DONE);
	assert_false(world_has_journal());
}

/* It goes while a walk is on its way. */
static void gone_before_it_is_put_back(void **state)
{
	struct neighbour there;
	struct setter_answer answers[3];
	int64_t was;

	(void)state;
	world_need();
	there = neighbour_new();
	was = value_there(&there);
	write_there(&there, was, was + 100);
	write_number(buckets, 5120);
	neighbour_end(&there);
	assert_int_equal(world_walk(&here, SETTER_REVERT, answers, 3), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(answers[i].outcome, answers[i].netns ? SETTER_GONE : SETTER_DONE);
		assert_false(answers[i].is_ours);
	}
	assert_number(world_value(buckets), 4096);
	assert_false(world_has_journal());
}

/* Gone while no guardian was there: nobody can tell, so the line stays, and is said. */
static void what_cannot_be_reached_stays_in_the_journal(void **state)
{
	struct neighbour there;
	struct setter_answer answer;
	int64_t was;

	(void)state;
	world_need();
	there = neighbour_new();
	was = value_there(&there);
	write_there(&there, was, was + 100);
	world_stop(&here, false);
	neighbour_end(&there);
	here = world_start();
	assert_int_equal(world_walk(&here, SETTER_REVERT, &answer, 1), 1);
	assert_int_equal(answer.outcome, SETTER_NO_NAMESPACE);
	assert_true(answer.is_ours);
	world_stop(&here, true);
	assert_true(world_has_journal());
	unlink(world_journal);
	here = world_start();
}

/* The number is another's now: what the journal has under it is not put back there. */
static void a_number_that_is_used_again(void **state)
{
	struct neighbour there;
	struct sysctl_value value;
	int64_t was;
	char boot[JOURNAL_BOOT];
	static struct journal journal;

	(void)state;
	world_need();
	there = neighbour_new();
	was = value_there(&there);
	assert_int_equal(write_there(&there, was, was + 100).outcome, SETTER_DONE);
	world_stop(&here, false);
	assert_true(journal_boot(boot));
	assert_int_equal(journal_load(world_journal, boot, &journal), JOURNAL_INTACT);
	assert_int_equal(journal.count, 1);
	if (!journal.entry[0].cookie)
		unit_skip("the kernel says no cookie");
	journal.entry[0].cookie++;
	assert_true(journal_save(world_journal, boot, &journal));
	here = world_start();
	assert_int_equal(world_walk(&here, SETTER_REVERT, NULL, 0), 1);
	assert_int_equal(value_there(&there), was + 100);
	assert_false(world_has_journal());
	value = sysctl_number(was);
	assert_true(sysctl_write(there.folders, SYSCTL_SOMAXCONN, &value));
	neighbour_end(&there);
}

static void who_is_elsewhere_is_not_believed(void **state)
{
	struct neighbour there;
	struct setter_request request = {
		.op = SETTER_WRITE,
		.key = SYSCTL_SOMAXCONN,
		.expected = sysctl_number(128),
		.value = sysctl_number(160),
	};

	(void)state;
	world_need();
	there = neighbour_new();
	request.netns = there.netns;
	request.pid = getpid(); /* which is here */
	assert_int_equal(world_ask(&here, &request).outcome, SETTER_NO_NAMESPACE);
	request.netns = 1;
	request.pid = there.pid;
	assert_int_equal(world_ask(&here, &request).outcome, SETTER_NO_NAMESPACE);
	request.pid = 1 << 30;
	assert_int_equal(world_ask(&here, &request).error, ESRCH);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	neighbour_end(&there);
}

/* More than are kept at once. */
static void many_namespaces(void **state)
{
	enum { MANY = SPACES_MAX + 6 };
	static struct neighbour there[MANY];
	int64_t was;

	(void)state;
	world_need();
	for (int i = 0; i < MANY; i++) {
		there[i] = neighbour_new();
		was = value_there(&there[i]);
		assert_int_equal(write_there(&there[i], was, was + 1).outcome, SETTER_DONE);
	}
	assert_int_equal(world_walk(&here, SETTER_REVERT, NULL, 0), MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(value_there(&there[i]), was);
		kill(there[i].pid, SIGKILL);
	}
	for (int i = 0; i < MANY; i++)
		neighbour_end(&there[i]);
	assert_false(world_has_journal());
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WORLD_TEST(another_namespace_is_written_and_put_back),
		WORLD_TEST(a_namespace_that_goes_takes_its_lines_along),
		WORLD_TEST(gone_before_it_is_put_back),
		WORLD_TEST(what_cannot_be_reached_stays_in_the_journal),
		WORLD_TEST(a_number_that_is_used_again),
		WORLD_TEST(who_is_elsewhere_is_not_believed),
		WORLD_TEST(many_namespaces),
	};

	world_open();
	return world_close(cmocka_run_group_tests_name("setter_spaces", tests, NULL, NULL));
}
