/* SPDX-License-Identifier: MIT */
#include "daemon/sweep.h"

#include "common/tcp_state.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

enum {
	PAUSE_MS = 5000, /* between two looks at the same connection, at the least */
	STEP_MS = 20,
	STEPS = 2048, /* connections that are passed in one step, at most KERNEL_BATCH asked for */
};

struct sweep {
	struct event timer;
	struct kernel *kernel;
	struct conns *conns;
	struct book *book;
	struct conn_walk walk;
	bool walking;
};

static void arm(struct sweep *sweep, unsigned int ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	evtimer_add(&sweep->timer, &tv);
}

/* A record that says more may be on its way at the first look, not at the second. */
static void judge(struct sweep *sweep, struct conn *conn, const struct kernel_query *query)
{
	if (!kernel_is_over(query)) {
		conn->missed = false;
	} else if (!conn->missed) {
		conn->missed = true;
	} else {
		if (conn->owner)
			BOOK_ADD(sweep->book, conn->account, closes[SIDE_UNKNOWN], 1);
		conn_remove(sweep->conns, conn);
	}
}

static void look(struct sweep *sweep, struct conn *const *conns, unsigned int count)
{
	struct kernel_query queries[KERNEL_BATCH];

	conn_lookup(sweep->kernel, conns, queries, count);
	for (unsigned int i = 0; i < count; i++)
		judge(sweep, conns[i], &queries[i]);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conns[KERNEL_BATCH], *conn = NULL;
	struct sweep *sweep = arg;
	unsigned int count = 0;

	(void)fd;
	(void)what;
	if (!sweep->walking)
		conn_walk_begin(sweep->conns, &sweep->walk);
	sweep->walking = true;
	for (unsigned int i = 0; i < STEPS && count < KERNEL_BATCH; i++) {
		conn = conn_walk_next(&sweep->walk);
		if (!conn)
			break;
		if (conn_may_be_over(conn))
			conns[count++] = conn;
	}
	if (count > 0)
		look(sweep, conns, count);
	if (!conn) {
		conn_walk_end(sweep->conns, &sweep->walk);
		sweep->walking = false;
	}
	arm(sweep, conn ? STEP_MS : PAUSE_MS);
}

struct sweep *sweep_new(struct event_base *base, struct kernel *kernel, struct conns *conns,
			struct book *book)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep)
		return NULL;
	sweep->kernel = kernel;
	sweep->conns = conns;
	sweep->book = book;
	evtimer_assign(&sweep->timer, base, on_timer, sweep);
	arm(sweep, PAUSE_MS);
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
