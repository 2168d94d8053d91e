/* SPDX-License-Identifier: MIT */
/* What crosses between shim and daemon.
 *
 * SOCKET           a SOCK_SEQPACKET: the shim sends one wire_hello, then wire_records, some with
 *                  a descriptor; the daemon answers the hello with a wire_welcome that carries
 *                  the session page (a sealed memfd). From then on records without a descriptor
 *                  go through the page's ring, and a wire_call on the socket wakes the daemon.
 * SOCKET.policy    the policy page: a file that the daemon writes and every shim maps read-only.
 *                  bind() and listen() are a server's first TCP calls, and must find their
 *                  policy without waiting for an answer; so it is read, not asked for.
 * SOCKET.control   the CLI's socket (JSON lines), not the shim's.
 *
 * Native byte order (both ends are on one machine), fixed widths, versions on everything. */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include "common/endpoint.h"
#include "common/policy.h"
#include "common/ring.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC 0x434c5344u /* "CLSD" */
#define WIRE_VERSION 1

#define WIRE_SOCKET_DEFAULT "/run/closeside/socket"
#define WIRE_CONTROL_SUFFIX ".control"
#define WIRE_POLICY_SUFFIX ".policy"

enum {
	WIRE_RULES_MAX = 64,		/* policies in a page */
	WIRE_OPTIONS_MAX = 1000,	/* text of CLOSESIDE_SOCKET after '?' */
	WIRE_CREDITS_START = 8,		/* hand-overs before the welcome has come */
	WIRE_HEARTBEAT_MS = 200,	/* the daemon writes it so often */
	WIRE_HEARTBEAT_STALE_MS = 1000, /* older than that: no hand-over */
	WIRE_SEQLOCK_TRIES = 8,
	WIRE_HINTS = 1024,
	WIRE_PROBE = 64,    /* one close in so many waits although it does not pay */
	WIRE_LATE_MS = 10,  /* a close so long after the last data is a late one, */
	WIRE_LATE_SEGS = 4, /* and so is one after more data segments than that came */
};

/* CLOSESIDE_SOCKET is "PATH" or "PATH?OPTIONS". OPTIONS are "key=value,..." of one policy for
 * this process and its children, which comes before those of the page; "policy=NAME" names one
 * of the page to use alone; "tag=WORD" groups processes for `run --report`. */
struct wire_hello {
	uint32_t magic;
	uint16_t version, size;
	uint32_t nofile; /* soft RLIMIT_NOFILE: what this user may have in flight */
	uint32_t flags;	 /* 0 */
	char options[WIRE_OPTIONS_MAX];
	char pad[8];
};
_Static_assert(sizeof(struct wire_hello) == 1024, "wire");

struct wire_welcome {
	uint32_t magic;
	uint16_t version, size;
	uint32_t flags; /* 0 */
	uint32_t pad;
};
_Static_assert(sizeof(struct wire_welcome) == 16, "wire");

/* X(enum, word, carries a descriptor) */
#define WIRE_RECORDS(X)                                                                            \
	X(WIRE_OPEN, "open", 0)		  /* this process holds this connection */                 \
	X(WIRE_CLOSE, "close", 0)	  /* it closed it; action and side say how */              \
	X(WIRE_LET_GO, "let-go", 0)	  /* it closed its descriptor; others hold it still */     \
	X(WIRE_HAND_OVER, "hand-over", 1) /* it closed it, the daemon finishes: sole descriptor */ \
	X(WIRE_DEFER, "defer", 1)	  /* shutdown to be done by the daemon: a duplicate */     \
	X(WIRE_AT_EXIT, "at-exit", 1)	  /* the process is ending: a duplicate until it has */

enum wire_type {
	WIRE_NONE,
#define X(name, word, fd) name,
	WIRE_RECORDS(X)
#undef X
		WIRE_TYPE_COUNT
};

/* What the shim has made of the hints. */
enum wire_patience {
	PATIENCE_ASKED,	 /* the daemon decides how long to wait */
	PATIENCE_PROBED, /* it does not pay, but this one is to be waited for */
	PATIENCE_SPARED, /* it does not pay: not handed over */
};

struct wire_record {
	uint32_t magic;
	uint16_t version;
	uint8_t type;	 /* enum wire_type */
	uint8_t role;	 /* enum role */
	uint64_t cookie; /* SO_COOKIE */
	struct endpoint local, remote;
	uint32_t policy; /* policy_id(), 0: none */
	int32_t fd;	 /* the program's number for it */
	uint8_t state;	 /* enum tcp_state at the call, 0: not known */
	uint8_t action;	 /* enum close_action */
	uint8_t side;	 /* enum close_side, as known so far */
	uint8_t how;	 /* WIRE_DEFER: SHUT_WR or SHUT_RDWR; WIRE_OPEN: 1 if a fork brought it */
	uint32_t unread, unacked; /* bytes, at the call */
	uint32_t idle_ms;	  /* since data last came from the peer */
	/* What of the policy the daemon needs in order to finish: */
	uint32_t grace_ms;
	int32_t time_wait_ms;
	uint32_t drain_max_ms;
	uint8_t grace_learn, peer_time_wait, close_first;
	uint8_t patience; /* enum wire_patience */
	uint32_t rtt_us;
	uint32_t late; /* 1: see enum wire_hint */
	uint8_t why; /* enum close_reason: why a close was not handed over, see close_obstacle() */
	uint8_t control; /* 1: of the policy's control: only watched, see policy_steers() */
	uint8_t pad[2];
	/* On the socket: where the ring's next record goes, for what this process has put there
	 * before comes before. */
	uint32_t ring_head;
};
_Static_assert(sizeof(struct wire_record) == 16 + 40 + 8 + 4 + 12 + 12 + 4 + 4 + 4 + 8, "wire");
_Static_assert(sizeof(struct wire_record) == RING_BYTES, "wire");

/* There is something in the ring. */
struct wire_call {
	uint32_t magic;
};

/* Whether waiting pays for the peers of a policy and port, so that a close that nobody waits for is
 * not handed over at all. A prompt close is in one breath with the last data, on a connection that
 * has not carried much: its peer has been told that the end is near. The others are late: a worker
 * that reloads closes what it keeps alive, and the peer may be about to ask again. For late closes
 * waiting does not pay until it is known that it does. */
enum wire_hint {
	HINT_PROMPT_VAIN = 1, /* waiting after a prompt close does not pay */
	HINT_LATE_PAYS = 2,
	/* Where it does not pay: nor is it to be tried now, the last trials were in vain. */
	HINT_PROMPT_RESTS = 4,
	HINT_LATE_RESTS = 8,
};

/* SOCKET.policy. `seq` is odd while the daemon rewrites rules, `on` or count; a reader copies,
 * compares, and after WIRE_SEQLOCK_TRIES acts as if there were no policy. */
struct policy_page {
	uint32_t magic;
	uint16_t version, pad;
	uint32_t size;	    /* of this struct */
	uint32_t rule_size; /* of a rule */
	uint64_t instance;  /* random: another one after a restart of the daemon */
	_Atomic uint32_t seq;
	_Atomic uint32_t on;	       /* 0: closeside off, watch only */
	_Atomic uint64_t heartbeat_ms; /* CLOCK_MONOTONIC_COARSE */
	_Atomic uint32_t retired;      /* 1: this daemon has gone; open the file again */
	uint32_t count;
	/* What grace has learned: at wire_hint_index(), bits of enum wire_hint. */
	_Atomic uint8_t hints[WIRE_HINTS];
	struct policy_rule rules[WIRE_RULES_MAX];
};

/* The session page: shared with one process, which is not trusted with it. A file that is shorter,
 * of an earlier version of the daemon, has no ring: records go by the socket. */
struct session_page {
	uint32_t magic;
	uint16_t version, pad;
	_Atomic int32_t credits; /* the shim takes one for each descriptor sent, the daemon gives */
	_Atomic uint32_t lost;	 /* records the shim could not send */
	uint32_t unused[12];
	struct ring ring;
};
enum { SESSION_PAGE_MIN = 16 };
_Static_assert(offsetof(struct session_page, unused) == SESSION_PAGE_MIN, "wire");
_Static_assert(offsetof(struct session_page, ring) == 64, "wire");

/* CLOCK_MONOTONIC_COARSE in milliseconds. */
uint64_t wire_now_ms(void);

/* A consistent look at the page: runs `look` on the rules until the seqlock holds, at most
 * WIRE_SEQLOCK_TRIES times. Returns false, and what look() stored is not to be used, if it
 * never held. Async-signal-safe if look is. */
bool policy_page_read(const struct policy_page *page,
		      void (*look)(const struct policy_page *page, void *arg), void *arg);

/* Splits "PATH?OPTIONS" (or NULL: the default). Returns false if the path is too long for a
 * UNIX socket with the longest suffix. *options points into text, or is "". */
#define WIRE_PATH_MAX 96
bool wire_split_socket(const char *text, char path[WIRE_PATH_MAX], const char **options);

/* port: the server's. */
unsigned int wire_hint_index(uint32_t policy, uint8_t role, uint16_t port);

const char *wire_type_word(unsigned int type);

#endif
