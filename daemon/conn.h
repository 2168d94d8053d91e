/* SPDX-License-Identifier: MIT */
/* The model: every connection that a session has told us of, by its socket cookie.
 *
 * A connection is booked under the process that opened it. A forked child that inherited it is its
 * heir, and has it once the parent has let go. It goes when it is closed, or when custody ends. */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include "common/wire.h"
#include "daemon/process.h"
#include "daemon/tally.h"

#include <uthash.h>

#include <stdbool.h>
#include <stdint.h>

struct closer;
struct conn;
struct kernel;
struct kernel_query;
struct kernel_socket;
struct user;

/* The side of a session that connections are booked under. */
struct conn_owner {
	struct process process;
	struct user *user;  /* NULL: not limited */
	int pidfd;	    /* -1: none */
	struct conn *conns; /* list by owned_prev, owned_next */
	unsigned int count;
	const _Atomic uint32_t *lost; /* its session's records that were lost; NULL: none */
	struct conn *heir_to;	      /* list by heir_prev, heir_next */
};

enum conn_custody { CUSTODY_NONE, CUSTODY_WAITING, CUSTODY_DRAINING };

struct conn {
	uint64_t cookie;
	struct endpoint local, remote;
	uint32_t policy;
	struct account account;
	uint8_t role, state, side, close_first;
	enum conn_custody custody;
	bool retire; /* a deferred shutdown was done for it: retire its TIME_WAIT when it closes */
	int32_t retire_ms;
	int fd; /* the program's number */
	pid_t pid;
	uid_t uid;
	uint64_t start;	   /* of the process */
	struct user *user; /* whose share it is of; NULL: nobody's */
	char program[32];
	uint64_t opened_ms;
	struct conn_owner *owner; /* NULL: its session has gone */
	struct conn *owned_prev, *owned_next;
	struct conn_owner *heir; /* holds it as well; NULL: nobody that we know */
	struct conn *heir_prev, *heir_next;
	bool let_go;		  /* its owner has closed its copy */
	bool missed;		  /* the kernel did not know it when it was last asked */
	struct conn *prev, *next; /* all, in order of opening */
	UT_hash_handle hh;	  /* by cookie */
	UT_hash_handle tuple_hh;  /* by local and remote, if close_first is FIRST_SELF */
};

struct conns;

/* max: of all; per_owner: of one session; closer: NULL, and what two claim stays the first's. */
struct conns *conns_new(unsigned int max, unsigned int per_owner, struct closer *closer);
void conns_free(struct conns *conns);
unsigned int conns_count(const struct conns *conns);

/* May this process speak for the connection? Itself, its own user, root, and the child of the
 * process it is booked under. Cookies are easily guessed, and ss(8) shows them to everybody. */
bool conn_speaks_for(const struct conn *conn, const struct conn_owner *owner);

/* Books the connection of an OPEN record under owner, or makes it the heir. NULL if it may not, or
 * at a limit. *opened says whether it is a new one. */
struct conn *conn_open(struct conns *conns, struct conn_owner *owner,
		       const struct wire_record *record, struct account account, uint64_t now_ms,
		       bool *opened);
/* Books what was found open, until its process speaks. false: it is known, or at the limit. */
bool conn_discover(struct conns *conns, const struct process *process,
		   const struct kernel_socket *socket, uint8_t role, int fd);
struct conn *conn_find(struct conns *conns, uint64_t cookie);
/* Looks up what the kernel says of at most KERNEL_BATCH connections now. */
void conn_lookup(struct kernel *kernel, struct conn *const *conns, struct kernel_query *queries,
		 unsigned int count);
/* The other end of (local, remote), if it is ours too and its policy says close-first = self. */
struct conn *conn_find_self(struct conns *conns, const struct endpoint *local,
			    const struct endpoint *remote);
void conn_remove(struct conns *conns, struct conn *conn);

/* Its owner or its heir has closed its copy; others hold the connection still. */
void conn_let_go(struct conn *conn, const struct conn_owner *owner);

/* May it have ended without a word to us? Not so in another network namespace, where nobody can be
 * asked. */
bool conn_may_be_over(const struct conn *conn);

/* The session has gone. What is in custody stays, without owner; the rest is forgotten, at most so
 * many at once: owner->conns is what is left. Returns how many were forgotten. */
unsigned int conn_owner_gone(struct conns *conns, struct conn_owner *owner, unsigned int max);

/* A walk over all connections that survives removals between its steps. */
struct conn_walk {
	struct conn *next;
	struct conn_walk *prev_walk, *next_walk;
};

void conn_walk_begin(struct conns *conns, struct conn_walk *walk);
struct conn *conn_walk_next(struct conn_walk *walk);
void conn_walk_end(struct conns *conns, struct conn_walk *walk);

#endif
