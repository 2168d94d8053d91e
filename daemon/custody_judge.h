/* SPDX-License-Identifier: MIT */
/* What becomes of a held socket, decided from plain facts. Believes the TCP state alone: that
 * recv() returned 0, or RDHUP, a local SHUT_RD shows as well. */
#ifndef DAEMON_CUSTODY_JUDGE_H
#define DAEMON_CUSTODY_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CUSTODY_QUIET_MS = 20,	  /* no data for so long, and for three round trips: quiet */
	CUSTODY_SILENCE_MS = 500, /* a body that pauses for so long has ended */
};

/* Was the connection quiet when it was handed over: had its peer nothing more to say? What comes
 * on a quiet one is a new request, on another one the rest of a body. */
bool custody_quiet(uint32_t unread, uint32_t idle_ms, uint32_t rtt_us);

/* Did a body still arrive lately? unread_at_start, received: since the hand-over, in bytes. */
bool custody_body_arrives(bool quiet, uint32_t unread_at_start, uint64_t received,
			  uint32_t last_received_ms);

enum custody_verdict {
	VERDICT_WAIT,
	VERDICT_PEER,  /* the peer closed first */
	VERDICT_BOTH,  /* both did, at once */
	VERDICT_US,    /* we did, and no more is to come */
	VERDICT_RESET, /* the peer sent RST */
	VERDICT_EARLY, /* not to be waited for: end as plain close() would have, with RST */
	VERDICT_GRACE, /* the wait is over */
	VERDICT_DRAIN, /* the wait is over, but a body still arrives: FIN, and drain */
};

struct custody_facts {
	uint8_t state;
	bool owned;	/* ours alone: may be read */
	bool draining;	/* our FIN is out */
	bool wait_over; /* the wait, or drain-max when draining */
	bool saw_fin;	/* the peer's, on an earlier look */
	bool shut_here; /* FIN_WAIT1 or FIN_WAIT2 on an earlier look */
	bool quiet;
	bool mute;	 /* our end has never sent anything */
	bool client;	 /* our end connected */
	bool unheard;	 /* and our end has never read anything */
	bool error;	 /* an error is pending on the socket... */
	bool error_pipe; /* ...and it is EPIPE: the RST came after a FIN */
	uint32_t unread_at_start;
	uint64_t received; /* since the hand-over */
	uint32_t last_received_ms;
};

enum custody_verdict custody_judge(const struct custody_facts *facts);

#endif
