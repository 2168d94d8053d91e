/* SPDX-License-Identifier: MIT */
/* What conn.c, conn_owner.c and conn_self.c share: the table itself. */
#ifndef DAEMON_CONNS_H
#define DAEMON_CONNS_H

#include "daemon/conn.h"
#include "daemon/conn_table.h"

#include <uthash.h>

enum {
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
	struct conn_table by_cookie;
	struct conn_self *by_tuple;
	struct conn *wheel[WHEEL];
	/* A walk in the order of the table would find none of them in a cache. */
	struct conn *first, *live;
	struct conn_walk *walks;
};

/* --- conn.c --- */

struct conn *conn_add(struct conns *conns, uint64_t cookie, unsigned int state, uint64_t now_ms);
void conn_tell_of_new(const struct conns *conns, const struct conn *conn);
/* It has an owner, or is in custody. */
bool conn_is_open(const struct conn *conn);
/* TIME_WAITs that are the kernel's alone are in the wheel, by the moment that they began; all
 * others in the list of the live ones. To be called before and after what changes that. */
void conn_leave_wheel(struct conns *conns, struct conn *conn);
void conn_enter_wheel(struct conns *conns, struct conn *conn);
void conn_set_proc(struct conns *conns, struct conn *conn, struct proc *proc);

/* --- conn_owner.c --- */

void conn_leave_owner(struct conns *conns, struct conn *conn);
void conn_disinherit(struct conn *conn);
void conn_give_back_share(struct conn *conn, struct user *user);
/* Does this process have the connection of the record among its descriptors? */
bool conn_is_held_by(const struct conn_owner *owner, struct closer *closer,
		     const struct wire_record *record);

/* --- conn_self.c --- */

void conn_index_self(struct conns *conns, struct conn *conn, const struct conn_owner *owner,
		     const struct wire_record *record);
void conn_unindex_self(struct conns *conns, struct conn *conn);

#endif
