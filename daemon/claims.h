/* SPDX-License-Identifier: MIT */
/* What the daemon says of the connections of a command: the rows of `watch` with its tag. */
#ifndef DAEMON_CLAIMS_H
#define DAEMON_CLAIMS_H

#include "common/close_decide.h"
#include "daemon/ladder.h"

#include <jansson.h>
#include <uthash.h>

enum { CLAIM_NOTES = 12 };

struct claim {
	uint64_t cookie;
	struct endpoint local, remote;
	enum close_side side;
	unsigned int state; /* as the daemon has it; 0: gone */
	char role[8], custody[16], policy[40];
	uint32_t unacked;
	uint64_t opened_ns, claimed_ns;
	struct ladder_note *notes; /* CLAIM_NOTES, or NULL */
	unsigned int note_count;
	struct flow *flow; /* its segments; NULL: none were seen, or not yet looked for */
	UT_hash_handle hh;
};

struct claims;

/* At most max. notes: keeps what happened to each, for a ladder. */
struct claims *claims_new(unsigned int max, bool notes);
void claims_free(struct claims *claims);
void claims_take(struct claims *claims, const json_t *row);
/* In the order in which they came; the next after hh.next. */
struct claim *claims_first(struct claims *claims);
unsigned int claims_count(const struct claims *claims);
/* Rows that the daemon could not send, and connections that there was no room for. */
uint64_t claims_lost(const struct claims *claims);

#endif
