/* SPDX-License-Identifier: MIT */
/* The state that the segments of a connection imply for one of its ends: RFC 9293, figure 5. A
 * capture at an end sees what arrives before its TCP does, and what is sent after. */
#ifndef DAEMON_LADDER_H
#define DAEMON_LADDER_H

#include "common/tcp_state.h"
#include "daemon/flow.h"

#include <stdio.h>

struct ladder {
	enum tcp_state state; /* STATE_CLOSE at first */
	bool fin_sent, next_known;
	uint32_t syn_end, fin_end; /* what acknowledges our SYN, and our FIN */
	uint32_t next;		   /* what is expected of the peer */
};

/* A connection whose begin was not seen is taken to be established. */
void ladder_begin(struct ladder *ladder, bool from_its_begin);
/* Sent or received. Returns the state after it. */
enum tcp_state ladder_step(struct ladder *ladder, const struct segment *segment, bool sent);

/* What closeside did, or said, at a time. */
struct ladder_note {
	uint64_t time_ns;
	char text[64];
};

/* A row for each segment, and for each note; whole: every segment was captured, not only those with
 * SYN, FIN or RST. */
void ladder_print(FILE *out, const struct flow *flow, int us, const struct ladder_note *notes,
		  unsigned int count, bool whole);

#endif
