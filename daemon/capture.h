/* SPDX-License-Identifier: MIT */
/* TCP segments of all interfaces of this network namespace, as they pass (packet(7)). */
#ifndef DAEMON_CAPTURE_H
#define DAEMON_CAPTURE_H

#include "daemon/segment.h"

struct capture;

/* all: every segment; otherwise those with SYN, FIN or RST. NULL with errno. Needs CAP_NET_RAW. */
struct capture *capture_open(bool all);
void capture_close(struct capture *capture);
/* To be polled for POLLIN. */
int capture_fd(const struct capture *capture);

/* Calls take() for each segment that is here, in their order. */
void capture_read(struct capture *capture, void (*take)(void *arg, const struct segment *segment),
		  void *arg);
/* How many the kernel had no room for, since it was opened. */
uint64_t capture_lost(struct capture *capture);

#endif
