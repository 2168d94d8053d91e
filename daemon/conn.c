/* SPDX-License-Identifier: MIT */
#include "daemon/conn.h"

#include "daemon/closer.h"
#include "daemon/kernel.h"
#include "daemon/limits.h"
#include "daemon/sock.h"
#include "daemon/user.h"

#include <utlist.h>

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	SHARDS = 64,	 /* of the table: to grow one takes a moment, and others wait */
	WHEEL = 512,	 /* moments of TIME_WAIT */
	WHEEL_SHIFT = 8, /* a moment is 256 ms */
	/* So many, a minute, are looked back: the others hold what is younger, up to a minute too.
	 */
	WHEEL_BACK = 240,
};

struct conn_heir {
	struct conn_owner *owner;
	struct conn *conn;
	struct conn_heir *prev, *next;
};

struct conn_self {
	struct endpoint tuple[2]; /* local, remote */
	struct conn *conn;
	UT_hash_handle hh;
};
_Static_assert(sizeof(((struct conn_self *)NULL)->tuple) == ENDPOINT_PAIR_SIZE, "no holes");

struct conns {
	unsigned int max, per_owner, count, open;
	bool followed;
	struct closer *closer;
	struct procs *procs;
	struct census all, unknown;
	uint32_t in[CONN_NETNS_ANY][STATE_COUNT];
	uint64_t netns[CONN_NETNS_NONE]; /* inodes; 0: not in use */
	conn_watcher *watcher;
	void *watcher_arg;
	struct conn *by_cookie[SHARDS];
	struct conn_self *by_tuple;
	struct conn *wheel[WHEEL];
	struct conn_walk *walks;
};

struct conns *conns_new(unsigned int max, unsigned int per_owner, struct closer *closer)
{
	struct conns *conns = calloc(1, sizeof(*conns));

	if (!conns)
		return NULL;
	conns->max = max;
	conns->per_owner = per_owner;
	conns->closer = closer;
	conns->procs = procs_new();
	if (!conns->procs) {
		free(conns);
		return NULL;
	}
	return conns;
}

void conns_free(struct conns *conns)
{
	if (!conns)
		return;
	conns->watcher = NULL;
	for (unsigned int i = 0; i < SHARDS; i++)
		while (conns->by_cookie[i])
			conn_remove(conns, conns->by_cookie[i]);
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

static bool is_open(const struct conn *conn)
{
	return conn->owner || conn->custody != CUSTODY_NONE;
}

static struct conn **moment_of(struct conns *conns, uint64_t since_ms)
{
	return &conns->wheel[(since_ms >> WHEEL_SHIFT) % WHEEL];
}

static void leave_wheel(struct conns *conns, struct conn *conn)
{
	struct conn **moment = moment_of(conns, conn->since_ms);

	if (conn->state == STATE_TIME_WAIT && !conn->owner)
		DL_DELETE2(*moment, conn, listed_prev, listed_next);
}

static void enter_wheel(struct conns *conns, struct conn *conn)
{
	struct conn **moment = moment_of(conns, conn->since_ms);

	if (conn->state == STATE_TIME_WAIT && !conn->owner)
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
	census_of(conns, conn)->state[conn->state] += (uint32_t)by;
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

void conn_set_state(struct conns *conns, struct conn *conn, unsigned int state, uint64_t now_ms)
{
	uint64_t since = conn->since_ms;
	unsigned int from = conn->state;

	if (state == from || state >= STATE_COUNT)
		return;
	leave_wheel(conns, conn);
	count_state(conns, conn, -1);
	conn->state = (uint8_t)state;
	conn->since_ms = now_ms;
	count_state(conns, conn, 1);
	enter_wheel(conns, conn);
	infer_side(conn);
	if (conns->watcher)
		conns->watcher(conns->watcher_arg, conn, from, state, now_ms - since);
}

static void count_close(struct conns *conns, struct conn *conn)
{
	if (conn->counted || conn->state == STATE_LISTEN)
		return;
	conn->counted = true;
	census_of(conns, conn)->closes[conn->side]++;
	conns->all.closes[conn->side]++;
}

/* --- whose ------------------------------------------------------------------------------------ */

/* A pid may have become another's. */
static bool is_child_of(const struct conn *conn, const struct process *process)
{
	const struct process *holder = conn_process(conn);

	return process->ppid == holder->pid &&
	       (conn->owner || process_is(holder->pid, holder->start));
}

bool conn_speaks_for(const struct conn *conn, const struct conn_owner *owner)
{
	const struct process *process = &owner->process, *holder = conn_process(conn);

	return !conn->proc || process->uid == 0 || process->uid == holder->uid ||
	       (process->pid == holder->pid && process->start == holder->start) ||
	       is_child_of(conn, process);
}

/* Who may not speak for it may still hold it: another has claimed its cookie before. */
static bool holds(const struct conn_owner *owner, struct closer *closer,
		  const struct wire_record *record)
{
	bool does;
	int fd = owner->pidfd < 0 || !closer
			 ? -1
			 : (int)syscall(SYS_pidfd_getfd, owner->pidfd, record->fd, 0);

	if (fd < 0)
		return false;
	does = sock_cookie(fd) == record->cookie;
	closer_drop(closer, fd, owner->process.uid);
	return does;
}

static void leave_owner(struct conns *conns, struct conn *conn)
{
	if (!conn->owner)
		return;
	DL_DELETE2(conn->owner->conns, conn, listed_prev, listed_next);
	conn->owner->count--;
	conn->owner = NULL;
	if (!is_open(conn))
		conns->open--;
	enter_wheel(conns, conn);
}

static void disinherit(struct conn *conn)
{
	struct conn_heir *heir = conn->heir;

	if (!heir)
		return;
	DL_DELETE(heir->owner->heir_to, heir);
	conn->heir = NULL;
	free(heir);
}

/* The latest fork's child. */
static void make_heir(struct conn *conn, struct conn_owner *owner)
{
	struct conn_heir *heir = malloc(sizeof(*heir));

	disinherit(conn);
	if (!heir)
		return;
	heir->owner = owner;
	heir->conn = conn;
	conn->heir = heir;
	DL_APPEND(owner->heir_to, heir);
}

static void set_proc(struct conns *conns, struct conn *conn, struct proc *proc)
{
	struct proc *old = conn->proc;
	bool fresh = !old && proc && !conn->counted;

	count_state(conns, conn, -1);
	if (fresh && conns->unknown.opens && conn->state != STATE_LISTEN)
		conns->unknown.opens--;
	conn->proc = proc ? proc_ref(proc) : NULL;
	if (fresh && conn->state != STATE_LISTEN)
		proc->census.opens++;
	count_state(conns, conn, 1);
	proc_put(conns->procs, old);
}

static void give_back_share(struct conn *conn, struct user *user)
{
	if (conn->shared)
		user_give_back(user, USER_CONNS);
	conn->shared = false;
}

/* The session's process in the model. */
static struct proc *owner_proc(struct conns *conns, struct conn_owner *owner)
{
	if (owner->proc)
		return owner->proc;
	owner->proc = proc_get(conns->procs, &owner->process);
	if (owner->proc)
		owner->proc->sessions++;
	return owner->proc;
}

static void owner_put_proc(struct conns *conns, struct conn_owner *owner)
{
	if (!owner->proc)
		return;
	owner->proc->sessions--;
	proc_put(conns->procs, owner->proc);
	owner->proc = NULL;
}

void conns_name_netns(struct conns *conns, uint8_t netns, uint64_t inode)
{
	conns->netns[netns] = inode;
}

static uint8_t netns_of(const struct conns *conns, const struct process *process)
{
	unsigned int netns = CONN_NETNS_OWN + 1;

	if (!process->other_netns)
		return CONN_NETNS_OWN;
	if (!process->netns)
		return CONN_NETNS_NONE;
	while (netns < CONN_NETNS_NONE && conns->netns[netns] != process->netns)
		netns++;
	return (uint8_t)netns;
}

static void book_under(struct conns *conns, struct conn *conn, struct conn_owner *owner)
{
	if (conn->owner)
		give_back_share(conn, conn->owner->user);
	leave_owner(conns, conn);
	leave_wheel(conns, conn);
	if (!is_open(conn))
		conns->open++;
	conn->let_go = false;
	conn->spoken = true;
	conn->owner = owner;
	DL_APPEND2(owner->conns, conn, listed_prev, listed_next);
	owner->count++;
	set_proc(conns, conn, owner_proc(conns, owner));
	conn->by_listener = false;
	conn_set_netns(conns, conn, netns_of(conns, &owner->process));
	user_take(owner->user, USER_CONNS);
	conn->shared = owner->user != NULL;
}

/* --- close-first = self ----------------------------------------------------------------------- */

static struct conn_self *find_self(struct conns *conns, const struct endpoint *local,
				   const struct endpoint *remote)
{
	struct endpoint key[2] = {*local, *remote};
	struct conn_self *self;

	HASH_FIND(hh, conns->by_tuple, key, ENDPOINT_PAIR_SIZE, self);
	return self;
}

static void unindex_tuple(struct conns *conns, struct conn *conn)
{
	if (!conn->self)
		return;
	HASH_DELETE(hh, conns->by_tuple, conn->self);
	free(conn->self);
	conn->self = NULL;
}

/* Two sockets of one tuple can't be alive at once; the newer record is right. */
static void index_tuple(struct conns *conns, struct conn *conn, const struct conn_owner *owner,
			const struct wire_record *record)
{
	struct conn_self *old = find_self(conns, &conn->local, &conn->remote), *self;

	if (old && conn_process(old->conn)->uid != conn_process(conn)->uid &&
	    !holds(owner, conns->closer, record)) {
		conn->close_first = FIRST_APP; /* says a stranger */
		return;
	}
	if (old) {
		old->conn->close_first = FIRST_APP;
		unindex_tuple(conns, old->conn);
	}
	self = calloc(1, sizeof(*self));
	if (!self)
		return;
	self->tuple[0] = conn->local;
	self->tuple[1] = conn->remote;
	self->conn = conn;
	conn->self = self;
	HASH_ADD(hh, conns->by_tuple, tuple, ENDPOINT_PAIR_SIZE, self);
}

struct conn *conn_find_self(struct conns *conns, const struct endpoint *local,
			    const struct endpoint *remote)
{
	struct conn_self *self = find_self(conns, remote, local);

	return self ? self->conn : NULL;
}

/* --- coming and going ------------------------------------------------------------------------- */

static struct conn **shard_of(struct conns *conns, uint64_t cookie)
{
	return &conns->by_cookie[cookie % SHARDS];
}

struct conn *conn_find(struct conns *conns, uint64_t cookie)
{
	struct conn *conn;

	HASH_FIND(hh, *shard_of(conns, cookie), &cookie, sizeof(cookie), conn);
	return conn;
}

static struct conn *conn_add(struct conns *conns, uint64_t cookie, unsigned int state,
			     uint64_t now_ms)
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
	HASH_ADD(hh, *shard_of(conns, cookie), cookie, sizeof(conn->cookie), conn);
	conns->count++;
	count_state(conns, conn, 1);
	enter_wheel(conns, conn);
	if (state != STATE_LISTEN) {
		conns->all.opens++;
		conns->unknown.opens++;
	}
	return conn;
}

static void tell_of_new(const struct conns *conns, const struct conn *conn)
{
	if (conns->watcher)
		conns->watcher(conns->watcher_arg, conn, 0, conn->state, 0);
}

static bool is_full(const struct conns *conns, const struct conn_owner *owner)
{
	if (!user_is_full(owner->user, USER_CONNS))
		return false;
	user_blame(owner->user, FAULT_CONNS, &owner->process,
		   "limit reached: %u connections; what is over it is not followed",
		   conns->max / LIMIT_CONNS_PART);
	return true;
}

/* Something new, or of another owner: as far as the limits allow. */
static struct conn *book(struct conns *conns, struct conn *conn, struct conn_owner *owner,
			 const struct wire_record *record, uint64_t now_ms)
{
	bool same_user = conn && conn->owner && conn->owner->user == owner->user;

	if (owner->count >= conns->per_owner || (!same_user && is_full(conns, owner)))
		return NULL;
	if (!conn)
		conn = conn_add(conns, record->cookie, record->state, now_ms);
	if (conn)
		book_under(conns, conn, owner);
	return conn;
}

struct conn *conn_open(struct conns *conns, struct conn_owner *owner,
		       const struct wire_record *record, struct account account, uint64_t now_ms,
		       bool *opened)
{
	struct conn *conn = conn_find(conns, record->cookie);
	bool known = conn != NULL;

	*opened = !conn || (!conn->owner && !conn->custody && !conn->spoken);
	if (conn && !conn_speaks_for(conn, owner) && !holds(owner, conns->closer, record))
		return NULL;
	if (conn && record->how && conn->owner && conn->owner != owner && !conn->let_go) {
		make_heir(conn, owner);
		return conn;
	}
	if (!conn || conn->owner != owner) {
		conn = book(conns, conn, owner, record, now_ms);
		if (!conn)
			return NULL;
	}
	unindex_tuple(conns, conn);
	conn->local = record->local;
	conn->remote = record->remote;
	conn->policy = record->policy;
	conn->account = account;
	conn->role = record->role;
	conn->side = record->side;
	conn->close_first = record->close_first;
	conn->fd = record->fd;
	if (conn->close_first == FIRST_SELF)
		index_tuple(conns, conn, owner, record);
	if (!known)
		tell_of_new(conns, conn);
	else if (record->state && !conn->freed)
		conn_set_state(conns, conn, record->state, now_ms);
	return conn;
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
	leave_wheel(conns, conn);
	conn->since_ms = now_ms - (socket->age_ms < now_ms ? socket->age_ms : 0);
	conn->opened_ms = conn->since_ms;
	enter_wheel(conns, conn);
	infer_side(conn);
	tell_of_new(conns, conn);
	return conn;
}

void conn_attribute(struct conns *conns, struct conn *conn, const struct process *process)
{
	struct proc *proc = conn->proc ? NULL : proc_get(conns->procs, process);

	if (!proc)
		return;
	set_proc(conns, conn, proc);
	proc_put(conns->procs, proc);
}

void conn_disown(struct conns *conns, struct conn *conn)
{
	conn->by_listener = false;
	set_proc(conns, conn, NULL);
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
		if (walk->next == conn)
			walk->next = conn->hh.next;
	}
	count_close(conns, conn);
	if (conns->watcher)
		conns->watcher(conns->watcher_arg, conn, conn->state, 0,
			       wire_now_ms() - conn->since_ms);
	unindex_tuple(conns, conn);
	leave_wheel(conns, conn);
	if (is_open(conn))
		conns->open--;
	if (conn->owner) {
		give_back_share(conn, conn->owner->user);
		DL_DELETE2(conn->owner->conns, conn, listed_prev, listed_next);
		conn->owner->count--;
	}
	disinherit(conn);
	count_state(conns, conn, -1);
	HASH_DELETE(hh, *shard_of(conns, conn->cookie), conn);
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
	unindex_tuple(conns, conn);
	conn->close_first = FIRST_APP;
	if (conn->owner)
		give_back_share(conn, conn->owner->user);
	leave_owner(conns, conn);
	disinherit(conn);
}

void conn_set_custody(struct conns *conns, struct conn *conn, enum conn_custody custody)
{
	bool was_open = is_open(conn);

	conn->custody = (uint8_t)custody;
	if (was_open && !is_open(conn))
		conns->open--;
	else if (!was_open && is_open(conn))
		conns->open++;
}

static void inherit(struct conns *conns, struct conn *conn)
{
	struct conn_owner *owner = conn->heir->owner;

	disinherit(conn);
	book_under(conns, conn, owner);
}

void conn_let_go(struct conns *conns, struct conn *conn, const struct conn_owner *owner)
{
	if (conn->heir && conn->heir->owner == owner)
		disinherit(conn);
	else if (conn->owner == owner && conn->heir)
		inherit(conns, conn);
	else if (conn->owner == owner)
		conn->let_go = true; /* booked here until another says OPEN or CLOSE */
}

/* A close may be among them. */
static bool is_lossy(const struct conn_owner *owner)
{
	return owner->lost && atomic_load_explicit(owner->lost, memory_order_relaxed);
}

bool conn_is_unaccepted(const struct conn *conn)
{
	return conn->no_inode && !conn->spoken &&
	       (conn->state == STATE_ESTABLISHED || conn->state == STATE_CLOSE_WAIT ||
		conn->state == STATE_SYN_RECV);
}

bool conn_may_be_over(const struct conn *conn)
{
	if (conn->custody != CUSTODY_NONE)
		return false;
	if (!conn->owner)
		return true;
	return conn->freed ||
	       ((conn->let_go || is_lossy(conn->owner)) && conn->netns != CONN_NETNS_NONE);
}

void conn_owner_here(struct conns *conns, struct conn_owner *owner)
{
	owner_proc(conns, owner);
}

unsigned int conn_owner_gone(struct conns *conns, struct conn_owner *owner, unsigned int max)
{
	unsigned int forgotten = 0;
	struct conn *conn;

	while (owner->heir_to)
		disinherit(owner->heir_to->conn);
	while (owner->conns && max--) {
		conn = owner->conns;
		if (conn->heir) {
			inherit(conns, conn);
			continue;
		}
		if (conn->custody != CUSTODY_NONE) {
			give_back_share(conn, owner->user);
			leave_owner(conns, conn);
			continue;
		}
		forgotten++;
		if (!conns->followed || conn->netns == CONN_NETNS_NONE) {
			conn_remove(conns, conn);
			continue;
		}
		give_back_share(conn, owner->user);
		leave_owner(conns, conn);
	}
	if (!owner->conns)
		owner_put_proc(conns, owner);
	return forgotten;
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
	walk->shard = 0;
	walk->next = conns->by_cookie[0];
	DL_APPEND2(conns->walks, walk, prev_walk, next_walk);
}

struct conn *conn_walk_next(const struct conns *conns, struct conn_walk *walk)
{
	struct conn *conn;

	while (!walk->next && walk->shard + 1 < SHARDS)
		walk->next = conns->by_cookie[++walk->shard];
	conn = walk->next;
	if (conn)
		walk->next = conn->hh.next;
	return conn;
}

void conn_walk_end(struct conns *conns, struct conn_walk *walk)
{
	DL_DELETE2(conns->walks, walk, prev_walk, next_walk);
}
