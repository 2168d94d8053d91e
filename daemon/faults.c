/* SPDX-License-Identifier: MIT */
#include "daemon/faults.h"

#include "daemon/doctor.h"
#include "daemon/doctor_run.h"
#include "daemon/loop.h"

#include "common/wire.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	ROUND_MS = 5000, /* between rounds, at the least, */
	ROUND_MAX_MS = 60000,
	ROUND_SHARE = 500, /* and so many times what one takes */
	PAUSE_US = 2000,   /* between its steps */
	WANTED_MS = 300000,
};

struct faults {
	struct loop *loop;
	struct faults_found found;
	struct event step;
	struct doctor_round *round; /* under way; NULL: none */
	uint64_t wanted_ms, round_us;
	bool wanted;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void faults_take(struct faults *faults, const struct verdicts *verdicts, uint64_t now_ms)
{
	struct faults_found *found;

	if (!faults || !verdicts)
		return;
	found = &faults->found;
	memset(found, 0, sizeof(*found));
	found->judged_ms = now_ms;
	for (unsigned int i = 0; i < verdicts->count; i++) {
		const struct verdict *verdict = &verdicts->verdict[i];

		if (verdict->kind->level != VERDICT_FAULT)
			continue;
		found->active[verdict->kind - verdict_kinds]++;
		if (!*found->worst)
			snprintf(found->worst, sizeof(found->worst), "%s: %s", verdict->kind->id,
				 verdict->title);
	}
}

const struct faults_found *faults_found(const struct faults *faults)
{
	return &faults->found;
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval pause = {.tv_usec = PAUSE_US};
	struct faults *faults = arg;
	uint64_t began_us = now_us();
	bool more;

	(void)fd;
	(void)what;
	if (!faults->round)
		return;
	more = doctor_round_step(faults->round);
	faults->round_us += now_us() - began_us;
	if (more) {
		event_add(&faults->step, &pause);
		return;
	}
	faults_take(faults, doctor_round_verdicts(faults->round), wire_now_ms());
	doctor_round_free(faults->round);
	faults->round = NULL;
}

static uint64_t pause_ms(const struct faults *faults)
{
	uint64_t pause = faults->round_us * ROUND_SHARE / 1000;

	if (pause < ROUND_MS)
		return ROUND_MS;
	return pause > ROUND_MAX_MS ? ROUND_MAX_MS : pause;
}

static void begin(struct faults *faults)
{
	faults->round = doctor_round_new(faults->loop);
	if (!faults->round)
		return;
	faults->round_us = 0;
	on_step(-1, 0, faults);
}

void faults_tick(struct faults *faults, uint64_t now_ms)
{
	if (!faults || faults->round || !faults->wanted || !faults->loop->doctor)
		return;
	if (now_ms - faults->wanted_ms > WANTED_MS) {
		faults->wanted = false;
		return;
	}
	if (!faults->found.judged_ms || now_ms - faults->found.judged_ms >= pause_ms(faults))
		begin(faults);
}

void faults_want(struct faults *faults, uint64_t now_ms)
{
	if (!faults)
		return;
	faults->wanted = true;
	faults->wanted_ms = now_ms;
}

struct faults *faults_new(struct loop *loop)
{
	struct faults *faults = calloc(1, sizeof(*faults));

	if (!faults)
		return NULL;
	faults->loop = loop;
	evtimer_assign(&faults->step, loop->base, on_step, faults);
	return faults;
}

void faults_free(struct faults *faults)
{
	if (!faults)
		return;
	event_del(&faults->step);
	doctor_round_free(faults->round);
	free(faults);
}
