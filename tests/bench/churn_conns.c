/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_conns.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NONE = CHURN_NO_PLACE, AT_FIRST = 1024 };

void churn_conns_init(struct churn_conns *conns)
{
	*conns = (struct churn_conns){.free = NONE, .oldest = NONE, .newest = NONE};
}

void churn_conns_free(struct churn_conns *conns)
{
	for (int i = 0; i < conns->capacity; i++)
		if (conns->at[i].phase != CHURN_FREE && conns->at[i].fd >= 0)
			close(conns->at[i].fd);
	free(conns->at);
}

static bool grow(struct churn_conns *conns)
{
	int capacity = conns->capacity ? conns->capacity * 2 : AT_FIRST;
	struct churn_conn *at = realloc(conns->at, (size_t)capacity * sizeof(*at));

	if (!at)
		return false;
	conns->at = at;
	for (int i = conns->capacity; i < capacity; i++) {
		at[i].phase = CHURN_FREE;
		at[i].newer = i + 1 < capacity ? i + 1 : NONE;
	}
	conns->free = conns->capacity;
	conns->capacity = capacity;
	return true;
}

int churn_conns_new(struct churn_conns *conns)
{
	struct churn_conn *conn;
	int place;

	if (conns->free == NONE && !grow(conns))
		return NONE;
	place = conns->free;
	conn = &conns->at[place];
	conns->free = conn->newer;
	memset(conn, 0, sizeof(*conn));
	conn->fd = -1;
	conn->older = conns->newest;
	conn->newer = NONE;
	*(conns->newest == NONE ? &conns->oldest : &conns->at[conns->newest].newer) = place;
	conns->newest = place;
	conns->open++;
	return place;
}

static void unlist(struct churn_conns *conns, const struct churn_conn *conn)
{
	*(conn->older == NONE ? &conns->oldest : &conns->at[conn->older].newer) = conn->newer;
	*(conn->newer == NONE ? &conns->newest : &conns->at[conn->newer].older) = conn->older;
}

void churn_conns_end(struct churn_conns *conns, int place)
{
	struct churn_conn *conn = &conns->at[place];

	if (conn->phase != CHURN_STAYING)
		unlist(conns, conn);
	if (conn->fd >= 0)
		close(conn->fd);
	conn->phase = CHURN_FREE;
	conn->newer = conns->free;
	conns->free = place;
	conns->open--;
}

void churn_conns_stay(struct churn_conns *conns, int place)
{
	unlist(conns, &conns->at[place]);
	conns->at[place].phase = CHURN_STAYING;
}
