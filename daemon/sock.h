/* SPDX-License-Identifier: MIT */
/* A TCP socket that someone handed us: what it is, and what it is up to. Nothing here changes its
 * file flags, for a program may use the same open file. */
#ifndef DAEMON_SOCK_H
#define DAEMON_SOCK_H

#include "common/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is it TCP, if it can be looked at (sock_look)? */
bool sock_is_tcp(int fd);
/* SO_COOKIE; 0 on failure. */
uint64_t sock_cookie(int fd);
/* Both ends; false if there is no remote one any more (not connected, or reset). */
bool sock_endpoints(int fd, struct endpoint *local, struct endpoint *remote);

struct sock_look {
	uint8_t state; /* enum tcp_state */
	uint32_t rtt_us;
	uint32_t last_received_ms; /* ago */
	uint64_t received;	   /* bytes, ever */
	bool mute;		   /* nothing was ever sent, nor is to be */
};

/* TCP_INFO. false with errno. */
bool sock_look(int fd, struct sock_look *look);

uint32_t sock_unread(int fd);	      /* SIOCINQ */
uint32_t sock_unacked(int fd);	      /* SIOCOUTQ */
uint32_t sock_receive_buffer(int fd); /* SO_RCVBUF */
/* Is there an error pending? Looks without taking it. */
bool sock_has_error(int fd);
/* SO_ERROR: takes it. */
int sock_take_error(int fd);
/* Throws away what is unread, at most max bytes. Returns how much that was. */
uint64_t sock_drain(int fd, uint64_t max);
/* TCP_LINGER2 = -1. */
void sock_leave_nothing(int fd);

#endif
