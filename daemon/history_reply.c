/* SPDX-License-Identifier: MIT */
#include "daemon/history_reply.h"

#include "daemon/client.h"
#include "daemon/history.h"
#include "daemon/history_merge.h"
#include "daemon/loop.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	AT_ONCE = 256, /* samples read, and then others have their turn */
	ROW_COST = 16, /* what a row takes, in samples */
	GAP_MS = 5000, /* without any sample: nobody knows what was */
	DAY_MS = 86400000,
	ROWS_MAX = 100000,
};

/* What was asked for, and how far the answer is. */
struct answer {
	struct history_file *file;
	uint64_t since_ms, until_ms, step_ms;
	int64_t offset_ms;
	char program[HISTORY_NAME]; /* "": all */
	bool programs;
	uint64_t seq, end;    /* the sample to be read, and where to stop */
	uint64_t note;	      /* the last that was told */
	uint64_t last_end_ms; /* of the sample before; 0: none */
	struct history_bucket bucket;
	struct history_sum sum;
	struct history_sum *each; /* by id; NULL: not asked for */
};

/* --- rows ------------------------------------------------------------------------------------- */

static void set_number(json_t *row, const char *name, uint64_t number)
{
	json_object_set_new(row, name, json_integer((json_int_t)number));
}

/* ISO 8601, UTC. */
static void set_time(json_t *row, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[32] = "?";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_object_set_new(row, "time", json_string(text));
	set_number(row, "time_ms", ms);
}

static json_t *row_of(const char *type, uint64_t ms)
{
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string(type));
	set_time(row, ms);
	return row;
}

static void set_sum(json_t *row, const struct history_sum *sum, uint64_t covered_ms)
{
	json_t *states = json_object(), *most = json_object();
	json_t *closes = json_object(), *custody = json_object();
	const uint64_t *count = sum->count;

	for (unsigned int i = 0; i < HISTORY_STATES; i++) {
		double average = covered_ms ? (double)sum->state_ms[i] / (double)covered_ms : 0;

		/* of two decimals: 0.1 ms of a connection is noise */
		json_object_set_new(states, tcp_state_name(i + 1),
				    json_real((double)(int64_t)(average * 100 + 0.5) / 100));
		set_number(most, tcp_state_name(i + 1), sum->state_max[i]);
	}
	set_number(row, "opens", *count++);
	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		set_number(closes, close_side_word((enum close_side)i), *count++);
	for (unsigned int i = 0; i < OUTCOME_COUNT; i++)
		set_number(custody, custody_outcome_word((enum custody_outcome)i), *count++);
	json_object_set_new(row, "closes", closes);
	json_object_set_new(row, "custody", custody);
	json_object_set_new(row, "states", states);
	json_object_set_new(row, "states_max", most);
}

/* As it is said in rows; NULL: the name has been forgotten. */
static const char *name_of(const struct history_file *file, uint32_t id, uint64_t seq)
{
	switch (id) {
	case HISTORY_OTHER:
		return "(other)";
	case HISTORY_UNKNOWN:
		return "(unknown)";
	default:
		return history_file_name(file, id, seq);
	}
}

static json_t *programs_of(const struct answer *answer)
{
	json_t *list = json_array();

	for (uint32_t id = HISTORY_OTHER; id < HISTORY_IDS; id++) {
		const char *name = name_of(answer->file, id, answer->bucket.last_seq);
		json_t *row;

		if (!answer->each[id].is_there)
			continue;
		row = json_object();
		/* bytes of somebody's choice: what is no UTF-8 is not shown */
		json_object_set_new(row, "program", json_string(name ? name : "?"));
		if (!json_object_get(row, "program"))
			json_object_set_new(row, "program", json_string("?"));
		set_sum(row, &answer->each[id], answer->bucket.covered_ms);
		json_array_append_new(list, row);
	}
	return list;
}

static void send_notes(struct client *client, uint64_t sample, uint64_t before_ms)
{
	struct answer *answer = client->work;
	const struct history_note *note;

	while ((note = history_file_note_after(answer->file, answer->note)) &&
	       note->sample <= sample && note->time_ms <= before_ms) {
		json_t *row = row_of("event", note->time_ms);

		answer->note = note->seq;
		if (note->time_ms < answer->since_ms || note->time_ms > answer->until_ms) {
			json_decref(row);
			continue;
		}
		json_object_set_new(row, "event", json_string(note_word(note->kind)));
		json_object_set_new(row, "text", json_string(note->text));
		if (!json_object_get(row, "text"))
			json_object_set_new(row, "text", json_string("?"));
		client_send(client, row);
	}
}

/* What has gathered in the bucket, and what was noted in its time. Returns how many objects. */
static unsigned int flush(struct client *client)
{
	struct answer *answer = client->work;
	struct history_bucket *bucket = &answer->bucket;
	bool raw = answer->step_ms <= HISTORY_INTERVAL_MS;
	unsigned int count = 1;
	json_t *row;

	if (!bucket->samples)
		return 0;
	row = row_of("sample",
		     raw ? bucket->start_ms
			 : history_index_ms(bucket->index, answer->step_ms, answer->offset_ms));
	set_number(row, "length_ms", raw ? bucket->covered_ms : answer->step_ms);
	set_number(row, "covered_ms", bucket->covered_ms);
	set_number(row, "samples", bucket->samples);
	json_object_set_new(row, "on", json_boolean(bucket->on));
	set_sum(row, &answer->sum, bucket->covered_ms);
	set_number(row, "lost", bucket->lost);
	if (answer->each) {
		json_t *programs = programs_of(answer);

		count += (unsigned int)json_array_size(programs);
		json_object_set_new(row, "programs", programs);
		memset(answer->each, 0, HISTORY_IDS * sizeof(answer->each[0]));
	}
	client_send(client, row);
	send_notes(client, bucket->last_seq, UINT64_MAX);
	memset(&answer->sum, 0, sizeof(answer->sum));
	bucket->samples = 0;
	return count;
}

static void send_gap(struct client *client, uint64_t from_ms, uint64_t to_ms)
{
	json_t *row = row_of("gap", from_ms);

	set_number(row, "length_ms", to_ms - from_ms);
	client_send(client, row);
}

/* --- samples ---------------------------------------------------------------------------------- */

static bool is_asked_for(const struct answer *answer, uint32_t id, uint64_t seq)
{
	const char *name;

	if (!answer->program[0])
		return id == HISTORY_ALL;
	name = id == HISTORY_ALL ? NULL : name_of(answer->file, id, seq);
	return name && !strcmp(name, answer->program);
}

static void add_rows(struct answer *answer, const struct history_sample *sample)
{
	struct history_row row;

	for (uint32_t at = 0; history_next(sample, &at, &row);) {
		if (is_asked_for(answer, row.id, sample->seq))
			history_sum_add(&answer->sum, &row, sample->length_ms);
		if (!answer->each || row.id == HISTORY_ALL)
			continue;
		if (row.id >= HISTORY_FIXED && !name_of(answer->file, row.id, sample->seq))
			row.id = HISTORY_OTHER;
		history_sum_add(&answer->each[row.id], &row, sample->length_ms);
	}
}

static unsigned int take(struct client *client, const struct history_sample *sample)
{
	struct answer *answer = client->work;
	uint64_t start = history_start_ms(sample), last = answer->last_end_ms;
	int64_t index = history_index(sample, answer->step_ms, answer->offset_ms);
	unsigned int count = 0;

	if (sample->end_ms <= answer->since_ms || start >= answer->until_ms)
		return 0;
	if (answer->bucket.samples && answer->bucket.index != index)
		count = flush(client);
	if (last && start > last + GAP_MS && !answer->bucket.samples) {
		send_gap(client, last, start);
		send_notes(client, sample->seq, start + 1000);
	}
	history_bucket_add(&answer->bucket, sample, index);
	add_rows(answer, sample);
	answer->last_end_ms = sample->end_ms;
	return count;
}

static void leave(struct client *client)
{
	struct answer *answer = client->work;

	free(answer->each);
	free(answer);
	client->work = NULL;
	client->leave = NULL;
}

static void finish(struct client *client)
{
	flush(client);
	send_notes(client, UINT64_MAX, UINT64_MAX);
	leave(client);
	client_end(client, NULL);
}

static bool step(struct client *client)
{
	struct answer *answer = client->work;
	struct history_sample sample;

	for (unsigned int cost = 0; cost < AT_ONCE; cost++) {
		if (answer->seq >= answer->end) {
			finish(client);
			return false;
		}
		if (history_file_read(answer->file, answer->seq++, &sample))
			cost += ROW_COST * take(client, &sample);
	}
	return true;
}

/* --- the request ------------------------------------------------------------------------------ */

static uint64_t number_in(const json_t *request, const char *name, uint64_t otherwise)
{
	const json_t *value = json_object_get(request, name);

	return json_is_integer(value) && json_integer_value(value) >= 0
		       ? (uint64_t)json_integer_value(value)
		       : otherwise;
}

/* When what is kept begins; 0: there is nothing yet. */
static uint64_t first_ms(const struct answer *answer)
{
	struct history_sample sample;

	for (uint64_t seq = answer->seq; seq < answer->end; seq++)
		if (history_file_read(answer->file, seq, &sample))
			return history_start_ms(&sample);
	return 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Samples of a time to come, which a clock that was set back leaves, are shown unless they are
 * excluded; but rows are not spent on it. */
static void take_request(struct answer *answer, const json_t *request, uint64_t now, uint64_t first)
{
	const char *program = json_string_value(json_object_get(request, "program"));
	uint64_t rows = number_in(request, "rows", 0), from, until;

	answer->until_ms = number_in(request, "until_ms", INT64_MAX);
	answer->since_ms = number_in(request, "since_ms", now > DAY_MS ? now - DAY_MS : 0);
	answer->offset_ms = json_integer_value(json_object_get(request, "offset_ms")) % DAY_MS;
	answer->step_ms = smaller(number_in(request, "step_ms", HISTORY_INTERVAL_MS), DAY_MS);
	from = answer->since_ms > first ? answer->since_ms : first;
	until = smaller(answer->until_ms, now);
	if (rows)
		answer->step_ms = history_step(until > from ? until - from : 1,
					       (unsigned int)smaller(rows, ROWS_MAX),
					       json_is_true(json_object_get(request, "fine")));
	if (program)
		strncpy(answer->program, program, sizeof(answer->program) - 1);
}

static json_t *about(const struct answer *answer, uint64_t now, uint64_t first)
{
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("history"));
	set_number(row, "schema", 1);
	set_number(row, "since_ms", answer->since_ms);
	set_number(row, "until_ms", smaller(answer->until_ms, now));
	set_number(row, "step_ms", answer->step_ms);
	set_number(row, "interval_ms", HISTORY_INTERVAL_MS);
	json_object_set_new(row, "first_ms", first ? json_integer((json_int_t)first) : json_null());
	json_object_set_new(row, "kept", json_boolean(history_file_is_kept(answer->file)));
	json_object_set_new(row, "program",
			    answer->program[0] ? json_string(answer->program) : json_null());
	return row;
}

void history_begin(struct client *client, const json_t *request)
{
	struct history *history = client->loop->history;
	struct answer *answer = calloc(1, sizeof(*answer));
	bool programs = json_is_true(json_object_get(request, "programs"));
	uint64_t now = history_wall_ms(), first;

	if (answer && programs)
		answer->each = calloc(HISTORY_IDS, sizeof(answer->each[0]));
	if (!answer || (programs && !answer->each)) {
		free(answer);
		client_end(client, "out of memory");
		return;
	}
	answer->file = history_file_of(history);
	answer->seq = history_file_first(answer->file);
	answer->end = history_file_next(answer->file);
	first = first_ms(answer);
	take_request(answer, request, now, first);
	client->work = answer;
	client->leave = leave;
	client_send(client, about(answer, now, first));
	client_begin(client, step);
}
