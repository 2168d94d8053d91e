/* SPDX-License-Identifier: MIT */
/* One thread that connects: those numbers of the plan that are its own, in a loop over epoll. */
#ifndef CHURN_CLIENT_H
#define CHURN_CLIENT_H

#include "tests/bench/churn.h"
#include "tests/bench/churn_stats.h"

#include <stdbool.h>
#include <stdint.h>

struct churn_client;

/* began_ns: when the plan starts, of churn_now_ns(). NULL with errno. */
struct churn_client *churn_client_start(const struct churn_options *options, unsigned int index,
					uint64_t began_ns);
/* Adds what it has counted since the last time. The result: how many are open. */
uint64_t churn_client_collect(struct churn_client *client, struct churn_stats *to);
/* How many it has begun so far. */
uint64_t churn_client_begun(const struct churn_client *client);
/* All that was planned has been begun, and has ended or stays open on purpose. */
bool churn_client_is_done(struct churn_client *client);
/* Ends it, and closes what is open. */
void churn_client_free(struct churn_client *client);

#endif
