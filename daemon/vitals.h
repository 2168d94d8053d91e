/* SPDX-License-Identifier: MIT */
/* What the kernel has counted in the last minutes, second by second: so that it is known what has
 * happened lately, and since when. And each listener's queue. */
#ifndef DAEMON_VITALS_H
#define DAEMON_VITALS_H

#include "daemon/probe.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	VITALS_SECONDS = 300,
	VITALS_TICK_MS = 1000,
	VITALS_RUN_GAP_MS = 60000, /* drops so far apart are two stories */
};

struct vitals_listener {
	struct probe_listener now;
	uint32_t drops;			      /* in one run */
	uint64_t first_drop_ms, last_drop_ms; /* 0: none */
};

struct vitals;

/* The probe stays the caller's, and lives longer. NULL with errno. */
struct vitals *vitals_new(struct probe *probe, uint64_t now_ms);
void vitals_free(struct vitals *vitals);

/* Looks again, unless it has done so in this second. */
void vitals_tick(struct vitals *vitals, uint64_t now_ms);
/* Looks again, to be as new as can be; what it sees replaces this second's. */
void vitals_refresh(struct vitals *vitals, uint64_t now_ms);

uint64_t vitals_now(const struct vitals *vitals, enum probe_counter counter);
/* How much it has grown in so many milliseconds, or since the first look. */
uint64_t vitals_grown(const struct vitals *vitals, enum probe_counter counter, uint64_t window_ms,
		      uint64_t now_ms);
/* The same per second: of a count of what there is now, it may be negative. */
double vitals_rate(const struct vitals *vitals, enum probe_counter counter, uint64_t window_ms,
		   uint64_t now_ms);
/* The most that it was in so many milliseconds. */
uint64_t vitals_peak(const struct vitals *vitals, enum probe_counter counter, uint64_t window_ms,
		     uint64_t now_ms);
/* For how long it has been at least so much; -1: it is not. At most VITALS_SECONDS. */
int64_t vitals_at_least_since(const struct vitals *vitals, enum probe_counter counter,
			      uint64_t least, uint64_t now_ms);

/* For vitals_each_listener(): until take() returns false. */
void vitals_each_listener(const struct vitals *vitals,
			  bool (*take)(const struct vitals_listener *listener, void *arg),
			  void *arg);

/* What a look saw; what vitals_tick() and vitals_refresh() are made of. */
void vitals_take_counters(struct vitals *vitals, const uint64_t counters[PROBE_COUNTER_COUNT],
			  uint64_t now_ms, bool is_new);
void vitals_take_listener(struct vitals *vitals, const struct probe_listener *listener,
			  uint64_t now_ms);

#endif
