/* SPDX-License-Identifier: MIT */
/* The life of a connection in the program's hands: filed when it is opened, steered when it is shut
 * down or closed. Everything here keeps errno, and does nothing to what is not tracked. */
#ifndef SHIM_STEER_H
#define SHIM_STEER_H

#include "common/endpoint.h"
#include "shim/holders.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Files what connect() or accept() has given us, applies its policy's options and publishes it.
 * local may be NULL: it is asked for. mark was taken before the call. */
void steer_opened(int fd, uint32_t flags, const struct endpoint *local,
		  const struct endpoint *remote, struct fork_mark mark);

/* Before a descriptor's real close (or dup2 over it...): does what the policy says. */
void steer_closing(int fd);

/* The same for each tracked descriptor of [first, last]. */
void steer_closing_range(unsigned int first, unsigned int last);

/* shutdown(fd, how) of a tracked connection: what the wrapper returns. */
int steer_shutdown(int fd, int how);

/* The process ends in an orderly way. */
void steer_exiting(void);

/* Duplicates: before the call; after it (made < 0: it failed), with what the first returned. */
struct fork_mark steer_duplicating(int from);
void steer_duplicated(int from, int made, struct fork_mark mark);

/* epoll_ctl() has succeeded. */
void steer_epoll(int epfd, int op, int fd);

/* Descriptors that left (before) or came by SCM_RIGHTS; mark was taken before the call. */
void steer_passing(int fd);
void steer_not_passed(int fd);
void steer_received(int fd, bool peeked, struct fork_mark mark);

/* A fork or a spawn is about to copy what we hold. */
void steer_forking(void);     /* every connection gets one more holder */
void steer_fork_failed(void); /* ... or not */
void steer_spawning(void);    /* what is not close-on-exec is shared for good */

/* In a child whose fork no wrapper saw: what it inherited is left alone, here and everywhere. */
void steer_uncounted(void);

/* In a fork child, as its first act there: what it has is inherited. Where that is little, as in a
 * process for each connection, the daemon is told at once whose they are now; where it is much, as
 * in a child that saves or execs, when the child first does something with TCP. */
void steer_inherited(void);
void steer_forked(void);

/* This one is shared for good, with whom we can't see. */
void steer_pin(int fd);

/* SLOT_APP_LINGER and SLOT_ULP as the kernel has them, whoever set them. */
uint32_t steer_options(int fd);

/* The address that getsockname() gives; false if it fails. */
bool steer_local(int fd, struct endpoint *out);

#endif
