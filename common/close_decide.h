/* SPDX-License-Identifier: MIT */
/* The decision: what close() and shutdown() do to a connection. Pure; called by the shim
 * inside someone's close(), by `closeside policy test`, and by the tests row by row. */
#ifndef COMMON_CLOSE_DECIDE_H
#define COMMON_CLOSE_DECIDE_H

#include "common/policy.h"

#include <stdbool.h>
#include <stdint.h>

/* X(enum, word, what happens) */
#define CLOSE_ACTIONS(X)                                                                          \
	X(CLOSE_PASS, "pass", "as the program does")                                              \
	X(CLOSE_HAND_OVER, "hand-over", "no FIN yet: the daemon waits for the peer's")            \
	X(CLOSE_QUIET, "quiet", "TCP_LINGER2 = -1: data and FIN are delivered, then RST ends it") \
	X(CLOSE_RETIRE, "retire", "an ordinary close, the TIME_WAIT is retired later")            \
	X(CLOSE_RESET, "reset", "RST to a peer that has closed: its TIME_WAIT ends")              \
	X(CLOSE_ABORT, "abort", "SO_LINGER {1,0}: RST, unsent data is thrown away")               \
	X(CLOSE_LINGER, "linger", "SO_LINGER {1,s}: close() waits for unsent data")               \
	X(CLOSE_DEFER, "defer", "no FIN yet: the daemon shuts down when the peer's FIN came")

enum close_action {
#define X(name, word, text) name,
	CLOSE_ACTIONS(X)
#undef X
		CLOSE_ACTION_COUNT
};

/* X(enum, word, why, for people) */
#define CLOSE_REASONS(X)                                                                           \
	X(WHY_NO_POLICY, "no-policy", "no policy matches: only watched")                           \
	X(WHY_APP, "app", "the policy leaves it to the program")                                   \
	X(WHY_SHARED, "shared", "another descriptor may hold this connection")                     \
	X(WHY_APP_LINGER, "app-linger", "the program set SO_LINGER itself")                        \
	X(WHY_LINGER, "linger", "the policy sets SO_LINGER")                                       \
	X(WHY_PEER_FIRST, "peer-first", "close-first = peer")                                      \
	X(WHY_IDLE, "idle", "idle: the peer is not about to close")                                \
	X(WHY_VAIN, "vain", "waiting for these peers hardly ever pays")                            \
	X(WHY_UNSAFE, "unsafe", "asynchronous I/O, a ULP, or an epoll set that cannot be cleared") \
	X(WHY_NO_DAEMON, "no-daemon", "the daemon cannot take it")                                 \
	X(WHY_TIME_WAIT, "time-wait", "time-wait says what stays here")                            \
	X(WHY_PEER_CLOSED, "peer-closed", "the peer has closed first already")                     \
	X(WHY_PEER_TIME_WAIT, "peer-time-wait", "peer-time-wait = none")                           \
	X(WHY_NOT_ACKED, "not-acked",                                                              \
	  "peer-time-wait = none, but data is unread or unacknowledged")                           \
	X(WHY_STATE, "state", "nothing to steer in this state")                                    \
	X(WHY_DEFERRED, "deferred", "its shutdown was deferred: the daemon ends it")               \
	X(WHY_HALF_CLOSE, "half-close", "half-close = defer")                                      \
	X(WHY_SHUT, "shut-down", "the program has shut it down first, which goes out as it does")

enum close_reason {
#define X(name, word, text) name,
	CLOSE_REASONS(X)
#undef X
		CLOSE_REASON_COUNT
};

struct close_facts {
	uint8_t state;	   /* enum tcp_state, of TCP_INFO */
	bool sole_owner;   /* provably no other descriptor holds the connection */
	bool app_linger;   /* the program set SO_LINGER, here or on the listener */
	bool unsafe;	   /* O_ASYNC, a ULP, or epoll sets that cannot be cleared */
	bool daemon_ready; /* heartbeat fresh and a credit left */
	bool vain;	   /* waiting hardly ever pays here, as the daemon has learned */
	bool ended;    /* in CLOSE, and not by a FIN of ours that was first: no TIME_WAIT is left */
	bool deferred; /* a shutdown was deferred: the daemon holds a duplicate */
	uint32_t unread;  /* bytes in the receive queue (SIOCINQ) */
	uint32_t unacked; /* bytes sent and not acknowledged, or not sent (SIOCOUTQ) */
	uint32_t idle_ms; /* since data was last sent or received, whichever is later */
	uint32_t rtt_us;  /* smoothed round trip, 0 not known */
};

/* terms NULL: no policy. why may be NULL. */
enum close_action close_decide(const struct policy_terms *terms, const struct close_facts *facts,
			       enum close_reason *why);

/* shutdown(fd, how) with SHUT_WR or SHUT_RDWR: CLOSE_PASS or CLOSE_DEFER. It acts on the connection
 * whoever else holds it, so here sole_owner may be true with several holders, if all of them are
 * counted: the parent of a process for each connection often closes its copy after the child. */
enum close_action shutdown_decide(const struct policy_terms *terms, const struct close_facts *facts,
				  enum close_reason *why);

/* Why a close under close-first = peer is not handed over, whatever is done instead: one of those
 * that close_reason_missed() knows, if our FIN is the first. WHY_PEER_FIRST: it is handed over. */
enum close_reason close_obstacle(const struct policy_terms *terms, const struct close_facts *facts);
/* The peer might have closed first, and we went before it. */
bool close_reason_missed(enum close_reason reason);

const char *close_action_word(enum close_action action);
const char *close_action_text(enum close_action action);
const char *close_reason_word(enum close_reason reason);
const char *close_reason_text(enum close_reason reason);

/* Which end was the first closer. X(enum, word) */
#define CLOSE_SIDES(X)             \
	X(SIDE_UNKNOWN, "unknown") \
	X(SIDE_US, "us")           \
	X(SIDE_PEER, "peer")       \
	X(SIDE_BOTH, "both")       \
	X(SIDE_RESET, "reset")

enum close_side {
#define X(name, word) name,
	CLOSE_SIDES(X)
#undef X
		SIDE_COUNT
};

const char *close_side_word(enum close_side side);

#endif
