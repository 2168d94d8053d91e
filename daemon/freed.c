/* SPDX-License-Identifier: MIT */
#include "daemon/freed.h"

#include "daemon/adopt.h"
#include "daemon/kernel.h"
#include "daemon/session.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

enum {
	GATHER_MS = 100,
	SOON_MS = 1,
	DESTROYED_AT_ONCE = 512,
	SURE = 64, /* guesses in a row that were right */
	CHECKED = 16,
};

struct freed {
	const struct follow_parts *parts;
	struct netns *ns;
	struct follow_costs *costs;
	struct event readable, gather;
};

struct batch {
	struct freed *freed;
	struct kernel_query queries[KERNEL_BATCH];
	unsigned int count;
};

/* --- guessing ---------------------------------------------------------------------------------
 *
 * The kernel says that it has freed a socket, not whether a TIME_WAIT took its place; to ask costs
 * a third of all that following a connection does. Of those whose FIN was the first one almost
 * always stays, of those that closed second or quietly nothing: where it was so many times in a
 * row, of the same process, it is taken to be so again, and only one in some is looked at. A guess
 * that was wrong is put right by the next sweep (a FIN_WAIT2), or by the count of TIME_WAITs in
 * sockstat. */

enum freed_guess { GUESS_TIME_WAIT, GUESS_GONE, GUESS_NONE };

static enum freed_guess guess_of(const struct conn *conn)
{
	switch (conn->state) {
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
		return conn->quiet ? GUESS_GONE : GUESS_TIME_WAIT;
	case STATE_LAST_ACK:
		return GUESS_GONE;
	default:
		return GUESS_NONE;
	}
}

static bool is_sure(struct conn *conn)
{
	enum freed_guess guess = guess_of(conn);
	struct proc_guesses *guesses = conn->proc ? &conn->proc->guesses : NULL;

	return guesses && guess != GUESS_NONE && guesses->right[guess] >= SURE &&
	       ++guesses->turn % CHECKED != 0;
}

static void learn(struct conn *conn, const struct kernel_query *query)
{
	enum freed_guess guess = guess_of(conn);
	bool gone = query->error == ENOENT, was_right;
	uint8_t *right;

	if (!conn->proc || guess == GUESS_NONE || (query->error && !gone))
		return;
	was_right = guess == GUESS_GONE ? gone : !gone && query->state == STATE_TIME_WAIT;
	right = &conn->proc->guesses.right[guess];
	if (!was_right)
		*right = 0;
	else if (*right < SURE)
		++*right;
}

/* --- looking ---------------------------------------------------------------------------------- */

static void look_at(struct freed *freed, struct conn *conn, const struct kernel_query *query)
{
	uint64_t now = wire_now_ms();

	if (query->error && query->error != ENOENT)
		return; /* a sweep will see */
	if (!query->error) {
		/* A quiet close leaves a TIME_WAIT only if the peer's FIN crossed ours. */
		if (conn->quiet && query->state == STATE_TIME_WAIT && conn->side == SIDE_US)
			conn->side = SIDE_BOTH;
		conn_set_state(freed->parts->conns, conn, query->state, now);
		if (query->state == STATE_TIME_WAIT)
			adopt_time_wait(freed->parts, conn);
	} else if (!conn->owner && conn->custody == CUSTODY_NONE) {
		conn_remove(freed->parts->conns, conn);
	} else {
		conn_set_state(freed->parts->conns, conn, STATE_CLOSE, now); /* its record comes */
	}
}

/* Nobody has spoken of it, and it lived between two surveys; unless it was made and ended since the
 * records were read, and they have been read again. */
static void look_at_stranger(struct freed *freed, const struct kernel_query *query)
{
	struct kernel_socket socket = {
		.cookie = query->found,
		.local = query->local,
		.remote = query->remote,
		.state = query->state,
	};
	struct conn *conn;

	if (query->error || query->state != STATE_TIME_WAIT || !query->found)
		return;
	conn = conn_find(freed->parts->conns, query->found);
	if (conn) {
		conn->freed = true;
		look_at(freed, conn, query);
		return;
	}
	conn = conn_discover(freed->parts->conns, &socket, freed->ns->index,
			     netns_role(freed->ns, socket.local.port), wire_now_ms());
	if (!conn)
		return;
	conn->freed = conn->no_inode = true;
	adopt_time_wait(freed->parts, conn);
}

static bool has_strangers(const struct batch *batch)
{
	for (unsigned int i = 0; i < batch->count; i++)
		if (batch->queries[i].cookie == KERNEL_ANY_COOKIE)
			return true;
	return false;
}

static void look_at_batch(struct batch *batch)
{
	struct freed *freed = batch->freed;
	uint64_t asked[KERNEL_BATCH];

	if (!batch->count)
		return;
	for (unsigned int i = 0; i < batch->count; i++)
		asked[i] = batch->queries[i].cookie;
	kernel_lookup(freed->ns->lookup, batch->queries, batch->count);
	freed->costs->lookups += batch->count;
	if (has_strangers(batch) && freed->parts->sessions)
		sessions_catch_up(freed->parts->sessions);
	for (unsigned int i = 0; i < batch->count; i++) {
		struct conn *conn = asked[i] == KERNEL_ANY_COOKIE
					    ? NULL
					    : conn_find(freed->parts->conns, asked[i]);

		if (conn) {
			learn(conn, &batch->queries[i]);
			look_at(freed, conn, &batch->queries[i]);
		} else if (asked[i] == KERNEL_ANY_COOKIE) {
			look_at_stranger(freed, &batch->queries[i]);
		}
	}
	batch->count = 0;
}

void freed_note(struct conn *conn, const struct kernel_socket *socket)
{
	if (!socket->has_info)
		return;
	conn->rtt_us = socket->rtt_us;
	conn->retrans = socket->retrans;
	conn->stuck = socket->stuck;
}

static void take_as_guessed(struct freed *freed, struct conn *conn)
{
	bool gone = guess_of(conn) == GUESS_GONE;
	const struct kernel_query answer = {
		.error = gone ? ENOENT : 0,
		.state = gone ? 0 : STATE_TIME_WAIT,
	};

	look_at(freed, conn, &answer);
}

static bool take_destroyed(const struct kernel_socket *socket, void *arg)
{
	struct batch *batch = arg;
	struct conn *conn = conn_find(batch->freed->parts->conns, socket->cookie);

	if (!conn && !socket->remote.port)
		return true; /* a listener, or never connected */
	if (conn) {
		conn->freed = true;
		freed_note(conn, socket);
		if (is_sure(conn)) {
			take_as_guessed(batch->freed, conn);
			return true;
		}
	}
	batch->queries[batch->count++] = (struct kernel_query){
		.local = socket->local,
		.remote = socket->remote,
		.cookie = conn ? socket->cookie : KERNEL_ANY_COOKIE,
	};
	if (batch->count == KERNEL_BATCH)
		look_at_batch(batch);
	return true;
}

static void arm_gather(struct freed *freed, int ms)
{
	struct timeval gather = {.tv_usec = ms * 1000};

	evtimer_add(&freed->gather, &gather);
}

/* Returns how many there were, or -1. What shims said of them was sent before, and is read before.
 */
static int drain(struct freed *freed)
{
	struct batch batch = {.freed = freed};
	int count;

	if (freed->parts->sessions)
		sessions_catch_up(freed->parts->sessions);
	count = kernel_destroyed(freed->ns->destroyed, DESTROYED_AT_ONCE, take_destroyed, &batch);
	look_at_batch(&batch);
	if (count < 0) {
		freed->costs->overruns++;
		freed->ns->want_time_wait = true;
	} else {
		freed->costs->destroyed += (unsigned int)count;
	}
	return count;
}

void freed_drain(struct freed *freed)
{
	if (freed)
		drain(freed);
}

/* They come one by one: let some gather. While they come, they are looked for, not waited for. */
static void on_gathered(evutil_socket_t fd, short what, void *arg)
{
	struct freed *freed = arg;
	int count = drain(freed);

	(void)fd;
	(void)what;
	if (count == 0)
		event_add(&freed->readable, NULL);
	else
		arm_gather(freed, count > 0 && count < DESTROYED_AT_ONCE ? GATHER_MS : SOON_MS);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct freed *freed = arg;

	(void)fd;
	(void)what;
	event_del(&freed->readable);
	arm_gather(freed, GATHER_MS);
}

struct freed *freed_new(const struct follow_parts *parts, struct netns *ns,
			struct follow_costs *costs)
{
	struct freed *freed = calloc(1, sizeof(*freed));

	if (!freed)
		return NULL;
	freed->parts = parts;
	freed->ns = ns;
	freed->costs = costs;
	evtimer_assign(&freed->gather, parts->base, on_gathered, freed);
	event_assign(&freed->readable, parts->base, kernel_fd(ns->destroyed), EV_READ | EV_PERSIST,
		     on_readable, freed);
	if (event_add(&freed->readable, NULL) == 0)
		return freed;
	free(freed);
	return NULL;
}

void freed_free(struct freed *freed)
{
	if (!freed)
		return;
	event_del(&freed->readable);
	event_del(&freed->gather);
	free(freed);
}
