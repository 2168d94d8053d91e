/* SPDX-License-Identifier: MIT */
/* Finds connections that have ended unseen: a survey has not met them, no process speaks for them
 * (or one whose records were lost), and the kernel, asked for this very one, knows nothing of it.
 * Of one that a process speaks for, it says in which state it is: reset by the peer, a socket is in
 * no table of the kernel's until it is closed. */
#ifndef DAEMON_SWEEP_H
#define DAEMON_SWEEP_H

#include "daemon/conn.h"
#include "daemon/kernel.h"
#include "daemon/tally.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct sweep;

/* Called when one is known to be over or in TIME_WAIT; done() at the end of a walk. */
struct sweep_calls {
	void (*time_wait)(void *arg, struct conn *conn);
	void (*done)(void *arg);
};

struct sweep *sweep_new(struct event_base *base, struct conns *conns, struct book *book,
			const struct sweep_calls *calls, void *arg);
void sweep_free(struct sweep *sweep);

struct sweep_scope {
	struct kernel *kernel; /* of the namespace; NULL: it has gone, and all with it */
	uint8_t netns;
	uint8_t generation; /* what the survey has met */
	uint64_t before_ms; /* what was so before the survey began */
	bool time_wait;	    /* it has seen all TIME_WAITs as well */
	bool no_survey;	    /* none was made: only what a process has spoken of */
};

/* Not while one is under way. soon: somebody waits. */
void sweep_begin(struct sweep *sweep, const struct sweep_scope *scope, bool soon);
/* Somebody waits for the one that is under way, if one is. */
void sweep_hurry(struct sweep *sweep);

#endif
