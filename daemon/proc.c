/* SPDX-License-Identifier: MIT */
#include "daemon/proc.h"

#include <utlist.h>

#include <stdlib.h>
#include <string.h>

/* What the last second counts for in a rate. */
#define RATE_WEIGHT 0.3F

struct procs {
	struct proc *by_key;
	struct proc_walk *walks;
	proc_fn *gone;
	void *gone_arg;
	struct groups groups[GROUP_KINDS];
};

struct procs *procs_new(void)
{
	return calloc(1, sizeof(struct procs));
}

void procs_free(struct procs *procs)
{
	struct proc *proc, *next;

	if (!procs)
		return;
	HASH_ITER(hh, procs->by_key, proc, next)
	{
		HASH_DEL(procs->by_key, proc);
		free(proc);
	}
	for (int i = 0; i < GROUP_KINDS; i++)
		groups_clear(&procs->groups[i]);
	free(procs);
}

static const char *group_name(const struct process *process, enum group_kind kind)
{
	return kind == GROUP_UNIT ? process->unit : process_name(process);
}

/* Its counts go with it: it may have become another program. */
static void change_group(struct procs *procs, struct proc *proc, enum group_kind kind)
{
	struct group *old = proc->group[kind], *now;
	const char *name = group_name(&proc->process, kind);

	if (old && !strncmp(old->name, name, sizeof(old->name) - 1))
		return;
	now = group_join(&procs->groups[kind], name);
	for (unsigned int i = 0; i < STATE_COUNT; i++) {
		if (old)
			old->state[i] -= proc->census.state[i];
		if (now)
			now->state[i] += proc->census.state[i];
	}
	proc->group[kind] = now;
	group_leave(&procs->groups[kind], old);
}

void proc_count(struct proc *proc, unsigned int state, int by)
{
	proc->census.state[state] += (uint32_t)by;
	for (int i = 0; i < GROUP_KINDS; i++)
		if (proc->group[i])
			proc->group[i]->state[state] += (uint32_t)by;
}

const struct groups *procs_groups(const struct procs *procs, enum group_kind kind)
{
	return &procs->groups[kind];
}

struct proc *proc_get(struct procs *procs, const struct process *process)
{
	struct proc_key key = {.pid = process->pid, .start = process->start};
	struct proc *proc;

	HASH_FIND(hh, procs->by_key, &key, sizeof(key), proc);
	if (!proc) {
		proc = calloc(1, sizeof(*proc));
		if (!proc)
			return NULL;
		proc->key = key;
		HASH_ADD(hh, procs->by_key, key, sizeof(proc->key), proc);
	}
	proc->process = *process;
	for (int i = 0; i < GROUP_KINDS; i++)
		change_group(procs, proc, (enum group_kind)i);
	return proc_ref(proc);
}

struct proc *proc_ref(struct proc *proc)
{
	proc->references++;
	return proc;
}

void proc_put(struct procs *procs, struct proc *proc)
{
	struct proc_walk *walk;

	if (!proc || --proc->references)
		return;
	if (procs->gone)
		procs->gone(procs->gone_arg, proc);
	DL_FOREACH2(procs->walks, walk, next_walk)
	{
		if (walk->next == proc)
			walk->next = proc->hh.next;
	}
	HASH_DEL(procs->by_key, proc);
	for (int i = 0; i < GROUP_KINDS; i++)
		group_leave(&procs->groups[i], proc->group[i]);
	free(proc);
}

void procs_set_gone(struct procs *procs, proc_fn *gone, void *arg)
{
	procs->gone = gone;
	procs->gone_arg = arg;
}

void procs_each(struct procs *procs, proc_fn *each, void *arg)
{
	struct proc *proc;

	for (proc = procs->by_key; proc; proc = proc->hh.next)
		each(arg, proc);
}

uint64_t census_closes(const struct census *census)
{
	uint64_t closes = 0;

	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		closes += census->closes[i];
	return closes;
}

uint32_t census_conns(const struct census *census)
{
	uint32_t conns = 0;

	for (unsigned int i = 0; i < STATE_COUNT; i++)
		conns += i == STATE_LISTEN ? 0 : census->state[i];
	return conns;
}

static void rate_tick(float *rate, uint64_t now, uint64_t *before, unsigned int elapsed_ms)
{
	/* nobody's become fewer, when somebody is found to own them */
	float last = now > *before ? (float)(now - *before) * 1000 / (float)elapsed_ms : 0;

	*rate += (last - *rate) * RATE_WEIGHT;
	if (*rate < 0.05F)
		*rate = 0;
	*before = now;
}

void census_tick(struct census *census, unsigned int elapsed_ms)
{
	rate_tick(&census->opens_s, census->opens, &census->opens_before, elapsed_ms);
	rate_tick(&census->closes_s, census_closes(census), &census->closes_before, elapsed_ms);
}

void procs_tick(struct procs *procs, unsigned int elapsed_ms)
{
	struct proc *proc;

	for (proc = procs->by_key; proc; proc = proc->hh.next)
		census_tick(&proc->census, elapsed_ms);
}

pid_t *procs_with_sessions(const struct procs *procs, unsigned int *count)
{
	pid_t *pids = calloc(HASH_COUNT(procs->by_key) + 1, sizeof(pids[0]));
	const struct proc *proc;

	*count = 0;
	for (proc = procs->by_key; proc && pids; proc = proc->hh.next)
		if (proc->sessions)
			pids[(*count)++] = proc->process.pid;
	return pids;
}

void proc_walk_begin(struct procs *procs, struct proc_walk *walk)
{
	walk->next = procs->by_key;
	DL_APPEND2(procs->walks, walk, prev_walk, next_walk);
}

const struct proc *proc_walk_next(struct proc_walk *walk)
{
	struct proc *proc = walk->next;

	if (proc)
		walk->next = proc->hh.next;
	return proc;
}

void proc_walk_end(struct procs *procs, struct proc_walk *walk)
{
	DL_DELETE2(procs->walks, walk, prev_walk, next_walk);
}
