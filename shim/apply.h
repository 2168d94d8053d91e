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

/* keepalive, user-timeout: on what was accepted or is connecting. */
void apply_opened(int fd, const struct policy_terms *terms);

/* reuse-address, reuse-port, bind-late: before bind(). True if the bind is to be late. */
bool apply_bind(int fd, const struct sockaddr *addr, socklen_t len);

/* backlog: what listen() is to be given. */
int apply_listen(const struct endpoint *local, int backlog);

/* local-ports and source around the real connect(), which is next->connect. */
int apply_connect(const struct libc_calls *next, int fd, const struct sockaddr *addr, socklen_t len,
		  bool bound);

#endif
