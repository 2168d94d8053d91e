/* SPDX-License-Identifier: MIT */
/* A larger accept queue for a program that runs: the queue's length is what listen() said, cut to
 * net.core.somaxconn, and listen() on a socket that listens already changes it and nothing else
 * (inet_listen(), Linux 2.6 on). The daemon takes a duplicate of the socket and calls it. */
#ifndef DAEMON_RELISTEN_H
#define DAEMON_RELISTEN_H

#include "daemon/probe.h"

#include <stdbool.h>
#include <sys/types.h>

/* Calls listen(backlog) for the process' socket with this inode and cookie (SO_COOKIE). false with
 * errno: ESRCH, it has none; EPERM or EACCES, CAP_SYS_PTRACE is missing. */
bool relisten(pid_t pid, const struct probe_listener *listener, int backlog);

#endif
