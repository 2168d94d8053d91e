/* SPDX-License-Identifier: MIT */
#include "shim/forks.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static void what_overlaps_is_noticed(void **state)
{
	struct fork_mark mark = fork_mark();

	(void)state;
	assert_false(fork_mark_passed(mark, FORK_COPY));
	fork_begin(FORK_COPY);
	assert_true(fork_mark_passed(mark, FORK_COPY));
	assert_false(fork_mark_passed(mark, FORK_EXEC));
	assert_true(fork_mark_passed(fork_mark(), FORK_COPY)); /* under way */
	fork_end(FORK_COPY);
	assert_true(fork_mark_passed(mark, FORK_COPY));
	assert_false(fork_mark_passed(fork_mark(), FORK_COPY));
	mark = fork_mark();
	fork_begin(FORK_EXEC);
	assert_true(fork_mark_passed(mark, FORK_EXEC));
	fork_reset();
	assert_false(fork_mark_passed(fork_mark(), FORK_EXEC));
}

static int exit_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Only what this thread announced was counted, whatever else is under way. */
static void a_child_knows_whether_it_was_counted(void **state)
{
	pid_t pid;

	(void)state;
	fork_begin(FORK_COPY); /* another thread's */
	pid = fork();
	if (pid == 0)
		_exit(fork_was_announced());
	assert_int_equal(exit_status(pid), 0);
	fork_announce(getpid());
	pid = fork();
	if (pid == 0) {
		bool before = fork_was_announced();

		fork_announced_here();
		if (fork() == 0)
			_exit(fork_was_announced()); /* nobody counted for it */
		wait(&pid);
		_exit(before && fork_was_announced() && pid == 0 ? 7 : 8);
	}
	fork_announce_over();
	fork_end(FORK_COPY);
	assert_int_equal(WEXITSTATUS(exit_status(pid)), 7);
	assert_false(fork_was_announced());
}

static void *hand_over(void *arg)
{
	fork_closing();
	fork_closing_handed_over();
	return arg;
}

/* Neither for its own close, for a signal handler may fork, nor for ever for another thread's. */
static void a_fork_does_not_wait_for_ever(void **state)
{
	pthread_t thread;

	(void)state;
	fork_closing();
	fork_begin(FORK_COPY);
	fork_end(FORK_COPY);
	fork_closing_done();
	assert_int_equal(pthread_create(&thread, NULL, hand_over, NULL), 0);
	pthread_join(thread, NULL);
	fork_begin(FORK_COPY);
	fork_end(FORK_COPY);
	fork_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_overlaps_is_noticed),
		cmocka_unit_test(a_child_knows_whether_it_was_counted),
		cmocka_unit_test(a_fork_does_not_wait_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
