/* SPDX-License-Identifier: MIT */
/* The helper threads that close sockets. close() with SO_LINGER set blocks for as long as it says,
 * even on a non-blocking socket, and any duplicate of the socket can set it behind our back; so it
 * is switched off right before, and a close that blocks all the same blocks no one but a helper,
 * until it is interrupted: the kernel then goes on as if the time were over, and sends FIN or RST
 * as it would have. */
#ifndef DAEMON_CLOSER_H
#define DAEMON_CLOSER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct closer;

/* NULL with errno. */
struct closer *closer_new(void);
/* Waits for what is queued, at most patience_ms. */
void closer_free(struct closer *closer, unsigned int patience_ms);

/* Hands what was taken to the helpers; at the end of each turn of the loop, for to wake one for
 * each descriptor costs more than to close it. */
void closer_flush(struct closer *closer);

/* Takes the descriptor, and closes it soon after the next flush. uid: whose it was. */
void closer_close(struct closer *closer, int fd, uid_t uid);
/* Closes a duplicate, whose options are the program's business. */
void closer_drop(struct closer *closer, int fd, uid_t uid);
/* The same, with SO_LINGER {1, 0}: RST. */
void closer_reset(struct closer *closer, int fd, uid_t uid);
/* Before more descriptors are received: flushes, and where too many wait to be closed, waits for
 * the helpers, a few milliseconds at most. */
void closer_relieve(struct closer *closer);
/* To be called now and then: interrupts what has blocked for too long, and tells of it, and starts
 * one more helper if the queue does not move. */
void closer_check(struct closer *closer, uint64_t now_ms, void (*blocked)(void *arg, uid_t uid),
		  void *arg);

#endif
