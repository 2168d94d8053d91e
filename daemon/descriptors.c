/* SPDX-License-Identifier: MIT */
#include "daemon/descriptors.h"

#include <stdlib.h>
#include <string.h>

enum { PLACES = 64, PASSED_A_TICK = 1024 };

/* One that was near its limit when it was last looked at. */
struct place {
	struct proc_key key; /* pid 0: free */
	uint64_t since_ms, seen_ms;
};

struct descriptors {
	struct procs *procs;
	bool (*few)(uint64_t used, uint64_t limit);
	struct proc_walk walk;
	bool walking;
	struct place places[PLACES];
};

struct descriptors *descriptors_new(struct procs *procs, bool (*few)(uint64_t used, uint64_t limit))
{
	struct descriptors *descriptors = calloc(1, sizeof(*descriptors));

	if (descriptors) {
		descriptors->procs = procs;
		descriptors->few = few;
	}
	return descriptors;
}

void descriptors_free(struct descriptors *descriptors)
{
	if (!descriptors)
		return;
	if (descriptors->walking)
		proc_walk_end(descriptors->procs, &descriptors->walk);
	free(descriptors);
}

/* Its own, or the one whose last look is longest ago. */
static struct place *place_of(struct descriptors *descriptors, const struct proc *proc)
{
	struct place *oldest = &descriptors->places[0];

	for (int i = 0; i < PLACES; i++) {
		struct place *place = &descriptors->places[i];

		if (!memcmp(&place->key, &proc->key, sizeof(place->key)))
			return place;
		if (place->seen_ms < oldest->seen_ms)
			oldest = place;
	}
	*oldest = (struct place){.key = proc->key};
	return oldest;
}

bool descriptors_look(struct descriptors *descriptors, const struct proc *proc, uint64_t now_ms,
		      struct probe_descriptors *found, int64_t *since_ms)
{
	pid_t pid = proc->process.pid;
	struct place *place;

	/* Read first: a pid may become another's in between. */
	if (!probe_descriptors(pid, found) || !descriptors->few(found->used, found->limit) ||
	    !process_is(pid, proc->process.start)) {
		for (int i = 0; i < PLACES; i++)
			if (!memcmp(&descriptors->places[i].key, &proc->key, sizeof(proc->key)))
				descriptors->places[i] = (struct place){.since_ms = 0};
		return false;
	}
	place = place_of(descriptors, proc);
	if (!place->since_ms)
		place->since_ms = now_ms;
	place->seen_ms = now_ms;
	*since_ms = (int64_t)(now_ms - place->since_ms);
	return true;
}

bool descriptors_is_live(const struct proc *proc)
{
	uint32_t time_waits = proc->census.state[STATE_TIME_WAIT];

	return proc->sessions || proc->census.state[STATE_LISTEN] ||
	       census_conns(&proc->census) > time_waits;
}

void descriptors_tick(struct descriptors *descriptors, uint64_t now_ms)
{
	int looks = 0;

	if (!descriptors->walking)
		proc_walk_begin(descriptors->procs, &descriptors->walk);
	descriptors->walking = true;
	for (int i = 0; i < PASSED_A_TICK && looks < DESCRIPTORS_A_TICK; i++) {
		const struct proc *proc = proc_walk_next(&descriptors->walk);
		struct probe_descriptors found;
		int64_t since_ms;

		if (!proc) {
			proc_walk_end(descriptors->procs, &descriptors->walk);
			descriptors->walking = false;
			return;
		}
		if (!descriptors_is_live(proc))
			continue;
		descriptors_look(descriptors, proc, now_ms, &found, &since_ms);
		looks++;
	}
}
