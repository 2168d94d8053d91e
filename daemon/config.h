/* SPDX-License-Identifier: MIT */
/* The config file as plain data: read whole, checked whole, then swapped in by the caller. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "daemon/sysctl.h"

#include "common/endpoint.h"
#include "common/policy.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_GROUP_MAX 64
#define CONFIG_ERROR_MAX 1024 /* room for the longest message of config_load() */

/* X(enum, word): what the tuner does. */
#define TUNE_MODES(X)                                                       \
	X(OFF, "off")	    /* nothing */                                   \
	X(ADVISE, "advise") /* the balance sheet, and what would mend it */ \
	X(APPLY, "apply")   /* ... and mends it, as far as sysctls go */

enum tune_mode {
#define X(name, word) TUNE_##name,
	TUNE_MODES(X)
#undef X
};

/* tune {} */
struct tune_config {
	enum tune_mode mode;  /* advise */
	uint32_t cooldown_ms; /* between two changes of a sysctl: a minute */
	uint64_t memory_max;  /* what orphans may cost at most, bytes: 64 MiB */
	struct {
		int64_t min, max; /* within the sysctl's own least and most */
		bool said;	  /* else 0, 0 */
	} bound[SYSCTL_COUNT];
};

/* metrics {} */
enum { METRICS_UNITS_MOST = 100 };

struct metrics_config {
	struct endpoint listen; /* family 0: off, as it is by default */
	unsigned int units;	/* that have series of their own: 20; 0: none */
};

/* Of an address that only this machine can reach. */
bool config_metrics_is_private(const struct metrics_config *metrics);

const char *tune_mode_word(enum tune_mode mode);

struct config {
	struct policy_rule rules[WIRE_RULES_MAX]; /* in the file's order, defaults{} mixed in */
	unsigned int rule_count;
	struct policy_rule defaults; /* defaults {}: keys only */

	/* limits {} */
	unsigned int custody_max;	  /* held sockets in all, 50000 */
	unsigned int custody_per_process; /* 10000 */
	unsigned int sessions_max;	  /* processes under the shim, 10000 */
	unsigned int sessions_per_user;	  /* 5000; root is not limited by it */
	unsigned int namespaces;	  /* 64; 1: only the daemon's own */

	uint32_t doctor_patience_ms; /* doctor { patience }: 30 s */

	struct tune_config tune;

	struct metrics_config metrics;

	char group[CONFIG_GROUP_MAX]; /* group = "adm": may read the control socket; "": none */
};

/* The numbers of limits {}, for whoever reads or prints them. */
enum { CONFIG_LIMITS = 5 };
extern const struct config_limit {
	const char *name;
	size_t offset; /* in struct config, of an unsigned int */
	unsigned int initial, min, max;
} config_limits[CONFIG_LIMITS];

/* No policies, every limit at its default: what a private daemon starts with. */
struct config *config_new(void);

/* NULL on failure, with "FILE:LINE: what, what was expected" in error (no final newline). */
struct config *config_load(const char *path, char *error, size_t size);

void config_free(struct config *config);

/* Calls say() once for each warning: "policy NAME: text", without the file. Probes the kernel for
 * what the config asks of it. */
void config_warnings(const struct config *config, void (*say)(void *arg, const char *text),
		     void *arg);

/* The config as a file that config_load() reads back to the same: what `closesided -n -v` and
 * `closeside policy check -v` print. Emits one line at a time, without newline. */
void config_dump(const struct config *config, void (*emit)(void *arg, const char *line), void *arg);

/* The keys of one rule, as lines of its section: said, or from defaults {}. */
void config_dump_rule(const struct policy_rule *rule, void (*emit)(void *arg, const char *line),
		      void *arg);

/* Can this kernel do IP_LOCAL_PORT_RANGE? Tried on a throwaway socket. A pointer, so that a
 * test can stand in for another kernel. */
extern bool (*config_probe_local_ports)(void);

#endif
