/* SPDX-License-Identifier: MIT */
#include "daemon/conn.h"

#include "daemon/closer.h"
#include "daemon/kernel.h"
#include "daemon/limits.h"
#include "daemon/sock.h"
#include "daemon/user.h"

#include <utlist.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct conns {
	unsigned int max, per_owner, count;
	struct closer *closer;
	struct conn *by_cookie;
	struct conn *by_tuple;
	struct conn *all;
	struct conn_walk *walks;
};

/* local and remote lie one after the other and have no holes: together they are a key. */
_Static_assert(offsetof(struct conn, remote) ==
		       offsetof(struct conn, local) + sizeof(struct endpoint),
	       "local and remote make one key");

struct conns *conns_new(unsigned int max, unsigned int per_owner, struct closer *closer)
{
	struct conns *conns = calloc(1, sizeof(*conns));

	if (conns) {
		conns->max = max;
		conns->per_owner = per_owner;
		conns->closer = closer;
	}
	return conns;
}

void conns_free(struct conns *conns)
{
	if (!conns)
		return;
	while (conns->all)
		conn_remove(conns, conns->all);
	free(conns);
}

unsigned int conns_count(const struct conns *conns)
{
	return conns->count;
}

/* A pid may have become another's. */
static bool is_child_of(const struct conn *conn, const struct process *process)
{
	return process->ppid == conn->pid && (conn->owner || process_is(conn->pid, conn->start));
}

bool conn_speaks_for(const struct conn *conn, const struct conn_owner *owner)
{
	const struct process *process = &owner->process;

	return process->uid == 0 || process->uid == conn->uid ||
	       (process->pid == conn->pid && process->start == conn->start) ||
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

static void disown(struct conn *conn)
{
	if (!conn->owner)
		return;
	DL_DELETE2(conn->owner->conns, conn, owned_prev, owned_next);
	conn->owner->count--;
	conn->owner = NULL;
}

static void disinherit(struct conn *conn)
{
	if (!conn->heir)
		return;
	DL_DELETE2(conn->heir->heir_to, conn, heir_prev, heir_next);
	conn->heir = NULL;
}

/* The latest fork's child. */
static void make_heir(struct conn *conn, struct conn_owner *owner)
{
	disinherit(conn);
	conn->heir = owner;
	DL_APPEND2(owner->heir_to, conn, heir_prev, heir_next);
}

static void set_process(struct conn *conn, const struct process *process)
{
	conn->pid = process->pid;
	conn->uid = process->uid;
	conn->start = process->start;
	snprintf(conn->program, sizeof(conn->program), "%s", process_name(process));
}

static void book_under(struct conn *conn, struct conn_owner *owner)
{
	disown(conn);
	conn->let_go = false;
	conn->owner = owner;
	DL_APPEND2(owner->conns, conn, owned_prev, owned_next);
	owner->count++;
	set_process(conn, &owner->process);
	if (conn->user == owner->user)
		return;
	user_give_back(conn->user, USER_CONNS);
	conn->user = owner->user;
	user_take(conn->user, USER_CONNS);
}

/* Two sockets of one tuple can't be alive at once; the newer record is right. */
static void index_tuple(struct conns *conns, struct conn *conn, const struct conn_owner *owner,
			const struct wire_record *record)
{
	struct conn *old;

	HASH_FIND(tuple_hh, conns->by_tuple, &conn->local, ENDPOINT_PAIR_SIZE, old);
	if (old && old->uid != conn->uid && !holds(owner, conns->closer, record)) {
		conn->close_first = FIRST_APP; /* says a stranger */
		return;
	}
	if (old) {
		HASH_DELETE(tuple_hh, conns->by_tuple, old);
		old->close_first = FIRST_APP;
	}
	HASH_ADD(tuple_hh, conns->by_tuple, local, ENDPOINT_PAIR_SIZE, conn);
}

static void unindex_tuple(struct conns *conns, struct conn *conn)
{
	if (conn->close_first == FIRST_SELF)
		HASH_DELETE(tuple_hh, conns->by_tuple, conn);
}

static struct conn *conn_add(struct conns *conns, uint64_t cookie, uint64_t now_ms)
{
	struct conn *conn;

	if (conns->count >= conns->max)
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	conn->cookie = cookie;
	conn->opened_ms = now_ms;
	HASH_ADD(hh, conns->by_cookie, cookie, sizeof(conn->cookie), conn);
	DL_APPEND(conns->all, conn);
	conns->count++;
	return conn;
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

struct conn *conn_open(struct conns *conns, struct conn_owner *owner,
		       const struct wire_record *record, struct account account, uint64_t now_ms,
		       bool *opened)
{
	struct conn *conn = conn_find(conns, record->cookie);

	*opened = !conn;
	if (conn && !conn_speaks_for(conn, owner) && !holds(owner, conns->closer, record))
		return NULL;
	if (conn && record->how && conn->owner && conn->owner != owner && !conn->let_go) {
		make_heir(conn, owner);
		return conn;
	}
	if (!conn || conn->owner != owner) {
		if (owner->count >= conns->per_owner ||
		    (!(conn && conn->user == owner->user) && is_full(conns, owner)))
			return NULL;
		if (!conn)
			conn = conn_add(conns, record->cookie, now_ms);
		if (!conn)
			return NULL;
		book_under(conn, owner);
	}
	unindex_tuple(conns, conn);
	conn->local = record->local;
	conn->remote = record->remote;
	conn->policy = record->policy;
	conn->account = account;
	conn->role = record->role;
	conn->state = record->state;
	conn->side = record->side;
	conn->close_first = record->close_first;
	conn->fd = record->fd;
	if (conn->close_first == FIRST_SELF)
		index_tuple(conns, conn, owner, record);
	return conn;
}

bool conn_discover(struct conns *conns, const struct process *process,
		   const struct kernel_socket *socket, uint8_t role, int fd)
{
	struct conn *conn;

	if (conn_find(conns, socket->cookie))
		return false;
	conn = conn_add(conns, socket->cookie, wire_now_ms());
	if (!conn)
		return false;
	conn->local = socket->local;
	conn->remote = socket->remote;
	conn->state = socket->state;
	conn->role = role;
	conn->fd = fd;
	set_process(conn, process);
	return true;
}

struct conn *conn_find(struct conns *conns, uint64_t cookie)
{
	struct conn *conn;

	HASH_FIND(hh, conns->by_cookie, &cookie, sizeof(cookie), conn);
	return conn;
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

struct conn *conn_find_self(struct conns *conns, const struct endpoint *local,
			    const struct endpoint *remote)
{
	struct endpoint key[2] = {*remote, *local};
	struct conn *conn;

	HASH_FIND(tuple_hh, conns->by_tuple, key, ENDPOINT_PAIR_SIZE, conn);
	return conn;
}

void conn_remove(struct conns *conns, struct conn *conn)
{
	struct conn_walk *walk;

	DL_FOREACH2(conns->walks, walk, next_walk)
	{
		if (walk->next == conn)
			walk->next = conn->next;
	}
	unindex_tuple(conns, conn);
	disown(conn);
	disinherit(conn);
	HASH_DELETE(hh, conns->by_cookie, conn);
	DL_DELETE(conns->all, conn);
	user_give_back(conn->user, USER_CONNS);
	conns->count--;
	free(conn);
}

static void inherit(struct conn *conn)
{
	struct conn_owner *heir = conn->heir;

	disinherit(conn);
	book_under(conn, heir);
}

void conn_let_go(struct conn *conn, const struct conn_owner *owner)
{
	if (conn->heir == owner)
		disinherit(conn);
	else if (conn->owner == owner && conn->heir)
		inherit(conn);
	else if (conn->owner == owner)
		conn->let_go = true; /* booked here until another says OPEN or CLOSE */
}

/* A close may be among them. */
static bool is_lossy(const struct conn_owner *owner)
{
	return owner->lost && atomic_load_explicit(owner->lost, memory_order_relaxed);
}

bool conn_may_be_over(const struct conn *conn)
{
	if (conn->custody != CUSTODY_NONE)
		return false;
	if (!conn->owner)
		return true;
	return (conn->let_go || is_lossy(conn->owner)) && !conn->owner->process.other_netns;
}

unsigned int conn_owner_gone(struct conns *conns, struct conn_owner *owner, unsigned int max)
{
	unsigned int forgotten = 0;
	struct conn *conn, *next;

	while (owner->heir_to)
		disinherit(owner->heir_to);
	DL_FOREACH_SAFE2(owner->conns, conn, next, owned_next)
	{
		if (!max--)
			break;
		if (conn->heir) {
			inherit(conn);
			continue;
		}
		if (conn->custody != CUSTODY_NONE) {
			disown(conn);
			continue;
		}
		conn_remove(conns, conn);
		forgotten++;
	}
	return forgotten;
}

void conn_walk_begin(struct conns *conns, struct conn_walk *walk)
{
	walk->next = conns->all;
	DL_APPEND2(conns->walks, walk, prev_walk, next_walk);
}

struct conn *conn_walk_next(struct conn_walk *walk)
{
	struct conn *conn = walk->next;

	if (conn)
		walk->next = conn->next;
	return conn;
}

void conn_walk_end(struct conns *conns, struct conn_walk *walk)
{
	DL_DELETE2(conns->walks, walk, prev_walk, next_walk);
}
