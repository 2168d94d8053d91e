/* SPDX-License-Identifier: MIT */
/* Users: how much of the daemon each has, by the uid that the kernel gives (SO_PEERCRED: the
 * effective one when the session began), and what it did that no shim does. */
#ifndef DAEMON_USER_H
#define DAEMON_USER_H

#include "daemon/process.h"

#include <uthash.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum user_share { USER_SESSIONS, USER_HELD, USER_CONNS, USER_RETIRES, USER_CONTROL, USER_SHARES };

/* Logged once, with who did it and what the message says; then counted, and summed up when it has
 * been quiet for LIMIT_FAULT_QUIET_S. X(enum, words of the sum) */
#define USER_FAULTS(X)                                                        \
	X(FAULT_MESSAGE, "messages that no shim sends")                       \
	X(FAULT_DESCRIPTOR, "descriptors that are no TCP connection's")       \
	X(FAULT_COOKIE, "descriptors of another connection than was said")    \
	X(FAULT_NO_HELLO, "sessions without a hello")                         \
	X(FAULT_SESSIONS, "sessions not served, over its limit")              \
	X(FAULT_HELD, "held sockets ended early, over its limit")             \
	X(FAULT_CONNS, "connections not followed, over its limit")            \
	X(FAULT_RETIRES, "TIME_WAITs left, over its limit")                   \
	X(FAULT_LINGER, "close() calls that blocked: SO_LINGER is set again") \
	X(FAULT_CONTROL, "clients of the control socket ended")

enum user_fault {
#define X(name, words) name,
	USER_FAULTS(X)
#undef X
		FAULT_COUNT
};

struct fault {
	uint64_t first_ms, last_ms;
	uint64_t count; /* 0: none since it was last quiet */
};

struct held;
struct users;

struct user {
	uid_t uid;
	struct users *users;
	unsigned int has[USER_SHARES];
	unsigned int references;
	struct held *held; /* oldest first; custody's */
	struct fault faults[FAULT_COUNT];
	UT_hash_handle hh;
};

struct users *users_new(void);
void users_free(struct users *users);
/* What one user may have; 0: as much as there is. */
void users_set_limit(struct users *users, enum user_share share, unsigned int limit);
/* Now and then: sums up what has become quiet. */
void users_tick(struct users *users, uint64_t now_ms);
/* Of all of them the one that has most, or NULL. */
struct user *users_most(const struct users *users, enum user_share share);

/* Adds a reference. NULL: out of memory. */
struct user *user_get(struct users *users, uid_t uid);
void user_put(struct user *user);

/* Has it as much as it may? user may be NULL, who has nothing and may have all. */
bool user_is_full(const struct user *user, enum user_share share);
void user_take(struct user *user, enum user_share share);
void user_give_back(struct user *user, enum user_share share);

/* process: NULL if it is not known. */
void user_blame(struct user *user, enum user_fault fault, const struct process *process,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
