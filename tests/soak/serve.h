/* SPDX-License-Identifier: MIT */
/* The servers: what they share. */
#ifndef SOAK_SERVE_H
#define SOAK_SERVE_H

#include "tests/soak/plan.h"

#include <stdbool.h>

enum { LISTENERS_MAX = 32, GIVE_UP_S = 10, GIVE_UP_DEFERRED_S = 3 };

/* One for each policy. */
extern int listeners[LISTENERS_MAX];
extern unsigned int listener_count;

/* Serves one connection to its end, blocking. sole: nobody else has a descriptor of it, so that an
 * eligible close of it is to be counted. leave_open: it may stay open, for an exit to close. */
void serve(int fd, bool sole, bool leave_open);

/* Closes as was ordered; the waits that an ending asks for are over. Marks it if it was eligible.
 */
void ending_close(int fd, const struct order *order, bool sole);
/* Would a close now have to be handed over? */
bool ending_is_eligible(int fd, const struct order *order);
void ending_mark(const struct order *order);
/* The longest wait for the client's end. */
int ending_patience_s(const struct order *order);

/* A thread that closes what others give to it. */
bool closer_start(void);
void closer_give(int fd, const struct order *order, bool sole);

/* Each runs a server of its kind and returns its exit status once the board says stop. */
int serve_epoll(void);
int serve_threads(void);
int serve_forking(void);
int serve_passing(void);
int serve_exiting(void);

/* serve BOARD MODEL, and serve-exec BOARD FD. */
int serve_main(int argc, char **argv);
int serve_exec_main(int argc, char **argv);

/* Seats: who gives a connection away takes one, and frees it once it has closed its own copy. */
unsigned int seat_take(void);
void seat_free(unsigned int seat);
/* Waits until it is free, for at most 200 ms. */
bool seat_is_free(unsigned int seat);

/* A connection from any of the listeners, or -1 after so many ms. */
int accept_any(int wait_ms);

#endif
