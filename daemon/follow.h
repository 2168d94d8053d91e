/* SPDX-License-Identifier: MIT */
/* Follows connections where no shim speaks of them: what was closed through FIN_WAIT, LAST_ACK and
 * TIME_WAIT to its end, and what processes without the shim have.
 *
 *   the destroy multicast  a full socket was freed: look whether a TIME_WAIT is left
 * (CAP_NET_ADMIN) surveys                all live sockets, every few seconds and before somebody is
 * answered; whose the new ones are; TIME_WAITs as well where the multicast is not to be had, or has
 * lost some sockstat               how many TIME_WAITs there are: says when the oldest have gone,
 * and whether we have missed some
 *
 * All of it costs at most about a hundredth of a processor: what takes long is done seldom. */
#ifndef DAEMON_FOLLOW_H
#define DAEMON_FOLLOW_H

#include "daemon/config.h"
#include "daemon/conn.h"
#include "daemon/tally.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct follow;
struct netns;
struct probe;
struct retire;
struct sessions;
struct vitals;

struct follow_parts {
	struct event_base *base;
	struct book *book;
	struct conns *conns;
	struct retire *retire;
	struct sessions *sessions; /* whose records are read first; NULL: none */
	int opener;		   /* the loop's end of the guardian's opener; -1: none */
	struct config **config;	   /* whose policies are for those without the shim as well */
	struct probe *probe;	   /* of our own namespace, */
	struct vitals *vitals;	   /* and what it has counted */
};

/* NULL with errno. */
struct follow *follow_new(const struct follow_parts *parts);
void follow_free(struct follow *follow);

/* Each second or so. */
void follow_tick(struct follow *follow, uint64_t now_ms);

/* Who waits until the model is fresh. */
struct follow_waiter {
	void (*ready)(struct follow_waiter *waiter);
	struct follow_waiter *prev, *next;
};

/* Calls ready() once the model is as fresh as it is to be had without delay: maybe at once. */
void follow_refresh(struct follow *follow, struct follow_waiter *waiter);
void follow_forget(struct follow *follow, struct follow_waiter *waiter);

/* A network namespace that is followed, below LIMIT_NAMESPACES, or NULL: until the next event. 0 is
 * our own. Of no follow there is none. */
struct netns *follow_netns(const struct follow *follow, unsigned int index);

/* How old what the kernel said of all live sockets is, ms. */
uint64_t follow_age_ms(const struct follow *follow, uint64_t now_ms);

struct follow_costs {
	uint64_t surveys, survey_us;  /* of the thread */
	uint64_t destroyed, overruns; /* messages of the multicast; times that some were lost */
	uint64_t lookups;
	uint64_t closed_netns; /* network namespaces that could not be opened */
	bool multicast;
};

void follow_costs(const struct follow *follow, struct follow_costs *costs);

#endif
