/* SPDX-License-Identifier: MIT */
/* A policy: what it selects, and how to steer what it selects. Plain data, so that it
 * can lie in a page that the daemon writes and every shim reads.
 *
 * Keys and selectors are one table each (policy_keys): the config
 * file, `closeside run -o`, `policy show` and the documentation check all go by them. */
#ifndef COMMON_POLICY_H
#define COMMON_POLICY_H

#include "common/endpoint.h"
#include "common/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	POLICY_NAME_MAX = 32, /* with the final NUL */
	POLICY_GLOB_MAX = 128,
	POLICY_LIST_MAX = 16, /* ports, networks, users, sources in one list */
	POLICY_GLOBS_MAX = 8,
};

enum role { ROLE_ANY, ROLE_SERVER, ROLE_CLIENT };
enum close_first { FIRST_APP, FIRST_PEER, FIRST_SELF };
enum half_close { HALF_PASS, HALF_DEFER };
enum peer_time_wait { PEER_TW_KEEP, PEER_TW_NONE };
enum linger_mode { LINGER_APP, LINGER_OFF, LINGER_ABORT, LINGER_TIME };
enum app_yes { OPT_APP, OPT_YES };
enum keepalive { KEEPALIVE_APP, KEEPALIVE_OFF, KEEPALIVE_SET };

#define TIME_WAIT_KEEP (-1)
#define TIME_WAIT_NONE 0

/* What a policy says, apart from whom it selects; fixed width: it crosses processes. */
struct policy_terms {
	uint8_t close_first;	/* enum close_first */
	uint8_t half_close;	/* enum half_close */
	uint8_t peer_time_wait; /* enum peer_time_wait */
	uint8_t linger;		/* enum linger_mode */
	uint8_t grace_learn;	/* 1: yes */
	uint8_t reuse_address;	/* enum app_yes */
	uint8_t reuse_port;	/* enum app_yes */
	uint8_t bind_late;	/* enum app_yes */
	uint8_t keepalive;	/* enum keepalive */
	uint8_t allow_data_loss;
	uint8_t source_count;
	uint8_t control; /* percent of the connections that are not steered: 100 - share */
	uint32_t grace_ms;
	int32_t time_wait_ms; /* TIME_WAIT_KEEP, TIME_WAIT_NONE, or how long to keep one */
	uint32_t drain_max_ms;
	uint32_t linger_s;	       /* with LINGER_TIME */
	uint32_t backlog;	       /* 0: as the program says */
	uint32_t keepalive_idle_s;     /* with KEEPALIVE_SET */
	uint32_t keepalive_interval_s; /* the same */
	uint32_t keepalive_probes;     /* the same */
	uint32_t user_timeout_ms;      /* 0: as the program says */
	struct port_range local_ports; /* lo 0: as the program says */
	struct endpoint source[POLICY_LIST_MAX];
};

struct policy_rule {
	char name[POLICY_NAME_MAX];
	uint32_t id;   /* policy_id(name) */
	uint32_t said; /* bit i: key i of the table was given, not defaulted */
	uint8_t role;  /* enum role */
	uint8_t program_count, unit_count, user_count;
	uint8_t local_port_count, remote_count, remote_port_count, pad;
	uint32_t user[POLICY_LIST_MAX]; /* uid */
	struct port_range local_port[POLICY_LIST_MAX];
	struct port_range remote_port[POLICY_LIST_MAX];
	struct cidr remote[POLICY_LIST_MAX];
	char program[POLICY_GLOBS_MAX][POLICY_GLOB_MAX];
	char unit[POLICY_GLOBS_MAX][POLICY_GLOB_MAX];
	struct policy_terms terms;
};
_Static_assert(sizeof(struct policy_terms) == 12 + 10 * 4 + 20 * POLICY_LIST_MAX, "no holes");
_Static_assert(sizeof(struct policy_rule) ==
		       32 + 8 + 8 + 12 * POLICY_LIST_MAX + 20 * POLICY_LIST_MAX +
			       2 * POLICY_GLOBS_MAX * POLICY_GLOB_MAX + sizeof(struct policy_terms),
	       "no holes");

/* The id by which records name a policy: FNV-1a of the name, never 0. */
uint32_t policy_id(const char *name);

/* The process side of a selector. A process matches by the base name of its executable or
 * by its command name (comm): Debian's redis-server is a link to redis-check-rdb. A pattern
 * with a slash is compared with the whole path. */
struct policy_process {
	const char *exe;    /* /proc/PID/exe, or "" */
	const char *comm;   /* /proc/PID/comm, or "" */
	const char *unit;   /* systemd unit, or "" */
	const char *cgroup; /* cgroup path, or "" */
};

/* The connection side. What is not known yet (family or port 0) matches no selector. */
struct policy_subject {
	uint8_t role; /* enum role; ROLE_ANY: not known yet */
	uint32_t uid; /* effective user at the call */
	struct endpoint local, remote;
};

bool policy_admits_process(const struct policy_rule *rule, const struct policy_process *process);
bool policy_admits(const struct policy_rule *rule, const struct policy_subject *subject);

/* Is a connection of this policy one of those that are steered (`share`)? The others, the control,
 * are only watched. A hash of the socket's cookie says so: whoever asks, and whenever, gets the
 * same answer, and those that a share steers, a larger one steers too. */
bool policy_steers(const struct policy_terms *terms, uint64_t cookie);

/* One row for each key: its name, where it acts, and how text becomes its value. */
struct policy_key {
	const char *name;
	const char *values;  /* for people: "app, peer, self" */
	const char *acts_at; /* "close, shutdown, exit" */
	bool list;	     /* {a, b, c} allowed; set() is then called once for each */
	bool selector;
	/* Text to value. false: text is not one of `values`; the rule is then unchanged. */
	bool (*set)(struct policy_rule *rule, const char *text);
	/* The value as text that set() reads back (a list: comma-separated). Returns buf. */
	char *(*format)(const struct policy_rule *rule, char *buf, size_t size);
};

extern const struct policy_key policy_keys[]; /* selectors first, then keys */
extern const size_t policy_key_count;

/* The row, or NULL. */
const struct policy_key *policy_key_find(const char *name, size_t len);
/* The nearest name by edit distance, or NULL if none is near. */
const char *policy_key_near(const char *name, size_t len);
/* Sets and marks the key as said. */
bool policy_set(struct policy_rule *rule, const struct policy_key *key, const char *text);
bool policy_said(const struct policy_rule *rule, const struct policy_key *key);

/* A rule with every key at its default, matching everything. */
void policy_init(struct policy_rule *rule, const char *name);
/* Takes every key (never a selector) that rule did not say from defaults. */
void policy_inherit(struct policy_rule *rule, const struct policy_rule *defaults);

/* "key=value,key=value..." as `run -o` and CLOSESIDE_SOCKET carry it; values of a list key are
 * separated by '+'. On failure returns false, and *error and *error_len show the part that is
 * wrong, within text. */
bool policy_parse_options(struct policy_rule *rule, const char *text, const char **error,
			  size_t *error_len);

/* Could a rule hold this? Not if it comes from a page that something else wrote: words past the end
 * of their lists, counts past the end of theirs, text without an end. */
bool policy_is_sound(const struct policy_rule *rule);

/* What is wrong with the rule as a whole ("linger = abort needs allow-data-loss = yes"), or NULL.
 */
const char *policy_problem(const struct policy_rule *rule);

/* What the rule is right to say but its author should know: the nth warning, or NULL past the
 * last. Keys that can never act with these selectors, data loss, Windows peers... */
const char *policy_warning(const struct policy_rule *rule, unsigned int n);

#endif
