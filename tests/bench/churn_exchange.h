/* SPDX-License-Identifier: MIT */
/* What a connection of the connecting side does once it is begun: it asks, reads and checks the
 * answer, and closes. */
#ifndef CHURN_EXCHANGE_H
#define CHURN_EXCHANGE_H

#include "tests/bench/churn.h"
#include "tests/bench/churn_conns.h"
#include "tests/bench/churn_stats.h"

#include <stdint.h>
#include <sys/epoll.h>

/* The connections of a thread. */
struct churn_exchange {
	const struct churn_options *options;
	struct churn_stats stats;
	struct churn_conns conns;
};

/* data.u32 of the event is its place. */
void churn_exchange_act(struct churn_exchange *exchange, const struct epoll_event *event);
/* What connections do by the clock: one begins to read, or has paused before its close() for long
 * enough. They are few, or all is late anyway. */
void churn_exchange_by_clock(struct churn_exchange *exchange);
/* Those that take longer than they may. */
void churn_exchange_give_up_old(struct churn_exchange *exchange);
/* Closes it, for an errno or a CHURN_... */
void churn_exchange_fail(struct churn_exchange *exchange, int place, int error);
/* Connected, or not any more to be, so long after it was due. */
void churn_exchange_connect_took(struct churn_exchange *exchange, uint64_t ns);

#endif
