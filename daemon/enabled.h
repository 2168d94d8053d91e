/* SPDX-License-Identifier: MIT */
/* The units that `closeside enable` has enabled, and which of their processes have the shim: a
 * drop-in acts only from the unit's next start, and something may still keep the shim out then. The
 * command looks with it, and so does the daemon's doctor. The proof is /proc/PID/maps, for a
 * process without any TCP call has no session. */
#ifndef DAEMON_ENABLED_H
#define DAEMON_ENABLED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ENABLED_FOLDER "/etc/systemd/system"
#define ENABLED_RUNTIME "/run/systemd/system"
/* Its drop-in, without ".conf": of those that set LD_PRELOAD, the last wins. */
#define ENABLED_FILE "zz-closeside"

enum { ENABLED_UNITS_MAX = 64, ENABLED_PIDS_MAX = 8192 };

struct enabled_unit {
	char unit[256];
	uint64_t enabled_ms;	 /* for so long */
	uint64_t since_ms;	 /* wall clock: when its drop-in was written */
	uint32_t processes;	 /* that are there now, and could be looked at */
	uint32_t loaded;	 /* that have the shim */
	uint32_t before;	 /* that have not, and are older than the drop-in */
	uint32_t hidden;	 /* that this process may not look at */
	pid_t example;		 /* one that has not; 0: none */
	uint64_t oldest_ms;	 /* how long the oldest without it has run */
	unsigned int first, end; /* among the pids */
};

enum enabled_verdict {
	ENABLED_FINE,	       /* at least one has it, or none is there */
	ENABLED_NOT_RESTARTED, /* none has it, and some are older than the drop-in */
	ENABLED_KEPT_OUT,      /* none has it, and all are younger */
	ENABLED_UNKNOWN,       /* nothing may be looked at */
};

struct enabled;

/* The units and their processes; nothing looked at yet. NULL: out of memory. */
struct enabled *enabled_new(void);
void enabled_free(struct enabled *enabled);
/* Looks at the next processes, at most max. False: all have been. */
bool enabled_look(struct enabled *enabled, unsigned int max);

unsigned int enabled_count(const struct enabled *enabled);
/* An array of them. */
const struct enabled_unit *enabled_units(const struct enabled *enabled);
enum enabled_verdict enabled_judge(const struct enabled_unit *unit);

/* Of one unit, enabled or not any more: all looked at. False: out of memory. */
bool enabled_look_at(const char *name, struct enabled_unit *unit);

#endif
