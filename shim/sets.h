/* SPDX-License-Identifier: MIT */
/* The epoll sets that a connection is in.
 *
 * A set knows a file, not a number: while the daemon holds a connection it stays in its sets, which
 * would go on reporting it with the stale data of a program that has forgotten it. So it is taken
 * out first, and where that is not certain, it is not handed over. Everything here keeps errno. */
#ifndef SHIM_SETS_H
#define SHIM_SETS_H

#include "shim/slots.h"

#include <stdbool.h>
#include <stdint.h>

/* What sets_adding() noted, to take it back. */
struct sets_note {
	enum { SETS_NOTHING, SETS_ADDED, SETS_LOST } what;
	int index;
	uint64_t cookie;
};

/* Before EPOLL_CTL_ADD: once it is in the set, another thread may be told of it, and close it,
 * before the call returns here. */
struct sets_note sets_adding(int epfd, int fd);
/* The call has failed. */
void sets_not_added(int epfd, int fd, struct sets_note note);
/* EPOLL_CTL_DEL has succeeded. */
void sets_removed(int epfd, int fd);

/* Takes it out of all sets. False: one of them did not have it (it may be another, under the number
 * of one that is closed), so that it is not known where it is. */
bool sets_leave(const struct slot *slot, int fd);

/* This process has put it into a set, so that only this process knows. What was added before a fork
 * brought it here, the parent knows too. */
bool sets_known_here(const struct slot *slot, uint32_t word);

#endif
