/* SPDX-License-Identifier: MIT */
/* What the balance sheet is made of: of each network namespace its counters, settings and
 * listeners, from second to second; and from a walk over the model, now and then, who takes the
 * ports, leaves the TIME_WAITs and fills the SYN queues. */
#ifndef DAEMON_TUNE_SAMPLES_H
#define DAEMON_TUNE_SAMPLES_H

#include "daemon/balance.h"
#include "daemon/limits.h"
#include "daemon/setter.h"

#include <stdbool.h>
#include <stdint.h>

struct gather;
struct gather_parts;
struct listener_history;
struct probe_listener;
struct loop;
struct proc;

enum {
	SAMPLES_PORTS = 16,
	SAMPLES_LISTENERS = 256,
	SAMPLES_PROCESSES = 16,
	SAMPLES_NAMED_MS = 60000, /* between two readings of sysctl.d */
};

/* What is known of a sysctl beside struct balance_key. */
struct samples_key {
	struct sysctl_value wrote; /* by us, last; count 0: it is not ours */
	bool named;		   /* in sysctl.d, */
	bool foreign;		   /* or changed by somebody else: it is his until resumed */
	char by[128];		   /* the file in sysctl.d */
	enum setter_outcome outcome;
	uint32_t serial; /* of the request under way; 0: none */
};

struct tune_samples {
	struct loop *loop;
	struct balance_inputs inputs;
	/* by struct conn.netns; what is not followed is all zero */
	struct balance_space space[LIMIT_NAMESPACES];
	struct samples_key key[LIMIT_NAMESPACES][SYSCTL_COUNT];
	struct balance_ports ports[SAMPLES_PORTS];
	struct balance_listener listener[SAMPLES_LISTENERS];
	struct balance_process process[SAMPLES_PROCESSES];
	struct listener_history *history;
	unsigned int round;
	bool reverting;	   /* the guardian puts values back: they change without a word yet */
	uint64_t named_ms; /* when sysctl.d was read */
	uint64_t conntrack_ms[LIMIT_NAMESPACES];
	int64_t conntrack_count[LIMIT_NAMESPACES];
};

void samples_init(struct tune_samples *samples, struct loop *loop);
void samples_free(struct tune_samples *samples);

/* Counters and listeners. Others than our own namespace too, if all. */
void samples_look(struct tune_samples *samples, uint64_t now_ms, bool all);
/* The sysctls of all namespaces. Returns whether there is one more than before. */
bool samples_settings(struct tune_samples *samples, uint64_t now_ms);
/* sysctl.d is read again at the next samples_settings(). */
void samples_forget_named(struct tune_samples *samples);

/* For a walk over the model: the ranges of ports of each namespace. */
void samples_ranges(const struct tune_samples *samples, struct gather_parts *parts);
/* What the walk has gathered. */
void samples_take(struct tune_samples *samples, struct gather *gather);
/* No processes; then one by one those that are near their limits. */
void samples_no_processes(struct tune_samples *samples);
void samples_process(struct tune_samples *samples, const struct proc *proc);

/* What was seen last of a listener; NULL: nothing. */
const struct probe_listener *samples_listener(const struct tune_samples *samples, uint64_t cookie);
/* Its backlog was changed by us. */
void samples_relistened(struct tune_samples *samples, uint64_t cookie, uint32_t from,
			uint64_t now_ms);

#endif
