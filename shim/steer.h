/* SPDX-License-Identifier: MIT */
/* The life of a connection in the program's hands: filed when it is opened, steered when it is shut
 * down or closed. Everything here keeps errno, and does nothing to what is not tracked. */
#ifndef SHIM_STEER_H
#define SHIM_STEER_H

#include "common/endpoint.h"
#include "shim/forks.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct libc_calls;

/* Files what connect() or accept() has given us, in this state, applies its policy's options and
 * publishes it. local may be NULL: it is asked for. mark was taken before the call. */
void steer_opened(int fd, uint32_t flags, unsigned int state, const struct endpoint *local,
		  const struct endpoint *remote, struct fork_mark mark);

/* Before a descriptor's real close (or dup2 over it...): does what the policy says. */
void steer_closing(int fd);

/* The same for each tracked descriptor of [first, last]. */
void steer_closing_range(unsigned int first, unsigned int last);

/* After the real close, or closes. */
void steer_closed(void);

/* shutdown(fd, how) of a tracked connection: what the wrapper returns. */
int steer_shutdown(int fd, int how);

/* connect() to AF_UNSPEC: what the wrapper returns. The slot stays. */
int steer_disconnect(const struct libc_calls *next, int fd, const struct sockaddr *addr,
		     socklen_t len);
/* Was the writing half shut down, but its FIN is deferred? False where the kernel itself knows that
 * nothing more can be sent. */
bool steer_is_shut(int fd);
extern _Atomic bool steer_defers; /* false: nowhere */

/* The process ends in an orderly way. */
void steer_exiting(void);

#endif
