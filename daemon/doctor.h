/* SPDX-License-Identifier: MIT */
/* What is wrong with the connections of this machine, from plain facts to verdicts.
 *
 * A state is a fault once it has lasted for the patience; an event, if the last one is no longer
 * ago. What is normal on a busy system must stay under the numbers of struct doctor_thresholds. */
#ifndef DAEMON_DOCTOR_H
#define DAEMON_DOCTOR_H

#include "daemon/enabled.h"
#include "daemon/verdict.h"

#include "common/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct doctor_thresholds {
	uint64_t patience_ms;
	unsigned int leak_least;	/* a pool keeps a few that its peer has closed */
	unsigned int vanished_least;	/* so many peers of a program, */
	unsigned int vanished_percent;	/* and so many of its connections: some always do */
	unsigned int orphan_least;	/* of a program */
	unsigned int syn_least;		/* of a listener, and half of its backlog */
	unsigned int cut_least;		/* one may be a client that was rude */
	unsigned int time_wait_percent; /* of tcp_max_tw_buckets */
	unsigned int orphan_percent;	/* of tcp_max_orphans */
	unsigned int ports_percent;	/* a fault, whatever the rate */
	unsigned int
		ports_slow_percent; /* past it connect() is slow: a fault if they run out soon */
	unsigned int ports_soon_ms;
	unsigned int descriptors_percent;
	unsigned int harmless_least; /* TIME_WAITs worth a word */
};

/* All but the patience, which closeside.conf(5) says. */
extern const struct doctor_thresholds doctor_usual;

/* Where connections of one plight are: the server's own port, or the address that a client is
 * connected to. */
struct doctor_place {
	bool server;
	struct endpoint at;
	uint32_t count;
};

enum { DOCTOR_PLACES = 4 };

struct doctor_pile {
	uint32_t count, elsewhere; /* at more places than there is room for */
	uint64_t oldest_ms, bytes;
	struct doctor_place place[DOCTOR_PLACES];
};

/* The plights: a pile holds what has lasted for the patience. */
enum doctor_plight {
	PLIGHT_CLOSE_WAIT, /* in CLOSE_WAIT, accepted or connected, and held by the program */
	PLIGHT_FIN_WAIT2,  /* the same */
	PLIGHT_ORPHAN,	   /* FIN_WAIT1, LAST_ACK, CLOSING, held by nobody */
	PLIGHT_VANISHED,   /* unacknowledged data, retransmitted; at: the peer's address */
	PLIGHT_COUNT
};

/* Closes with data unread, one run of them: none came long after the one before. */
struct doctor_cuts {
	uint32_t count;
	uint64_t first_ms, last_ms; /* ago */
	uint64_t unread, unsent;    /* bytes */
	struct doctor_place place;  /* of the last */
};

struct doctor_descriptors {
	uint32_t used;
	uint64_t limit, hard; /* 0: not known; UINT64_MAX: none */
	int64_t since_ms;     /* near the limit for so long; -1: not known */
};

struct doctor_who {
	pid_t pid; /* 0: nobody that is known */
	char program[32], unit[128];
	bool shim;	       /* runs under closeside */
	bool alive;	       /* it can be ended */
	bool stopped;	       /* by a signal */
	bool foreign;	       /* in another network namespace */
	bool by_user;	       /* its unit is of a user's manager, not of the system's */
	const char *policy[2]; /* that has its connections, client's and server's; NULL: none */
};

struct doctor_process {
	struct doctor_who who;
	uint32_t conns;
	struct doctor_pile pile[PLIGHT_COUNT];
	struct doctor_cuts cuts;
	struct doctor_descriptors descriptors;
};

/* Of one program, however many processes: a short-lived client has a new one each time. */
struct doctor_maker {
	struct doctor_who who; /* pid 0: several processes */
	bool several;
	struct doctor_pile time_waits;
};

struct doctor_listener {
	struct doctor_who who;
	struct endpoint at;
	uint32_t queue, backlog;
	uint32_t waiting; /* unaccepted for the patience */
	uint64_t oldest_ms;
	uint32_t drops;			      /* connections dropped, in one run of them */
	uint64_t first_drop_ms, last_drop_ms; /* ago */
	uint32_t handshakes;		      /* in SYN_RECV, its SYN-ACK sent again */
	uint64_t oldest_handshake_ms;
};

/* Ports taken from one local address to one remote address and port. */
struct doctor_destination {
	struct doctor_who who; /* who has most of them */
	struct endpoint local; /* without port */
	struct endpoint remote;
	uint32_t used, time_wait, reusable; /* reusable: in TIME_WAIT for over a second */
	uint32_t opened, released;	    /* in the last, and in the next, ten seconds */
	bool loopback;
	int64_t since_ms; /* since the first of those that are there was opened; -1: not known */
};

enum { DOCTOR_RATE_MS = 10000 };

struct doctor_facts {
	const struct doctor_process *processes;
	size_t process_count;
	const struct doctor_maker *makers;
	size_t maker_count;
	const struct doctor_listener *listeners;
	size_t listener_count;
	const struct doctor_destination *destinations;
	size_t destination_count;
	const struct enabled_unit *units; /* that are enabled, looked at */
	size_t unit_count;

	uint64_t time_wait, time_wait_max;	       /* of the namespace; max 0: not known */
	int64_t time_wait_near_ms;		       /* near the limit for so long; -1: not */
	uint64_t time_wait_overflows;		       /* within the patience */
	uint64_t orphans, orphans_max;		       /* of the machine */
	uint64_t listen_overflows;		       /* within the patience, of all listeners */
	uint64_t unread_closes;			       /* the same, whosever */
	uint64_t queue_full_drops, queue_full_cookies; /* of SYNs, within the patience */
	uint32_t port_lo, port_hi, ports_reserved; /* reserved: within the range; hi 0: not known */
	bool timestamps, syncookies;
	uint32_t tw_reuse, somaxconn, synack_retries;
	bool destroys_orphans; /* SOCK_DESTROY does, from Linux 6.11 on */

	const char *config_path, *socket_path;
};

enum { VERDICTS_MAX = 64, VERDICTS_OF_A_KIND = 8 };

struct verdicts {
	unsigned int count;
	struct verdict verdict[VERDICTS_MAX]; /* faults first */
};

/* Near the limit, as time_wait_near_ms means it. */
bool doctor_time_wait_is_near(const struct doctor_thresholds *thresholds, uint64_t count,
			      uint64_t max);
bool doctor_descriptors_are_few(const struct doctor_thresholds *thresholds, uint64_t used,
				uint64_t limit);

void doctor_pile_add(struct doctor_pile *pile, bool server, const struct endpoint *at,
		     uint64_t age_ms, uint64_t bytes);

/* May the shell and the config be given this program's name? */
bool doctor_name_is_plain(const char *program);

void doctor_judge(const struct doctor_facts *facts, const struct doctor_thresholds *thresholds,
		  struct verdicts *verdicts);

#endif
