/* SPDX-License-Identifier: MIT */
/* What grace has learned. A peer that reads until EOF never closes first, and making it wait is
 * pure delay; one that knows where the answer ends closes within a few round trips. So keep, for
 * each policy and port and for each peer, how often and how fast the peer closed first, wait about
 * as long as nearly all successful waits took, and where waiting hardly ever pays do not wait,
 * but try again one close in PATIENCE_PROBE; after trials in vain no sooner than a rest is over,
 * which doubles up to PATIENCE_REST_MAX_MS: who waits for the end of file waits the whole grace
 * then.
 *
 * A shortened wait that fails says little: was the peer slower than usual, or will it never close?
 * The next wait then takes the whole grace, and only whole waits count against a peer.
 *
 * A late close (see enum wire_hint) is a kind of its own: its peer may be about to ask again. Until
 * such closes are known on their own account they are waited for only where prompt ones pay.
 *
 * Each user has what its own connections taught. The hints are one table for all, so they say only
 * what no user's experience contradicts: the worst that one can do to another is a hand-over that
 * need not have been. For the same reason nobody's entries take more than half of the room of
 * others.
 *
 * Pure: time is passed in, nothing is called. The tables are of fixed size; the entry used least
 * recently makes room. */
#ifndef DAEMON_PATIENCE_H
#define DAEMON_PATIENCE_H

#include "common/endpoint.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	PATIENCE_PROBE = WIRE_PROBE,
	PATIENCE_PORT_SAMPLES = 16, /* what it takes to give up on a port */
	PATIENCE_PEER_SAMPLES =
		4, /* from here on a peer decides for itself; enough if none ever paid */
	PATIENCE_WAIT_MIN_MS = 100, /* a busy machine's scheduler is not the peer */
	PATIENCE_REST_MIN_MS = 80,  /* doubled before it is first used */
	PATIENCE_REST_DOUBLINGS = 7,
	PATIENCE_REST_MAX_MS = PATIENCE_REST_MIN_MS << PATIENCE_REST_DOUBLINGS, /* ten seconds */
	PATIENCE_BUCKETS = 40, /* half powers of two of a millisecond */
};

/* A connection about to be waited for. */
struct patience_case {
	uint32_t policy;
	uint8_t role; /* enum role */
	struct endpoint local, remote;
	uint32_t grace_ms;
	uint32_t rtt_us;
	bool late;  /* the last data was WIRE_LATE_MS before, or more */
	bool probe; /* to be waited for although it does not pay */
	uid_t uid;  /* whose word it is: nobody learns from another user */
};

struct patience_entry {
	struct endpoint addr; /* family 0: the entry of a port */
	uid_t uid;
	uint32_t policy;
	uint16_t port;
	uint8_t role;
	bool used;
	bool late;
	bool paid;		/* the peer has closed first, once at least */
	bool doubt;		/* a shortened wait has failed: the next one is whole */
	uint32_t samples;	/* waits, successful or not */
	float share;		/* of successful ones, exponentially weighted */
	uint32_t skipped;	/* closes since the last wait, while it does not pay */
	uint32_t probes;	/* closes that waited, for the odd long wait */
	uint8_t failures;	/* whole waits in vain, in a row */
	uint64_t rest_until_ms; /* no trial before */
	uint64_t used_ms;
	uint32_t successes; /* in the buckets */
	uint16_t bucket[PATIENCE_BUCKETS];
};

struct patience;

/* How a wait ended. */
enum patience_result {
	PEER_CLOSED, /* first */
	PEER_STAYED, /* silent to the end of the wait */
	PEER_WENT_ON /* it asked again, or was still sending: it will not close first */
};

struct patience *patience_new(void);
void patience_free(struct patience *patience);

/* Where shims read whether waiting pays: WIRE_HINTS bytes of the policy page, or NULL. */
void patience_publish(struct patience *patience, _Atomic uint8_t *hints);
/* Every second or so: which rests are over. */
void patience_tick(struct patience *patience, uint64_t now_ms);

/* How long to wait for the peer's FIN, at most the grace; 0: do not wait. */
uint32_t patience_next(struct patience *patience, const struct patience_case *about,
		       uint64_t now_ms);
void patience_learn(struct patience *patience, const struct patience_case *about,
		    enum patience_result result, uint32_t waited_ms, uint64_t now_ms);

/* What an entry would make a connection with these two wait, for people. */
uint32_t patience_entry_wait(const struct patience_entry *entry, uint32_t grace_ms,
			     uint32_t rtt_us);

/* Runs visit on each entry of the policy. */
void patience_each(const struct patience *patience, uint32_t policy,
		   void (*visit)(const struct patience_entry *entry, void *arg), void *arg);

#endif
