/* SPDX-License-Identifier: MIT */
/* Mode apply in simulated time: ten minutes of load, second by second, on a kernel that drops what
 * is over its limits. Values move by a quarter at most, no oftener than they may, in one direction,
 * until the drops stop; and go back once nothing wants them. */
#include "tests/unit/balance_kernel.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS = 600, COOLDOWN_MS = 20000, WINDOW = BALANCE_WINDOW_MS / 1000 };

static struct balance_kernel kernel;

static int setup(void **state)
{
	(void)state;
	kernel_init(&kernel);
	kernel.inputs.apply = true;
	kernel.inputs.cooldown_ms = COOLDOWN_MS;
	return 0;
}

/* --- a run ------------------------------------------------------------------------------------ */

/* What happened to one value. */
struct story {
	unsigned int changes, turns; /* turns: from up to down, or back */
	int64_t last, first;
	uint64_t changed_ms;
	int direction;
	uint64_t drops_at_end; /* in the last minute */
};

static void note(struct story *story, int64_t value, bool drops)
{
	int direction = value > story->last ? 1 : -1;
	uint64_t rest = drops ? 3000 : COOLDOWN_MS;

	if (!story->changes && !story->first)
		story->first = story->last = value;
	if (value == story->last)
		return;
	assert_true(llabs(value - story->last) * 4 <= story->last + 3);
	if (story->changes)
		assert_true(kernel.inputs.now_ms - story->changed_ms >= rest);
	story->turns += story->changes && direction != story->direction;
	story->direction = direction;
	story->changed_ms = kernel.inputs.now_ms;
	story->changes++;
	story->last = value;
}

/* Events of the last seconds. */
struct window {
	uint64_t count[WINDOW];
};

static uint64_t window_add(struct window *window, int second, uint64_t count, int seconds)
{
	uint64_t sum = 0;

	window->count[second % WINDOW] = count;
	for (int i = 0; i < seconds && i <= second; i++)
		sum += window->count[(second - i) % WINDOW];
	return sum;
}

/* --- TIME_WAIT buckets ------------------------------------------------------------------------ */

/* A second of the kernel: each of these closes leaves a TIME_WAIT if there is room. */
static void close_some(int second, int rate, struct story *story)
{
	static uint32_t entered[60];
	static struct window drops, all;
	static uint64_t before;
	struct balance_space *space = &kernel.space;
	uint64_t limit = (uint64_t)kernel_get(&kernel, SYSCTL_TIME_WAITS_MAX), dropped;

	if (!second) {
		memset(entered, 0, sizeof(entered));
		memset(&drops, 0, sizeof(drops));
		memset(&all, 0, sizeof(all));
		before = 0;
	}
	space->time_waits -= entered[second % 60];
	entered[second % 60] = (uint32_t)rate;
	if (space->time_waits + (uint64_t)rate > limit)
		entered[second % 60] =
			(uint32_t)(limit > space->time_waits ? limit - space->time_waits : 0);
	space->time_waits += entered[second % 60];
	space->time_waits_peak = space->time_waits;
	dropped = (uint64_t)rate - entered[second % 60];
	space->time_wait_drops = window_add(&drops, second, dropped, WINDOW);
	space->time_wait_drops_now = 0;
	for (int i = 0; i < 3 && i <= second; i++)
		space->time_wait_drops_now += drops.count[(second - i) % WINDOW];
	space->time_waits_s = (double)window_add(&all, second, (uint64_t)rate, WINDOW) /
			      (second < WINDOW ? second + 1 : WINDOW);
	space->time_waits_growth_s = (double)(int64_t)(space->time_waits - before);
	before = space->time_waits;
	if (second >= SECONDS - 60)
		story->drops_at_end += dropped;
}

static void run_closes(int (*rate_at)(int second), struct story *story)
{
	for (int second = 0; second < SECONDS; second++) {
		kernel.inputs.now_ms += 1000;
		close_some(second, rate_at(second), story);
		kernel_assess(&kernel);
		kernel_apply(&kernel);
		note(story, kernel_get(&kernel, SYSCTL_TIME_WAITS_MAX),
		     kernel.space.time_wait_drops_now != 0);
	}
}

static int steady(int second)
{
	(void)second;
	return 250;
}

static int saw_tooth(int second)
{
	return second % 60 < 30 ? 60 + 8 * (second % 60) : 60;
}

static void drops_stop_under_a_steady_load(void **state)
{
	struct story story = {0};

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 10000); /* two thirds of what is needed */
	run_closes(steady, &story);
	assert_int_equal(story.drops_at_end, 0);
	assert_int_equal(story.turns, 0);
	assert_in_range(story.last, 15000 * 3 / 4 / 0.7, 15000 * 5 / 4 / 0.7);
}

static void a_saw_tooth_does_not_make_it_swing(void **state)
{
	struct story story = {0};

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 4000);
	run_closes(saw_tooth, &story);
	assert_int_equal(story.drops_at_end, 0);
	assert_int_equal(story.turns, 0);
	assert_true(story.changes >= 2 && story.changes <= SECONDS * 1000 / COOLDOWN_MS);
}

static void what_is_enough_is_left_alone(void **state)
{
	struct story story = {0};

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 18000); /* best: 21,429 */
	run_closes(steady, &story);
	assert_int_equal(story.changes, 0);
	assert_int_equal(story.drops_at_end, 0);
}

static void bounds_of_the_config_hold(void **state)
{
	struct story story = {0};

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 10000);
	kernel.space.key[SYSCTL_TIME_WAITS_MAX].min = 1000;
	kernel.space.key[SYSCTL_TIME_WAITS_MAX].max = 13000;
	run_closes(steady, &story);
	assert_int_equal(story.last, 13000);
}

static void what_is_somebody_elses_is_not_moved(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct story story = {0};

		kernel_init(&kernel);
		kernel.inputs.apply = true;
		kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 10000);
		kernel.space.key[SYSCTL_TIME_WAITS_MAX].yielded = i == 0;
		kernel.space.key[SYSCTL_TIME_WAITS_MAX].refused = i == 1;
		run_closes(steady, &story);
		assert_int_equal(story.changes, 0);
	}
	kernel_init(&kernel); /* mode advise */
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 100);
	kernel.space.time_waits = kernel.space.time_waits_peak = 100;
	kernel_assess(&kernel);
	assert_int_equal(kernel.sheet.move_count, 0);
	assert_true(kernel.sheet.advice_count > 0);
}

/* --- queues ----------------------------------------------------------------------------------- */

/* Every five seconds so many come at once; the program takes them all before the next. */
static void burst(int second, uint32_t many, struct story *story)
{
	static struct window drops;
	uint32_t dropped = 0;

	if (!second)
		memset(&drops, 0, sizeof(drops));
	if (second % 5 == 0 && many > kernel.listener.backlog)
		dropped = many - kernel.listener.backlog;
	kernel.listener.queue_peak =
		many < kernel.listener.backlog ? many : kernel.listener.backlog;
	kernel.listener.drops = (uint32_t)window_add(&drops, second, dropped, WINDOW);
	kernel.space.listen_drops = kernel.listener.drops;
	kernel.listener.drops_now = 0;
	for (int i = 0; i < 3 && i <= second; i++)
		kernel.listener.drops_now += (uint32_t)drops.count[(second - i) % WINDOW];
	kernel.space.listen_drops_now = kernel.listener.drops_now;
	if (second >= SECONDS - 60)
		story->drops_at_end += dropped;
}

static void a_queue_grows_until_bursts_fit(void **state)
{
	struct story story = {0}, somaxconn = {0};

	(void)state;
	kernel_listen(&kernel, 100);
	kernel_set(&kernel, SYSCTL_SOMAXCONN, 100);
	for (int second = 0; second < SECONDS; second++) {
		kernel.inputs.now_ms += 1000;
		burst(second, 150, &story);
		kernel_assess(&kernel);
		kernel_apply(&kernel);
		note(&story, kernel.listener.backlog, kernel.listener.drops_now != 0);
		note(&somaxconn, kernel_get(&kernel, SYSCTL_SOMAXCONN),
		     kernel.listener.drops_now != 0);
		assert_true(kernel.listener.backlog <= kernel_get(&kernel, SYSCTL_SOMAXCONN));
	}
	assert_int_equal(story.drops_at_end, 0);
	assert_int_equal(story.turns, 0);
	assert_in_range(story.last, 150, 150 * 5 / 4 / 0.7 * 1.25);
}

static void what_nobody_wants_any_more_goes_back(void **state)
{
	struct story up = {0}, down = {0};
	int64_t highest;

	(void)state;
	kernel_listen(&kernel, 100);
	kernel_set(&kernel, SYSCTL_SOMAXCONN, 100);
	for (int second = 0; second < 120; second++) {
		kernel.inputs.now_ms += 1000;
		burst(second, 150, &up);
		kernel_assess(&kernel);
		kernel_apply(&kernel);
	}
	highest = kernel.listener.backlog;
	assert_true(highest >= 150);
	for (int second = 0; second < 3 * SECONDS; second++) {
		kernel.inputs.now_ms += 1000;
		burst(second, 3, &down);
		kernel_assess(&kernel);
		kernel_apply(&kernel);
		if (second < 10 * COOLDOWN_MS / 1000)
			assert_int_equal(kernel.listener.backlog, highest);
		note(&down, kernel.listener.backlog, false);
	}
	assert_int_equal(kernel.listener.backlog, 100);
	assert_int_equal(kernel_get(&kernel, SYSCTL_SOMAXCONN), 100);
	assert_int_equal(down.turns, 0);
}

/* --- others ----------------------------------------------------------------------------------- */

static void the_fin_timeout_falls_and_comes_back(void **state)
{
	struct story story = {0};

	(void)state;
	kernel_set(&kernel, SYSCTL_FIN_TIMEOUT_S, 300);
	kernel.inputs.orphans = kernel.inputs.orphans_peak = 131072;
	kernel.inputs.orphans_fin_wait2 = 131000;
	kernel.space.key[SYSCTL_ORPHANS_MAX].yielded = true;
	for (int second = 0; second < SECONDS; second++) {
		kernel.inputs.now_ms += 1000;
		kernel_assess(&kernel);
		kernel_apply(&kernel);
		note(&story, kernel_get(&kernel, SYSCTL_FIN_TIMEOUT_S), false);
	}
	assert_int_equal(story.last, 60);
	assert_int_equal(story.turns, 0);
	assert_int_equal(kernel_get(&kernel, SYSCTL_ORPHANS_MAX), 131072);
	kernel.inputs.orphans = kernel.inputs.orphans_peak = kernel.inputs.orphans_fin_wait2 = 0;
	for (int second = 0; second < 3 * SECONDS; second++) {
		kernel.inputs.now_ms += 1000;
		kernel_assess(&kernel);
		kernel_apply(&kernel);
	}
	assert_int_equal(kernel_get(&kernel, SYSCTL_FIN_TIMEOUT_S), 300);
}

static void of_the_levers_for_ports_one_is_moved(void **state)
{
	(void)state;
	kernel_connect(&kernel, 5000, 1000);
	kernel_assess(&kernel);
	assert_int_equal(kernel.sheet.move_count, 1);
	assert_int_equal(kernel.sheet.move[0].key, SYSCTL_TIME_WAIT_REUSE);
	kernel_apply(&kernel);
	kernel_assess(&kernel);
	assert_int_equal(kernel.sheet.move_count, 0);
	/* without timestamps a wider range alone does not suffice, and its companion is a policy */
	kernel_set(&kernel, SYSCTL_TIMESTAMPS, 0);
	kernel_assess(&kernel);
	assert_int_equal(kernel.sheet.move_count, 0);
	kernel_connect(&kernel, 12000, 420);
	kernel_assess(&kernel);
	assert_int_equal(kernel.sheet.move_count, 1);
	assert_int_equal(kernel.sheet.move[0].key, SYSCTL_PORT_RANGE);
	kernel_apply(&kernel);
	assert_int_equal(kernel_get(&kernel, SYSCTL_PORT_RANGE), 1024);
}

static void nothing_is_lowered_that_may_only_rise(void **state)
{
	struct story story = {0};

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 10000);
	run_closes(steady, &story);
	for (int second = 0; second < 2 * SECONDS; second++) {
		kernel.inputs.now_ms += 1000;
		memset(&kernel.space.time_waits, 0, sizeof(kernel.space.time_waits));
		kernel.space.time_waits_peak = kernel.space.time_wait_drops = 0;
		kernel.space.time_wait_drops_now = 0;
		kernel.space.time_waits_s = kernel.space.time_waits_growth_s = 0;
		kernel_assess(&kernel);
		kernel_apply(&kernel);
	}
	assert_int_equal(kernel_get(&kernel, SYSCTL_TIME_WAITS_MAX), story.last);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(drops_stop_under_a_steady_load),
		TEST(a_saw_tooth_does_not_make_it_swing),
		TEST(what_is_enough_is_left_alone),
		TEST(bounds_of_the_config_hold),
		TEST(what_is_somebody_elses_is_not_moved),
		TEST(a_queue_grows_until_bursts_fit),
		TEST(what_nobody_wants_any_more_goes_back),
		TEST(the_fin_timeout_falls_and_comes_back),
		TEST(of_the_levers_for_ports_one_is_moved),
		TEST(nothing_is_lowered_that_may_only_rise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
