/* SPDX-License-Identifier: MIT */
/* Connections that ended without a word: their last holder did not know that it was the last (a
 * fork whose child went on to exec, a table of holders that was full), or its record was lost. The
 * kernel is asked for those that this may be true of, by and by, and what it knows no more at two
 * looks is removed; a process that lives for months would leave one for each. */
#ifndef DAEMON_SWEEP_H
#define DAEMON_SWEEP_H

#include "daemon/conn.h"
#include "daemon/kernel.h"
#include "daemon/tally.h"

struct event_base;
struct sweep;

/* NULL: no memory. */
struct sweep *sweep_new(struct event_base *base, struct kernel *kernel, struct conns *conns,
			struct book *book);
void sweep_free(struct sweep *sweep);

#endif
