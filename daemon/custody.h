/* SPDX-License-Identifier: MIT */
/* Custody: the sockets that were handed over, until their peer's FIN comes or their grace ends.
 *
 * An owned socket (hand-over) is ours alone: it may be read, and closing it ends the connection.
 * A shared one (deferred shutdown, at-exit) is a duplicate of what a program still uses: it is
 * never read and its flags are never changed. It becomes owned when the program has closed its
 * own as the last one, or was about to exit and is dead. */
#ifndef DAEMON_CUSTODY_H
#define DAEMON_CUSTODY_H

#include "common/wire.h"
#include "daemon/conn.h"
#include "daemon/tally.h"

#include <stdbool.h>
#include <stdint.h>

struct closer;
struct event_base;
struct held;
struct patience;
struct retire;
struct user;
struct users;

/* The side of a session that sockets are held for. */
struct custody_client {
	const struct process *process;
	struct user *user;
	struct held *held; /* oldest first */
	unsigned int count;
	struct custody_client *prev, *next; /* of those that something is held for */
};

struct custody_parts {
	struct event_base *base;
	struct book *book;
	struct conns *conns;
	struct patience *patience;
	struct retire *retire;
	struct users *users;
	struct closer *closer;
};

struct custody;

struct custody *custody_new(const struct custody_parts *parts, unsigned int max,
			    unsigned int per_client);
void custody_set_limits(struct custody *custody, unsigned int max, unsigned int per_client);
/* Off: what is held ends within a second, as if the program had closed it itself, and what still
 * comes at once. */
void custody_switch(struct custody *custody, bool on);
/* Ends all that is held as its policy says, then frees. */
void custody_free(struct custody *custody);

/* Takes the descriptor of a HAND_OVER, DEFER or AT_EXIT record, whatever it is. */
void custody_take(struct custody *custody, struct custody_client *client,
		  const struct wire_record *record, struct account account, int fd);

/* The program has closed its own descriptor of a shared one. false: nothing is held for it. */
bool custody_program_closed(struct custody *custody, const struct custody_client *client,
			    uint64_t cookie);

/* A connection was opened whose policy is close-first = self. If its other end is held already, its
 * record having come first, it is closed for its program now. */
void custody_other_end_opened(struct custody *custody, const struct endpoint *local,
			      const struct endpoint *remote);

/* Does it hold at-exit duplicates, whose fate hangs on whether the process lives? */
bool custody_awaits_death(const struct custody_client *client);
/* The session has gone, and with it its process, if that is dead. What is held stays; but an
 * at-exit duplicate becomes owned, or, if its process lives on, is let go. */
void custody_client_gone(struct custody_client *client, bool dead);

unsigned int custody_count(const struct custody *custody);

#endif
