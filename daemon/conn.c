/* SPDX-License-Identifier: MIT */
#include "daemon/conns.h"

#include "daemon/kernel.h"

#include <utlist.h>

#include <stdlib.h>

struct conns *conns_new(unsigned int max, unsigned int per_owner, struct closer *closer)
{
	struct conns *conns = calloc(1, sizeof(*conns));

	if (!conns)
		return NULL;
	conns->max = max;
	conns->per_owner = per_owner;
	conns->closer = closer;
	conns->procs = procs_new();
	if (conns->procs && conn_table_init(&conns->by_cookie))
		return conns;
	procs_free(conns->procs);
	free(conns);
	return NULL;
}

void conns_free(struct conns *conns)
{
	struct conn *conn, *next;

	if (!conns)
		return;
	conns->watcher = NULL;
	DL_FOREACH_SAFE2(conns->first, conn, next, all_next)
	{
		conn_remove(conns, conn);
	}
	conn_table_destroy(&conns->by_cookie);
	procs_free(conns->procs);
	free(conns);
}

unsigned int conns_count(const struct conns *conns)
{
	return conns->count;
}

unsigned int conns_open(const struct conns *conns)
{
	return conns->open;
}

struct procs *conns_procs(const struct conns *conns)
{
	return conns->procs;
}

struct census *conns_census(struct conns *conns)
{
	return &conns->all;
}

struct census *conns_unknown(struct conns *conns)
{
	return &conns->unknown;
}

void conns_set_followed(struct conns *conns, bool followed)
{
	conns->followed = followed;
}

void conns_set_watcher(struct conns *conns, conn_watcher *watcher, void *arg)
{
	conns->watcher = watcher;
	conns->watcher_arg = arg;
}

const struct process *conn_process(const struct conn *conn)
{
	static const struct process nobody = {.uid = (uid_t)-1};

	return conn->proc ? &conn->proc->process : &nobody;
}

/* --- states and counts ------------------------------------------------------------------------ */

static struct census *census_of(struct conns *conns, const struct conn *conn)
{
	return conn->proc ? &conn->proc->census : &conns->unknown;
}

bool conn_is_open(const struct conn *conn)
{
	return conn->owner || conn->custody != CUSTODY_NONE;
}

static struct conn **moment_of(struct conns *conns, uint64_t since_ms)
{
	return &conns->wheel[(since_ms >> WHEEL_SHIFT) % WHEEL];
}

static bool belongs_to_wheel(const struct conn *conn)
{
	return conn->state == STATE_TIME_WAIT && !conn->owner;
}

static void leave_live(struct conns *conns, struct conn *conn)
{
	struct conn_walk *walk;

	if (!conn->live)
		return;
	DL_FOREACH2(conns->walks, walk, next_walk)
	{
		if (walk->live && walk->next == conn)
			walk->next = conn->live_next;
	}
	DL_DELETE2(conns->live, conn, live_prev, live_next);
	conn->live = false;
}

static void enter_live(struct conns *conns, struct conn *conn)
{
	if (conn->live)
		return;
	DL_APPEND2(conns->live, conn, live_prev, live_next);
	conn->live = true;
}

void conn_leave_wheel(struct conns *conns, struct conn *conn)
{
	struct conn **moment = moment_of(conns, conn->since_ms);

	if (belongs_to_wheel(conn))
		DL_DELETE2(*moment, conn, listed_prev, listed_next);
}

void conn_enter_wheel(struct conns *conns, struct conn *conn)
{
	struct conn **moment = moment_of(conns, conn->since_ms);

	if (!belongs_to_wheel(conn)) {
		enter_live(conns, conn);
		return;
	}
	leave_live(conns, conn);
	DL_APPEND2(*moment, conn, listed_prev, listed_next);
}

void conn_set_side(struct conn *conn, enum close_side side)
{
	if (conn->side == SIDE_UNKNOWN)
		conn->side = (uint8_t)side;
}

/* What a state says of who closed first. */
static void infer_side(struct conn *conn)
{
	switch (conn->state) {
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
	case STATE_TIME_WAIT:
		conn_set_side(conn, SIDE_US);
		break;
	case STATE_CLOSE_WAIT:
	case STATE_LAST_ACK:
		conn_set_side(conn, SIDE_PEER);
		break;
	case STATE_CLOSING:
		if (conn->side == SIDE_UNKNOWN || conn->side == SIDE_US)
			conn->side = SIDE_BOTH;
		break;
	default:
		break;
	}
}

static void count_state(struct conns *conns, const struct conn *conn, int by)
{
	if (conn->proc)
		proc_count(conn->proc, conn->state, by);
	else
		conns->unknown.state[conn->state] += (uint32_t)by;
	conns->all.state[conn->state] += (uint32_t)by;
	conns->in[conn->netns][conn->state] += (uint32_t)by;
}

void conn_set_netns(struct conns *conns, struct conn *conn, uint8_t netns)
{
	count_state(conns, conn, -1);
	conn->netns = netns;
	count_state(conns, conn, 1);
}

long conns_in(const struct conns *conns, uint8_t netns, unsigned int state)
{
	return conns->in[netns][state];
}

static void count_close(struct conns *conns, struct conn *conn)
{
	if (conn->counted || conn->state == STATE_LISTEN)
		return;
	conn->counted = true;
	census_of(conns, conn)->closes[conn->side]++;
	conns->all.closes[conn->side]++;
}

/* What is in TIME_WAIT has closed. Where a record, or custody, will say how, it is counted then. */
static void count_time_wait(struct conns *conns, struct conn *conn)
{
	if (conn->state == STATE_TIME_WAIT && !conn_is_open(conn))
		count_close(conns, conn);
}

void conn_set_state(struct conns *conns, struct conn *conn, unsigned int state, uint64_t now_ms)
{
	uint64_t since = conn->since_ms;
	unsigned int from = conn->state;

	if (state == from || state >= STATE_COUNT)
		return;
	conn_leave_wheel(conns, conn);
	count_state(conns, conn, -1);
	conn->state = (uint8_t)state;
	conn->since_ms = now_ms;
	count_state(conns, conn, 1);
	conn_enter_wheel(conns, conn);
	infer_side(conn);
	count_time_wait(conns, conn);
	if (conns->watcher)
		conns->watcher(conns->watcher_arg, conn, from, state, now_ms - since);
}

/* What was counted as nobody's is its process'. */
static void move_counts(struct conns *conns, const struct conn *conn)
{
	struct census *from = &conns->unknown, *to = &conn->proc->census;

	if (conn->was_there)
		return;
	if (from->opens) {
		from->opens--;
		to->opens++;
	}
	if (conn->counted && from->closes[conn->side]) {
		from->closes[conn->side]--;
		to->closes[conn->side]++;
	}
}

void conn_set_proc(struct conns *conns, struct conn *conn, struct proc *proc)
{
	struct proc *old = conn->proc;

	count_state(conns, conn, -1);
	conn->proc = proc ? proc_ref(proc) : NULL;
	if (!old && proc && conn->state != STATE_LISTEN)
		move_counts(conns, conn);
	count_state(conns, conn, 1);
	proc_put(conns->procs, old);
}

void conn_was_there(struct conns *conns, struct conn *conn)
{
	if (conn->state == STATE_LISTEN)
		return;
	conns->all.opens--;
	conns->unknown.opens--;
	if (conn->counted) {
		conns->all.closes[conn->side]--;
		conns->unknown.closes[conn->side]--;
	}
	conn->was_there = true;
}

void conn_count_outcome(struct conns *conns, const struct conn *conn, enum custody_outcome outcome)
{
	census_of(conns, conn)->outcomes[outcome]++;
	conns->all.outcomes[outcome]++;
}

/* --- coming and going ------------------------------------------------------------------------- */

struct conn *conn_find(struct conns *conns, uint64_t cookie)
{
	return conn_table_find(&conns->by_cookie, cookie);
}

struct conn *conn_add(struct conns *conns, uint64_t cookie, unsigned int state, uint64_t now_ms)
{
	struct conn *conn;

	if (conns->count >= conns->max && !conns_expire(conns, CONN_NETNS_ANY, now_ms, 1))
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	conn->cookie = cookie;
	conn->opened_ms = conn->since_ms = now_ms;
	conn->state = (uint8_t)state;
	conn_table_add(&conns->by_cookie, conn);
	DL_APPEND2(conns->first, conn, all_prev, all_next);
	conns->count++;
	count_state(conns, conn, 1);
	conn_enter_wheel(conns, conn);
	if (state != STATE_LISTEN) {
		conns->all.opens++;
		conns->unknown.opens++;
	}
	return conn;
}

void conn_tell_of_new(const struct conns *conns, const struct conn *conn)
{
	if (conns->watcher)
		conns->watcher(conns->watcher_arg, conn, 0, conn->state, 0);
}

struct conn *conn_discover(struct conns *conns, const struct kernel_socket *socket, uint8_t netns,
			   uint8_t role, uint64_t now_ms)
{
	struct conn *conn = socket->state < STATE_COUNT
				    ? conn_add(conns, socket->cookie, socket->state, now_ms)
				    : NULL;

	if (!conn)
		return NULL;
	conn->local = socket->local;
	conn->remote = socket->remote;
	conn->role = role;
	conn_set_netns(conns, conn, netns);
	conn_leave_wheel(conns, conn);
	conn->since_ms = now_ms - (socket->age_ms < now_ms ? socket->age_ms : 0);
	conn->opened_ms = conn->since_ms;
	conn_enter_wheel(conns, conn);
	infer_side(conn);
	count_time_wait(conns, conn);
	conn_tell_of_new(conns, conn);
	return conn;
}

void conn_attribute(struct conns *conns, struct conn *conn, const struct process *process)
{
	struct proc *proc = conn->proc ? NULL : proc_get(conns->procs, process);

	if (!proc)
		return;
	conn_set_proc(conns, conn, proc);
	proc_put(conns->procs, proc);
}

void conn_disown(struct conns *conns, struct conn *conn)
{
	conn->by_listener = false;
	conn_set_proc(conns, conn, NULL);
}

void conn_lookup(struct kernel *kernel, struct conn *const *conns, struct kernel_query *queries,
		 unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		queries[i] = (struct kernel_query){
			.local = conns[i]->local,
			.remote = conns[i]->remote,
			.cookie = conns[i]->cookie,
		};
	kernel_lookup(kernel, queries, count);
}

void conn_remove(struct conns *conns, struct conn *conn)
{
	struct conn_walk *walk;

	DL_FOREACH2(conns->walks, walk, next_walk)
	{
		if (!walk->live && walk->next == conn)
			walk->next = conn->all_next;
	}
	count_close(conns, conn);
	if (conns->watcher)
		conns->watcher(conns->watcher_arg, conn, conn->state, 0,
			       wire_now_ms() - conn->since_ms);
	conn_unindex_self(conns, conn);
	conn_leave_wheel(conns, conn);
	leave_live(conns, conn);
	if (conn_is_open(conn))
		conns->open--;
	if (conn->owner) {
		conn_give_back_share(conn, conn->owner->user);
		DL_DELETE2(conn->owner->conns, conn, listed_prev, listed_next);
		conn->owner->count--;
	}
	conn_disinherit(conn);
	count_state(conns, conn, -1);
	conn_table_remove(&conns->by_cookie, conn);
	DL_DELETE2(conns->first, conn, all_prev, all_next);
	proc_put(conns->procs, conn->proc);
	conns->count--;
	free(conn);
}

void conn_end(struct conns *conns, struct conn *conn, unsigned int state)
{
	bool minisocket = conn->state == STATE_TIME_WAIT || conn->state == STATE_FIN_WAIT2;

	conn_set_custody(conns, conn, CUSTODY_NONE);
	if (!state || !conns->followed || conn->netns == CONN_NETNS_NONE ||
	    (conn->freed && !minisocket)) {
		conn_remove(conns, conn);
		return;
	}
	if (!conn->freed)
		conn_set_state(conns, conn, state, wire_now_ms());
	count_close(conns, conn);
	conn_unindex_self(conns, conn);
	conn->close_first = FIRST_APP;
	if (conn->owner)
		conn_give_back_share(conn, conn->owner->user);
	conn_leave_owner(conns, conn);
	conn_disinherit(conn);
}

void conn_set_custody(struct conns *conns, struct conn *conn, enum conn_custody custody)
{
	bool was_open = conn_is_open(conn);

	conn->custody = (uint8_t)custody;
	if (was_open && !conn_is_open(conn))
		conns->open--;
	else if (!was_open && conn_is_open(conn))
		conns->open++;
}

bool conn_is_unaccepted(const struct conn *conn)
{
	return conn->no_inode && !conn->spoken &&
	       (conn->state == STATE_ESTABLISHED || conn->state == STATE_CLOSE_WAIT ||
		conn->state == STATE_SYN_RECV);
}

/* --- TIME_WAIT -------------------------------------------------------------------------------- */

static unsigned int expire_moment(struct conns *conns, struct conn *list, int netns,
				  uint64_t before_ms, unsigned int max)
{
	struct conn *conn, *next;
	unsigned int expired = 0;

	for (conn = list; conn && expired < max; conn = next) {
		next = conn->listed_next;
		if (conn->since_ms > before_ms || (netns != CONN_NETNS_ANY && conn->netns != netns))
			continue;
		conn_remove(conns, conn);
		expired++;
	}
	return expired;
}

unsigned int conns_expire(struct conns *conns, int netns, uint64_t before_ms, unsigned int max)
{
	uint64_t last = before_ms >> WHEEL_SHIFT;
	unsigned int expired = 0;

	for (uint64_t moment = last > WHEEL_BACK ? last - WHEEL_BACK : 0;
	     moment <= last && expired < max; moment++)
		expired += expire_moment(conns, conns->wheel[moment % WHEEL], netns, before_ms,
					 max - expired);
	return expired;
}

/* --- walks ------------------------------------------------------------------------------------ */

void conn_walk_begin(struct conns *conns, struct conn_walk *walk)
{
	walk->live = false;
	walk->next = conns->first;
	DL_APPEND2(conns->walks, walk, prev_walk, next_walk);
}

void conn_walk_begin_live(struct conns *conns, struct conn_walk *walk)
{
	walk->live = true;
	walk->next = conns->live;
	DL_APPEND2(conns->walks, walk, prev_walk, next_walk);
}

struct conn *conn_walk_next(const struct conns *conns, struct conn_walk *walk)
{
	struct conn *conn = walk->next;

	(void)conns;
	if (conn)
		walk->next = walk->live ? conn->live_next : conn->all_next;
	return conn;
}

void conn_walk_end(struct conns *conns, struct conn_walk *walk)
{
	DL_DELETE2(conns->walks, walk, prev_walk, next_walk);
}
