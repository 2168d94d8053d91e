/* SPDX-License-Identifier: MIT */
/* The few of many that have series of their own, and stay: a series that comes and goes is worth
 * nothing. Who is in gives way only to one that has clearly more; and who has nothing any more
 * keeps its place, at zero, for a while. */
#ifndef DAEMON_RANKING_H
#define DAEMON_RANKING_H

#include "daemon/config.h"
#include "daemon/group.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	RANKING_MAX = METRICS_UNITS_MOST,
	RANKING_STAYS_MS = 600000, /* with nothing */
	RANKING_MORE = 10,	   /* so many more than half as much again is clearly more */
};

struct ranked {
	char name[GROUP_NAME_MAX];
	uint32_t weight; /* at the last update */
	uint64_t seen_ms;
	bool fresh; /* came in this update: there is nothing yet to keep steady */
};

struct ranking {
	unsigned int count;
	struct ranked member[RANKING_MAX];
};

/* An update: begin, each candidate once in any order, end. most: at most RANKING_MAX. */
void ranking_begin(struct ranking *ranking, unsigned int most);
void ranking_offer(struct ranking *ranking, unsigned int most, const char *name, uint32_t weight,
		   uint64_t now_ms);
void ranking_end(struct ranking *ranking, uint64_t now_ms);
bool ranking_has(const struct ranking *ranking, const char *name);

#endif
