/* SPDX-License-Identifier: MIT */
/* Forks and spawns under way in this process, and what must not overlap them unnoticed.
 *
 * A fork copies every descriptor, at a moment that only the kernel knows; the shim counts what its
 * table has. So a descriptor that was opened but not filed yet, or closed but only in the table, is
 * copied uncounted. Who opens therefore takes a mark before, and looks at it after the filing; who
 * closes looks at it after the slot is cleared; and a fork waits a little for closes that have been
 * handed over and are not done. Overlap means shared. */
#ifndef SHIM_FORKS_H
#define SHIM_FORKS_H

#include <stdbool.h>
#include <stdint.h>

/* FORK_EXEC copies for exec alone: what is close-on-exec does not stay. */
enum fork_kind { FORK_COPY, FORK_EXEC, FORK_KINDS };

struct fork_mark {
	uint32_t begun[FORK_KINDS];
	bool in_progress[FORK_KINDS];
};
struct fork_mark fork_mark(void);
/* One of this kind began since, or was under way. */
bool fork_mark_passed(struct fork_mark mark, enum fork_kind kind);

void fork_begin(enum fork_kind kind);
void fork_end(enum fork_kind kind);

/* A close is being steered; it was handed over, and the real close is to come; it is done. Without
 * a hand-over the second is left out. */
void fork_closing(void);
void fork_closing_handed_over(void);
void fork_closing_done(void);
/* The real closes of what this thread has handed over are done. */
void fork_closed(void);

/* This thread forks, and has counted the copies; parent is this process. After it, in the parent.
 */
void fork_announce(int parent);
void fork_announce_over(void);
/* In the child, as its first act: it keeps this for as long as it is nobody else's memory. */
void fork_announced_here(void);
/* In a new child: were its copies counted? Not those of a raw system call, whatever else forked at
 * the same moment. */
bool fork_was_announced(void);

/* In a new child: nothing is under way here. */
void fork_reset(void);

/* This process has forked or spawned, or is a fork child. */
bool fork_seen(void);

#endif
