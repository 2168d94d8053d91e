/* SPDX-License-Identifier: MIT */
#include "daemon/vitals.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct sample {
	uint64_t at_ms;
	uint64_t counters[PROBE_COUNTER_COUNT];
};

struct listener {
	uint64_t cookie;
	struct vitals_listener vitals;
	unsigned int round; /* in which it was last seen */
	UT_hash_handle hh;
};

struct vitals {
	struct probe *probe;
	struct sample ring[VITALS_SECONDS];
	unsigned int count, last; /* last: the newest */
	struct listener *listeners;
	unsigned int round;
	uint64_t tick_ms; /* when it last looked */
	uint64_t now_ms;  /* while it looks */
};

/* --- counters --------------------------------------------------------------------------------- */

void vitals_take_counters(struct vitals *vitals, const uint64_t counters[PROBE_COUNTER_COUNT],
			  uint64_t now_ms, bool is_new)
{
	struct sample *sample;

	if (is_new || vitals->count < 2) { /* growth needs two */
		if (vitals->count)
			vitals->last = (vitals->last + 1) % VITALS_SECONDS;
		if (vitals->count < VITALS_SECONDS)
			vitals->count++;
	}
	sample = &vitals->ring[vitals->last];
	sample->at_ms = now_ms;
	memcpy(sample->counters, counters, sizeof(sample->counters));
}

/* 0 is the newest. */
static const struct sample *sample_at(const struct vitals *vitals, unsigned int back)
{
	return &vitals->ring[(vitals->last + VITALS_SECONDS - back) % VITALS_SECONDS];
}

uint64_t vitals_now(const struct vitals *vitals, enum probe_counter counter)
{
	return vitals->count ? sample_at(vitals, 0)->counters[counter] : 0;
}

/* The last look that is wholly before the window, so that none of it is missed. */
static const struct sample *sample_before(const struct vitals *vitals, uint64_t window_ms,
					  uint64_t now_ms)
{
	unsigned int back = 0;

	while (back + 1 < vitals->count && sample_at(vitals, back)->at_ms + window_ms > now_ms)
		back++;
	return sample_at(vitals, back);
}

uint64_t vitals_grown(const struct vitals *vitals, enum probe_counter counter, uint64_t window_ms,
		      uint64_t now_ms)
{
	if (!vitals->count)
		return 0;
	return vitals_now(vitals, counter) -
	       sample_before(vitals, window_ms, now_ms)->counters[counter];
}

double vitals_rate(const struct vitals *vitals, enum probe_counter counter, uint64_t window_ms,
		   uint64_t now_ms)
{
	const struct sample *then, *last;
	uint64_t elapsed_ms;

	if (!vitals->count)
		return 0;
	then = sample_before(vitals, window_ms, now_ms);
	last = sample_at(vitals, 0);
	if (last->at_ms <= then->at_ms)
		return 0;
	elapsed_ms = last->at_ms - then->at_ms;
	if (elapsed_ms < window_ms / 2) /* seen for so short a time, a burst is no rate */
		elapsed_ms = window_ms / 2;
	return (double)(int64_t)(last->counters[counter] - then->counters[counter]) * 1000 /
	       (double)elapsed_ms;
}

uint64_t vitals_peak(const struct vitals *vitals, enum probe_counter counter, uint64_t window_ms,
		     uint64_t now_ms)
{
	uint64_t peak = 0;

	for (unsigned int back = 0; back < vitals->count; back++) {
		const struct sample *sample = sample_at(vitals, back);

		if (sample->at_ms + window_ms < now_ms)
			break;
		if (sample->counters[counter] > peak)
			peak = sample->counters[counter];
	}
	return peak;
}

int64_t vitals_at_least_since(const struct vitals *vitals, enum probe_counter counter,
			      uint64_t least, uint64_t now_ms)
{
	int64_t since_ms = -1;

	for (unsigned int back = 0; back < vitals->count; back++) {
		const struct sample *sample = sample_at(vitals, back);

		if (sample->counters[counter] < least)
			break;
		since_ms = (int64_t)(now_ms - sample->at_ms);
	}
	return since_ms;
}

/* --- listeners -------------------------------------------------------------------------------- */

static void note_drops(struct vitals_listener *listener, uint32_t drops, uint64_t now_ms)
{
	if (!drops)
		return;
	if (now_ms - listener->last_drop_ms > VITALS_RUN_GAP_MS || !listener->drops) {
		listener->drops = 0;
		listener->first_drop_ms = now_ms;
	}
	listener->drops += drops;
	listener->last_drop_ms = now_ms;
}

void vitals_take_listener(struct vitals *vitals, const struct probe_listener *now, uint64_t now_ms)
{
	struct listener *listener;

	HASH_FIND(hh, vitals->listeners, &now->cookie, sizeof(now->cookie), listener);
	if (!listener) {
		listener = calloc(1, sizeof(*listener));
		if (!listener)
			return;
		listener->cookie = now->cookie;
		HASH_ADD(hh, vitals->listeners, cookie, sizeof(listener->cookie), listener);
	} else {
		note_drops(&listener->vitals, now->drops - listener->vitals.now.drops, now_ms);
	}
	listener->vitals.now = *now;
	listener->round = vitals->round;
}

static void take_listener(const struct probe_listener *now, void *arg)
{
	struct vitals *vitals = arg;

	vitals_take_listener(vitals, now, vitals->now_ms);
}

static void forget_listeners(struct vitals *vitals, bool all)
{
	struct listener *listener, *next;

	HASH_ITER(hh, vitals->listeners, listener, next)
	{
		if (!all && listener->round == vitals->round)
			continue;
		HASH_DEL(vitals->listeners, listener);
		free(listener);
	}
}

void vitals_each_listener(const struct vitals *vitals,
			  bool (*take)(const struct vitals_listener *listener, void *arg),
			  void *arg)
{
	const struct listener *listener;

	for (listener = vitals->listeners; listener; listener = listener->hh.next)
		if (!take(&listener->vitals, arg))
			return;
}

/* --- looking ---------------------------------------------------------------------------------- */

static void look(struct vitals *vitals, uint64_t now_ms, bool is_new)
{
	uint64_t counters[PROBE_COUNTER_COUNT];

	probe_counters(vitals->probe, counters);
	vitals_take_counters(vitals, counters, now_ms, is_new);
	vitals->now_ms = now_ms;
	vitals->round++;
	if (probe_listeners(vitals->probe, take_listener, vitals))
		forget_listeners(vitals, false);
}

void vitals_tick(struct vitals *vitals, uint64_t now_ms)
{
	if (vitals->tick_ms && now_ms - vitals->tick_ms < VITALS_TICK_MS)
		return;
	vitals->tick_ms = now_ms;
	look(vitals, now_ms, true);
}

void vitals_refresh(struct vitals *vitals, uint64_t now_ms)
{
	look(vitals, now_ms, false);
}

struct vitals *vitals_new(struct probe *probe, uint64_t now_ms)
{
	struct vitals *vitals = calloc(1, sizeof(*vitals));

	if (!vitals)
		return NULL;
	vitals->probe = probe;
	vitals_tick(vitals, now_ms);
	return vitals;
}

void vitals_free(struct vitals *vitals)
{
	if (!vitals)
		return;
	forget_listeners(vitals, true);
	free(vitals);
}
