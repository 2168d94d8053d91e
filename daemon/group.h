/* SPDX-License-Identifier: MIT */
/* Processes that belong together, those of a systemd unit or of a program's name, and how many
 * connections they have in each state. The counts are kept as the model changes, so that whoever
 * asks need not walk over processes, of which there may be as many as connections. */
#ifndef DAEMON_GROUP_H
#define DAEMON_GROUP_H

#include "common/tcp_state.h"

#include <uthash.h>

#include <stdint.h>

enum group_kind { GROUP_UNIT, GROUP_PROGRAM, GROUP_KINDS };
enum { GROUP_NAME_MAX = 128 };

struct group {
	char name[GROUP_NAME_MAX]; /* "": of no unit */
	uint32_t state[STATE_COUNT];
	unsigned int members;
	UT_hash_handle hh;
};

struct groups {
	struct group *by_name;
};

/* One more member; a group that is not there yet begins. NULL: out of memory. */
struct group *group_join(struct groups *groups, const char *name);
/* A group without members ends. group may be NULL. */
void group_leave(struct groups *groups, struct group *group);
void groups_clear(struct groups *groups);
/* Of all states but LISTEN. group may be NULL. */
uint32_t group_conns(const struct group *group);
struct group *group_find(const struct groups *groups, const char *name);

#endif
