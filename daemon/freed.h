/* SPDX-License-Identifier: MIT */
/* The destroy multicast of a network namespace: full sockets that the kernel has freed. What is
 * left of each, a TIME_WAIT or nothing, is asked for at once. They are left to gather for a moment,
 * so that a thousand a second wake nobody a thousand times. */
#ifndef DAEMON_FREED_H
#define DAEMON_FREED_H

#include "daemon/follow.h"
#include "daemon/netns.h"

struct freed;

/* parts and ns outlive it. NULL with errno. */
struct freed *freed_new(const struct follow_parts *parts, struct netns *ns,
			struct follow_costs *costs);
void freed_free(struct freed *freed);
/* What has come by now. */
void freed_drain(struct freed *freed);

/* What TCP_INFO says of a connection. */
void freed_note(struct conn *conn, const struct kernel_socket *socket);

#endif
