/* SPDX-License-Identifier: MIT */
/* What the kernel says of a socket. Raw: errno stays what it is. */
#ifndef SHIM_SOCK_H
#define SHIM_SOCK_H

#include "common/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

/* SO_COOKIE, 0 if it has none. */
uint64_t sock_cookie(int fd);

/* The addresses that getsockname() and getpeername() give; false if they fail. */
bool sock_local(int fd, struct endpoint *out);
bool sock_remote(int fd, struct endpoint *out);

/* SLOT_APP_LINGER and SLOT_ULP as the kernel has them, whoever set them. */
uint32_t sock_options(int fd);

/* By TCP_INFO, an enum tcp_state; 0 if it can't be known. */
unsigned int sock_state(int fd);

/* Bytes, by SIOCINQ or SIOCOUTQ; 0 if it can't be known. */
uint32_t sock_queued(int fd, unsigned long request);

#endif
