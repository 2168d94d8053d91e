/* SPDX-License-Identifier: MIT */
#include "daemon/tune_listeners.h"

#include "daemon/gather_rows.h"
#include "daemon/follow.h"
#include "daemon/loop.h"
#include "daemon/netns.h"
#include "daemon/vitals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { SECONDS = 12, PORTS_PART = 20 }; /* what takes less than a twentieth is not spoken of */

struct listener_history {
	uint64_t cookie;
	struct probe_listener now;
	struct {
		uint64_t at_ms;
		uint32_t queue, drops;
	} look[SECONDS];
	unsigned int looks;
	unsigned int round;
	uint32_t handshakes; /* when the model was last walked, */
	uint64_t walked_ms;  /* then */
	uint32_t original;
	uint64_t changed_ms, calm_ms;
	struct balance_listener *row; /* of this round */
	UT_hash_handle hh;
};

void samples_who(struct balance_who *who, const struct proc *proc)
{
	memset(who, 0, sizeof(*who));
	if (!proc)
		return;
	who->pid = proc->process.pid;
	who->shim = proc->sessions > 0;
	snprintf(who->program, sizeof(who->program), "%s", process_name(&proc->process));
	snprintf(who->unit, sizeof(who->unit), "%s", proc->process.unit);
}

/* --- listeners -------------------------------------------------------------------------------- */

struct looking {
	struct tune_samples *samples;
	unsigned int space;
	uint64_t now_ms;
};

static struct listener_history *history_of(struct tune_samples *samples, uint64_t cookie)
{
	struct listener_history *history;

	HASH_FIND(hh, samples->history, &cookie, sizeof(cookie), history);
	if (history)
		return history;
	history = calloc(1, sizeof(*history));
	if (!history)
		return NULL;
	history->cookie = cookie;
	HASH_ADD(hh, samples->history, cookie, sizeof(history->cookie), history);
	return history;
}

/* Several looks within one second are one. */
static void note_look(struct listener_history *history, const struct probe_listener *now,
		      uint64_t now_ms)
{
	unsigned int at = history->looks % SECONDS, last = (history->looks + SECONDS - 1) % SECONDS;

	if (history->looks && now_ms - history->look[last].at_ms < 900) {
		at = last;
		if (now->queue < history->look[at].queue) {
			history->look[at].drops = now->drops;
			return;
		}
	} else {
		history->looks++;
		history->look[at].at_ms = now_ms;
	}
	history->look[at].queue = now->queue;
	history->look[at].drops = now->drops;
}

static void sum_up(const struct listener_history *history, struct balance_listener *row,
		   uint64_t now_ms)
{
	unsigned int count = history->looks < SECONDS ? history->looks : SECONDS;
	uint32_t first = history->look[(history->looks - 1) % SECONDS].drops, last = first;

	for (unsigned int back = 1; back <= count; back++) {
		unsigned int at = (history->looks - back) % SECONDS;

		if (history->look[at].at_ms + BALANCE_WINDOW_MS < now_ms)
			break;
		if (history->look[at].queue > row->queue_peak)
			row->queue_peak = history->look[at].queue;
		first = history->look[at].drops;
		if (history->look[at].at_ms + BALANCE_NOW_MS >= now_ms)
			row->drops_now = last - first;
	}
	row->drops = last - first;
}

static bool take_listener(const struct vitals_listener *listener, void *arg)
{
	const struct looking *looking = arg;
	struct tune_samples *samples = looking->samples;
	struct listener_history *history = history_of(samples, listener->now.cookie);
	struct conn *conn = conn_find(samples->loop->conns, listener->now.cookie);
	struct balance_listener *row;

	if (!history)
		return false;
	history->round = samples->round;
	history->row = NULL;
	history->now = listener->now;
	note_look(history, &listener->now, looking->now_ms);
	if (samples->inputs.listener_count == SAMPLES_LISTENERS)
		return true;
	row = &samples->listener[samples->inputs.listener_count++];
	*row = (struct balance_listener){
		.space = looking->space,
		.cookie = listener->now.cookie,
		.at = listener->now.local,
		.backlog = listener->now.backlog,
		.queue = listener->now.queue,
		.can_relisten = conn && conn->proc,
		.original = history->original,
		.changed_ms = history->changed_ms,
		.calm_ms = history->calm_ms,
	};
	if (looking->now_ms - history->walked_ms <= 2 * BALANCE_WINDOW_MS)
		row->handshakes = row->handshakes_peak = history->handshakes;
	history->row = row;
	samples_who(&row->who, conn ? conn->proc : NULL);
	sum_up(history, row, looking->now_ms);
	return true;
}

/* What balance_assess() has noted in the last round. */
static void keep_calm(struct tune_samples *samples)
{
	struct listener_history *history;

	for (history = samples->history; history; history = history->hh.next)
		if (history->row)
			history->calm_ms = history->row->calm_ms;
}

void listeners_look(struct tune_samples *samples, unsigned int space, const struct netns *ns,
		    uint64_t now_ms)
{
	struct looking looking = {samples, space, now_ms};

	if (space == CONN_NETNS_OWN) { /* the first */
		keep_calm(samples);
		samples->inputs.listener_count = 0;
	}
	vitals_each_listener(ns->vitals, take_listener, &looking);
}

void listeners_forget(struct tune_samples *samples, bool all)
{
	struct listener_history *history, *next;

	HASH_ITER(hh, samples->history, history, next)
	{
		if (!all && history->round == samples->round)
			continue;
		HASH_DEL(samples->history, history);
		free(history);
	}
}

const struct probe_listener *samples_listener(const struct tune_samples *samples, uint64_t cookie)
{
	struct listener_history *history;

	HASH_FIND(hh, samples->history, &cookie, sizeof(cookie), history);
	return history ? &history->now : NULL;
}

void samples_relistened(struct tune_samples *samples, uint64_t cookie, uint32_t from,
			uint64_t now_ms)
{
	struct listener_history *history;

	HASH_FIND(hh, samples->history, &cookie, sizeof(cookie), history);
	if (!history)
		return;
	if (!history->original)
		history->original = from;
	history->changed_ms = now_ms;
}

/* --- a walk ----------------------------------------------------------------------------------- */

void samples_ranges(const struct tune_samples *samples, struct gather_parts *parts)
{
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++) {
		const struct sysctl_value *range = &samples->space[i].key[SYSCTL_PORT_RANGE].now;

		if (range->count != 2)
			continue;
		parts->ports[i] = (struct probe_ports){
			.lo = (uint16_t)range->number[0],
			.hi = (uint16_t)range->number[1],
			.reserved = samples->space[i].reserved,
		};
	}
}

static const struct policy_terms *terms_of(const struct loop *loop, const char *policy)
{
	for (unsigned int i = 0; policy && i < loop->config->rule_count; i++)
		if (!strcmp(loop->config->rules[i].name, policy))
			return &loop->config->rules[i].terms;
	return NULL;
}

/* How long those were taken that are counted: a load that began just now has no more behind it. */
static double taken_s(const struct gather *gather, const struct destination_row *row)
{
	uint64_t since_ms = rows_ago(gather, row->first_ms);

	if (since_ms > DOCTOR_RATE_MS)
		since_ms = DOCTOR_RATE_MS;
	if (since_ms < 1000)
		since_ms = 1000;
	return (double)row->facts.opened * 1000 / (double)since_ms;
}

static void take_destination(struct tune_samples *samples, const struct gather *gather,
			     const struct destination_row *row)
{
	const struct probe_ports *range = &gather->parts.ports[row->route.netns];
	const struct policy_terms *terms = terms_of(samples->loop, row->policy);
	struct balance_inputs *inputs = &samples->inputs;
	struct balance_ports *ports = NULL;

	if (row->facts.used * PORTS_PART < (uint32_t)range->hi - range->lo + 1 - range->reserved)
		return;
	if (inputs->ports_count < SAMPLES_PORTS)
		ports = &samples->ports[inputs->ports_count++];
	for (int i = 0; !ports && i < SAMPLES_PORTS; i++)
		if (samples->ports[i].used < row->facts.used)
			ports = &samples->ports[i];
	if (!ports)
		return;
	*ports = (struct balance_ports){
		.space = (unsigned int)row->route.netns,
		.local = row->route.local,
		.remote = row->route.remote,
		.used = row->facts.used,
		.time_wait = row->facts.time_wait,
		.reusable = row->facts.reusable,
		.rate_s = taken_s(gather, row),
		.loopback = row->facts.loopback,
		.searches_singly = terms && terms->local_ports.lo,
		.time_wait_ms = terms ? terms->time_wait_ms : TIME_WAIT_KEEP,
	};
	memcpy(ports->released, row->released, sizeof(ports->released));
	samples_who(&ports->who, row->proc);
	snprintf(ports->who.policy, sizeof(ports->who.policy), "%s",
		 row->policy ? row->policy : "");
}

static void take_maker(struct balance_space *space, const struct maker_row *row)
{
	const struct doctor_place *place = &row->facts.time_waits.place[0];
	struct balance_maker maker = {.count = row->facts.time_waits.count};
	const char *policy;

	for (int i = 1; i < DOCTOR_PLACES; i++)
		if (row->facts.time_waits.place[i].count > place->count)
			place = &row->facts.time_waits.place[i];
	maker.server = place->server;
	maker.place = place->at;
	samples_who(&maker.who, row->proc);
	if (row->facts.several)
		maker.who.pid = 0;
	policy = row->facts.who.policy[place->server];
	snprintf(maker.who.policy, sizeof(maker.who.policy), "%s", policy ? policy : "");
	for (int i = 0; i < BALANCE_MAKERS; i++) {
		struct balance_maker pushed = space->maker[i];

		if (pushed.count >= maker.count)
			continue;
		space->maker[i] = maker;
		maker = pushed;
	}
}

static void take_handshakes(struct tune_samples *samples, struct gather *gather)
{
	struct listener_history *history;

	for (history = samples->history; history; history = history->hh.next) {
		const struct conn *conn = conn_find(samples->loop->conns, history->cookie);
		const struct port_row *row = conn ? port_row(gather, conn) : NULL;

		history->handshakes = row ? row->syn_recv : 0;
		history->walked_ms = gather->parts.now_ms;
	}
}

void samples_take(struct tune_samples *samples, struct gather *gather)
{
	const struct destination_row *to;
	const struct maker_row *maker;

	samples->inputs.ports_count = 0;
	for (to = gather->destinations; to; to = to->hh.next)
		take_destination(samples, gather, to);
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++)
		memset(samples->space[i].maker, 0, sizeof(samples->space[i].maker));
	for (maker = gather->makers; maker; maker = maker->hh.next)
		if (maker->key.netns < LIMIT_NAMESPACES && maker->facts.time_waits.count)
			take_maker(&samples->space[maker->key.netns], maker);
	take_handshakes(samples, gather);
	samples->inputs.orphans_fin_wait2 = gather->orphans_fin_wait2;
}
