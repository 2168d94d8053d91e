/* SPDX-License-Identifier: MIT */
/* What the daemon says of a connection, beside what its segments say. */
#ifndef DAEMON_AGREE_H
#define DAEMON_AGREE_H

#include "common/close_decide.h"
#include "daemon/flow.h"

/* X(enum, kind, word, text) */
#define AGREE_RESULTS(X)                                                                   \
	X(AGREE_SAME, AGREES, "same", "")                                                  \
	X(AGREE_CROSSED, DIFFERS, "crossed",                                               \
	  "both FINs were under way at once: neither acknowledges the other")              \
	X(AGREE_RACED, DIFFERS, "raced",                                                   \
	  "the peer's FIN came between the look at the state and the close")               \
	X(AGREE_QUEUED, DIFFERS, "queued",                                                 \
	  "closed first, but our FIN waited behind data; the peer's came meanwhile")       \
	X(AGREE_PEER_RESET, DIFFERS, "peer-reset",                                         \
	  "the peer's RST came between the look at the state and the close")               \
	X(AGREE_UNREAD, DIFFERS, "unread",                                                 \
	  "data came just before the close: unread, it makes the kernel send RST, no FIN") \
	X(AGREE_FIN_RST, DIFFERS, "fin-rst",                                               \
	  "FIN, then RST came before the close: the socket's state shows only the RST")    \
	X(AGREE_UNEXPLAINED, DIFFERS, "unexplained", "unexplained")                        \
	X(AGREE_NEVER, UNJUDGED, "never", "never established")                             \
	X(AGREE_OPEN, UNJUDGED, "open", "still open")                                      \
	X(AGREE_NO_CLAIM, UNJUDGED, "no-claim", "closeside does not claim to know")        \
	X(AGREE_LOST, UNJUDGED, "lost", "the capture has lost segments")                   \
	X(AGREE_UNSEEN, UNJUDGED, "unseen", "no segment was seen: in another network namespace?")

enum agree_kind { AGREES, DIFFERS, UNJUDGED };

enum agree_result {
#define X(name, kind, word, text) name,
	AGREE_RESULTS(X)
#undef X
		AGREE_COUNT
};

enum agree_kind agree_kind(enum agree_result result);
const char *agree_word(enum agree_result result);
const char *agree_text(enum agree_result result);

struct agree_case {
	enum close_side claim;
	const struct flow *flow; /* NULL: no segment was seen */
	int us;			 /* of its ends */
	uint64_t claimed_ns;	 /* when the daemon said so; 0: it did not */
	uint32_t unacked;	 /* bytes, at the close */
	bool lost;		 /* the capture has lost something */
};

enum agree_result agree_judge(const struct agree_case *about);

#endif
