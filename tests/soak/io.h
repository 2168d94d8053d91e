/* SPDX-License-Identifier: MIT */
/* Whole reads and writes on blocking sockets, and payloads over them. */
#ifndef SOAK_IO_H
#define SOAK_IO_H

#include "tests/soak/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { IO_DEADLINE_S = 30 };

/* How a read or write ended. */
enum io_end {
	IO_WHOLE,
	IO_EOF,	  /* the end of file came first */
	IO_RESET, /* ECONNRESET or EPIPE */
	IO_HUNG,  /* nothing for IO_DEADLINE_S, or what was set */
	IO_WRONG, /* other bytes than were sent */
	IO_ERROR, /* another errno */
};
extern const char *const io_words[];

void io_set_deadline(int fd, int seconds);
/* more: more is to follow (MSG_MORE). */
enum io_end io_write(int fd, const void *buf, size_t len, bool more);
/* *got, if wanted: how much came. */
enum io_end io_read(int fd, void *buf, size_t len, size_t *got);
enum io_end io_send_payload(int fd, uint64_t seed, size_t from, size_t to);
enum io_end io_receive_payload(int fd, uint64_t seed, size_t len);
/* IO_EOF is what is hoped for; IO_WRONG: a byte too many. */
enum io_end io_await_eof(int fd);

/* enum tcp_state, 0 if it cannot be told; idle_ms: since anything went either way. */
unsigned int io_tcp_state(int fd, unsigned int *idle_ms);

void io_nap_ms(unsigned int ms);

/* Forks, while other threads connect, accept and close: what is open then is shared for a moment,
 * or, every other time, after an exec, for good. */
void io_fork_beside(unsigned int turn);

#endif
