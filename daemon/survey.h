/* SPDX-License-Identifier: MIT */
/* A thread that looks at the system for the loop: all sockets that sock_diag shows, and which
 * process has which inode among its descriptors. Both take as long as there is much to see, and
 * whoever looks at another's descriptor (/proc/PID/fd) holds it for that moment, so that a close()
 * may become his, and linger. The loop must not stand still for either.
 *
 * One job at a time; what it finds comes in pieces, by callbacks in the loop. */
#ifndef DAEMON_SURVEY_H
#define DAEMON_SURVEY_H

#include "daemon/kernel.h"
#include "daemon/process.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct survey;

struct survey_calls {
	void (*sockets)(void *arg, const struct kernel_socket *sockets, unsigned int count);
	/* One of the inodes that were asked for is this process' (of several, the oldest's). */
	void (*holder)(void *arg, uint64_t inode, const struct process *process);
	/* There is a network namespace other than ours, with this process in it. */
	void (*namespace)(void *arg, uint64_t inode, pid_t pid);
	/* The job is done. error: errno of a dump; cpu_us: what it took. */
	void (*done)(void *arg, int error, uint64_t cpu_us);
};

/* NULL with errno. */
struct survey *survey_new(struct event_base *base, const struct survey_calls *calls, void *arg);
/* Waits for what is under way. */
void survey_free(struct survey *survey);

bool survey_is_busy(const struct survey *survey);
/* It takes too long. Whoever closes a descriptor that we look at leaves the close to us, and may
 * have set SO_LINGER: a signal ends that. */
void survey_interrupt(struct survey *survey);
/* Begins a job; not while another is under way. what: of enum kernel_dump_what. The kernel's
 * socket is the thread's until done(). */
void survey_dump(struct survey *survey, struct kernel *kernel, unsigned int what);
/* The network namespaces of all processes. */
void survey_namespaces(struct survey *survey);
/* inodes: count of them. spare: processes that are not to be looked at (a look holds a descriptor
 * for a moment, and a program that closes it meanwhile may hear of it from its epoll sets). Both
 * become the survey's. */
void survey_holders(struct survey *survey, uint64_t *inodes, unsigned int count, pid_t *spare,
		    unsigned int spare_count);

#endif
