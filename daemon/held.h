/* SPDX-License-Identifier: MIT */
/* One held socket, and its ending: shared by custody.c (who is held, and why), held.c (what is to
 * be done with it) and ending.c (how it ends). */
#ifndef DAEMON_HELD_H
#define DAEMON_HELD_H

#include "daemon/custody.h"
#include "daemon/custody_judge.h"
#include "daemon/patience.h"
#include "daemon/sock.h"

#include <event2/event_struct.h>
#include <uthash.h>

struct held {
	struct custody *custody;
	struct custody_client *client; /* NULL: its session has gone */
	struct user *user;
	uint64_t cookie;
	int fd;
	uid_t uid;
	pid_t pid;
	uint8_t type; /* enum wire_type that brought it */
	bool owned;
	bool draining;
	bool watched; /* by libevent */
	bool quiet;
	bool late, probe; /* see patience.h */
	bool saw_fin, shut_here;
	bool drained;	 /* the peer's FIN came, and nothing before it is unread */
	bool waited;	 /* patience let it wait */
	bool retirable;	 /* in our network namespace */
	bool indexed;	 /* by its tuple */
	bool fin_coming; /* we held the other end as well, and are closing it */
	struct endpoint local, remote;
	struct account account;
	/* The terms, clamped: */
	uint32_t policy, grace_ms, drain_max_ms;
	int32_t time_wait_ms;
	bool grace_learn, reset_peer;
	uint8_t role, how;

	uint32_t rtt_us, unread_at_start;
	uint64_t received_at_start;
	uint64_t began_ms, deadline_ms; /* of the wait; then of draining */
	uint64_t shut_ms;		/* when draining began */
	struct event ready, timer;
	struct held *prev, *next;		/* all, oldest first */
	struct held *client_prev, *client_next; /* of one session */
	struct held *user_prev, *user_next;	/* of one user */
	UT_hash_handle hh;			/* by cookie */
	UT_hash_handle tuple_hh;		/* by local and remote */
};

struct custody {
	struct custody_parts parts;
	unsigned int max, per_client, count;
	bool off;	  /* nothing waits */
	struct held *all; /* oldest first */
	struct custody_client *clients;
	struct held *by_cookie, *by_tuple;
};

/* Begins to wait, or ends at once; look: what was just seen of it. May free it. */
void held_begin(struct held *held, const struct sock_look *look);
/* Looks at the socket and does what is to be done: may free it. */
void held_check(struct held *held);
/* Its wait ends in so many milliseconds, and then it ends as if the program had closed it itself.
 * One whose FIN is out already goes on being drained. */
void held_release(struct held *held, uint32_t after_ms);
/* Ends it now, as its policy says: frees it. */
void held_end_early(struct held *held);
/* A shared one has become ours. */
void held_own(struct held *held);
/* The other end is a socket of ours as well, and its policy is close-first = self: closes it, and
 * gives its FIN the whole grace to come. Nothing if there is no such end, or not yet. */
void held_close_other_end(struct held *held);
/* Has its program dissolved the connection between these two, whose shutdown it had asked for, and
 * connected the socket anew (connect(2), AF_UNSPEC)? */
bool held_moved(int fd, uint8_t state, const struct endpoint *local, const struct endpoint *remote);
/* Its close is under way on another thread: if the other end is held here as well, that one is the
 * second, although it may not show yet. */
void held_tell_other_end(const struct held *held);
/* Takes it off all lists and frees it; custody.c. */
void held_forget(struct held *held);

#endif
