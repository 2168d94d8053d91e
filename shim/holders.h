/* SPDX-License-Identifier: MIT */
/* Who else holds a connection: descriptors made by dup, fork and SCM_RIGHTS, counted in one table
 * that is shared by a family of forked processes.
 *
 * Counting too many only loses the feature: the last close is taken for an ordinary one. Counting
 * too few would steer a connection that somebody still uses. Hence: an entry is created only where
 * the connection is (accept, connect); absent means shared; what was evicted by a collision is
 * never created again; the count sticks at its maximum, and a pinned entry is at its maximum. */
#ifndef SHIM_HOLDERS_H
#define SHIM_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>

bool holders_init(void);

/* A new connection with one holder; server: it was accepted. */
void holder_create(uint64_t cookie, bool server);
void holder_share(uint64_t cookie);   /* one more, before the duplicate is made */
void holder_unshare(uint64_t cookie); /* the duplicate was not made */
void holder_pin(uint64_t cookie);     /* shared for good */
/* It has an entry; *server as it was created. */
bool holder_known(uint64_t cookie, bool *server);
bool holder_is_sole(uint64_t cookie);
bool holder_is_counted(uint64_t cookie); /* all holders are known: neither absent nor pinned */
/* One less. True if it was the only one; the entry is then gone. */
bool holder_release(uint64_t cookie);

#endif
