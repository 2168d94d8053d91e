/* SPDX-License-Identifier: MIT */
/* SIGKILL at every step of writing sysctls, of putting them back, and of recovering from the
 * SIGKILL before: whatever is killed where, the next setter puts back every value, compared key by
 * key. And an admin who writes at every step, or after it, is never overwritten. */
#include "tests/unit/setter_world.h"
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned int kills, writes_between;
static unsigned int steps_hit[SETTER_STEP_COUNT];

/* What a child leaves behind. */
static struct shared {
	int step; /* where it was killed */
} * shared;

static int steps_left; /* before it happens */
static const struct world_key *admins;

/* --- the faults ------------------------------------------------------------------------------- */

static void kill_here(enum setter_step step)
{
	if (steps_left-- > 0)
		return;
	shared->step = (int)step;
	kill(getpid(), SIGKILL);
}

static void admin_here(enum setter_step step)
{
	if (steps_left-- != 0)
		return;
	shared->step = (int)step;
	world_set(admins->key, &admins->admins);
}

/* True: it was killed, at step n. */
static bool is_killed(int n, void (*action)(const void *), const void *arg)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		steps_left = n;
		setter_seam.step = kill_here;
		action(arg);
		_exit(0);
	}
	assert_true(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return false;
	}
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	kills++;
	steps_hit[shared->step]++;
	return true;
}

static void assert_same(const struct world_values *before, const char *what)
{
	struct world_values now;

	world_read_all(&now);
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++) {
		char is[SYSCTL_TEXT], was[SYSCTL_TEXT];

		if (sysctl_same(&now.value[key], &before->value[key]))
			continue;
		fail_msg("%s is %s, was %s: %s", sysctls[key].name,
			 sysctl_format(&now.value[key], is, sizeof(is)),
			 sysctl_format(&before->value[key], was, sizeof(was)), what);
	}
}

static void revert_all(const struct world_values *before, const char *what)
{
	struct world world = world_start();

	world_walk(&world, SETTER_REVERT, NULL, 0);
	assert_same(before, what);
	assert_int_equal(world_walk(&world, SETTER_LIST, NULL, 0), 0);
	assert_false(world_has_journal());
	world_stop(&world, false);
}

/* At each step in turn, until it gets through. */
static void at_each_step(void (*prepare)(void), void (*action)(const void *), const void *arg)
{
	struct world_values before;
	bool more = true;

	for (int n = 0; more; n++) {
		char what[64];

		world_reset();
		world_read_all(&before);
		if (prepare)
			prepare();
		more = is_killed(n, action, arg);
		snprintf(what, sizeof(what), "killed at step %d", n);
		revert_all(&before, what);
	}
}

/* --- what is killed --------------------------------------------------------------------------- */

static void write_one(const void *arg)
{
	const struct world_key *key = arg;
	struct world world = world_start();

	if (world_write(&world, key->key, &key->one).outcome != SETTER_DONE)
		_exit(2);
}

static void write_twice(const void *arg)
{
	const struct world_key *key = arg;
	struct world world = world_start();

	if (world_write(&world, key->key, &key->one).outcome != SETTER_DONE ||
	    world_write(&world, key->key, &key->two).outcome != SETTER_DONE)
		_exit(2);
}

/* One up, and back again by itself. */
static void write_and_shrink(const void *arg)
{
	const struct world_key *key = arg;
	struct world world = world_start();

	if (world_write(&world, key->key, &key->two).outcome != SETTER_DONE ||
	    world_write(&world, key->key, &key->one).outcome != SETTER_DONE ||
	    world_write(&world, key->key, &key->base).outcome != SETTER_DONE)
		_exit(2);
}

static void write_all(const void *arg)
{
	struct world world = world_start();

	(void)arg;
	for (int i = 0; i < WORLD_KEYS; i++)
		if (world_write(&world, world_keys[i].key, &world_keys[i].one).outcome !=
		    SETTER_DONE)
			_exit(2);
}

/* Another guardian in between. */
static void have_all_written(void)
{
	struct world world = world_start();

	for (int i = 0; i < WORLD_KEYS; i++)
		assert_int_equal(world_write(&world, world_keys[i].key, &world_keys[i].one).outcome,
				 SETTER_DONE);
	world_stop(&world, false);
}

static void write_all_further(const void *arg)
{
	struct world world = world_start();

	(void)arg;
	for (int i = 0; i < WORLD_KEYS; i++)
		if (world_write(&world, world_keys[i].key, &world_keys[i].two).outcome !=
		    SETTER_DONE)
			_exit(2);
}

static void put_all_back(const void *arg)
{
	struct world world = world_start();

	(void)arg;
	world_walk(&world, SETTER_REVERT, NULL, 0);
}

static void stop(const void *arg)
{
	struct world world = world_start();

	(void)arg;
	world_stop(&world, true);
}

/* --- the tests -------------------------------------------------------------------------------- */

static void one_key(void **state)
{
	(void)state;
	world_need();
	for (int i = 0; i < WORLD_KEYS; i++)
		at_each_step(NULL, write_one, &world_keys[i]);
}

static void one_key_twice(void **state)
{
	(void)state;
	world_need();
	for (int i = 0; i < WORLD_KEYS; i++)
		at_each_step(NULL, write_twice, &world_keys[i]);
}

static void one_key_up_and_back(void **state)
{
	(void)state;
	world_need();
	for (int i = 0; i < WORLD_KEYS; i++)
		if (!sysctl_same(&world_keys[i].one, &world_keys[i].two))
			at_each_step(NULL, write_and_shrink, &world_keys[i]);
}

static void all_keys(void **state)
{
	(void)state;
	world_need();
	at_each_step(NULL, write_all, NULL);
	at_each_step(have_all_written, write_all_further, NULL);
}

static void putting_back(void **state)
{
	(void)state;
	world_need();
	at_each_step(have_all_written, put_all_back, NULL);
	at_each_step(have_all_written, stop, NULL);
}

/* Who recovers is killed as well, at each of its steps. */
static void killed_again(void **state)
{
	static const struct world_key *const two[] = {&world_keys[0], &world_keys[5]};
	struct world_values before;

	(void)state;
	world_need();
	for (size_t i = 0; i < ARRAY_SIZE(two); i++) {
		bool more = true;

		for (int n = 0; more; n++) {
			bool again = true;

			for (int m = 0; again; m++) {
				char what[64];

				world_reset();
				world_read_all(&before);
				more = is_killed(n, write_twice, two[i]);
				again = is_killed(m, put_all_back, NULL);
				snprintf(what, sizeof(what), "killed at %d, and again at %d", n, m);
				revert_all(&before, what);
			}
		}
	}
}

/* He writes at step n, and nothing is killed; then all is put back. */
static void admin_writes_in_between(void **state)
{
	(void)state;
	world_need();
	for (int i = 0; i < WORLD_KEYS; i++) {
		bool more = true;

		for (int n = 0; more; n++) {
			struct world_values before;
			struct world world;

			world_reset();
			world_read_all(&before);
			admins = &world_keys[i];
			before.value[admins->key] = admins->admins;
			world = world_start();
			steps_left = n;
			setter_seam.step = admin_here;
			world_write(&world, admins->key, &admins->one);
			world_walk(&world, SETTER_REVERT, NULL, 0);
			more = steps_left < 0;
			writes_between += more;
			if (!more)
				world_set(admins->key, &admins->admins);
			setter_seam.step = NULL;
			assert_same(&before, "an admin's write is overwritten");
			assert_int_equal(world_walk(&world, SETTER_LIST, NULL, 0), 0);
			assert_false(world_has_journal());
			world_stop(&world, true);
			assert_same(&before, "an admin's write is overwritten");
		}
	}
}

/* It is killed at step n, then he writes, then the next one comes and all is put back. */
static void admin_writes_after_the_kill(void **state)
{
	(void)state;
	world_need();
	for (int i = 0; i < WORLD_KEYS; i++) {
		bool more = true;

		for (int n = 0; more; n++) {
			struct world_values before;

			world_reset();
			world_read_all(&before);
			before.value[world_keys[i].key] = world_keys[i].admins;
			more = is_killed(n, write_twice, &world_keys[i]);
			world_set(world_keys[i].key, &world_keys[i].admins);
			writes_between++;
			revert_all(&before, "an admin's write is overwritten");
		}
	}
}

/* Whoever adds a step must see to it that something is killed there. */
static void each_step_was_hit(void **state)
{
	static const char *const names[] = {
#define X(name) #name,
		SETTER_STEPS(X)
#undef X
	};

	(void)state;
	world_need();
	for (int i = 0; i < SETTER_STEP_COUNT; i++) {
		print_message("# killed at %s: %u\n", names[i], steps_hit[i]);
		assert_true(steps_hit[i] > 0);
	}
	print_message("# %u kills, %u writes by an admin in between\n", kills, writes_between);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_key),
		cmocka_unit_test(one_key_twice),
		cmocka_unit_test(one_key_up_and_back),
		cmocka_unit_test(all_keys),
		cmocka_unit_test(putting_back),
		cmocka_unit_test(killed_again),
		cmocka_unit_test(admin_writes_in_between),
		cmocka_unit_test(admin_writes_after_the_kill),
		cmocka_unit_test(each_step_was_hit),
	};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	world_open();
	return world_close(cmocka_run_group_tests_name("setter_kill", tests, NULL, NULL));
}
