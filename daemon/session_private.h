/* SPDX-License-Identifier: MIT */
/* A session, as those who serve it see it: session.c, its life; session_read.c, what it says. */
#ifndef DAEMON_SESSION_PRIVATE_H
#define DAEMON_SESSION_PRIVATE_H

#include "daemon/session.h"

#include "common/wire.h"

#include <event2/event_struct.h>

struct user;

struct session {
	struct sessions *sessions;
	int fd; /* -1: at EOF, but its process lives */
	struct event readable;
	struct event death; /* of the process, when its duplicates hang on it; then the pause
			     * between forgetting and forgetting more */
	bool was_dead;
	struct user *user;
	struct conn_owner owner;
	struct custody_client client;
	struct session_page *page; /* NULL: no hello yet */
	struct ring_reader ring;
	unsigned int ring_turn; /* read from the ring in this turn */
	int32_t credits;	/* what the page began with */
	uint16_t tag;
	unsigned int bad;
	bool steers;	/* it has said that it may hand over: somebody waits for its messages */
	bool by_socket; /* its records come so, and each would wake us */
	bool resting;	/* read by and by; its socket is watched if it steers, or has no records */
	unsigned int rested; /* looked at so often, in vain */
	struct session *prev, *next;
	struct session *rest_prev, *rest_next;
};

struct sessions {
	struct session_parts parts;
	unsigned int max, count;
	uint64_t total, lost;
	uint64_t messages; /* that were read */
	bool have_read;	   /* since sessions_have_read() */
	struct event listener, pause, rest;
	struct session *all, *resting;
};

/* Waits for its messages; deadline: of the hello, or NULL. */
bool session_watch(struct session *session, const struct timeval *deadline);
/* What is still in its ring: it sends no more. */
void session_read_last(struct session *session);
void session_stop_resting(struct session *session);
void sessions_read_init(struct sessions *sessions);
void sessions_read_stop(struct sessions *sessions);

/* Its process hung up, or it is to be served no longer. */
void session_end(struct session *session);

#endif
