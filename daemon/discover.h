/* SPDX-License-Identifier: MIT */
/* What was open before this loop began. A process under the shim speaks at its next TCP call; one
 * that sleeps on its connections does not know that the daemon has changed. So look once: whoever
 * maps the policy page (this one or an older one) is under the shim, and /proc/PID/fd and sock_diag
 * say what it holds. What is found this way has no policy until its process speaks. */
#ifndef DAEMON_DISCOVER_H
#define DAEMON_DISCOVER_H

struct conns;
struct discover;
struct event_base;
struct kernel;

/* Begins after a moment, and goes a few processes at a time. NULL: out of memory. */
struct discover *discover_new(struct event_base *base, struct kernel *kernel, struct conns *conns,
			      const char *page_path);
void discover_free(struct discover *discover);

#endif
