/* SPDX-License-Identifier: MIT */
/* Descriptors of one connection in several places: by dup, SCM_RIGHTS, fork and spawn. Everything
 * here keeps errno, and does nothing to what is not tracked. */
#ifndef SHIM_SHARE_H
#define SHIM_SHARE_H

#include "shim/forks.h"

#include <stdbool.h>

/* Duplicates: before the call; after it (made < 0: it failed), with what the first returned. */
struct fork_mark share_duplicating(int from);
void share_duplicated(int from, int made, struct fork_mark mark);

/* Descriptors that left (before) or came by SCM_RIGHTS; mark was taken before the call. */
void share_passing(int fd);
void share_not_passed(int fd);
void share_received(int fd, bool peeked, struct fork_mark mark);

/* What was opened, or is being closed, may have been copied since. */
bool share_copied_since(int fd, struct fork_mark mark);

/* A fork or a spawn is about to copy what we hold: after fork_begin(). */
void share_forking(void);	   /* every connection gets one more holder */
void share_fork_failed(void);	   /* ... or not */
void share_spawning(bool actions); /* what is not close-on-exec is shared for good */
void share_pin_all(void);	   /* everything is */

/* This thread is about to have a table of descriptors of its own. False: it has already, for it is
 * alone. Else everything is shared for good, and fork_end(FORK_COPY) is to follow. */
bool share_begin_unshare(void);
/* The same while the shim is off, and there is nothing to share yet. */
bool share_unshares(void);
void share_table_shared(void); /* a process that is not a thread of ours has our table */

/* Spawns with file actions may duplicate this number, whatever it is then. */
void share_spawn_source(int fd);

/* In a child whose fork no wrapper saw: what it inherited is left alone, here and everywhere. */
void share_uncounted(void);

/* In a fork child, as its first act there: what it has is inherited. Where that is little, as in a
 * process for each connection, the daemon is told at once whose they are now; where it is much, as
 * in a child that saves or execs, when the child first does something with TCP. */
void share_inherited(void);
void share_forked(void);

/* This one is shared for good, with whom we can't see. */
void share_pin(int fd);

#endif
