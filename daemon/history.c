/* SPDX-License-Identifier: MIT */
#include "daemon/history.h"

#include <uthash.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PROGRAMS_MAX = 512,    /* that are told apart within ten seconds */
	JUMP_MS = 2000,	       /* of the wall clock */
	SCORE_SHIFT = 3,       /* how much of what it did counts a sample later: 7/8 */
	LIMITS_AT_ONCE = 8,    /* notes of what others provoke */
	LIMITS_PER_SAMPLE = 1, /* ... once these have come */
};

/* What has gathered of a program since the last sample. */
struct program {
	char name[HISTORY_NAME];
	uint64_t value[HISTORY_VALUES];
	uint64_t score;
	UT_hash_handle hh;
};

struct history {
	struct history_parts parts;
	struct history_file *file;
	struct program *programs;
	struct program rest; /* of PROGRAMS_MAX */
	struct program unknown;
	struct census_told all, told_unknown;
	uint64_t lost;
	uint64_t due_ms, last_ms, last_wall_ms;
	unsigned int limits; /* notes that may come */
	bool losing;	     /* the last sample lost some */
};

uint64_t history_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- what has happened ------------------------------------------------------------------------ */

/* What is nobody's becomes less when its owner is found: then what follows is the first to make it
 * up again. */
static uint64_t news(uint64_t now, uint64_t *told)
{
	uint64_t more = now > *told ? now - *told : 0;

	*told += more;
	return more;
}

static void add_news(uint64_t value[HISTORY_VALUES], const struct census *census,
		     struct census_told *told)
{
	value[HISTORY_OPENS] += news(census->opens, &told->opens);
	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		value[HISTORY_CLOSES + i] += news(census->closes[i], &told->closes[i]);
	for (unsigned int i = 0; i < OUTCOME_COUNT; i++)
		value[HISTORY_OUTCOMES + i] += news(census->outcomes[i], &told->outcomes[i]);
}

static bool is_zero(const uint64_t value[HISTORY_VALUES])
{
	for (unsigned int i = 0; i < HISTORY_VALUES; i++)
		if (value[i])
			return false;
	return true;
}

static void add_states(uint64_t value[HISTORY_VALUES], const struct census *census)
{
	for (unsigned int i = 0; i < HISTORY_STATES; i++)
		value[i] += census->state[i + 1];
}

static struct program *program_of(struct history *history, const struct process *process)
{
	struct program *program;
	char name[HISTORY_NAME];

	snprintf(name, sizeof(name), "%s", process_name(process));
	if (!strcmp(name, "?"))
		return &history->unknown;
	HASH_FIND_STR(history->programs, name, program);
	if (program)
		return program;
	program = HASH_COUNT(history->programs) < PROGRAMS_MAX ? calloc(1, sizeof(*program)) : NULL;
	if (!program)
		return &history->rest;
	memcpy(program->name, name, sizeof(name));
	HASH_ADD_STR(history->programs, name, program);
	return program;
}

static void on_gone(void *arg, struct proc *proc)
{
	struct history *history = arg;

	add_news(program_of(history, &proc->process)->value, &proc->census, &proc->told);
}

/* One that has nothing, and has done nothing, takes no other program's place. */
static void on_each(void *arg, struct proc *proc)
{
	uint64_t value[HISTORY_VALUES] = {0};
	struct program *program;

	add_news(value, &proc->census, &proc->told);
	add_states(value, &proc->census);
	if (is_zero(value))
		return;
	program = program_of(arg, &proc->process);
	for (unsigned int i = 0; i < HISTORY_VALUES; i++)
		program->value[i] += value[i];
}

static void gather(struct history *history)
{
	procs_each(conns_procs(history->parts.conns), on_each, history);
	add_news(history->unknown.value, conns_unknown(history->parts.conns),
		 &history->told_unknown);
	add_states(history->unknown.value, conns_unknown(history->parts.conns));
}

/* --- a sample --------------------------------------------------------------------------------- */

static uint64_t activity(const struct program *program)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < HISTORY_VALUES; i++)
		sum += program->value[i];
	return sum;
}

static int by_score(const struct program *a, const struct program *b)
{
	if (a->score != b->score)
		return a->score < b->score ? 1 : -1;
	return strcmp(a->name, b->name);
}

static void rank(struct history *history)
{
	struct program *program;

	for (program = history->programs; program; program = program->hh.next)
		program->score += activity(program) - (program->score >> SCORE_SHIFT);
	HASH_SORT(history->programs, by_score);
}

static struct history_row row_of(uint32_t id, const uint64_t value[HISTORY_VALUES])
{
	struct history_row row = {.id = id};

	for (unsigned int i = 0; i < HISTORY_VALUES; i++)
		row.value[i] = value[i] < UINT32_MAX ? (uint32_t)value[i] : UINT32_MAX;
	return row;
}

static void put_row(struct history_sample *sample, uint32_t id,
		    const uint64_t value[HISTORY_VALUES])
{
	struct history_row row = row_of(id, value);

	if (id == HISTORY_ALL || !is_zero(value))
		history_put(sample, &row);
}

/* The busiest first, as many as fit beside the fixed rows; the others are one. */
static void put_programs(struct history *history, struct history_sample *sample)
{
	const uint32_t room = HISTORY_WORDS - HISTORY_FIXED * HISTORY_FULL_ROW;
	struct program *program;
	unsigned int count = 0;

	for (program = history->programs; program; program = program->hh.next) {
		if (is_zero(program->value))
			continue;
		if (count < HISTORY_PROGRAMS && sample->used + HISTORY_FULL_ROW <= room) {
			put_row(sample, history_file_id(history->file, program->name),
				program->value);
			count++;
			continue;
		}
		for (unsigned int i = 0; i < HISTORY_VALUES; i++)
			history->rest.value[i] += program->value[i];
	}
}

static void put_all(struct history *history, struct history_sample *sample)
{
	const struct census *all = conns_census(history->parts.conns);
	uint64_t value[HISTORY_VALUES] = {0};
	struct census census = *all;

	/* Of a connection that was forgotten meanwhile, custody counts in the books alone. */
	memcpy(census.outcomes, history->parts.book->all.outcomes, sizeof(census.outcomes));
	add_news(value, &census, &history->all);
	add_states(value, all);
	put_row(sample, HISTORY_ALL, value);
}

static void forget(struct history *history)
{
	struct program *program, *next;

	HASH_ITER(hh, history->programs, program, next)
	{
		if (is_zero(program->value) && !(program->score >> SCORE_SHIFT)) {
			HASH_DEL(history->programs, program);
			free(program);
			continue;
		}
		memset(program->value, 0, sizeof(program->value));
	}
	memset(history->rest.value, 0, sizeof(history->rest.value));
	memset(history->unknown.value, 0, sizeof(history->unknown.value));
}

/* It was set, or the machine has slept: else wall and other time would have gone alike. */
static void look_at_clocks(struct history *history, const struct history_now *now)
{
	int64_t jump = (int64_t)(now->wall_ms - history->last_wall_ms) -
		       (int64_t)(now->now_ms - history->last_ms);
	char text[64];

	if (jump < JUMP_MS && jump > -JUMP_MS)
		return;
	snprintf(text, sizeof(text), "the clock went %.1f s %s",
		 (double)(jump < 0 ? -jump : jump) / 1000, jump < 0 ? "back" : "forward");
	history_note(history, NOTE_CLOCK, text);
}

static uint32_t count_lost(struct history *history, const struct history_now *now)
{
	uint64_t lost = news(now->lost, &history->lost);
	char text[64];

	if (lost && !history->losing) {
		snprintf(text, sizeof(text), "%" PRIu64 " records were lost", lost);
		history_note(history, NOTE_LOST, text);
	}
	history->losing = lost != 0;
	return lost < UINT32_MAX ? (uint32_t)lost : UINT32_MAX;
}

static void plan_next(struct history *history, uint64_t now_ms)
{
	history->due_ms += HISTORY_INTERVAL_MS;
	if (history->due_ms <= now_ms) /* far behind: nothing is made up for */
		history->due_ms = now_ms + HISTORY_INTERVAL_MS;
}

bool history_is_due(const struct history *history, uint64_t now_ms)
{
	return now_ms >= history->due_ms;
}

void history_take(struct history *history, const struct history_now *now)
{
	struct history_sample sample = {
		.end_ms = now->wall_ms,
		.length_ms = (uint32_t)(now->now_ms - history->last_ms),
		.flags = now->on ? HISTORY_ON : 0,
	};

	look_at_clocks(history, now);
	sample.lost = count_lost(history, now);
	gather(history);
	rank(history);
	put_programs(history, &sample);
	put_row(&sample, HISTORY_OTHER, history->rest.value);
	put_row(&sample, HISTORY_UNKNOWN, history->unknown.value);
	put_all(history, &sample);
	history_file_add(history->file, &sample);
	forget(history);
	history->last_ms = now->now_ms;
	history->last_wall_ms = now->wall_ms;
	if (history->limits < LIMITS_AT_ONCE)
		history->limits += LIMITS_PER_SAMPLE;
	if (history_is_due(history, now->now_ms))
		plan_next(history, now->now_ms);
}

void history_note(void *arg, enum note_kind kind, const char *text)
{
	struct history *history = arg;

	if (kind == NOTE_LIMIT && !history->limits)
		return; /* the log has its own way to say that there are more */
	if (kind == NOTE_LIMIT)
		history->limits--;
	history_file_note(history->file, kind, history_wall_ms(), text);
}

/* --- life ------------------------------------------------------------------------------------- */

struct history *history_new(const char *path, const struct history_parts *parts,
			    const struct history_now *now)
{
	struct history *history = calloc(1, sizeof(*history));

	if (!history)
		return NULL;
	history->parts = *parts;
	history->file = history_file_open(path);
	if (!history->file) {
		free(history);
		return NULL;
	}
	history->last_ms = now->now_ms;
	history->last_wall_ms = now->wall_ms;
	history->lost = now->lost;
	history->limits = LIMITS_AT_ONCE;
	history->due_ms = now->now_ms + HISTORY_INTERVAL_MS - now->wall_ms % HISTORY_INTERVAL_MS;
	procs_set_gone(conns_procs(parts->conns), on_gone, history);
	return history;
}

void history_free(struct history *history)
{
	struct program *program, *next;

	if (!history)
		return;
	procs_set_gone(conns_procs(history->parts.conns), NULL, NULL);
	HASH_ITER(hh, history->programs, program, next)
	{
		HASH_DEL(history->programs, program);
		free(program);
	}
	history_file_close(history->file);
	free(history);
}

struct history_file *history_file_of(struct history *history)
{
	return history->file;
}
