/* SPDX-License-Identifier: MIT */
/* The model: every TCP socket that we know of, by its socket cookie.
 *
 * While a process under the shim speaks for a connection, it has an owner. A connection is booked
 * under the session that opened it; a forked child that inherited it is its heir, and has it once
 * the parent has let go. When its last holder has closed it, it is the kernel's: it goes on through
 * FIN_WAIT, LAST_ACK and TIME_WAIT without owner, and follow.c sees to it until nothing is left.
 * Those of processes without the shim never had an owner. Whose it is (proc) is known of it to the
 * end: inode and uid are 0 in TIME_WAIT, the cookie is not.
 *
 * There may be a million, and each costs what struct conn costs: what few have is elsewhere. */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include "common/wire.h"
#include "daemon/proc.h"
#include "daemon/tally.h"

#include <stdbool.h>
#include <stdint.h>

struct closer;
struct conn;
struct conn_heir;
struct conn_self;
struct kernel;
struct kernel_query;
struct kernel_socket;
struct user;

/* The side of a session that connections are booked under. */
struct conn_owner {
	struct process process;
	struct proc *proc;  /* of the model; NULL until it is known */
	struct user *user;  /* NULL: not limited */
	int pidfd;	    /* -1: none */
	struct conn *conns; /* list by listed_prev, listed_next */
	unsigned int count;
	const _Atomic uint32_t *lost; /* its session's records that were lost; NULL: none */
	struct conn_heir *heir_to;    /* list */
};

enum conn_custody { CUSTODY_NONE, CUSTODY_WAITING, CUSTODY_DRAINING };

/* Network namespaces: ours, one that nobody can be asked in; others are follow.c's. */
enum { CONN_NETNS_OWN = 0, CONN_NETNS_NONE = 255, CONN_NETNS_ANY = 256 };

struct conn {
	uint64_t cookie;
	struct conn *chain; /* of conn_table.c */
	struct endpoint local, remote;
	struct proc *proc;	      /* whose; NULL: nobody's that we know */
	uint64_t opened_ms, since_ms; /* since: in this state */
	uint32_t policy;
	struct account account;
	int32_t retire_ms;
	int fd;			  /* the program's number */
	uint32_t unread, unacked; /* bytes when it was closed, or now */
	uint32_t rtt_us;
	uint16_t retrans;   /* segments sent again, in all */
	uint8_t stuck;	    /* times that the kernel tries the same segment or probe now */
	uint8_t generation; /* of the survey that has last seen it */
	uint8_t role, state, side, close_first;
	uint8_t custody; /* enum conn_custody */
	uint8_t outcome; /* of custody: enum custody_outcome plus one; 0: none */
	uint8_t netns;	 /* CONN_NETNS_OWN... */
	uint8_t asked;	 /* how often its process was looked for */
	bool retire : 1; /* a deferred shutdown was done for it: retire its TIME_WAIT when it closes
			  */
	bool let_go : 1; /* its owner has closed its copy */
	bool missed : 1; /* the kernel did not know it when it was last asked */
	bool shared : 1; /* counted among its user's */
	bool freed : 1;	 /* the kernel has freed the full socket: what is left is a TIME_WAIT */
	bool counted : 1;	  /* its close is counted */
	bool no_inode : 1;	  /* not accepted yet, an orphan, or TIME_WAIT */
	bool quiet : 1;		  /* closed so that no TIME_WAIT is left (TCP_LINGER2 = -1) */
	bool spoken : 1;	  /* a record told of it */
	bool by_listener : 1;	  /* it is proc's because it waits at proc's listener */
	bool live : 1;		  /* in the list of those */
	bool was_there : 1;	  /* before us: nobody has opened it since */
	bool left : 1;		  /* a TIME_WAIT that a share leaves as it is, and booked as that */
	struct conn_owner *owner; /* NULL: the kernel's alone */
	struct conn *listed_prev,
		*listed_next;		  /* of the owner; or those in TIME_WAIT of one moment */
	struct conn *all_prev, *all_next; /* as they came */
	struct conn *live_prev, *live_next;
	struct conn_heir *heir; /* who holds it as well; NULL: nobody that we know */
	struct conn_self *self; /* its place by tuple, if close_first is FIRST_SELF */
};

struct conns;

/* max: of all; per_owner: of one session; closer: NULL, and what two claim stays the first's. */
struct conns *conns_new(unsigned int max, unsigned int per_owner, struct closer *closer);
void conns_free(struct conns *conns);
/* All that are known; and of these, those that have an owner or are in custody. */
unsigned int conns_count(const struct conns *conns);
unsigned int conns_open(const struct conns *conns);
struct procs *conns_procs(const struct conns *conns);
/* Of all, and of those that are nobody's. */
struct census *conns_census(struct conns *conns);
struct census *conns_unknown(struct conns *conns);

/* Somebody follows what is the kernel's alone. Otherwise it is forgotten. */
void conns_set_followed(struct conns *conns, bool followed);
/* Is told of each change of a state, after it. from or to is 0: it was not there, it has gone. */
typedef void conn_watcher(void *arg, const struct conn *conn, unsigned int from, unsigned int to,
			  uint64_t in_from_ms);
void conns_set_watcher(struct conns *conns, conn_watcher *watcher, void *arg);

/* Who holds it, or a process that says nothing. */
const struct process *conn_process(const struct conn *conn);

/* May this process speak for the connection? Itself, its own user, root, and the child of the
 * process it is booked under. Cookies are easily guessed, and ss(8) shows them to everybody. */
bool conn_speaks_for(const struct conn *conn, const struct conn_owner *owner);

/* Books the connection of an OPEN record under owner, or makes it the heir. NULL if it may not, or
 * at a limit. *opened says whether it is a new one. */
struct conn *conn_open(struct conns *conns, struct conn_owner *owner,
		       const struct wire_record *record, struct account account, uint64_t now_ms,
		       bool *opened);
/* Adds what the kernel has and nobody spoke of. NULL: at the limit. */
struct conn *conn_discover(struct conns *conns, const struct kernel_socket *socket, uint8_t netns,
			   uint8_t role, uint64_t now_ms);
/* It has just been discovered, and was there before we were: no open is counted of it, nor a close
 * if it is in TIME_WAIT. */
void conn_was_there(struct conns *conns, struct conn *conn);
/* Custody of it ended so. */
void conn_count_outcome(struct conns *conns, const struct conn *conn, enum custody_outcome outcome);
/* Attributes what is nobody's. */
void conn_attribute(struct conns *conns, struct conn *conn, const struct process *process);
/* ... and makes it nobody's again. */
void conn_disown(struct conns *conns, struct conn *conn);
void conn_set_netns(struct conns *conns, struct conn *conn, uint8_t netns);
/* The namespace with this inode has this index from now on; 0: none has it. */
void conns_name_netns(struct conns *conns, uint8_t netns, uint64_t inode);
/* How many there are in a state in a namespace. */
long conns_in(const struct conns *conns, uint8_t netns, unsigned int state);
struct conn *conn_find(struct conns *conns, uint64_t cookie);
/* Looks up what the kernel says of at most KERNEL_BATCH connections now. */
void conn_lookup(struct kernel *kernel, struct conn *const *conns, struct kernel_query *queries,
		 unsigned int count);
/* The other end of (local, remote), if it is ours too and its policy says close-first = self. */
struct conn *conn_find_self(struct conns *conns, const struct endpoint *local,
			    const struct endpoint *remote);
/* The one place where a state changes. */
void conn_set_state(struct conns *conns, struct conn *conn, unsigned int state, uint64_t now_ms);
/* Who closed first, where it was not known. */
void conn_set_side(struct conn *conn, enum close_side side);
/* The last close: from here on it is the kernel's alone, in this state; 0: nothing is left of it.
 * Forgotten at once if nobody follows it. */
void conn_end(struct conns *conns, struct conn *conn, unsigned int state);
/* Nothing is left of it. */
void conn_remove(struct conns *conns, struct conn *conn);

/* Its owner or its heir has closed its copy; others hold the connection still. */
void conn_let_go(struct conns *conns, struct conn *conn, const struct conn_owner *owner);
void conn_set_custody(struct conns *conns, struct conn *conn, enum conn_custody custody);

/* Does it wait to be accepted? An inode comes with accept(), and orphans are in other states. */
bool conn_is_unaccepted(const struct conn *conn);

/* May it have ended without a word to us? Not so while custody, or a process that has lost no
 * record, speaks for it; nor in another network namespace, where nobody can be asked. */
bool conn_may_be_over(const struct conn *conn);

/* The session is there: its process is under the shim, even if it has no connection yet. */
void conn_owner_here(struct conns *conns, struct conn_owner *owner);

/* The session has gone. What was its is the kernel's alone, at most so many at once: owner->conns
 * is what is left. Returns how many. */
unsigned int conn_owner_gone(struct conns *conns, struct conn_owner *owner, unsigned int max);

/* Removes the oldest TIME_WAITs of a namespace (CONN_NETNS_ANY: of all) that were entered before
 * then, at most so many. Returns how many. */
unsigned int conns_expire(struct conns *conns, int netns, uint64_t before_ms, unsigned int max);

/* A walk over all connections that survives removals between its steps. */
struct conn_walk {
	struct conn *next;
	bool live;
	struct conn_walk *prev_walk, *next_walk;
};

void conn_walk_begin(struct conns *conns, struct conn_walk *walk);
/* Over those only that are not the kernel's alone and in TIME_WAIT: of many, mostly few. */
void conn_walk_begin_live(struct conns *conns, struct conn_walk *walk);
struct conn *conn_walk_next(const struct conns *conns, struct conn_walk *walk);
void conn_walk_end(struct conns *conns, struct conn_walk *walk);

#endif
