/* SPDX-License-Identifier: MIT */
/* Messages of a session's socket, several at a time, each with at most one descriptor. */
#ifndef DAEMON_INBOX_H
#define DAEMON_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct closer;

enum { INBOX_MESSAGES = 32 }; /* in a batch */

struct inbox_message {
	const void *data; /* as it came: nothing is checked */
	size_t len;	  /* more than wire_hello: it was longer than any message of ours */
	int fd;		  /* -1: none; the taker's */
	bool fd_lost;	  /* there was one, but it could not be received */
	bool several;	  /* there were more than that one */
};

/* Reads what is there, up to a batch, and gives each message to take(), which returns false to have
 * no more. Descriptors that are too many are the closer's: a stranger's close() may block. uid:
 * who sent them. Returns false if it did, or at EOF or an error. *more: there may be another batch.
 */
bool inbox_read(int fd, struct closer *closer, uid_t uid,
		bool (*take)(void *arg, const struct inbox_message *message), void *arg,
		bool *more);

#endif
