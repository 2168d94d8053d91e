/* SPDX-License-Identifier: MIT */
/* Who a process is: the pid is the kernel's word (SO_PEERCRED), the rest is read from /proc. */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid, ppid;
	uid_t uid;
	uint64_t start;	  /* in clock ticks after boot: tells a reused pid; 0: not known */
	bool other_netns; /* provably in another network namespace than this daemon */
	uint64_t netns;	  /* inode of its network namespace; 0: not known */
	char comm[16];
	char exe[256];
	char unit[128]; /* systemd unit, or "" */
	char cgroup[256];
};

/* What can't be read stays empty: a process may have ended, or be another user's. */
void process_read(struct process *process, pid_t pid, uid_t uid);

/* Is the process that has this pid now the one that started then? */
bool process_is(pid_t pid, uint64_t start);

/* By a signal, or a debugger. */
bool process_is_stopped(pid_t pid);

/* For people: the base name of the executable, else comm, else "?". */
const char *process_name(const struct process *process);

/* The unit within the text of /proc/PID/cgroup: the last component with a unit's suffix. */
void process_unit_of_cgroup(const char *text, char *unit, size_t size);

#endif
