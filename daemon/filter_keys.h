/* SPDX-License-Identifier: MIT */
/* What parsing and formatting of filters share. */
#ifndef DAEMON_FILTER_KEYS_H
#define DAEMON_FILTER_KEYS_H

#include "daemon/filter.h"

/* X(enum, word, argument, enum filter_value, choices, what is expected) */
#define FILTER_KEYS(X)                                                                            \
	X(FILTER_STATE, "state", "STATE", VALUE_STATE, NULL,                                      \
	  "a state, as ss(8) or the kernel names it, or one of all, connected, synchronized, "    \
	  "bucket, big")                                                                          \
	X(FILTER_EXCLUDE, "exclude", "STATE", VALUE_STATE, NULL,                                  \
	  "a state, as ss(8) or the kernel names it, or one of all, connected, synchronized, "    \
	  "bucket, big")                                                                          \
	X(FILTER_SPORT, "sport", "PORT", VALUE_PORT, NULL, "a port: 80 or :80")                   \
	X(FILTER_DPORT, "dport", "PORT", VALUE_PORT, NULL, "a port: 80 or :80")                   \
	X(FILTER_SRC, "src", "ADDRESS", VALUE_PLACE, NULL,                                        \
	  "ADDRESS[/LEN][:PORT], with IPv6 in brackets if a port follows")                        \
	X(FILTER_DST, "dst", "ADDRESS", VALUE_PLACE, NULL,                                        \
	  "ADDRESS[/LEN][:PORT], with IPv6 in brackets if a port follows")                        \
	X(FILTER_PID, "pid", "PID", VALUE_NUMBER, NULL, "a process's number")                     \
	X(FILTER_PROGRAM, "program", "GLOB", VALUE_GLOB, NULL, "a program's name, or a pattern")  \
	X(FILTER_UNIT, "unit", "GLOB", VALUE_GLOB, NULL, "a systemd unit, or a pattern")          \
	X(FILTER_POLICY, "policy", "NAME", VALUE_GLOB, NULL, "a policy's name, or a pattern")     \
	X(FILTER_USER, "user", "USER", VALUE_USER, NULL, "a user's name or number")               \
	X(FILTER_NETNS, "netns", "INODE", VALUE_NUMBER, NULL,                                     \
	  "a network namespace's inode; 0: the daemon's own")                                     \
	X(FILTER_ROLE, "role", "ROLE", VALUE_CHOICE, filter_role, "server, client or any")        \
	X(FILTER_AGE, "age", "DURATION", VALUE_DURATION, NULL, "a duration: 500ms, 5s, 2m, 1h")   \
	X(FILTER_TIME, "time", "DURATION", VALUE_DURATION, NULL, "a duration: 500ms, 5s, 2m, 1h") \
	X(FILTER_SIDE, "side", "SIDE", VALUE_CHOICE, filter_side,                                 \
	  "unknown, us, peer, both or reset")                                                     \
	X(FILTER_SHIM, "shim", "YES|NO", VALUE_CHOICE, filter_yes, "yes or no")

enum filter_kind {
#define X(name, word, argument, value, choice, expected) name,
	FILTER_KEYS(X)
#undef X
		FILTER_KEY_COUNT,
	FILTER_NOT = FILTER_KEY_COUNT,
	FILTER_AND,
	FILTER_OR,
};

enum filter_op { OP_EQ, OP_NE, OP_LT, OP_GT, OP_LE, OP_GE, OP_COUNT };

/* "=", "!=", ... */
const char *filter_op_sign(unsigned int op);
/* Also "==", "eq", "neq"...: one of its spellings, or NULL: no more. */
const char *filter_op_spelling(unsigned int op, unsigned int nth);

/* The bits of a state or a group of states; 0: there is none of this name. */
uint32_t filter_states(const char *name);
const char *filter_group_of(uint32_t states); /* or NULL */

/* The value of a condition, into node, whose kind is known. False: it is none of its key's. */
bool filter_take_value(struct filter *filter, const struct filter_key *key, const char *value,
		       filter_user_fn *user, struct filter_node *node);

#endif
