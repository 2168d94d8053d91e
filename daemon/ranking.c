/* SPDX-License-Identifier: MIT */
#include "daemon/ranking.h"

#include <stdio.h>
#include <string.h>

static struct ranked *find(const struct ranking *ranking, const char *name)
{
	for (unsigned int i = 0; i < ranking->count; i++)
		if (!strcmp(ranking->member[i].name, name))
			return (struct ranked *)&ranking->member[i];
	return NULL;
}

static struct ranked *weakest(struct ranking *ranking)
{
	struct ranked *least = &ranking->member[0];

	for (unsigned int i = 1; i < ranking->count; i++)
		if (ranking->member[i].weight < least->weight)
			least = &ranking->member[i];
	return least;
}

/* The weights of the last update are what newcomers are measured by: the new ones of members that
 * are offered later are not known yet. */
static bool gives_way(const struct ranked *member, uint32_t weight)
{
	uint64_t least = member->weight;

	if (!member->fresh)
		least += member->weight / 2 + RANKING_MORE;
	return weight > least;
}

void ranking_begin(struct ranking *ranking, unsigned int most)
{
	for (unsigned int i = 0; i < ranking->count; i++)
		ranking->member[i].fresh = false;
	while (ranking->count > most)
		*weakest(ranking) = ranking->member[--ranking->count];
}

void ranking_offer(struct ranking *ranking, unsigned int most, const char *name, uint32_t weight,
		   uint64_t now_ms)
{
	struct ranked *member = find(ranking, name);

	if (member) {
		member->weight = weight;
		if (weight)
			member->seen_ms = now_ms;
		return;
	}
	if (!weight || !most)
		return;
	if (ranking->count < most) {
		member = &ranking->member[ranking->count++];
	} else {
		member = weakest(ranking);
		if (!gives_way(member, weight))
			return;
	}
	snprintf(member->name, sizeof(member->name), "%s", name);
	member->weight = weight;
	member->seen_ms = now_ms;
	member->fresh = true;
}

void ranking_end(struct ranking *ranking, uint64_t now_ms)
{
	for (unsigned int i = 0; i < ranking->count;) {
		struct ranked *member = &ranking->member[i];

		if (now_ms - member->seen_ms > RANKING_STAYS_MS) {
			*member = ranking->member[--ranking->count];
			continue;
		}
		if (member->seen_ms != now_ms)
			member->weight = 0;
		i++;
	}
}

bool ranking_has(const struct ranking *ranking, const char *name)
{
	return find(ranking, name);
}
