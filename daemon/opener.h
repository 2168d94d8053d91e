/* SPDX-License-Identifier: MIT */
/* What it takes to see connections of another network namespace: sock_diag and the namespace's
 * counters, opened there. setns(2) takes CAP_SYS_ADMIN, which the loop must not have; so the
 * guardian goes there, opens, comes back, and hands the descriptors over. It does nothing else for
 * the loop, and looks first whether the process is still in the namespace that is meant. */
#ifndef DAEMON_OPENER_H
#define DAEMON_OPENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* sock_diag, files under /proc/net, folders under /proc/sys/net. */
enum opened_fd {
	OPENED_LOOKUP,
	OPENED_DUMP,
	OPENED_DESTROYED,
	OPENED_LISTENERS,
	OPENED_NETSTAT,
	OPENED_SNMP,
	OPENED_SOCKSTAT,
	OPENED_SOCKSTAT6,
	OPENED_IPV4,
	OPENED_CORE,
	OPENED_NETFILTER,
	OPENED_FDS
};

struct opener_request {
	uint64_t netns; /* inode */
	int64_t pid;	/* of a process in it */
};

struct opener_answer {
	uint64_t netns;
	int32_t error;	 /* errno; 0: descriptors came with it, */
	uint32_t opened; /* a bit for each of enum opened_fd that is there */
	int64_t pid;
};
_Static_assert(sizeof(struct opener_request) == 16 && sizeof(struct opener_answer) == 24, "sizes");

/* The two ends, which keep messages apart. false with errno. */
bool opener_pair(int *guardian, int *loop);

/* The guardian's: serves what was asked, without waiting. If it cannot come back to its own
 * namespace it ends. */
void opener_serve(int fd);

/* The loop's. False: it cannot be asked now. */
bool opener_ask(int fd, const struct opener_request *request);
void opener_drop(int fds[OPENED_FDS]);
/* An answer, if there is one. fds are the caller's; -1 where the error is set, and what the
 * namespace has not: IPv6, conntrack. */
bool opener_take(int fd, struct opener_answer *answer, int fds[OPENED_FDS]);

#endif
