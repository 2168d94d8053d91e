/* SPDX-License-Identifier: MIT */
/* Socket options that a policy asks for, at the call where each acts. */
#ifndef SHIM_APPLY_H
#define SHIM_APPLY_H

#include "common/policy.h"

#include <stdbool.h>
#include <sys/socket.h>

struct libc_calls;

void set_tcp_option(int fd, int name, int value);
void set_linger(int fd, int onoff, int seconds);

/* keepalive, user-timeout, time-wait = none: on what was accepted or is connecting. terms NULL: no
 * policy. word: its slot's, in which SLOT_QUIET is set or cleared. */
void apply_opened(int fd, uint32_t word, const struct policy_terms *terms);

/* The close is to be a quiet one, as far as can be known when it is opened: then it will be, also
 * if the program is killed, and nothing needs to be done when it closes. terms NULL: no policy. */
bool apply_wants_quiet(const struct policy_terms *terms, uint32_t word);

/* reuse-address, reuse-port, bind-late: before bind(). True if the bind is to be late. */
bool apply_bind(int fd, const struct sockaddr *addr, socklen_t len);

/* backlog: what listen() is to be given. */
int apply_listen(const struct endpoint *local, int backlog);

/* local-ports and source around the real connect(), which is next->connect. */
int apply_connect(const struct libc_calls *next, int fd, const struct sockaddr *addr, socklen_t len,
		  bool bound);

#endif
