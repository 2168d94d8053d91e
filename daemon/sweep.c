/* SPDX-License-Identifier: MIT */
#include "daemon/sweep.h"

#include "common/tcp_state.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

enum {
	STEP_MS = 20, /* between steps; 1 if somebody waits */
	STEPS = 4096, /* connections that are passed in one step, at most KERNEL_BATCH asked for */
};

struct sweep {
	struct event timer;
	struct conns *conns;
	struct book *book;
	struct sweep_calls calls;
	void *arg;
	struct conn_walk walk;
	struct sweep_scope scope;
	bool walking, soon;
};

static void arm(struct sweep *sweep)
{
	struct timeval tv = {.tv_usec = sweep->soon ? 1000 : STEP_MS * 1000};

	evtimer_add(&sweep->timer, &tv);
}

/* A record that says more may be on its way at the first look, not at the second. */
static void judge_spoken_for(struct sweep *sweep, struct conn *conn, bool over)
{
	if (!over) {
		conn->missed = false;
	} else if (!conn->missed) {
		conn->missed = true;
	} else {
		BOOK_ADD(sweep->book, conn->account, closes[SIDE_UNKNOWN], 1);
		conn_end(sweep->conns, conn, 0);
	}
}

static void judge(struct sweep *sweep, struct conn *conn, const struct kernel_query *query)
{
	if (query->error && query->error != ENOENT)
		return;
	if (conn->owner && conn_may_be_over(conn)) {
		judge_spoken_for(sweep, conn, kernel_is_over(query));
		return;
	}
	if (conn->owner) {
		conn_set_state(sweep->conns, conn, query->error ? STATE_CLOSE : query->state,
			       wire_now_ms());
		return;
	}
	if (query->error) {
		conn_remove(sweep->conns, conn);
		return;
	}
	if (query->state == conn->state)
		return;
	conn_set_state(sweep->conns, conn, query->state, wire_now_ms());
	if (conn->state == STATE_TIME_WAIT)
		sweep->calls.time_wait(sweep->arg, conn);
}

/* Of a namespace that has gone: nobody can be asked any more. */
static void leave(struct sweep *sweep, struct conn *conn)
{
	if (conn->owner || conn->custody != CUSTODY_NONE)
		conn_set_netns(sweep->conns, conn, CONN_NETNS_NONE);
	else
		conn_remove(sweep->conns, conn);
}

static void look(struct sweep *sweep, struct conn *const *conns, unsigned int count)
{
	struct kernel_query queries[KERNEL_BATCH];

	conn_lookup(sweep->scope.kernel, conns, queries, count);
	for (unsigned int i = 0; i < count; i++)
		judge(sweep, conns[i], &queries[i]);
}

/* Reset, or shut down from both sides: its process has the descriptor still, and will say so when
 * it has closed it. */
static bool is_over_but_open(const struct conn *conn)
{
	return conn->owner && !conn_may_be_over(conn) &&
	       (conn->state == STATE_CLOSE || conn->state == STATE_TIME_WAIT);
}

/* Is this one to be asked for? A TIME_WAIT is over when its time is, or if all were seen but it. */
static bool is_suspect(const struct sweep *sweep, struct conn *conn)
{
	const struct sweep_scope *scope = &sweep->scope;

	if (conn->netns != scope->netns)
		return false;
	if (!scope->kernel)
		return true;
	if (scope->no_survey)
		return conn->owner && conn_may_be_over(conn);
	if (conn->generation == scope->generation || conn->since_ms >= scope->before_ms ||
	    conn->custody != CUSTODY_NONE || is_over_but_open(conn))
		return false;
	return conn->state != STATE_TIME_WAIT || scope->time_wait || conn->owner;
}

static void finish(struct sweep *sweep)
{
	conn_walk_end(sweep->conns, &sweep->walk);
	sweep->walking = false;
	sweep->calls.done(sweep->arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conns[KERNEL_BATCH], *conn = NULL;
	struct sweep *sweep = arg;
	unsigned int count = 0;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < STEPS && count < KERNEL_BATCH; i++) {
		conn = conn_walk_next(sweep->conns, &sweep->walk);
		if (!conn)
			break;
		if (is_suspect(sweep, conn))
			conns[count++] = conn;
	}
	for (unsigned int i = 0; i < count && !sweep->scope.kernel; i++)
		leave(sweep, conns[i]);
	if (count > 0 && sweep->scope.kernel)
		look(sweep, conns, count);
	if (conn)
		arm(sweep);
	else
		finish(sweep);
}

void sweep_begin(struct sweep *sweep, const struct sweep_scope *scope, bool soon)
{
	sweep->scope = *scope;
	sweep->soon = soon;
	sweep->walking = true;
	if (scope->kernel && !scope->time_wait)
		conn_walk_begin_live(sweep->conns, &sweep->walk);
	else
		conn_walk_begin(sweep->conns, &sweep->walk);
	on_timer(-1, 0, sweep);
}

void sweep_hurry(struct sweep *sweep)
{
	if (!sweep->walking || sweep->soon)
		return;
	sweep->soon = true;
	arm(sweep);
}

struct sweep *sweep_new(struct event_base *base, struct conns *conns, struct book *book,
			const struct sweep_calls *calls, void *arg)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep)
		return NULL;
	sweep->conns = conns;
	sweep->book = book;
	sweep->calls = *calls;
	sweep->arg = arg;
	evtimer_assign(&sweep->timer, base, on_timer, sweep);
	return sweep;
}

void sweep_free(struct sweep *sweep)
{
	if (!sweep)
		return;
	event_del(&sweep->timer);
	if (sweep->walking)
		conn_walk_end(sweep->conns, &sweep->walk);
	free(sweep);
}
