/* SPDX-License-Identifier: MIT */
/* What the doctor and the tuner want to know, gathered from the model connection by connection: by
 * process, program, listener and destination. Of what may be as many as there are connections only
 * what is frequent is kept. */
#ifndef DAEMON_GATHER_H
#define DAEMON_GATHER_H

#include "daemon/config.h"
#include "daemon/conn.h"
#include "daemon/cuts.h"
#include "daemon/doctor.h"
#include "daemon/limits.h"
#include "daemon/probe.h"
#include "daemon/vitals.h"

#include <stdbool.h>
#include <stdint.h>

struct book;
struct gather;

struct gather_parts {
	struct conns *conns;
	const struct book *book;
	struct config **config; /* of the moment; NULL: none */
	uint64_t now_ms, patience_ms;
	struct probe_ports ports[LIMIT_NAMESPACES]; /* by struct conn.netns; hi 0: not wanted */
};

/* NULL: out of memory. */
struct gather *gather_new(const struct gather_parts *parts);
void gather_free(struct gather *gather);
const struct gather_parts *gather_parts(const struct gather *gather);

void gather_conn(struct gather *gather, const struct conn *conn);
/* A process that is near its limit. */
void gather_descriptors(struct gather *gather, const struct proc *proc,
			const struct probe_descriptors *found, int64_t since_ms);
void gather_cuts(struct gather *gather, const struct cuts *cuts);
/* After all connections. */
void gather_listener(struct gather *gather, const struct vitals_listener *listener);

/* Reads what the processes of at most so many rows are now. false: all are read. */
bool gather_look(struct gather *gather, unsigned int max);

/* Puts the facts together. What they point to lives as long as gather. false: out of memory. */
bool gather_facts(struct gather *gather, struct doctor_facts *facts);

#endif
