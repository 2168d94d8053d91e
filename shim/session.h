/* SPDX-License-Identifier: MIT */
/* What the daemon gives this process with its welcome: the page with the ring for records, credits
 * for descriptors, and the count of what was lost. */
#ifndef SHIM_SESSION_H
#define SHIM_SESSION_H

#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>

bool session_has_page(void);

/* The welcome comes when it comes. False: the daemon has hung up. */
bool session_take_welcome(int fd);

/* A process of few words has no need of the page, which takes four system calls to have. False: a
 * record sent by the socket was one too many for that. */
bool session_is_terse(void);

enum session_put {
	SESSION_NO_RING, /* not yet, or none with this daemon */
	SESSION_FULL,	 /* it is dropped */
	SESSION_PUT,
	SESSION_PUT_CALL, /* and the daemon is to be called */
};

enum session_put session_put(const struct wire_record *record);

/* wire_record.ring_head of what goes by the socket. */
uint32_t session_ring_head(void);

/* One credit for a descriptor that is sent. */
bool session_credit_left(void);
bool session_credit_take(void);
void session_credit_give_back(void);

/* A record that could not be sent: to a daemon that is there. */
void session_note_lost(void);
bool session_lost_early(void); /* and there is no page yet to count it in */

/* Another daemon: what the last one gave is void. */
void session_forget(void);
/* A fork child: the same, and the page is its parent's. No other thread may be using it. */
void session_forget_parents(void);

#endif
