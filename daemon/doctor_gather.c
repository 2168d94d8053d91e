/* SPDX-License-Identifier: MIT */
#include "daemon/doctor_gather.h"

#include "daemon/tally.h"

#include "common/tcp_state.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
	RETRANSMIT_LEAST_MS = 200, /* TCP_RTO_MIN */
	HANDSHAKE_OLD_MS = 1000,   /* its SYN-ACK has been sent again (TCP_TIMEOUT_INIT) */
	REUSABLE_MS = 1000,	   /* tcp_tw_reuse_delay */
	TIME_WAIT_MS = 60000,	   /* TCP_TIMEWAIT_LEN */
	BUCKET = 4096,		   /* connections between two cleanings of destinations */
	MAKERS_MAX = 4096,
	LISTENERS_MAX = 4096,
};

struct process_row {
	struct proc *proc; /* the key; NULL: nobody's */
	struct doctor_process facts;
	UT_hash_handle hh;
};

struct maker_row {
	char program[sizeof(((struct doctor_who *)0)->program)]; /* the key */
	struct proc *proc;
	struct doctor_maker facts;
	UT_hash_handle hh;
};

/* What waits at a port, whichever of its listeners has it. */
struct port_row {
	uint32_t place; /* the key: the network namespace, the port */
	uint32_t waiting, handshakes;
	uint64_t oldest_ms, oldest_handshake_ms;
	UT_hash_handle hh;
};

struct route {
	struct endpoint local, remote;
};

struct destination_row {
	struct route route; /* the key */
	struct proc *proc;  /* who has most, if any has more than half: by votes */
	uint32_t votes, missed;
	const char *policy;
	uint64_t first_ms;
	struct doctor_destination facts;
	UT_hash_handle hh;
};

struct listener_row {
	struct proc *proc;
	uint32_t place;
	struct doctor_listener facts;
};

struct gather {
	struct gather_parts parts;
	struct procs *procs;
	struct process_row *processes;
	struct maker_row *makers;
	struct port_row *ports;
	struct destination_row *destinations;
	struct listener_row listeners[LISTENERS_MAX];
	unsigned int listener_count, walked;
	const struct process_row *looked; /* the last that was */
	bool looking;
	struct doctor_process *process_facts;
	struct doctor_maker *maker_facts;
	struct doctor_listener *listener_facts;
	struct doctor_destination *destination_facts;
};

static struct proc *ref(struct proc *proc)
{
	return proc ? proc_ref(proc) : NULL;
}

/* --- rows ------------------------------------------------------------------------------------- */

static struct process_row *process_row(struct gather *gather, struct proc *proc)
{
	struct process_row *row;

	HASH_FIND_PTR(gather->processes, &proc, row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->proc = ref(proc);
	row->facts.descriptors.since_ms = -1;
	HASH_ADD_PTR(gather->processes, proc, row);
	return row;
}

/* A program that comes when there are too many makes few of them. */
static struct maker_row *maker_row(struct gather *gather, struct proc *proc)
{
	char program[sizeof(((struct maker_row *)0)->program)] = "";
	struct maker_row *row;

	if (proc)
		snprintf(program, sizeof(program), "%s", process_name(&proc->process));
	HASH_FIND(hh, gather->makers, program, strlen(program), row);
	if (row || HASH_COUNT(gather->makers) >= MAKERS_MAX)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	memcpy(row->program, program, sizeof(row->program));
	HASH_ADD_KEYPTR(hh, gather->makers, row->program, strlen(row->program), row);
	return row;
}

static uint32_t place_of(uint8_t netns, uint16_t port)
{
	return (uint32_t)netns << 16 | port;
}

static struct port_row *port_row(struct gather *gather, const struct conn *conn)
{
	uint32_t key = place_of(conn->netns, conn->local.port);
	struct port_row *row;

	HASH_FIND(hh, gather->ports, &key, sizeof(key), row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->place = key;
	HASH_ADD(hh, gather->ports, place, sizeof(row->place), row);
	return row;
}

static void destination_free(struct gather *gather, struct destination_row *row)
{
	HASH_DEL(gather->destinations, row);
	proc_put(gather->procs, row->proc);
	free(row);
}

/* Lossy counting (Manku and Motwani, 2002): what is seldom is forgotten, with an error of at most
 * one for each bucket; so there are never many more rows than the size of a bucket. */
static void clean_destinations(struct gather *gather)
{
	unsigned int bucket = gather->walked / BUCKET;
	struct destination_row *row, *next;

	HASH_ITER(hh, gather->destinations, row, next)
	{
		if (row->facts.used + row->missed < bucket)
			destination_free(gather, row);
	}
}

static struct destination_row *destination_row(struct gather *gather, const struct conn *conn)
{
	struct route route = {conn->local, conn->remote};
	struct destination_row *row;

	route.local.port = 0;
	HASH_FIND(hh, gather->destinations, &route, sizeof(route), row);
	if (row)
		return row;
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->route = route;
	row->missed = gather->walked / BUCKET;
	row->first_ms = gather->parts.now_ms;
	HASH_ADD(hh, gather->destinations, route, sizeof(row->route), row);
	return row;
}

/* --- a connection ----------------------------------------------------------------------------- */

static const char *policy_of(const struct gather *gather, const struct conn *conn)
{
	const char *name = gather->parts.book->policy[conn->account.policy].name;

	return *name ? name : NULL;
}

static uint64_t ago(const struct gather *gather, uint64_t then_ms)
{
	return then_ms < gather->parts.now_ms ? gather->parts.now_ms - then_ms : 0;
}

/* Does a program have its descriptor still? Of what the shim spoke of, an owner says so. */
static bool is_held(const struct conn *conn)
{
	return conn->spoken ? conn->owner != NULL : !conn->no_inode;
}

/* How long the peer has not answered, at the least: each try waits twice as long as the last. */
static uint64_t silence_ms(const struct conn *conn)
{
	unsigned int tries = conn->stuck < 16 ? conn->stuck : 16;

	return (((uint64_t)1 << tries) - 1) * (RETRANSMIT_LEAST_MS + conn->rtt_us / 1000);
}

static void pile(struct gather *gather, const struct conn *conn, enum doctor_plight plight,
		 uint64_t age_ms)
{
	bool server = conn->role == ROLE_SERVER;
	struct endpoint at = server ? conn->local : conn->remote;
	struct process_row *row;

	if (age_ms < gather->parts.patience_ms)
		return;
	row = process_row(gather, conn->proc);
	if (!row)
		return;
	row->facts.who.policy[server] = policy_of(gather, conn);
	if (plight == PLIGHT_VANISHED && server) {
		/* The port has healthy ones as well: it is its peer that has gone. */
		server = false;
		at = conn->remote;
		at.port = 0;
	}
	doctor_pile_add(&row->facts.pile[plight], server, &at, age_ms, conn->unacked);
}

static void add_unaccepted(struct gather *gather, const struct conn *conn)
{
	struct port_row *row = port_row(gather, conn);
	uint64_t age_ms = ago(gather, conn->opened_ms);

	if (!row)
		return;
	if (conn->state == STATE_SYN_RECV) {
		if (age_ms < HANDSHAKE_OLD_MS)
			return;
		row->handshakes++;
		if (age_ms > row->oldest_handshake_ms)
			row->oldest_handshake_ms = age_ms;
	} else if (age_ms >= gather->parts.patience_ms) {
		row->waiting++;
		if (age_ms > row->oldest_ms)
			row->oldest_ms = age_ms;
	}
}

static void add_live(struct gather *gather, const struct conn *conn)
{
	uint64_t age_ms = ago(gather, conn->since_ms);
	bool held = is_held(conn);

	switch (conn->state) {
	case STATE_CLOSE_WAIT:
		pile(gather, conn, PLIGHT_CLOSE_WAIT, age_ms);
		break;
	case STATE_FIN_WAIT2:
		if (held)
			pile(gather, conn, PLIGHT_FIN_WAIT2, age_ms);
		break;
	case STATE_FIN_WAIT1:
	case STATE_CLOSING:
	case STATE_LAST_ACK:
		if (!held)
			pile(gather, conn, PLIGHT_ORPHAN, age_ms);
		break;
	default:
		break;
	}
	if (conn->unacked && conn->stuck && (held || conn->state == STATE_ESTABLISHED))
		pile(gather, conn, PLIGHT_VANISHED, silence_ms(conn));
}

static void add_time_wait(struct gather *gather, const struct conn *conn)
{
	struct maker_row *row = maker_row(gather, conn->proc);
	bool server = conn->role == ROLE_SERVER;

	if (!row)
		return;
	if (conn->proc && row->proc != conn->proc) {
		row->facts.several |= row->proc != NULL;
		proc_put(gather->procs, row->proc);
		row->proc = proc_ref(conn->proc);
	}
	row->facts.who.policy[server] = policy_of(gather, conn);
	doctor_pile_add(&row->facts.time_waits, server, server ? &conn->local : &conn->remote,
			ago(gather, conn->since_ms), 0);
}

/* --- ports ------------------------------------------------------------------------------------ */

/* Majority vote (Boyer and Moore, 1981). */
static void vote(struct gather *gather, struct destination_row *row, const struct conn *conn)
{
	if (row->votes && row->proc != conn->proc) {
		row->votes--;
		return;
	}
	if (!row->votes) {
		proc_put(gather->procs, row->proc);
		row->proc = ref(conn->proc);
	}
	row->votes++;
}

static bool is_loopback(const struct conn *conn)
{
	static const uint8_t one[16] = {[15] = 1};
	const uint8_t *addr = conn->remote.addr;

	if (endpoint_same_addr(&conn->local, &conn->remote))
		return true;
	return conn->remote.family == AF_INET ? addr[12] == 127 : !memcmp(addr, one, sizeof(one));
}

static void add_port(struct gather *gather, const struct conn *conn)
{
	const struct probe_ports *ports = &gather->parts.ports;
	uint64_t state_ms = ago(gather, conn->since_ms), age_ms = ago(gather, conn->opened_ms);
	struct destination_row *row;

	if (conn->local.port < ports->lo || conn->local.port > ports->hi)
		return;
	row = destination_row(gather, conn);
	if (!row)
		return;
	vote(gather, row, conn);
	row->policy = policy_of(gather, conn);
	if (conn->opened_ms < row->first_ms)
		row->first_ms = conn->opened_ms;
	row->facts.loopback = is_loopback(conn);
	row->facts.used++;
	/* One that was first seen in TIME_WAIT is older than we know. */
	row->facts.opened += age_ms < DOCTOR_RATE_MS && state_ms < DOCTOR_RATE_MS;
	if (conn->state != STATE_TIME_WAIT)
		return;
	row->facts.time_wait++;
	row->facts.reusable += state_ms >= REUSABLE_MS;
	row->facts.released += state_ms >= TIME_WAIT_MS - DOCTOR_RATE_MS;
}

static struct listener_row *new_listener(struct gather *gather, struct proc *proc, uint8_t netns,
					 uint16_t port)
{
	struct listener_row *row;

	if (gather->listener_count == LISTENERS_MAX)
		return NULL;
	row = &gather->listeners[gather->listener_count++];
	row->proc = ref(proc);
	row->place = place_of(netns, port);
	return row;
}

/* Of another network namespace: ours have counters besides, and come by gather_listener(). */
static void add_listener(struct gather *gather, const struct conn *conn)
{
	struct listener_row *row;

	if (conn->netns == CONN_NETNS_OWN)
		return;
	row = new_listener(gather, conn->proc, conn->netns, conn->local.port);
	if (!row)
		return;
	row->facts.at = conn->local;
	row->facts.queue = conn->unread;
	row->facts.backlog = conn->unacked;
}

void gather_conn(struct gather *gather, const struct conn *conn)
{
	if (++gather->walked % BUCKET == 0)
		clean_destinations(gather);
	if (conn->state == STATE_LISTEN)
		add_listener(gather, conn);
	if (conn->state == STATE_LISTEN || conn->state == STATE_CLOSE)
		return;
	if (conn->role == ROLE_CLIENT && conn->netns == CONN_NETNS_OWN)
		add_port(gather, conn);
	if (conn->state == STATE_TIME_WAIT)
		add_time_wait(gather, conn);
	else if (conn_is_unaccepted(conn))
		add_unaccepted(gather, conn);
	else if (conn->custody == CUSTODY_NONE)
		add_live(gather, conn);
}

/* --- what is not a connection ----------------------------------------------------------------- */

/* Of a process, not of one that is in the model. */
static struct process_row *row_of(struct gather *gather, const struct process *process)
{
	struct proc *proc = proc_get(gather->procs, process);
	struct process_row *row = proc ? process_row(gather, proc) : NULL;

	proc_put(gather->procs, proc);
	return row;
}

void gather_descriptors(struct gather *gather, const struct proc *proc,
			const struct probe_descriptors *found, int64_t since_ms)
{
	struct process_row *row = row_of(gather, &proc->process);

	if (row)
		row->facts.descriptors = (struct doctor_descriptors){
			.used = found->used,
			.limit = found->limit,
			.hard = found->hard,
			.since_ms = since_ms,
		};
}

void gather_cuts(struct gather *gather, const struct cuts *cuts)
{
	for (int i = 0; i < CUTS_PROCESSES; i++) {
		const struct cut *cut = &cuts->cut[i];
		struct process_row *row;

		if (!cut->count || ago(gather, cut->last_ms) > gather->parts.patience_ms)
			continue;
		row = row_of(gather, &cut->process);
		if (!row)
			continue;
		row->facts.who.policy[true] = cut->policy;
		row->facts.cuts = (struct doctor_cuts){
			.count = cut->count,
			.first_ms = ago(gather, cut->first_ms),
			.last_ms = ago(gather, cut->last_ms),
			.unread = cut->unread,
			.unsent = cut->unsent,
			.place = {.server = true, .at = cut->local, .count = cut->count},
		};
	}
}

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

void gather_listener(struct gather *gather, const struct vitals_listener *listener)
{
	const struct conn *conn = conn_find(gather->parts.conns, listener->now.cookie);
	struct listener_row *row = new_listener(gather, conn ? conn->proc : NULL, CONN_NETNS_OWN,
						listener->now.local.port);

	if (!row)
		return;
	row->facts = (struct doctor_listener){
		.at = listener->now.local,
		.queue = listener->now.queue,
		.backlog = listener->now.backlog,
		.drops = listener->drops,
		.first_drop_ms = ago(gather, listener->first_drop_ms),
		.last_drop_ms = ago(gather, listener->last_drop_ms),
	};
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
		count++;
	}
	return count;
}

static bool is_many(const struct gather *gather, const struct destination_row *row)
{
	const struct probe_ports *ports = &gather->parts.ports;

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
		facts->since_ms = (int64_t)ago(gather, row->first_ms);
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
	facts->port_lo = gather->parts.ports.lo;
	facts->port_hi = gather->parts.ports.hi;
	facts->ports_reserved = gather->parts.ports.reserved;
	return true;
}

struct gather *gather_new(const struct gather_parts *parts)
{
	struct gather *gather = calloc(1, sizeof(*gather));

	if (gather) {
		gather->parts = *parts;
		gather->procs = conns_procs(parts->conns);
	}
	return gather;
}

const struct gather_parts *gather_parts(const struct gather *gather)
{
	return &gather->parts;
}

static void free_processes(struct gather *gather)
{
	struct process_row *row, *next;

	HASH_ITER(hh, gather->processes, row, next)
	{
		HASH_DEL(gather->processes, row);
		proc_put(gather->procs, row->proc);
		free(row);
	}
}

static void free_makers(struct gather *gather)
{
	struct maker_row *row, *next;

	HASH_ITER(hh, gather->makers, row, next)
	{
		HASH_DEL(gather->makers, row);
		proc_put(gather->procs, row->proc);
		free(row);
	}
}

static void free_ports(struct gather *gather)
{
	struct port_row *row, *next;

	HASH_ITER(hh, gather->ports, row, next)
	{
		HASH_DEL(gather->ports, row);
		free(row);
	}
}

void gather_free(struct gather *gather)
{
	struct destination_row *row, *next;

	if (!gather)
		return;
	free_processes(gather);
	free_makers(gather);
	free_ports(gather);
	HASH_ITER(hh, gather->destinations, row, next)
	{
		destination_free(gather, row);
	}
	for (unsigned int i = 0; i < gather->listener_count; i++)
		proc_put(gather->procs, gather->listeners[i].proc);
	free(gather->process_facts);
	free(gather->maker_facts);
	free(gather->listener_facts);
	free(gather->destination_facts);
	free(gather);
}
