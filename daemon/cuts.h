/* SPDX-License-Identifier: MIT */
/* Who has lately closed connections with data unread: the kernel then sends RST, and what the peer
 * has not read of the answer is lost to it. Nothing is left of such a connection, so it is noted
 * when the record of its close comes. */
#ifndef DAEMON_CUTS_H
#define DAEMON_CUTS_H

#include "daemon/process.h"

#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	CUTS_PROCESSES = 64,	 /* remembered; the one whose last is longest ago makes room */
	CUTS_RUN_GAP_MS = 60000, /* so far apart they are two stories */
};

struct cut {
	struct process process; /* pid 0: a free place */
	uint32_t count;		/* in one run */
	uint64_t first_ms, last_ms;
	uint64_t unread, unsent;       /* bytes */
	struct endpoint local, remote; /* of the last */
	uint8_t role;
	const char *policy; /* that has it, in the book; NULL: none */
};

struct cuts {
	struct cut cut[CUTS_PROCESSES];
};

/* A close that was not handed over. Nothing is noted of one that is no cut. */
void cuts_note(struct cuts *cuts, const struct process *process, const struct wire_record *record,
	       const char *policy, uint64_t now_ms);

#endif
