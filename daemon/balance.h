/* SPDX-License-Identifier: MIT */
/* The balance sheet: for each thing that TCP can run out of, what there is (capacity), what is
 * taken (used), how fast it is taken (rate) and for how long (hold). Little's law: at this rate the
 * system needs rate * hold of them. In balance is what needs no more than its target, a share of
 * the capacity: a half for ports, as past that connect() itself gets slow; seven tenths for all
 * else. Time to exhaustion is what is left, divided by what is taken less what is given back.
 *
 * And the advice: the levers that restore balance, the gentlest first, each with what it does in
 * numbers, what it costs, and what to paste. And the moves: what `apply` writes now.
 *
 * balance_assess() is pure: plain data and `now` in, plain data out; what it must remember from one
 * time to the next is in what it is given. */
#ifndef DAEMON_BALANCE_H
#define DAEMON_BALANCE_H

#include "daemon/sysctl.h"

#include "common/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* X(enum, word, target in hundredths) */
#define BALANCE_RESOURCES(X)                                                                  \
	X(PORTS, "ports", 50)		       /* from one address to one address and port */ \
	X(TIME_WAITS, "time-wait-buckets", 70) /* minisockets of a namespace */               \
	X(ORPHANS, "orphans", 70)	       /* of the machine */                           \
	X(ACCEPT_QUEUE, "accept-queue", 70)    /* of a listener */                            \
	X(SYN_QUEUE, "syn-queue", 70)	       /* of a listener */                            \
	X(DESCRIPTORS, "descriptors", 70)      /* of a process */                             \
	X(MEMORY, "tcp-memory", 70)	       /* of the machine, in pages */                 \
	X(CONNTRACK, "conntrack", 70)	       /* of a namespace */

enum balance_resource {
#define X(name, word, target) BALANCE_##name,
	BALANCE_RESOURCES(X)
#undef X
		BALANCE_RESOURCE_COUNT
};

/* X(enum, word, kind): the levers, by their words in an advice's id. */
#define BALANCE_LEVERS(X)                                                                 \
	X(TIME_WAIT, "time-wait", POLICY)     /* time-wait = none */                      \
	X(CLOSE_FIRST, "close-first", POLICY) /* close-first = peer */                    \
	X(TW_REUSE, "tw-reuse", SYSCTL)	      /* tcp_tw_reuse = 1 */                      \
	X(PORT_RANGE, "port-range", SYSCTL)   /* wider ip_local_port_range */             \
	X(LOCAL_PORTS, "local-ports", POLICY) /* the same range by IP_LOCAL_PORT_RANGE */ \
	X(SOURCE, "source", POLICY)	      /* more than one local address */           \
	X(TW_BUCKETS, "tw-buckets", SYSCTL)                                               \
	X(FIN_TIMEOUT, "fin-timeout", SYSCTL)                                             \
	X(MAX_ORPHANS, "max-orphans", SYSCTL)                                             \
	X(BACKLOG, "backlog", POLICY)	  /* for the next listen() */                     \
	X(SOMAXCONN, "somaxconn", SYSCTL) /* what any backlog is cut to */                \
	X(RELISTEN, "relisten", RELISTEN) /* listen() again, for the program */           \
	X(SYN_BACKLOG, "syn-backlog", SYSCTL)                                             \
	X(SYNCOOKIES, "syncookies", LINE) /* on; never off */                             \
	X(NOFILE, "nofile", LINE)	  /* LimitNOFILE=, prlimit(1) */                  \
	X(TCP_MEM, "tcp-mem", LINE)                                                       \
	X(CONNTRACK_MAX, "conntrack-max", LINE)                                           \
	X(CONNTRACK_TIMEOUT, "conntrack-timeout", LINE)                                   \
	X(NOTRACK, "notrack", LINE) /* where the limit can't be written */

enum balance_lever {
#define X(name, word, kind) LEVER_##name,
	BALANCE_LEVERS(X)
#undef X
		BALANCE_LEVER_COUNT
};

enum balance_kind {
	KIND_POLICY,   /* closeside.conf's: to paste */
	KIND_SYSCTL,   /* `tune apply` and mode apply write it */
	KIND_RELISTEN, /* ... and do this */
	KIND_LINE,     /* a command to paste: closeside never does it */
};

/* --- in ---------------------------------------------------------------------------------------
 */

enum {
	BALANCE_WINDOW_MS = 10000, /* rates and drops are of the last so many */
	BALANCE_NOW_MS = 3000,	   /* drops in these go on */
	BALANCE_SLOT_MS = 5000,
	BALANCE_SLOTS = 12, /* a TIME_WAIT's life */
	BALANCE_MAKERS = 3,
	BALANCE_SPACES = 64,
};

struct balance_who {
	pid_t pid; /* 0: nobody that is known, or several */
	char program[32], unit[128];
	bool shim;
	char policy[64]; /* that has its connections; "": none */
};

/* From one local address to one remote address and port. */
struct balance_ports {
	unsigned int space; /* index of its namespace in balance_inputs */
	struct balance_who who;
	struct endpoint local, remote; /* local without port */
	uint32_t used, time_wait;
	double rate_s;			  /* taken per second, of those that hold one still */
	uint32_t released[BALANCE_SLOTS]; /* TIME_WAITs that end in each of the next slots */
	uint32_t reusable;		  /* in TIME_WAIT for longer than tcp_tw_reuse_delay */
	int32_t time_wait_ms;		  /* of its policy: how long one is left; -1: as usual */
	bool loopback, searches_singly;	  /* IP_LOCAL_PORT_RANGE by a policy: no slow half */
};

struct balance_listener {
	unsigned int space;
	uint64_t cookie;
	struct balance_who who;
	struct endpoint at;
	uint32_t backlog, queue, queue_peak;  /* peaks and drops: in the window */
	uint32_t handshakes, handshakes_peak; /* in SYN_RECV */
	uint32_t drops_now;		      /* in BALANCE_NOW_MS */
	uint32_t drops; /* sk_drops: SYNs and handshakes; also SYNs that came again */
	double rate_s;	/* connections come in */
	bool can_relisten;
	uint32_t original; /* its backlog before we called listen() for it; 0: we have not */
	uint64_t changed_ms, calm_ms; /* as of a key */
};

struct balance_process {
	struct balance_who who;
	uint64_t used, limit, hard; /* UINT64_MAX: none */
	double growth_s;
	uint32_t conns;
};

struct balance_maker {
	struct balance_who who;
	bool server;
	struct endpoint place; /* a server's own port, or where a client connects to */
	uint32_t count;
};

/* The state of a sysctl as far as writing goes. */
struct balance_key {
	struct sysctl_value now;
	struct sysctl_value original; /* count 0: it is not ours */
	bool yielded;		      /* somebody else's: sysctl.d's, or who has changed it */
	bool refused;		      /* it could not be written */
	int64_t min, max;	      /* of the config; 0, 0: none said */
	uint64_t changed_ms;	      /* when we last wrote it; 0: never */
	uint64_t calm_ms; /* in and out: since when nothing wants more of it; 0: it does */
};

/* A network namespace. */
struct balance_space {
	uint64_t netns; /* 0: the daemon's own */
	pid_t pid;	/* of a process in another */
	struct balance_key key[SYSCTL_COUNT];
	uint64_t time_waits, time_waits_peak, time_wait_drops; /* drops: TCPTimeWaitOverflow */
	double time_waits_s; /* entered per second, with those that were dropped */
	double time_waits_growth_s;
	uint64_t time_wait_drops_now, listen_drops_now, syn_drops_now;
	struct balance_maker maker[BALANCE_MAKERS]; /* count 0: no more */
	uint64_t listen_drops;			    /* ListenOverflows */
	uint64_t syn_drops, syn_cookies; /* ListenDrops but ListenOverflows; TCPReqQFullDoCookies */
	double conntrack_s;
	uint16_t widest_lo, widest_hi; /* no listener is in there beside the range that is now, nor
					  a reserved port; 0, 0: it cannot be wider */
	uint32_t reserved;	       /* ports within the range that are */
};

struct balance_inputs {
	uint64_t now_ms;
	bool apply;		      /* moves are wanted */
	uint32_t cooldown_ms;	      /* between two changes of a key; while drops go on, 3 s */
	uint64_t memory_max;	      /* what orphans may cost at most, bytes */
	struct balance_space *spaces; /* the machine's numbers are of the first, the daemon's own */
	size_t space_count;
	const struct balance_ports *ports;
	size_t ports_count;
	struct balance_listener *listeners;
	size_t listener_count;
	const struct balance_process *processes;
	size_t process_count;
	uint64_t orphans, orphans_peak, orphan_drops; /* drops: TCPAbortOnMemory */
	uint64_t orphan_drops_now;
	double orphans_s;
	uint32_t orphans_fin_wait2; /* in FIN_WAIT2 without a program: minisockets as well */
	uint64_t memory_pages, memory_pressures; /* the second: entered, in the window */
	uint64_t page_bytes, ram_bytes;
	const char *config_path; /* for lines to paste */
	const char *socket_path; /* "": the usual one */
};

/* --- out --------------------------------------------------------------------------------------
 */

enum {
	BALANCE_ENTRIES = 64,
	BALANCE_ADVICES = 96,
	BALANCE_MOVES = 32,
	BALANCE_ID = 160,
	BALANCE_TEXT = 256,
	BALANCE_LINES = 8,
	BALANCE_EVIDENCE = 4,
};

enum balance_level { BALANCE_FINE, BALANCE_NEAR, BALANCE_OVER };

struct balance_entry {
	char id[BALANCE_ID]; /* "ports/10.0.0.1-10.0.0.9:80", "time-wait-buckets"; of another
				namespace with "@INODE" after the resource's word */
	enum balance_resource resource;
	unsigned int space;
	enum balance_level level; /* near: the need, or the peak, is over the target, or will be
				     within a minute; over: drops, or none is left */
	struct balance_who who;
	char title[BALANCE_TEXT];
	uint64_t capacity, used, peak, need, drops;
	double target; /* share */
	double rate_s, hold_s;
	int64_t slow_ms;      /* until connect() gets slow; 0: it is; -1: never, or not known */
	int64_t exhausted_ms; /* until nothing is left */
	unsigned int evidence_count;
	char evidence[BALANCE_EVIDENCE][BALANCE_TEXT];
};

struct balance_advice {
	char id[BALANCE_ID]; /* entry's id, "/", the lever's word */
	unsigned int entry;
	enum balance_lever lever;
	enum balance_kind kind;
	int with;    /* index of the advice without which this one does not suffice; -1: none */
	bool enough; /* alone, or together with that one, it sustains the rate */
	double sustains_s; /* the rate that it sustains; 0: not a matter of a rate; INFINITY */
	enum sysctl key;   /* KIND_SYSCTL: what to set, */
	struct sysctl_value best; /* to what. KIND_RELISTEN: the backlog */
	uint64_t cookie;	  /* KIND_RELISTEN: of the listener */
	char title[BALANCE_TEXT], effect[BALANCE_TEXT], cost[BALANCE_TEXT];
	char why_not[BALANCE_TEXT]; /* it cannot be applied by closeside; "": it can */
	unsigned int line_count;
	char line[BALANCE_LINES][BALANCE_TEXT]; /* to paste */
};

/* What `apply` does now: at most a quarter up or down. */
struct balance_move {
	unsigned int space;
	enum balance_kind kind; /* KIND_SYSCTL, KIND_RELISTEN */
	enum sysctl key;
	uint64_t cookie;
	struct sysctl_value from, to;
	bool shrinks;	     /* back towards the original: nothing wants it any more */
	char id[BALANCE_ID]; /* of the advice; "" if it shrinks */
};

struct balance_sheet {
	unsigned int entry_count, advice_count, move_count;
	struct balance_entry entry[BALANCE_ENTRIES];   /* the worst first */
	struct balance_advice advice[BALANCE_ADVICES]; /* by entry, the gentlest first */
	struct balance_move move[BALANCE_MOVES];
};

/* Fills the sheet. Of the inputs only calm_ms of keys and listeners is modified. */
void balance_assess(const struct balance_inputs *inputs, struct balance_sheet *sheet);

const char *balance_resource_word(enum balance_resource resource);
const char *balance_lever_word(enum balance_lever lever);
/* The entry that is nearest to its limit or furthest over it; NULL: none is near one. */
const struct balance_entry *balance_worst(const struct balance_sheet *sheet);

#endif
