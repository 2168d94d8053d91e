/* SPDX-License-Identifier: MIT */
#include "daemon/group.h"

#include <stdio.h>
#include <stdlib.h>

struct group *group_find(const struct groups *groups, const char *name)
{
	struct group *group;

	HASH_FIND_STR(groups->by_name, name, group);
	return group;
}

struct group *group_join(struct groups *groups, const char *name)
{
	struct group *group;
	char key[GROUP_NAME_MAX];

	snprintf(key, sizeof(key), "%s", name);
	group = group_find(groups, key);
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return NULL;
		snprintf(group->name, sizeof(group->name), "%s", key);
		HASH_ADD_STR(groups->by_name, name, group);
	}
	group->members++;
	return group;
}

void group_leave(struct groups *groups, struct group *group)
{
	if (!group || --group->members)
		return;
	HASH_DEL(groups->by_name, group);
	free(group);
}

void groups_clear(struct groups *groups)
{
	struct group *group, *next;

	HASH_ITER(hh, groups->by_name, group, next)
	{
		HASH_DEL(groups->by_name, group);
		free(group);
	}
}

uint32_t group_conns(const struct group *group)
{
	uint32_t conns = 0;

	for (unsigned int i = 0; group && i < STATE_COUNT; i++)
		conns += i == STATE_LISTEN ? 0 : group->state[i];
	return conns;
}
