/* SPDX-License-Identifier: MIT */
#include "shim/forks.h"

#include "shim/raw.h"

#include <stdatomic.h>

enum { PATIENCE = 1000 }; /* yields: a close takes microseconds, but we may stand in its way */

static _Atomic uint32_t begun[FORK_KINDS], ended[FORK_KINDS];
static _Atomic int closing;

/* As a signal handler may fork and close too, and without a call that may allocate. */
#define PER_THREAD static __thread __attribute__((tls_model("initial-exec")))
PER_THREAD int mine;	     /* of `closing` */
PER_THREAD int handed_over;  /* of them */
PER_THREAD int announced_by; /* our pid, while this thread forks */

static int announced_to; /* our pid, if our fork was announced */

struct fork_mark fork_mark(void)
{
	struct fork_mark mark;

	for (int kind = 0; kind < FORK_KINDS; kind++) {
		mark.begun[kind] = atomic_load(&begun[kind]);
		mark.in_progress[kind] = atomic_load(&ended[kind]) != mark.begun[kind];
	}
	return mark;
}

bool fork_mark_passed(struct fork_mark mark, enum fork_kind kind)
{
	return mark.in_progress[kind] || atomic_load(&begun[kind]) != mark.begun[kind];
}

void fork_begin(enum fork_kind kind)
{
	atomic_fetch_add(&begun[kind], 1);
	for (int i = 0; atomic_load(&closing) > mine && i < PATIENCE; i++)
		raw(SYS_sched_yield);
}

void fork_end(enum fork_kind kind)
{
	atomic_fetch_add(&ended[kind], 1);
}

void fork_closing(void)
{
	mine++;
	atomic_fetch_add(&closing, 1);
}

void fork_closing_handed_over(void)
{
	handed_over++;
}

void fork_closing_done(void)
{
	mine--;
	atomic_fetch_sub(&closing, 1);
}

void fork_closed(void)
{
	if (handed_over) {
		atomic_fetch_sub(&closing, handed_over);
		mine -= handed_over;
		handed_over = 0;
	}
}

void fork_announce(int parent)
{
	announced_by = parent;
}

void fork_announce_over(void)
{
	announced_by = 0;
}

void fork_announced_here(void)
{
	announced_by = 0;
	announced_to = (int)raw(SYS_getpid);
}

/* The second is for libc's handlers in the child, which run before our wrapper does. */
bool fork_was_announced(void)
{
	return announced_to == (int)raw(SYS_getpid) ||
	       (announced_by && announced_by == (int)raw(SYS_getppid));
}

void fork_reset(void)
{
	atomic_fetch_add(&begun[FORK_COPY], 1); /* ours; of a raw system call nobody spoke */
	for (int kind = 0; kind < FORK_KINDS; kind++)
		atomic_store(&ended[kind], atomic_load(&begun[kind]));
	atomic_store(&closing, 0);
	mine = handed_over = 0;
}

bool fork_seen(void)
{
	return atomic_load(&begun[FORK_COPY]) || atomic_load(&begun[FORK_EXEC]);
}
