/* SPDX-License-Identifier: MIT */
/* The queue of TIME_WAITs to be ended before the kernel's 60 s. When one is due its state is asked
 * for: what has gone needs nothing, what is in TIME_WAIT is destroyed, and what still lives (its
 * peer reads slowly, or has not closed yet) is asked again later. */
#ifndef DAEMON_RETIRE_H
#define DAEMON_RETIRE_H

#include "daemon/tally.h"

#include "common/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct kernel;
struct retire;
struct user;

struct retire_item {
	uint64_t cookie;
	struct endpoint local, remote;
	struct account account;
	struct user *user; /* whose share it is of */
	/* Booked as avoided already (TCP_LINGER2 = -1 leaves one only after a simultaneous close).
	 */
	bool booked;
};

/* May not be permitted to destroy anything: then it counts what stays. NULL with errno.
 * The kernel's socket stays the caller's. */
struct retire *retire_new(struct event_base *base, struct book *book, struct kernel *kernel);
void retire_free(struct retire *retire);
void retire_add(struct retire *retire, const struct retire_item *item, uint32_t after_ms);
/* Off: what waits to be ended stays, and so does what still comes. */
void retire_switch(struct retire *retire, bool on);
unsigned int retire_pending(const struct retire *retire);

#endif
