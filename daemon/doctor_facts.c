/* SPDX-License-Identifier: MIT */
/* The end of a round: who the processes are now, and the rows as plain facts. */
#include "daemon/gather.h"

#include "daemon/gather_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of several at one port, as nginx's workers may have, the fullest has what waits there. */
static struct listener_row *fullest(struct gather *gather, uint32_t place)
{
	struct listener_row *found = NULL;

	for (unsigned int i = 0; i < gather->listener_count; i++) {
		struct listener_row *row = &gather->listeners[i];

		if (row->place == place && (!found || row->facts.queue > found->facts.queue))
			found = row;
	}
	return found;
}

static void join_ports(struct gather *gather)
{
	struct port_row *port, *next;

	HASH_ITER(hh, gather->ports, port, next)
	{
		struct listener_row *row = fullest(gather, port->place);

		if (!row)
			continue;
		row->facts.waiting = port->waiting;
		row->facts.oldest_ms = port->oldest_ms;
		row->facts.handshakes = port->handshakes;
		row->facts.oldest_handshake_ms = port->oldest_handshake_ms;
	}
}

/* --- who -------------------------------------------------------------------------------------- */

static uint32_t live_conns(const struct census *census)
{
	return census_conns(census) - census->state[STATE_TIME_WAIT];
}

static void name(struct doctor_who *who, const struct proc *proc)
{
	const struct process *process = &proc->process;

	who->pid = process->pid;
	snprintf(who->program, sizeof(who->program), "%s", process_name(process));
	snprintf(who->unit, sizeof(who->unit), "%s", process->unit);
	who->shim = proc->sessions > 0;
	who->foreign = process->other_netns;
	who->by_user = strstr(process->cgroup, "/user@") != NULL;
}

static void look_at(struct doctor_who *who, const struct proc *proc)
{
	if (!proc)
		return;
	name(who, proc);
	who->alive = process_is(proc->process.pid, proc->process.start);
	who->stopped = who->alive && process_is_stopped(proc->process.pid);
}

bool gather_look(struct gather *gather, unsigned int max)
{
	struct process_row *row = gather->looking ? gather->looked->hh.next : gather->processes;

	for (; row && max; row = row->hh.next, max--) {
		look_at(&row->facts.who, row->proc);
		row->facts.conns = live_conns(row->proc ? &row->proc->census
							: conns_unknown(gather->parts.conns));
		gather->looked = row;
		gather->looking = true;
	}
	return row != NULL;
}

/* --- all -------------------------------------------------------------------------------------- */

static size_t copy_processes(const struct gather *gather)
{
	const struct process_row *row;
	size_t count = 0;

	for (row = gather->processes; row; row = row->hh.next)
		gather->process_facts[count++] = row->facts;
	return count;
}

static size_t copy_makers(const struct gather *gather)
{
	struct maker_row *row;
	size_t count = 0;

	for (row = gather->makers; row; row = row->hh.next) {
		if (row->proc)
			name(&row->facts.who, row->proc);
		if (row->facts.several)
			row->facts.who.pid = 0;
		gather->maker_facts[count++] = row->facts;
	}
	return count;
}

/* The policy that a listen() of this process has: the first that matches. */
static const char *policy_of_listener(const struct gather *gather, const struct listener_row *row)
{
	const struct config *config = gather->parts.config ? *gather->parts.config : NULL;
	const struct process *process = row->proc ? &row->proc->process : NULL;
	struct policy_subject subject = {.role = ROLE_SERVER, .local = row->facts.at};
	struct policy_process who;

	if (!config || !process)
		return NULL;
	subject.uid = process->uid;
	who = (struct policy_process){process->exe, process->comm, process->unit, process->cgroup};
	for (unsigned int i = 0; i < config->rule_count; i++)
		if (policy_admits(&config->rules[i], &subject) &&
		    policy_admits_process(&config->rules[i], &who))
			return config->rules[i].name;
	return NULL;
}

static size_t copy_listeners(const struct gather *gather)
{
	const struct listener_row *row = gather->listeners;
	size_t count = 0;

	for (; row < gather->listeners + gather->listener_count; row++) {
		struct doctor_listener *facts = &gather->listener_facts[count];

		if (!row->facts.waiting && !row->facts.drops && !row->facts.handshakes)
			continue;
		*facts = row->facts;
		look_at(&facts->who, row->proc);
		facts->who.policy[true] = policy_of_listener(gather, row);
		count++;
	}
	return count;
}

static bool is_many(const struct gather *gather, const struct destination_row *row)
{
	const struct probe_ports *ports = &gather->parts.ports[row->route.netns];

	return row->facts.used * 4 >= (uint32_t)ports->hi - ports->lo + 1 - ports->reserved;
}

static size_t copy_destinations(const struct gather *gather)
{
	const struct destination_row *row;
	size_t count = 0;

	for (row = gather->destinations; row; row = row->hh.next) {
		struct doctor_destination *facts = &gather->destination_facts[count];

		if (!is_many(gather, row))
			continue;
		*facts = row->facts;
		facts->local = row->route.local;
		facts->remote = row->route.remote;
		facts->since_ms = (int64_t)rows_ago(gather, row->first_ms);
		look_at(&facts->who, row->proc);
		facts->who.policy[false] = row->policy;
		count++;
	}
	return count;
}

static void *room(size_t count, size_t size)
{
	return calloc(count ? count : 1, size);
}

bool gather_facts(struct gather *gather, struct doctor_facts *facts)
{
	gather->process_facts = room(HASH_COUNT(gather->processes), sizeof(struct doctor_process));
	gather->maker_facts = room(HASH_COUNT(gather->makers), sizeof(struct doctor_maker));
	gather->listener_facts = room(gather->listener_count, sizeof(struct doctor_listener));
	gather->destination_facts =
		room(HASH_COUNT(gather->destinations), sizeof(struct doctor_destination));
	if (!gather->process_facts || !gather->maker_facts || !gather->listener_facts ||
	    !gather->destination_facts)
		return false;
	join_ports(gather);
	facts->processes = gather->process_facts;
	facts->process_count = copy_processes(gather);
	facts->makers = gather->maker_facts;
	facts->maker_count = copy_makers(gather);
	facts->listeners = gather->listener_facts;
	facts->listener_count = copy_listeners(gather);
	facts->destinations = gather->destination_facts;
	facts->destination_count = copy_destinations(gather);
	facts->port_lo = gather->parts.ports[CONN_NETNS_OWN].lo;
	facts->port_hi = gather->parts.ports[CONN_NETNS_OWN].hi;
	facts->ports_reserved = gather->parts.ports[CONN_NETNS_OWN].reserved;
	return true;
}
