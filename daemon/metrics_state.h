/* SPDX-License-Identifier: MIT */
/* What the files that make metrics share. */
#ifndef DAEMON_METRICS_STATE_H
#define DAEMON_METRICS_STATE_H

#include "daemon/balance.h"
#include "daemon/group.h"
#include "daemon/ranking.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct metrics {
	struct loop *loop;
	struct ranking ranking[GROUP_KINDS]; /* who has series, or items, of its own */
	uint64_t ranked_ms[GROUP_KINDS];
	uint64_t scrapes, scrape_us;
	double started; /* since the epoch, s: the same in each scrape */
};

/* The ranking of a second at the oldest. */
const struct ranking *metrics_rank(struct metrics *metrics, enum group_kind kind);

/* Of the fullest of a resource; false: it is not known. */
struct metrics_resource {
	double used, need;
};
bool metrics_resource(const struct loop *loop, enum balance_resource resource,
		      struct metrics_resource *out);

/* 0: of a policy that is not in force. */
bool metrics_has_policy(const struct loop *loop, uint32_t id);

#endif
