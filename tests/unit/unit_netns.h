/* SPDX-License-Identifier: MIT */
/* A network namespace of the test's own: sysctls are written nowhere else. */
#ifndef TESTS_UNIT_NETNS_H
#define TESTS_UNIT_NETNS_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* This process moves into a new one. False: it may not. Whoever gets false writes no sysctl. */
static inline bool unit_netns_new(void)
{
	return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static inline int unit_netns_open(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static inline unsigned long long unit_netns_inode(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

#endif
