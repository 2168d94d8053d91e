/* SPDX-License-Identifier: MIT */
#include "daemon/user.h"

#include "daemon/limits.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { ALICE = 4000000, BOB };

static int setup(void **state)
{
	*state = users_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	users_free(*state);
	return 0;
}

static void a_share_is_one_users(void **state)
{
	struct user *alice = user_get(*state, ALICE), *bob = user_get(*state, BOB);

	users_set_limit(*state, USER_HELD, 2);
	assert_ptr_not_equal(alice, bob);
	assert_ptr_equal(user_get(*state, ALICE), alice);
	user_put(alice);
	user_take(alice, USER_HELD);
	assert_false(user_is_full(alice, USER_HELD));
	user_take(alice, USER_HELD);
	assert_true(user_is_full(alice, USER_HELD));
	assert_false(user_is_full(bob, USER_HELD));
	assert_false(user_is_full(alice, USER_SESSIONS)); /* no limit is set */
	assert_ptr_equal(users_most(*state, USER_HELD), alice);
	assert_null(users_most(*state, USER_CONNS));
	user_give_back(alice, USER_HELD);
	assert_false(user_is_full(alice, USER_HELD));
	user_give_back(alice, USER_HELD);
	user_put(alice);
	user_put(bob);
}

static void root_and_nobody_known_are_not_limited(void **state)
{
	struct user *root = user_get(*state, 0), *own = user_get(*state, geteuid());

	users_set_limit(*state, USER_HELD, 1);
	user_take(root, USER_HELD);
	user_take(own, USER_HELD);
	assert_false(user_is_full(root, USER_HELD));
	assert_false(user_is_full(own, USER_HELD));
	user_take(NULL, USER_HELD);
	assert_false(user_is_full(NULL, USER_HELD));
	user_give_back(NULL, USER_HELD);
	user_give_back(root, USER_HELD);
	user_give_back(own, USER_HELD);
	user_put(root);
	user_put(own);
}

/* What the function writes to stderr: how many lines. */
static unsigned int lines_of(void (*run)(struct users *users), struct users *users, char *text,
			     size_t size)
{
	int pipes[2], old = dup(STDERR_FILENO);
	unsigned int lines = 0;
	ssize_t n;

	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	close(pipes[1]);
	run(users);
	dup2(old, STDERR_FILENO);
	close(old);
	n = read(pipes[0], text, size - 1);
	close(pipes[0]);
	text[n > 0 ? n : 0] = '\0';
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	return lines;
}

static void misbehave(struct users *users)
{
	struct process process = {.pid = 7, .comm = "evil\nname"};

	for (int i = 0; i < 1000; i++) { /* it comes and goes */
		struct user *alice = user_get(users, ALICE);

		user_blame(alice, FAULT_MESSAGE, &process, "what it sent is no record");
		user_put(alice);
	}
}

static void be_quiet(struct users *users)
{
	users_tick(users, UINT64_MAX / 2);
}

static void faults_are_said_once_and_summed_up(void **state)
{
	char text[2048];

	assert_int_equal(lines_of(misbehave, *state, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "evil?name[7], uid 4000000: what it sent is no record"));
	assert_int_equal(lines_of(misbehave, *state, text, sizeof(text)), 0);
	assert_int_equal(lines_of(be_quiet, *state, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "uid 4000000: messages that no shim sends: 2000 in"));
	assert_int_equal(lines_of(be_quiet, *state, text, sizeof(text)), 0);
	assert_int_equal(lines_of(misbehave, *state, text, sizeof(text)), 1);
	lines_of(be_quiet, *state, text, sizeof(text));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_share_is_one_users, setup, teardown),
		cmocka_unit_test_setup_teardown(root_and_nobody_known_are_not_limited, setup,
						teardown),
		cmocka_unit_test_setup_teardown(faults_are_said_once_and_summed_up, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
