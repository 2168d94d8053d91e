/* SPDX-License-Identifier: MIT */
/* The history: samples, programs, 24 hours and more of them, and clocks. */
#include "daemon/history.h"
#include "daemon/history_merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/history_world.h"
#include "tests/unit/unit.h"

static int setup(void **state)
{
	static struct world world;

	world_new(&world);
	world_begin(&world);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static uint32_t established(const struct history_row *row)
{
	return row->value[STATE_ESTABLISHED - 1];
}

/* --- samples ---------------------------------------------------------------------------------- */

static struct history_row full_row(uint32_t id)
{
	struct history_row row = {.id = id};

	for (uint32_t i = 0; i < HISTORY_VALUES; i++)
		row.value[i] = 1000000 + id * 100 + i;
	return row;
}

static void rows_come_back_as_they_were(void **state)
{
	static struct history_sample sample;
	struct history_row row, other = {.id = 200};
	uint32_t at = 0;

	(void)state;
	other.value[3] = UINT32_MAX;
	for (uint32_t id = 0; id < HISTORY_FULL_ROWS - 1; id++) {
		row = full_row(id);
		assert_true(history_put(&sample, &row));
	}
	assert_true(history_put(&sample, &other));
	row = full_row(1);
	assert_false(history_put(&sample, &row)); /* it is full */
	for (uint32_t id = 0; id < HISTORY_FULL_ROWS - 1; id++) {
		struct history_row wanted = full_row(id);

		assert_true(history_next(&sample, &at, &row));
		assert_memory_equal(&row, &wanted, sizeof(row));
	}
	assert_true(history_next(&sample, &at, &row));
	assert_memory_equal(&row, &other, sizeof(row));
	assert_false(history_next(&sample, &at, &row));
	history_seal(&sample);
	sample.seq = 1;
	assert_false(history_is_whole(&sample));
	history_seal(&sample);
	assert_true(history_is_whole(&sample));
}

static void damaged_rows_end_a_sample(void **state)
{
	static struct history_sample sample;
	struct history_row row;
	uint32_t at = 0;

	(void)state;
	sample.used = UINT32_MAX;
	for (int i = 0; i < HISTORY_WORDS; i++)
		sample.words[i] = UINT32_MAX;
	assert_false(history_next(&sample, &at, &row)); /* there is no such number */
	at = 0;
	sample.words[0] = (1u << HISTORY_VALUES) - 1;
	sample.used = 5;
	assert_false(history_next(&sample, &at, &row)); /* it goes on past the end */
}

/* --- programs --------------------------------------------------------------------------------- */

static void counts_are_of_ten_seconds_and_states_of_their_end(void **state)
{
	struct world *world = *state;
	struct process web = world_process(10, "/usr/sbin/nginx");
	struct history_sample sample;
	struct history_row row;
	struct conn *conn[3];

	for (int i = 0; i < 3; i++)
		conn[i] = world_open(world, &web);
	world_close(world, conn[0], SIDE_PEER);
	conn_count_outcome(world->conns, conn[1], OUTCOME_GRACE);
	world->book->all.outcomes[OUTCOME_GRACE]++;
	world_sample(world);
	assert_true(world_last(world, &sample) && world_row(world, &sample, "nginx", &row));
	assert_int_equal(established(&row), 2);
	assert_int_equal(row.value[HISTORY_OPENS], 3);
	assert_int_equal(row.value[HISTORY_CLOSES + SIDE_PEER], 1);
	assert_int_equal(row.value[HISTORY_OUTCOMES + OUTCOME_GRACE], 1);
	assert_true(world_row_id(&sample, HISTORY_ALL, &row));
	assert_int_equal(row.value[HISTORY_OPENS], 3);
	assert_int_equal(row.value[HISTORY_OUTCOMES + OUTCOME_GRACE], 1);
	assert_int_equal(sample.length_ms, HISTORY_INTERVAL_MS);
	assert_true(sample.flags & HISTORY_ON);
	world_close(world, conn[1], SIDE_US);
	world_sample(world);
	assert_true(world_last(world, &sample) && world_row(world, &sample, "nginx", &row));
	assert_int_equal(established(&row), 1);
	assert_int_equal(row.value[HISTORY_OPENS], 0);
	assert_int_equal(row.value[HISTORY_CLOSES + SIDE_PEER], 0);
	assert_int_equal(row.value[HISTORY_CLOSES + SIDE_US], 1);
}

static void a_process_that_has_gone_is_counted(void **state)
{
	struct world *world = *state;
	struct history_sample sample;
	struct history_row row;

	for (int i = 0; i < 5; i++) {
		struct process process = world_process(100 + i, "/bin/curl");

		world_close(world, world_open(world, &process), SIDE_US);
	}
	world_sample(world);
	assert_true(world_last(world, &sample) && world_row(world, &sample, "curl", &row));
	assert_int_equal(row.value[HISTORY_OPENS], 5);
	assert_int_equal(row.value[HISTORY_CLOSES + SIDE_US], 5);
}

/* Adds the rows of the last sample up. */
static void add_up(struct world *world, uint64_t all[2], uint64_t parts[2])
{
	struct history_sample sample;
	struct history_row row;

	assert_true(world_last(world, &sample));
	for (uint32_t at = 0; history_next(&sample, &at, &row);) {
		uint64_t *sum = row.id == HISTORY_ALL ? all : parts;

		sum[0] += row.value[HISTORY_OPENS];
		for (int i = 0; i < SIDE_COUNT; i++)
			sum[1] += row.value[HISTORY_CLOSES + i];
		assert_true(row.value[HISTORY_OPENS] < 1000000); /* never less than nothing */
	}
}

/* Some find their owner later, some never. */
static void programs_add_up_to_all(void **state)
{
	struct world *world = *state;
	uint64_t all[2] = {0}, parts[2] = {0};
	struct conn *late[200];

	srandom(7);
	for (int round = 0; round < 50; round++) {
		int lates = 0;

		for (int i = 0; i < 200; i++) {
			char exe[32];
			struct process process;

			snprintf(exe, sizeof(exe), "/bin/p%ld", random() % 60);
			process = world_process((pid_t)(1000 + random() % 500), exe);
			if (i % 4 == 0)
				late[lates++] = world_open(world, NULL);
			else if (i % 4 == 1)
				world_open(world, &process);
			else
				world_close(world, world_open(world, &process),
					    (enum close_side)(random() % SIDE_COUNT));
		}
		world_sample(world);
		add_up(world, all, parts);
		for (int i = 0; i < lates; i += 2) {
			struct process process = world_process(5000, "/bin/late");

			conn_attribute(world->conns, late[i], &process);
		}
	}
	world_sample(world);
	add_up(world, all, parts);
	world_open(world, NULL); /* and what is nobody's has been made up for */
	for (int i = 0; i < 2000; i++)
		world_close(world, world_open(world, NULL), SIDE_US);
	world_sample(world);
	add_up(world, all, parts);
	assert_int_equal(all[0], 50 * 200 + 2001);
	assert_int_equal(parts[0], all[0]);
	assert_int_equal(parts[1], all[1]);
}

static void the_busiest_have_a_row_and_the_others_one(void **state)
{
	struct world *world = *state;
	struct history_sample sample;
	struct history_row row;
	unsigned int programs = 0, conns = 0;

	for (int i = 0; i < 60; i++) {
		char exe[32];
		struct process process;

		snprintf(exe, sizeof(exe), "/bin/p%d", i);
		process = world_process(1000 + i, exe);
		for (int j = 0; j <= i; j++)
			world_open(world, &process);
	}
	world_sample(world);
	assert_true(world_last(world, &sample));
	for (uint32_t at = 0; history_next(&sample, &at, &row);) {
		programs += row.id >= HISTORY_FIXED;
		conns += row.id == HISTORY_ALL ? 0 : established(&row);
	}
	assert_int_equal(programs, HISTORY_PROGRAMS);
	assert_int_equal(conns, 60 * 61 / 2);
	assert_true(world_row(world, &sample, "p59", &row));
	assert_int_equal(established(&row), 60);
	assert_false(world_row(world, &sample, "p0", &row));
	assert_true(world_row_id(&sample, HISTORY_OTHER, &row));
	assert_int_equal(established(&row), 29 * 30 / 2);
}

static void those_that_do_nothing_take_no_place(void **state)
{
	struct world *world = *state;
	struct process web = world_process(10, "/usr/sbin/nginx");
	struct history_sample sample;
	struct history_row row;

	for (int i = 0; i < 2000; i++) {
		char exe[32];
		struct process process;

		snprintf(exe, sizeof(exe), "/bin/idle%d", i);
		process = world_process(1000 + i, exe);
		assert_non_null(proc_get(conns_procs(world->conns), &process));
	}
	world_open(world, &web);
	world_sample(world);
	assert_true(world_last(world, &sample) && world_row(world, &sample, "nginx", &row));
	assert_false(world_row_id(&sample, HISTORY_OTHER, &row));
}

static void a_name_that_is_forgotten_is_nobody_elses(void **state)
{
	struct world *world = *state;
	struct history_file *file = history_file_of(world->history);
	struct process first = world_process(7, "/bin/first");
	struct history_sample sample;
	struct history_row row;
	uint64_t seq;
	uint32_t id;

	world_close(world, world_open(world, &first), SIDE_US);
	world_sample(world);
	seq = history_file_next(file) - 1;
	assert_true(world_last(world, &sample) && world_row(world, &sample, "first", &row));
	id = row.id;
	for (int i = 0; i < HISTORY_IDS; i++) {
		char exe[32];
		struct process process;

		snprintf(exe, sizeof(exe), "/bin/n%d", i);
		process = world_process(1000 + i, exe);
		world_close(world, world_open(world, &process), SIDE_US);
		world_sample(world);
	}
	assert_string_not_equal(history_file_name(file, id, history_file_next(file)), "first");
	assert_null(history_file_name(file, id, seq));
	assert_true(history_file_read(file, seq, &sample));
	assert_false(world_row(world, &sample, "first", &row));
}

/* Those that are there before the daemon were opened, and are closed, by nobody in its time. */
static void what_was_there_is_not_opened(void **state)
{
	struct world *world = *state;
	struct process web = world_process(10, "/usr/sbin/nginx");
	struct history_sample sample;
	struct history_row row;
	struct conn *conn = world_open(world, NULL), *waits = world_open(world, NULL);

	conn_was_there(world->conns, conn);
	conn_set_state(world->conns, waits, STATE_TIME_WAIT, 2);
	conn_was_there(world->conns, waits);
	conn_attribute(world->conns, conn, &web);
	conn_attribute(world->conns, waits, &web);
	conn_remove(world->conns, waits);
	world_sample(world);
	assert_true(world_last(world, &sample));
	assert_true(world_row_id(&sample, HISTORY_ALL, &row));
	assert_int_equal(row.value[HISTORY_OPENS], 0);
	assert_int_equal(row.value[HISTORY_CLOSES + SIDE_US], 0);
	assert_int_equal(established(&row), 1);
	world_close(world, conn, SIDE_PEER);
	world_sample(world);
	assert_true(world_last(world, &sample) && world_row(world, &sample, "nginx", &row));
	assert_int_equal(row.value[HISTORY_OPENS], 0);
	assert_int_equal(row.value[HISTORY_CLOSES + SIDE_PEER], 1);
}

/* TIME_WAIT is the end of a close, not the beginning of a minute before it. */
static void a_time_wait_has_closed(void **state)
{
	struct world *world = *state;
	struct process web = world_process(10, "/usr/sbin/nginx");
	struct history_sample sample;
	struct history_row row;
	struct conn *conn = world_open(world, NULL);

	conn_set_state(world->conns, conn, STATE_TIME_WAIT, 2);
	conn_attribute(world->conns, conn, &web);
	world_sample(world);
	assert_true(world_last(world, &sample) && world_row(world, &sample, "nginx", &row));
	assert_int_equal(row.value[HISTORY_CLOSES + SIDE_US], 1);
	conn_remove(world->conns, conn);
	world_sample(world);
	assert_true(world_last(world, &sample) && world_row_id(&sample, HISTORY_ALL, &row));
	assert_int_equal(row.value[HISTORY_CLOSES + SIDE_US], 0);
}

/* --- time ------------------------------------------------------------------------------------- */

static void a_day_and_no_more(void **state)
{
	struct world *world = *state;
	struct history_file *file = history_file_of(world->history);
	struct history_sample sample;
	uint64_t first, next, read = 0;

	for (int i = 0; i < 9000; i++)
		world_sample(world);
	first = history_file_first(file);
	next = history_file_next(file);
	assert_int_equal(next, 9001);
	for (uint64_t seq = 1; seq < next; seq++) {
		bool is_there = history_file_read(file, seq, &sample);

		assert_int_equal(is_there, seq >= first);
		read += is_there;
	}
	assert_int_equal(read, HISTORY_SAMPLES);
	assert_true(read * HISTORY_INTERVAL_MS >= 86400000);
	world_restart(world);
	file = history_file_of(world->history);
	assert_int_equal(history_file_first(file), first);
	assert_int_equal(history_file_next(file), next);
	assert_true(history_file_read(file, first, &sample));
}

static void samples_are_due_at_full_ten_seconds(void **state)
{
	struct world *world = *state;
	unsigned int taken = 0;

	world_end(world);
	world->now.wall_ms = 1795357803000; /* 3 s past */
	world_begin(world);
	assert_false(history_is_due(world->history, world->now.now_ms + 6000));
	for (int second = 0; second < 100; second++) {
		world->now.now_ms += 1000;
		world->now.wall_ms += 1000;
		if (!history_is_due(world->history, world->now.now_ms))
			continue;
		history_take(world->history, &world->now);
		taken++;
		assert_int_equal(world->now.wall_ms % HISTORY_INTERVAL_MS, 0);
	}
	assert_int_equal(taken, 10);
	world->now.now_ms += 3600000; /* stopped for an hour: one sample, not 360 */
	history_take(world->history, &world->now);
	assert_false(history_is_due(world->history, world->now.now_ms + 9000));
}

static void a_clock_that_jumps_is_said(void **state)
{
	struct world *world = *state;
	struct history_file *file = history_file_of(world->history);
	const struct history_note *note;
	struct history_sample sample;

	world_sample(world);
	assert_null(history_file_note_after(file, 0));
	world->now.wall_ms -= 3600000;
	world_sample(world);
	note = history_file_note_after(file, 0);
	assert_non_null(note);
	assert_int_equal(note->kind, NOTE_CLOCK);
	assert_string_equal(note->text, "the clock went 3600.0 s back");
	assert_true(world_last(world, &sample));
	assert_int_equal(sample.length_ms, HISTORY_INTERVAL_MS);
	world->now.wall_ms += 60000;
	world_sample(world);
	note = history_file_note_after(file, note->seq);
	assert_non_null(note);
	assert_string_equal(note->text, "the clock went 60.0 s forward");
	world_restart(world); /* the samples are in their order still */
	assert_int_equal(history_file_next(history_file_of(world->history)), 4);
}

static void restarts_go_on_where_it_was(void **state)
{
	struct world *world = *state;
	struct history_file *file = history_file_of(world->history);
	struct process web = world_process(10, "/usr/sbin/nginx");
	uint32_t run = history_file_run(file);
	struct history_sample sample;
	struct history_row row;

	note(NOTE_OFF, "steering was switched %s", "off\n");
	for (int i = 0; i < 7; i++)
		world_open(world, &web);
	world_sample(world);
	world_restart(world);
	file = history_file_of(world->history);
	assert_int_equal(history_file_run(file), run + 1);
	assert_string_equal(history_file_note_after(file, 0)->text, "steering was switched off?");
	assert_int_equal(history_file_next(file), 2);
	world->now.now_ms = 500; /* the machine's as well */
	world_end(world);
	world_begin(world);
	world_open(world, &web);
	world_sample(world);
	assert_true(world_last(world, &sample) && world_row(world, &sample, "nginx", &row));
	assert_int_equal(row.value[HISTORY_OPENS], 1); /* its counters began anew: not 1 - 7 */
	assert_true(history_file_read(history_file_of(world->history), 1, &sample));
	assert_true(world_row(world, &sample, "nginx", &row));
	assert_int_equal(row.value[HISTORY_OPENS], 7);
}

static void what_others_provoke_displaces_only_its_like(void **state)
{
	struct world *world = *state;
	struct history_file *file = history_file_of(world->history);
	const struct history_note *found = NULL;
	unsigned int limits = 0, offs = 0;
	uint64_t seq = 0;

	note(NOTE_OFF, "by an admin");
	for (int i = 0; i < 5000; i++) {
		note(NOTE_LIMIT, "uid 1000: %d", i);
		if (i % 10 == 0)
			world_sample(world);
	}
	while ((found = history_file_note_after(file, seq))) {
		seq = found->seq;
		limits += found->kind == NOTE_LIMIT;
		offs += found->kind == NOTE_OFF;
	}
	assert_int_equal(offs, 1);
	assert_int_equal(limits, HISTORY_PROVOKED);
}

/* --- fewer ------------------------------------------------------------------------------------ */

static void counts_are_added_and_states_averaged(void **state)
{
	struct history_sum sum = {.is_there = false};
	struct history_row row = {.id = 0};

	(void)state;
	row.value[0] = 10;
	row.value[HISTORY_OPENS] = 5;
	history_sum_add(&sum, &row, 10000);
	row.value[0] = 40;
	history_sum_add(&sum, &row, 5000);
	assert_int_equal(sum.state_ms[0] / 15000, 20);
	assert_int_equal(sum.state_max[0], 40);
	assert_int_equal(sum.count[0], 10);
}

static void steps_begin_where_local_time_has_full_ones(void **state)
{
	struct history_sample sample = {.end_ms = 1795359605000, .length_ms = 10000, .seq = 77};
	const int64_t india = 19800000; /* 5 h 30 min */
	int64_t index = history_index(&sample, 3600000, 0);

	(void)state;
	assert_true(history_index_ms(index, 3600000, 0) <= sample.end_ms - 5000);
	assert_int_equal(history_index_ms(index, 3600000, 0) % 3600000, 0);
	index = history_index(&sample, 3600000, india);
	assert_int_equal((history_index_ms(index, 3600000, india) + (uint64_t)india) % 3600000, 0);
	assert_int_equal(history_index(&sample, 10000, 0), 77);
	assert_int_equal(history_step(86400000, 24, false), 3600000);
	assert_int_equal(history_step(86400000, 25, false), 3600000);
	assert_int_equal(history_step(7200000, 24, false), 300000);
	assert_int_equal(history_step(1, 24, false), 10000);
	assert_int_equal(history_step(UINT64_MAX / 2, 1, false), 14400000);
	assert_int_equal(history_step(86400000, 80, true), 1080000);
}

/* --- cost ------------------------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* 100,000 connections of 500 processes of 50 programs: what a sample takes is of the processes. */
static void a_sample_costs_little(void **state)
{
	enum { CONNS = 100000, PROCESSES = 500, ROUNDS = 20 };
	struct world *world = *state;
	static struct process process[PROCESSES];
	uint64_t before, took = 0;

	for (int i = 0; i < PROCESSES; i++) {
		char exe[32];

		snprintf(exe, sizeof(exe), "/bin/program%d", i % 50);
		process[i] = world_process(1000 + i, exe);
	}
	for (int i = 0; i < CONNS; i++)
		world_open(world, &process[i % PROCESSES]);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 1000; i++)
			world_close(world, world_open(world, &process[i % PROCESSES]), SIDE_US);
		before = cpu_ns();
		world_sample(world);
		took += cpu_ns() - before;
	}
	print_message("# %u connections, %u processes: a sample takes %llu ns of processor time, "
		      "%.5f %% of one\n",
		      (unsigned int)CONNS, (unsigned int)PROCESSES,
		      (unsigned long long)(took / ROUNDS),
		      (double)took / ROUNDS / (HISTORY_INTERVAL_MS * 1e6) * 100);
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_come_back_as_they_were),
		cmocka_unit_test(damaged_rows_end_a_sample),
		IN_WORLD(counts_are_of_ten_seconds_and_states_of_their_end),
		IN_WORLD(a_process_that_has_gone_is_counted),
		IN_WORLD(programs_add_up_to_all),
		IN_WORLD(the_busiest_have_a_row_and_the_others_one),
		IN_WORLD(those_that_do_nothing_take_no_place),
		IN_WORLD(a_name_that_is_forgotten_is_nobody_elses),
		IN_WORLD(what_was_there_is_not_opened),
		IN_WORLD(a_time_wait_has_closed),
		IN_WORLD(a_day_and_no_more),
		IN_WORLD(samples_are_due_at_full_ten_seconds),
		IN_WORLD(a_clock_that_jumps_is_said),
		IN_WORLD(restarts_go_on_where_it_was),
		IN_WORLD(what_others_provoke_displaces_only_its_like),
		cmocka_unit_test(counts_are_added_and_states_averaged),
		cmocka_unit_test(steps_begin_where_local_time_has_full_ones),
		IN_WORLD(a_sample_costs_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
