/* SPDX-License-Identifier: MIT */
/* The network namespaces whose sysctls the guardian writes: its own, and those it was sent to. Of
 * each it keeps the folders (sysctl.h), so that it goes there once: setns(2) takes CAP_SYS_ADMIN,
 * and somebody who is there. They do not keep a namespace alive. */
#ifndef DAEMON_SPACES_H
#define DAEMON_SPACES_H

#include "daemon/sysctl.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SPACES_MAX = 64 };

struct space {
	uint64_t netns, cookie; /* inode; SO_NETNS_COOKIE, 0 before Linux 5.14 */
	int folders[SYSCTL_FOLDERS];
};

struct spaces {
	struct space own;
	unsigned int count;
	struct space other[SPACES_MAX]; /* the oldest first */
};

void spaces_init(struct spaces *spaces);
void spaces_close(struct spaces *spaces);
/* Of those that are kept. NULL: it is not. netns 0: our own. */
struct space *spaces_find(struct spaces *spaces, uint64_t netns);
/* Goes there by a process in it, opens, and comes back; if it cannot come back we end. Pointers to
 * other spaces are void then. NULL with errno: ESRCH (the process is not there), EPERM... */
struct space *spaces_enter(struct spaces *spaces, uint64_t netns, pid_t pid);
void spaces_drop(struct spaces *spaces, struct space *space);
/* A process in it; 0: none that can be seen. Looks at all of them. */
pid_t spaces_search(uint64_t netns);
/* Its folders lead nowhere any more. */
bool space_has_gone(const struct space *space);

#endif
