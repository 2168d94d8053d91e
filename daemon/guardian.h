/* SPDX-License-Identifier: MIT */
/* The guardian: the process that starts the loop, watches its heartbeat, and starts another when
 * it stalls or dies. A stalled loop is worse than a dead one: the kernel ends what a dead process
 * held, but a stopped one withholds FINs from peers that wait for them. */
#ifndef DAEMON_GUARDIAN_H
#define DAEMON_GUARDIAN_H

#include "daemon/config.h"

#include <sys/types.h>

struct guardian_options {
	const char *socket_path;
	const char *config_path;
	const struct config *config;
	pid_t private_pid; /* 0: not private */
};

/* Runs until told to stop. Returns the exit status. */
int guardian_run(const struct guardian_options *options);

#endif
