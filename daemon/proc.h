/* SPDX-License-Identifier: MIT */
/* The processes of the model: what each has open, has opened and closed. One lives as long as a
 * session or a connection is its, so a TIME_WAIT keeps the name of a maker that is long gone. */
#ifndef DAEMON_PROC_H
#define DAEMON_PROC_H

#include "common/close_decide.h"
#include "common/tcp_state.h"

#include "daemon/group.h"
#include "daemon/process.h"
#include "daemon/tally.h"

#include <uthash.h>

#include <stdbool.h>
#include <stdint.h>

/* What is counted of a process, of what is nobody's, and of all. */
struct census {
	uint32_t state[STATE_COUNT]; /* connections now */
	uint64_t opens, closes[SIDE_COUNT];
	uint64_t outcomes[OUTCOME_COUNT];     /* of custody */
	uint64_t opens_before, closes_before; /* at the last tick */
	float opens_s, closes_s;	      /* per second, of the last few */
};

struct proc_key {
	uint64_t start;
	int64_t pid;
};

/* Of what is left when the kernel frees a socket of this process: right so many times in a row. */
struct proc_guesses {
	uint8_t right[2]; /* by enum freed_guess */
	uint8_t turn;	  /* one in so many is looked at all the same */
};

/* What the history has counted already. */
struct census_told {
	uint64_t opens, closes[SIDE_COUNT], outcomes[OUTCOME_COUNT];
};

struct proc {
	struct proc_key key;
	struct process process;
	unsigned int sessions; /* it speaks for itself: it is under the shim */
	unsigned int references;
	struct census census;
	struct census_told told;
	struct group *group[GROUP_KINDS]; /* of its unit, of its program; NULL: out of memory */
	struct proc_guesses guesses;
	UT_hash_handle hh;
};

struct procs;

struct procs *procs_new(void);
void procs_free(struct procs *procs);

/* The one with this pid and start; a new one if there is none yet, and what it is now (another
 * executable since an exec). Adds a reference. NULL: out of memory. */
struct proc *proc_get(struct procs *procs, const struct process *process);
struct proc *proc_ref(struct proc *proc);
/* proc may be NULL. */
void proc_put(struct procs *procs, struct proc *proc);

/* So many more of its connections, or fewer, are in this state. */
void proc_count(struct proc *proc, unsigned int state, int by);
const struct groups *procs_groups(const struct procs *procs, enum group_kind kind);

/* Every second or so: the rates. */
void procs_tick(struct procs *procs, unsigned int elapsed_ms);
void census_tick(struct census *census, unsigned int elapsed_ms);
uint64_t census_closes(const struct census *census);
/* Of all states but LISTEN. */
uint32_t census_conns(const struct census *census);

/* Is told of each that is about to be forgotten: what it has counted would be lost with it. */
typedef void proc_fn(void *arg, struct proc *proc);
void procs_set_gone(struct procs *procs, proc_fn *gone, void *arg);
/* All at once; it must not remove any. */
void procs_each(struct procs *procs, proc_fn *each, void *arg);

/* Those that speak for themselves: an array that is the caller's to free(), or NULL. */
pid_t *procs_with_sessions(const struct procs *procs, unsigned int *count);

/* A walk over all that survives removals between its steps. */
struct proc_walk {
	struct proc *next;
	struct proc_walk *prev_walk, *next_walk;
};

void proc_walk_begin(struct procs *procs, struct proc_walk *walk);
const struct proc *proc_walk_next(struct proc_walk *walk);
void proc_walk_end(struct procs *procs, struct proc_walk *walk);

#endif
