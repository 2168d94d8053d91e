/* SPDX-License-Identifier: MIT */
#include "shim/holders.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TABLE = 1 << 18 }; /* two cookies that far apart meet in one entry */

static void one_holder_is_sole(void **state)
{
	(void)state;
	holder_create(1, false);
	assert_true(holder_is_sole(1));
	assert_true(holder_release(1));
	assert_false(holder_is_sole(1));
	assert_false(holder_release(1));
}

static void the_last_of_several_is_sole(void **state)
{
	(void)state;
	holder_create(2, false);
	holder_share(2);
	holder_share(2);
	assert_false(holder_is_sole(2));
	assert_true(holder_is_counted(2));
	assert_false(holder_release(2));
	assert_false(holder_release(2));
	assert_true(holder_release(2));
}

static void absent_is_shared_and_stays_so(void **state)
{
	(void)state;
	holder_share(3);
	assert_false(holder_release(3));
	holder_pin(3);
	assert_false(holder_is_sole(3));
}

static void evicted_is_never_created_again(void **state)
{
	bool server;

	(void)state;
	holder_create(4, false);
	holder_create(4 + TABLE, true);
	assert_false(holder_known(4, &server));
	holder_share(4);
	assert_false(holder_release(4));
	assert_true(holder_known(4 + TABLE, &server));
	assert_true(server);
	assert_true(holder_release(4 + TABLE));
}

static void the_count_sticks(void **state)
{
	(void)state;
	holder_create(5, false);
	for (int i = 0; i < 1000; i++)
		holder_share(5);
	for (int i = 0; i < 2000; i++)
		assert_false(holder_release(5));
}

static void pinned_is_shared_for_good(void **state)
{
	(void)state;
	holder_create(6, true);
	holder_pin(6);
	assert_false(holder_is_counted(6));
	assert_false(holder_is_sole(6));
	assert_false(holder_release(6));
	assert_false(holder_release(6));
}

static void what_was_not_made_is_taken_back(void **state)
{
	(void)state;
	holder_create(7, false);
	holder_share(7);
	holder_unshare(7);
	assert_true(holder_is_sole(7));
	holder_unshare(7); /* never below the last */
	assert_true(holder_release(7));
}

static void a_fork_shares_the_table(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	holder_create(8, false);
	holder_share(8);
	pid = fork();
	if (pid == 0)
		_exit(holder_release(8) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(holder_release(8));
}

enum { THREADS = 4, ROUNDS = 100000 };

static _Atomic int sole_releases;

/* Shares and releases in equal number: one release of all finds itself the last. */
static void *share_and_release(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		holder_share(9);
		if (holder_release(9))
			atomic_fetch_add(&sole_releases, 1);
	}
	return arg;
}

static void threads_never_count_too_few(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	holder_create(9, false);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, share_and_release, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sole_releases, 0);
	assert_true(holder_release(9));
}

/* The same from processes that inherited the table. */
static void processes_never_count_too_few(void **state)
{
	pid_t children[THREADS];

	(void)state;
	holder_create(10, false);
	for (int i = 0; i < THREADS; i++) {
		children[i] = fork();
		if (children[i] != 0)
			continue;
		for (int round = 0; round < ROUNDS; round++) {
			holder_share(10);
			if (holder_release(10))
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < THREADS; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_true(holder_release(10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_holder_is_sole),
		cmocka_unit_test(the_last_of_several_is_sole),
		cmocka_unit_test(absent_is_shared_and_stays_so),
		cmocka_unit_test(evicted_is_never_created_again),
		cmocka_unit_test(the_count_sticks),
		cmocka_unit_test(pinned_is_shared_for_good),
		cmocka_unit_test(what_was_not_made_is_taken_back),
		cmocka_unit_test(a_fork_shares_the_table),
		cmocka_unit_test(threads_never_count_too_few),
		cmocka_unit_test(processes_never_count_too_few),
	};

	if (!holders_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
