/* SPDX-License-Identifier: MIT */
/* How a held socket ends: what is done to it, what is booked, what is learned. All but the first
 * three free it. */
#ifndef DAEMON_ENDING_H
#define DAEMON_ENDING_H

#include "daemon/held.h"

/* Throws away what is unread, at most max bytes, and counts it. */
void ending_drain(struct held *held, uint64_t max);
/* Tells patience how the wait went, if there was one. */
struct patience_case ending_case(const struct held *held);
void ending_learn(struct held *held, enum patience_result result);

/* The peer's FIN is here, and RST in answer, as the policy wants it, would cost the peer what it
 * has not acknowledged: true while that is to be waited for. */
bool ending_awaits_ack(const struct held *held);
/* The peer closed first. */
void ending_peer(struct held *held);
/* We did: FIN, and what stays here is as time-wait says. */
void ending_first(struct held *held, enum custody_outcome outcome, enum close_side side);
/* The peer sent RST. */
void ending_reset(struct held *held);
/* A new request on a quiet connection: its client learns from RST, as it would without us, that
 * nobody read it. */
void ending_new_request(struct held *held);
/* Lets go of a duplicate without doing anything to it. */
void ending_let_go(struct held *held);

#endif
