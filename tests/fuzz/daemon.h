/* SPDX-License-Identifier: MIT */
/* The daemon's loop for the fuzz targets: all of its modules, but driven turn by turn, with a clock
 * that the target moves and peers who are whom it says. */
#ifndef TESTS_FUZZ_DAEMON_H
#define TESTS_FUZZ_DAEMON_H

#include "daemon/loop.h"

#include <sys/types.h>

/* Once: a network namespace of our own, if that is permitted, and a quiet log. */
void fuzz_world(void);

/* A loop with nothing in it but `config`'s policies; its sockets are /.../session and .control. */
struct loop *fuzz_loop_new(void);
/* Ends all, and checks what must hold then: nothing is held, every descriptor is closed. */
void fuzz_loop_free(struct loop *loop);

/* The loop goes on until nothing more happens, within bounds. */
void fuzz_turn(struct loop *loop);
void fuzz_advance(unsigned int ms);

/* Whom SO_PEERCRED and SO_PEERPIDFD name for those who connect from now on. pidfd -1: none. */
struct fuzz_peer {
	pid_t pid;
	uid_t uid;
	int pidfd;
};
extern struct fuzz_peer fuzz_peer;

/* A new connection to the daemon, non-blocking and accepted. */
int fuzz_connect_session(struct loop *loop);
int fuzz_connect_control(struct loop *loop);

/* A TCP connection over loopback, both ends ours. */
struct fuzz_pair {
	int program, peer;
	uint64_t cookie; /* of the program's end */
};
struct fuzz_pair fuzz_pair(void);
int fuzz_tcp_listener(void);

#endif
