/* SPDX-License-Identifier: MIT */
#include "daemon/gather.h"

#include "daemon/gather_rows.h"
#include "daemon/tally.h"

#include "common/tcp_state.h"

#include <netinet/in.h>
#include <string.h>

enum {
	RETRANSMIT_LEAST_MS = 200, /* TCP_RTO_MIN */
	HANDSHAKE_OLD_MS = 1000,   /* its SYN-ACK has been sent again (TCP_TIMEOUT_INIT) */
	REUSABLE_MS = 1000,	   /* tcp_tw_reuse_delay */
	TIME_WAIT_MS = 60000,	   /* TCP_TIMEWAIT_LEN */
};

/* --- a connection ----------------------------------------------------------------------------- */

static const char *policy_of(const struct gather *gather, const struct conn *conn)
{
	const char *name = gather->parts.book->policy[conn->account.policy].name;

	return *name ? name : NULL;
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
	uint64_t age_ms = rows_ago(gather, conn->opened_ms);

	if (!row)
		return;
	if (conn->state == STATE_SYN_RECV) {
		row->syn_recv++;
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
	uint64_t age_ms = rows_ago(gather, conn->since_ms);
	bool held = is_held(conn);

	switch (conn->state) {
	case STATE_CLOSE_WAIT:
		pile(gather, conn, PLIGHT_CLOSE_WAIT, age_ms);
		break;
	case STATE_FIN_WAIT2:
		if (held)
			pile(gather, conn, PLIGHT_FIN_WAIT2, age_ms);
		else
			gather->orphans_fin_wait2++;
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
	struct maker_row *row = maker_row(gather, conn->proc, conn->netns);
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
			rows_ago(gather, conn->since_ms), 0);
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
		row->proc = conn->proc ? proc_ref(conn->proc) : NULL;
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

/* In how many milliseconds its TIME_WAIT ends: one that is late ends at once. */
static unsigned int slot_of(uint64_t state_ms)
{
	uint64_t left_ms = state_ms < TIME_WAIT_MS ? TIME_WAIT_MS - state_ms : 0;

	return left_ms ? (unsigned int)((left_ms - 1) / ROWS_SLOT_MS) : 0;
}

static void add_port(struct gather *gather, const struct conn *conn)
{
	const struct probe_ports *ports = &gather->parts.ports[conn->netns];
	uint64_t state_ms = rows_ago(gather, conn->since_ms),
		 age_ms = rows_ago(gather, conn->opened_ms);
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
	row->released[slot_of(state_ms)]++;
	row->facts.reusable += state_ms >= REUSABLE_MS;
	row->facts.released += state_ms >= TIME_WAIT_MS - DOCTOR_RATE_MS;
}

/* Of another network namespace: ours have counters besides, and come by gather_listener(). */
static void add_listener(struct gather *gather, const struct conn *conn)
{
	struct listener_row *row;

	if (conn->netns == CONN_NETNS_OWN)
		return;
	row = listener_row(gather, conn->proc, conn->netns, conn->local.port);
	if (!row)
		return;
	row->facts.at = conn->local;
	row->facts.queue = conn->unread;
	row->facts.backlog = conn->unacked;
}

void gather_conn(struct gather *gather, const struct conn *conn)
{
	if (++gather->walked % ROWS_BUCKET == 0)
		destinations_clean(gather);
	if (conn->state == STATE_LISTEN)
		add_listener(gather, conn);
	if (conn->state == STATE_LISTEN || conn->state == STATE_CLOSE)
		return;
	if (conn->role == ROLE_CLIENT && conn->netns < LIMIT_NAMESPACES)
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

		if (!cut->count || rows_ago(gather, cut->last_ms) > gather->parts.patience_ms)
			continue;
		row = row_of(gather, &cut->process);
		if (!row)
			continue;
		row->facts.who.policy[true] = cut->policy;
		row->facts.cuts = (struct doctor_cuts){
			.count = cut->count,
			.first_ms = rows_ago(gather, cut->first_ms),
			.last_ms = rows_ago(gather, cut->last_ms),
			.unread = cut->unread,
			.unsent = cut->unsent,
			.place = {.server = true, .at = cut->local, .count = cut->count},
		};
	}
}

void gather_listener(struct gather *gather, const struct vitals_listener *listener)
{
	const struct conn *conn = conn_find(gather->parts.conns, listener->now.cookie);
	struct listener_row *row = listener_row(gather, conn ? conn->proc : NULL, CONN_NETNS_OWN,
						listener->now.local.port);

	if (!row)
		return;
	row->facts = (struct doctor_listener){
		.at = listener->now.local,
		.queue = listener->now.queue,
		.backlog = listener->now.backlog,
		.drops = listener->drops,
		.first_drop_ms = rows_ago(gather, listener->first_drop_ms),
		.last_drop_ms = rows_ago(gather, listener->last_drop_ms),
	};
}
