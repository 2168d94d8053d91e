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
	int error;	/* 0, ENOENT: there is none such; EAGAIN: no answer came; EPERM... */
	uint8_t state;	/* enum tcp_state */
	uint64_t inode; /* 0: nobody's */
	uint64_t found; /* its cookie, if it was asked for KERNEL_ANY_COOKIE */
};

/* INET_DIAG_NOCOOKIE: whatever has this tuple. */
#define KERNEL_ANY_COOKIE UINT64_MAX

/* The answer to a lookup: there is no such socket any more, or only its TIME_WAIT. */
bool kernel_is_over(const struct kernel_query *query);

/* fd: a NETLINK_SOCK_DIAG socket of another network namespace, which becomes the kernel's; -1: it
 * opens one here. NULL with errno. */
struct kernel *kernel_open(int fd);
void kernel_close(struct kernel *kernel);

/* Both take at most KERNEL_BATCH queries and one round trip for all of them. */
void kernel_lookup(struct kernel *kernel, struct kernel_query *queries, unsigned int count);
/* SOCK_DESTROY. Ends live connections as well (RST): look first. Needs CAP_NET_ADMIN; a TIME_WAIT
 * ends by it from Linux 6.0 on. */
void kernel_destroy(struct kernel *kernel, struct kernel_query *queries, unsigned int count);

struct kernel_socket {
	uint64_t inode; /* 0: nobody's (not accepted yet, orphan, TIME_WAIT) */
	uint64_t cookie;
	struct endpoint local, remote;
	uint32_t uid;	 /* of who made it; 0 in TIME_WAIT */
	uint32_t age_ms; /* in TIME_WAIT; else 0: not known */
	uint32_t rtt_us, unread, unacked;
	uint16_t retrans; /* segments sent again, in all */
	uint8_t stuck;	  /* times that the same segment, or probe, was sent again */
	uint8_t state;
	bool has_info;
};

enum kernel_dump_what { KERNEL_LIVE = 1, KERNEL_TIME_WAIT = 2 };

typedef bool kernel_taker(const struct kernel_socket *socket, void *arg);

/* Runs take() on the sockets of the network namespace that it was opened in: of live ones (all but
 * TIME_WAIT) with TCP_INFO. Listeners come first. For a listener, unread and unacked are how many
 * wait to be accepted, and how many may (idiag_rqueue, idiag_wqueue). Ends early if take() returns
 * false. Returns 0 or errno; ENOBUFS: some were lost. */
int kernel_dump(struct kernel *kernel, unsigned int what, kernel_taker *take, void *arg);

/* The multicast of sock_diag(7): a full socket was freed. So it is for each that ends, and for each
 * that goes on as a TIME_WAIT. Takes CAP_NET_ADMIN on most kernels (6.18 lets anybody join). fd as
 * above. NULL with errno. */
struct kernel *kernel_open_destroyed(int fd);
int kernel_fd(const struct kernel *kernel);
/* What has come, without waiting, at most max messages or so. Returns how many; -1: some were lost,
 * errno is ENOBUFS. */
int kernel_destroyed(struct kernel *kernel, unsigned int max, kernel_taker *take, void *arg);

#endif
