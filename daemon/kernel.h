/* SPDX-License-Identifier: MIT */
/* sock_diag over netlink: look up and destroy single sockets, by tuple and cookie. A tuple alone
 * is not enough: it may be in use again. */
#ifndef DAEMON_KERNEL_H
#define DAEMON_KERNEL_H

#include "common/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

enum { KERNEL_BATCH = 64 }; /* their answers fit into a default receive buffer */

struct kernel;

struct kernel_query {
	struct endpoint local, remote;
	uint64_t cookie;
	/* The answer: */
	int error;     /* 0, ENOENT: there is none such; EAGAIN: no answer came; EPERM... */
	uint8_t state; /* enum tcp_state */
};

/* The answer to a lookup: there is no such socket any more, or only its TIME_WAIT. */
bool kernel_is_over(const struct kernel_query *query);

/* NULL with errno. */
struct kernel *kernel_open(void);
void kernel_close(struct kernel *kernel);

/* Both take at most KERNEL_BATCH queries and one round trip for all of them. */
void kernel_lookup(struct kernel *kernel, struct kernel_query *queries, unsigned int count);
/* SOCK_DESTROY. Ends live connections as well (RST): look first. Needs CAP_NET_ADMIN; a TIME_WAIT
 * ends by it from Linux 6.0 on. */
void kernel_destroy(struct kernel *kernel, struct kernel_query *queries, unsigned int count);

struct kernel_socket {
	uint64_t inode; /* 0: nobody's (not accepted yet, orphan) */
	uint64_t cookie;
	struct endpoint local, remote;
	uint8_t state;
};

/* Runs take() on every socket of this network namespace but TIME_WAITs. */
void kernel_dump(struct kernel *kernel, void (*take)(const struct kernel_socket *socket, void *arg),
		 void *arg);

#endif
