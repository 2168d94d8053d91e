/* SPDX-License-Identifier: MIT */
/* Whose connections are while somebody speaks for them: owners, heirs, and who may. */
#include "daemon/conns.h"

#include "daemon/closer.h"
#include "daemon/limits.h"
#include "daemon/sock.h"
#include "daemon/user.h"

#include <utlist.h>

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

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
bool conn_is_held_by(const struct conn_owner *owner, struct closer *closer,
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

void conn_leave_owner(struct conns *conns, struct conn *conn)
{
	if (!conn->owner)
		return;
	DL_DELETE2(conn->owner->conns, conn, listed_prev, listed_next);
	conn->owner->count--;
	conn->owner = NULL;
	if (!conn_is_open(conn))
		conns->open--;
	conn_enter_wheel(conns, conn);
}

void conn_disinherit(struct conn *conn)
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

	conn_disinherit(conn);
	if (!heir)
		return;
	heir->owner = owner;
	heir->conn = conn;
	conn->heir = heir;
	DL_APPEND(owner->heir_to, heir);
}

void conn_give_back_share(struct conn *conn, struct user *user)
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
		conn_give_back_share(conn, conn->owner->user);
	conn_leave_owner(conns, conn);
	conn_leave_wheel(conns, conn);
	if (!conn_is_open(conn))
		conns->open++;
	conn->let_go = false;
	conn->spoken = true;
	conn->owner = owner;
	DL_APPEND2(owner->conns, conn, listed_prev, listed_next);
	owner->count++;
	conn_enter_wheel(conns, conn);
	conn_set_proc(conns, conn, owner_proc(conns, owner));
	conn->by_listener = false;
	conn_set_netns(conns, conn, netns_of(conns, &owner->process));
	user_take(owner->user, USER_CONNS);
	conn->shared = owner->user != NULL;
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
	if (conn && !conn_speaks_for(conn, owner) && !conn_is_held_by(owner, conns->closer, record))
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
	conn_unindex_self(conns, conn);
	conn->local = record->local;
	conn->remote = record->remote;
	conn->policy = record->policy;
	conn->account = account;
	conn->role = record->role;
	conn->side = record->side;
	conn->close_first = record->close_first;
	conn->fd = record->fd;
	if (conn->close_first == FIRST_SELF)
		conn_index_self(conns, conn, owner, record);
	if (!known)
		conn_tell_of_new(conns, conn);
	else if (record->state && !conn->freed)
		conn_set_state(conns, conn, record->state, now_ms);
	return conn;
}

static void inherit(struct conns *conns, struct conn *conn)
{
	struct conn_owner *owner = conn->heir->owner;

	conn_disinherit(conn);
	book_under(conns, conn, owner);
}

void conn_let_go(struct conns *conns, struct conn *conn, const struct conn_owner *owner)
{
	if (conn->heir && conn->heir->owner == owner)
		conn_disinherit(conn);
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
		conn_disinherit(owner->heir_to->conn);
	while (owner->conns && max--) {
		conn = owner->conns;
		if (conn->heir) {
			inherit(conns, conn);
			continue;
		}
		if (conn->custody != CUSTODY_NONE) {
			conn_give_back_share(conn, owner->user);
			conn_leave_owner(conns, conn);
			continue;
		}
		forgotten++;
		if (!conns->followed || conn->netns == CONN_NETNS_NONE) {
			conn_remove(conns, conn);
			continue;
		}
		conn_give_back_share(conn, owner->user);
		conn_leave_owner(conns, conn);
	}
	if (!owner->conns)
		owner_put_proc(conns, owner);
	return forgotten;
}
