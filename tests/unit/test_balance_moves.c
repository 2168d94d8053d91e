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

/* Bursts for ten seconds of every twenty-five, and ten cooldowns are twenty: what they need stays.
 */
static void bursts_that_are_rare_do_not_make_it_swing(void **state)
{
	struct story story = {0};

	(void)state;
	kernel.inputs.cooldown_ms = 2000;
	kernel_listen(&kernel, 100);
	for (int second = 0; second < 3 * SECONDS; second++) {
		kernel.inputs.now_ms += 1000;

		burst(second, second % 25 < 10 ? 150 : 3, &story);
		kernel_assess(&kernel);
		kernel_apply(&kernel);
		story.turns += second > SECONDS && kernel.listener.backlog != story.last;
		story.last = kernel.listener.backlog;
	}
	assert_int_equal(story.turns, 0);
	assert_true(story.last >= 150);
}

static void a_syn_queue_grows_and_cookies_leave_it(void **state)
{
	(void)state;
	for (int cookies = 0; cookies < 2; cookies++) {
		struct story story = {0};
		int64_t room;

		kernel_init(&kernel);
		kernel.inputs.apply = true;
		kernel.inputs.cooldown_ms = COOLDOWN_MS;
		kernel_listen(&kernel, 4096);
		kernel_set(&kernel, SYSCTL_SYN_COOKIES, cookies);
		kernel_set(&kernel, SYSCTL_SYN_BACKLOG_MAX, 128);
		for (int second = 0; second < SECONDS; second++) {
			uint32_t many = cookies ? 5000 : 144, dropped;

			kernel.inputs.now_ms += 1000;
			room = kernel_get(&kernel, SYSCTL_SYN_BACKLOG_MAX) * 3 / 4;
			if (cookies)
				room = kernel.listener.backlog;
			dropped = many > room ? many - (uint32_t)room : 0;
			kernel.listener.handshakes = many - dropped;
			kernel.listener.handshakes_peak = many - dropped;
			kernel.listener.drops = kernel.listener.drops_now = cookies ? 0 : dropped;
			kernel.space.syn_drops = kernel.space.syn_drops_now = kernel.listener.drops;
			kernel.space.syn_cookies = cookies ? dropped : 0;
			kernel_assess(&kernel);
			kernel_apply(&kernel);
			note(&story, kernel_get(&kernel, SYSCTL_SYN_BACKLOG_MAX), dropped != 0);
			if (second >= SECONDS - 60)
				story.drops_at_end += kernel.listener.drops;
			assert_int_equal(kernel.listener.backlog, 4096);
		}
		assert_int_equal(story.drops_at_end, 0);
		assert_int_equal(story.turns, 0);
		if (cookies)
			assert_int_equal(story.changes,
					 0); /* nothing is lost; it may be an attack */
		else
			assert_in_range(story.last, 144 * 4 / 3, 144 * 4 / 3 / 0.7 * 1.25);
	}
}

static void orphans_grow_within_their_memory(void **state)
{
	struct story story = {0};

	(void)state;
	kernel_set(&kernel, SYSCTL_ORPHANS_MAX, 1000);
	for (int second = 0; second < SECONDS; second++) {
		uint64_t many = second % 60 < 30 ? 1500 : 300;
		uint64_t limit = (uint64_t)kernel_get(&kernel, SYSCTL_ORPHANS_MAX);

		kernel.inputs.now_ms += 1000;
		kernel.inputs.orphans = kernel.inputs.orphans_peak = many < limit ? many : limit;
		kernel.inputs.orphan_drops = kernel.inputs.orphan_drops_now =
			many > limit ? many - limit : 0;
		kernel_assess(&kernel);
		kernel_apply(&kernel);
		note(&story, kernel_get(&kernel, SYSCTL_ORPHANS_MAX),
		     kernel.inputs.orphan_drops_now != 0);
		if (second >= SECONDS - 60)
			story.drops_at_end += kernel.inputs.orphan_drops;
	}
	assert_int_equal(story.drops_at_end, 0);
	assert_int_equal(story.turns, 0);
	assert_in_range(story.last, 1500 / 0.7 * 3 / 4, 1500 / 0.7 * 5 / 4);
	/* for no more than the memory that they may cost */
	kernel_init(&kernel);
	kernel.inputs.apply = true;
	kernel.inputs.memory_max = 200 * 4096;
	kernel_set(&kernel, SYSCTL_ORPHANS_MAX, 1000);
	for (int second = 0; second < SECONDS; second++) {
		kernel.inputs.now_ms += 1000;
		kernel.inputs.orphans = kernel.inputs.orphans_peak =
			(uint64_t)kernel_get(&kernel, SYSCTL_ORPHANS_MAX);
		kernel.inputs.orphan_drops = kernel.inputs.orphan_drops_now = 500;
		kernel_assess(&kernel);
		kernel_apply(&kernel);
	}
	assert_int_equal(kernel_get(&kernel, SYSCTL_ORPHANS_MAX), 1200);
	assert_false(kernel.sheet.advice_count && kernel.sheet.advice[0].enough);
}

/* From outside of the bounds of the config it comes by steps too. */
static void a_min_is_no_jump(void **state)
{
	struct story story = {0};

	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 8000);
	kernel.space.key[SYSCTL_TIME_WAITS_MAX].min = 40000;
	kernel.space.key[SYSCTL_TIME_WAITS_MAX].max = 100000;
	run_closes(steady, &story);
	assert_true(story.changes >= 3);
	assert_int_equal(story.drops_at_end, 0);
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
		TEST(bursts_that_are_rare_do_not_make_it_swing),
		TEST(a_syn_queue_grows_and_cookies_leave_it),
		TEST(orphans_grow_within_their_memory),
		TEST(a_min_is_no_jump),
		TEST(the_fin_timeout_falls_and_comes_back),
		TEST(of_the_levers_for_ports_one_is_moved),
		TEST(nothing_is_lowered_that_may_only_rise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
