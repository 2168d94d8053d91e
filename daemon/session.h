/* SPDX-License-Identifier: MIT */
/* Sessions: one for each process under the shim. Nothing that comes over the socket is trusted:
 * a record is copied, then checked; who speaks is SO_PEERCRED's word. */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "daemon/conn.h"
#include "daemon/custody.h"

#include <stdbool.h>
#include <stdint.h>

struct closer;
struct cuts;
struct event_base;
struct retire;
struct users;

struct session_parts {
	struct event_base *base;
	struct book *book;
	struct conns *conns;
	struct custody *custody;
	struct retire *retire;
	struct users *users;
	struct closer *closer;
	struct cuts *cuts; /* NULL: nobody wants them */
};

struct sessions;

/* Serves the listening socket, which stays the caller's. */
struct sessions *sessions_new(const struct session_parts *parts, int listener, unsigned int max);
void sessions_set_limits(struct sessions *sessions, unsigned int max);
void sessions_free(struct sessions *sessions);

/* Reads what was left to gather: before what is known is shown to somebody. */
void sessions_catch_up(struct sessions *sessions);
/* Were messages read since the last call, so that the next ones may gather for a moment? Not of
 * sessions that are left to gather anyway. */
bool sessions_have_read(struct sessions *sessions);
unsigned int sessions_count(const struct sessions *sessions);
uint64_t sessions_total(const struct sessions *sessions);
/* Records that shims could not send, of all sessions that are and were. */
uint64_t sessions_lost(const struct sessions *sessions);

#endif
