/* SPDX-License-Identifier: MIT */
/* Going to another network namespace and coming back: the guardian's, for setns(2) takes
 * CAP_SYS_ADMIN, which the loop must not have. */
#ifndef DAEMON_VISIT_H
#define DAEMON_VISIT_H

#include <stdint.h>
#include <sys/types.h>

/* Calls there() in the namespace with this inode, by way of a process that must still be in it. 0
 * or errno: ESRCH, the process is not there; EPERM, CAP_SYS_ADMIN is missing. If it cannot come
 * back the process ends. */
int visit_netns(uint64_t netns, pid_t pid, void (*there)(void *arg), void *arg);

#endif
