/* SPDX-License-Identifier: MIT */
#include "daemon/visit.h"

#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0 or errno. A process may have gone elsewhere, or its pid be another's by now. */
static int open_namespace(uint64_t netns, pid_t pid, int *fd)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%lld/ns/net", (long long)pid);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return errno == ENOENT ? ESRCH : errno;
	if (fstat(*fd, &st) == 0 && st.st_ino == netns)
		return 0;
	close(*fd);
	return ESRCH;
}

/* 0 or errno. Who could not go has not left either. */
static int go(int own, int fd, void (*there)(void *arg), void *arg)
{
	if (setns(fd, CLONE_NEWNET) < 0)
		return errno;
	there(arg);
	if (setns(own, CLONE_NEWNET) < 0) {
		log_error("cannot come back from a network namespace: %m");
		_exit(1);
	}
	return 0;
}

int visit_netns(uint64_t netns, pid_t pid, void (*there)(void *arg), void *arg)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd, error;

	if (own < 0)
		return errno;
	error = open_namespace(netns, pid, &fd);
	if (!error) {
		error = go(own, fd, there, arg);
		close(fd);
	}
	close(own);
	return error;
}
