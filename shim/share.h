/* SPDX-License-Identifier: MIT */
/* Descriptors of one connection in several places: by dup, SCM_RIGHTS, fork and spawn. Everything
 * here keeps errno, and does nothing to what is not tracked. */
#ifndef SHIM_SHARE_H
#define SHIM_SHARE_H

#include "shim/holders.h"

#include <stdbool.h>

/* Duplicates: before the call; after it (made < 0: it failed), with what the first returned. */
struct fork_mark share_duplicating(int from);
void share_duplicated(int from, int made, struct fork_mark mark);

/* Descriptors that left (before) or came by SCM_RIGHTS; mark was taken before the call. */
void share_passing(int fd);
void share_not_passed(int fd);
void share_received(int fd, bool peeked, struct fork_mark mark);

/* A fork or a spawn is about to copy what we hold. */
void share_forking(void);     /* every connection gets one more holder */
void share_fork_failed(void); /* ... or not */
void share_spawning(void);    /* what is not close-on-exec is shared for good */

/* In a child whose fork no wrapper saw: what it inherited is left alone, here and everywhere. */
void share_uncounted(void);

/* In a fork child, as its first act there: what it has is inherited. Where that is little, as in a
 * process for each connection, the daemon is told at once whose they are now; where it is much, as
 * in a child that saves or execs, when the child first does something with TCP. */
void share_inherited(void);
void share_forked(void);

/* This one is shared for good, with whom we can't see. */
void share_pin(int fd);
void share_pin_all(void); /* of everything, without a system call */

#endif
