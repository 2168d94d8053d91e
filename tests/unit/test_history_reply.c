/* SPDX-License-Identifier: MIT */
/* What the daemon answers of its history: rows in their order, made fewer, gaps, notes, and clocks
 * that jump. */
#include "daemon/history_reply.h"

#include "daemon/client.h"
#include "daemon/history.h"
#include "daemon/loop.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/history_world.h"
#include "tests/unit/unit.h"

static struct loop loop;

static int setup(void **state)
{
	static struct world world;

	world_new(&world);
	world_begin(&world);
	loop = (struct loop){.base = event_base_new()};
	*state = &world;
	return loop.base ? 0 : -1;
}

static int teardown(void **state)
{
	event_base_free(loop.base);
	world_free(*state);
	return 0;
}

/* The rows that it answers; a reference of the caller's. The end must be a good one. */
static json_t *ask(struct world *world, const char *request_text)
{
	struct client client = {.loop = &loop};
	json_t *request = json_loads(request_text, 0, NULL), *rows = json_array();
	struct evbuffer *out;
	char *line;

	assert_non_null(request);
	loop.history = world->history;
	client.stream = bufferevent_socket_new(loop.base, -1, 0);
	assert_non_null(client.stream);
	out = bufferevent_get_output(client.stream);
	evbuffer_unfreeze(out, 1); /* nobody reads at its other end */
	history_begin(&client, request);
	while (client.step && client.step(&client))
		;
	while ((line = evbuffer_readln(out, NULL, EVBUFFER_EOL_LF))) {
		json_array_append_new(rows, json_loads(line, 0, NULL));
		free(line);
	}
	assert_null(client.work);
	assert_true(json_is_true(
		json_object_get(json_array_get(rows, json_array_size(rows) - 1), "ok")));
	json_array_remove(rows, json_array_size(rows) - 1);
	bufferevent_free(client.stream);
	json_decref(request);
	return rows;
}

/* "row 30 12 | off", and so on: types, seconds since the world began (or of gaps the length),
 * opens.
 */
static void shape(const json_t *rows, char *out, size_t size)
{
	const json_t *row;
	size_t used = 0, i;

	out[0] = '\0';
	json_array_foreach(rows, i, row)
	{
		const char *type = json_string_value(json_object_get(row, "type"));
		long long at =
			json_integer_value(json_object_get(row, "time_ms")) / 1000 - 1795357800;

		if (!strcmp(type, "sample"))
			used += (size_t)snprintf(
				out + used, size - used, "%s%lld:%lld", used ? " " : "", at,
				(long long)json_integer_value(json_object_get(row, "opens")));
		else if (!strcmp(type, "gap"))
			used += (size_t)snprintf(
				out + used, size - used, "%sgap %lld", used ? " " : "",
				(long long)json_integer_value(json_object_get(row, "length_ms")) /
					1000);
		else if (!strcmp(type, "event"))
			used += (size_t)snprintf(out + used, size - used, "%s%s", used ? " " : "",
						 json_string_value(json_object_get(row, "event")));
	}
}

static void answers(struct world *world, const char *request, const char *expected)
{
	json_t *rows = ask(world, request);
	char got[4096];

	shape(rows, got, sizeof(got));
	json_decref(rows);
	assert_string_equal(got, expected);
}

/* Ten seconds with so many opens. */
static void opens(struct world *world, const char *exe, int count)
{
	struct process process = world_process(10, exe);

	for (int i = 0; i < count; i++)
		world_close(world, world_open(world, &process), SIDE_US);
	world_sample(world);
}

/* Notes have the real time; here the history's own is wanted. */
static void note_at(struct world *world, enum note_kind kind)
{
	history_file_note(history_file_of(world->history), kind, world->now.wall_ms, "x");
}

#define ALL "\"since_ms\":0,\"until_ms\":1795999999000"

static void a_row_for_each_sample(void **state)
{
	struct world *world = *state;

	answers(world, "{" ALL "}", "");
	for (int i = 1; i <= 3; i++)
		opens(world, "/bin/a", i);
	answers(world, "{" ALL "}", "0:1 10:2 20:3");
	answers(world, "{\"since_ms\":1795357811000,\"until_ms\":1795357815000}", "10:2");
	answers(world, "{\"since_ms\":1795357810000,\"until_ms\":1795357820000}", "10:2");
	answers(world, "{\"since_ms\":1795999999000,\"until_ms\":0}", "");
}

static void steps_add_up_and_average(void **state)
{
	struct world *world = *state;
	struct process web = world_process(10, "/bin/web");
	json_t *rows, *row;

	for (int i = 0; i < 12; i++) {
		world_open(world, &web);
		world_sample(world);
	}
	answers(world, "{" ALL ",\"step_ms\":60000}", "0:6 60:6");
	rows = ask(world, "{" ALL ",\"step_ms\":60000,\"programs\":true}");
	row = json_array_get(rows, 1);
	assert_int_equal(json_integer_value(json_object_get(row, "samples")), 6);
	assert_int_equal(json_integer_value(json_object_get(row, "covered_ms")), 60000);
	assert_string_equal(json_string_value(json_object_get(row, "time")),
			    "2026-11-22T14:30:00Z");
	assert_true(json_real_value(
			    json_object_get(json_object_get(row, "states"), "ESTABLISHED")) == 3.5);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(row, "states_max"),
							    "ESTABLISHED")),
			 6);
	row = json_object_get(row, "programs");
	assert_int_equal(json_array_size(row), 1);
	row = json_array_get(row, 0);
	assert_string_equal(json_string_value(json_object_get(row, "program")), "web");
	assert_int_equal(json_integer_value(json_object_get(row, "opens")), 6);
	json_decref(rows);
}

static void of_one_program(void **state)
{
	struct world *world = *state;

	opens(world, "/bin/a", 5);
	opens(world, "/bin/b", 7);
	answers(world, "{" ALL ",\"program\":\"a\"}", "0:5 10:0");
	answers(world, "{" ALL ",\"program\":\"b\",\"step_ms\":60000}", "0:7");
	answers(world, "{" ALL ",\"program\":\"(other)\"}", "0:0 10:0");
	answers(world, "{" ALL ",\"program\":\"\"}", "0:5 10:7");
	answers(world, "{" ALL ",\"program\":\"none-that-is-so-called-and-has-a-name-too-long\"}",
		"0:0 10:0");
}

static void without_a_daemon_there_is_a_gap(void **state)
{
	struct world *world = *state;

	opens(world, "/bin/a", 1);
	note_at(world, NOTE_STOP);
	opens(world, "/bin/a", 2);
	world->now.wall_ms += 100000;
	world->now.now_ms += 100000;
	world_restart(world);
	note_at(world, NOTE_START);
	opens(world, "/bin/a", 3);
	opens(world, "/bin/a", 4);
	answers(world, "{" ALL "}", "0:1 10:2 stop gap 100 start 120:3 130:4");
	answers(world, "{" ALL ",\"step_ms\":60000}", "0:3 stop gap 100 start 120:7");
	/* within a step it is a time that the step does not cover */
	answers(world, "{" ALL ",\"step_ms\":600000}", "0:10 stop start");
}

static void a_clock_that_goes_back_loses_nothing(void **state)
{
	struct world *world = *state;

	opens(world, "/bin/a", 1);
	opens(world, "/bin/a", 2);
	world->now.wall_ms -= 3600000;
	opens(world, "/bin/a", 3);
	opens(world, "/bin/a", 4);
	answers(world, "{" ALL "}", "0:1 10:2 -3580:3 clock -3570:4");
	answers(world, "{" ALL ",\"step_ms\":60000}", "0:3 -3600:7 clock");
	world->now.wall_ms += 3600000;
	opens(world, "/bin/a", 5);
	answers(world, "{" ALL ",\"step_ms\":60000}", "0:3 -3600:7 clock gap 3600 0:5 clock");
}

static void what_is_damaged_is_a_gap(void **state)
{
	struct world *world = *state;

	for (int i = 1; i <= 5; i++)
		opens(world, "/bin/a", i);
	world_end(world);
	for (int seq = 2; seq <= 3; seq++) {
		FILE *file = fopen(world->path, "r+");

		assert_non_null(file);
		assert_int_equal(
			fseek(file,
			      (long)(HISTORY_FILE_SIZE -
				     HISTORY_SAMPLES * sizeof(struct history_sample) +
				     (unsigned long)seq * sizeof(struct history_sample) + 20),
			      SEEK_SET),
			0);
		fputs("damage", file);
		fclose(file);
	}
	world_begin(world);
	answers(world, "{" ALL "}", "0:1 gap 20 30:4 40:5");
}

static void as_many_rows_as_are_wanted(void **state)
{
	struct world *world = *state;
	json_t *rows;

	/* the end that is asked for is never later than now: the samples are of this hour */
	world->now.wall_ms = history_wall_ms() / 10000 * 10000 - 7200000;
	world_restart(world);
	for (int i = 0; i < 720; i++)
		world_sample(world);
	rows = ask(world, "{\"rows\":25}");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "step_ms")),
			 300000);
	assert_in_range(json_array_size(rows), 25, 27); /* the first says what was asked for */
	json_decref(rows);
	rows = ask(world, "{\"rows\":100,\"fine\":true}");
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(rows, 0), "step_ms")) % 10000, 0);
	assert_in_range(json_array_size(rows), 90, 103);
	json_decref(rows);
}

static void nonsense_is_answered(void **state)
{
	static const char *const requests[] = {
		"{\"since_ms\":-1,\"until_ms\":-9223372036854775807,\"step_ms\":-5}",
		"{\"since_ms\":\"x\",\"step_ms\":[],\"rows\":{},\"program\":7,\"offset_ms\":\"\"}",
		"{\"step_ms\":0,\"rows\":0}",
		"{\"step_ms\":9223372036854775807,\"offset_ms\":9223372036854775807}",
		"{\"rows\":9223372036854775807,\"fine\":true,\"since_ms\":9223372036854775807}",
		"{\"rows\":1,\"offset_ms\":-9223372036854775807,\"programs\":\"yes\"}",
	};
	struct world *world = *state;

	for (int i = 0; i < 20; i++)
		opens(world, "/bin/a\xff\n", i);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		json_decref(ask(world, requests[i]));
}

int main(void)
{
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_WORLD(a_row_for_each_sample),
		IN_WORLD(steps_add_up_and_average),
		IN_WORLD(of_one_program),
		IN_WORLD(without_a_daemon_there_is_a_gap),
		IN_WORLD(a_clock_that_goes_back_loses_nothing),
		IN_WORLD(what_is_damaged_is_a_gap),
		IN_WORLD(as_many_rows_as_are_wanted),
		IN_WORLD(nonsense_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
