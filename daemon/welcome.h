/* SPDX-License-Identifier: MIT */
/* What the daemon answers to a hello: the welcome, and with it the session page. */
#ifndef DAEMON_WELCOME_H
#define DAEMON_WELCOME_H

#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>

/* A page in a sealed memfd, which the caller sends and closes. NULL with errno. */
struct session_page *welcome_page_new(int32_t credits, int *memfd);
void welcome_page_free(struct session_page *page);

/* false with errno. */
bool welcome_send(int fd, int page_fd);

#endif
