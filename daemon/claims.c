/* SPDX-License-Identifier: MIT */
#include "daemon/claims.h"

#include "common/parse.h"
#include "common/tcp_state.h"

#include <stdlib.h>
#include <string.h>

struct claims {
	struct claim *first;
	unsigned int max;
	uint64_t lost;
	bool notes;
};

struct claims *claims_new(unsigned int max, bool notes)
{
	struct claims *claims = calloc(1, sizeof(*claims));

	if (claims) {
		claims->max = max;
		claims->notes = notes;
	}
	return claims;
}

void claims_free(struct claims *claims)
{
	struct claim *claim, *next;

	if (!claims)
		return;
	HASH_ITER(hh, claims->first, claim, next)
	{
		HASH_DEL(claims->first, claim);
		free(claim->notes);
		free(claim);
	}
	free(claims);
}

struct claim *claims_first(struct claims *claims)
{
	return claims->first;
}

unsigned int claims_count(const struct claims *claims)
{
	return HASH_COUNT(claims->first);
}

uint64_t claims_lost(const struct claims *claims)
{
	return claims->lost;
}

static const char *text_of(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	return text ? text : "";
}

static uint64_t number_of(const json_t *row, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(row, name));
}

static enum close_side side_of(const char *word)
{
	for (int i = 0; i < SIDE_COUNT; i++)
		if (!strcmp(word, close_side_word((enum close_side)i)))
			return (enum close_side)i;
	return SIDE_UNKNOWN;
}

static void note(struct claims *claims, struct claim *claim, const json_t *row, uint64_t now_ns)
{
	const char *to = text_of(row, "to"), *custody = text_of(row, "outcome");
	struct ladder_note *out;

	if (!claims->notes)
		return;
	if (!claim->notes)
		claim->notes = calloc(CLAIM_NOTES, sizeof(*claim->notes));
	if (!claim->notes || claim->note_count == CLAIM_NOTES)
		return;
	out = &claim->notes[claim->note_count++];
	out->time_ns = now_ns;
	snprintf(out->text, sizeof(out->text), "closeside: %s, first closer %s%s%s",
		 *to ? tcp_state_ss(tcp_state_parse(to)) : "gone", close_side_word(claim->side),
		 *custody ? ", custody: " : "", custody);
}

static struct claim *claim_of(struct claims *claims, const json_t *row, uint64_t now_ns)
{
	uint64_t cookie = strtoull(text_of(row, "cookie"), NULL, 16);
	const char *local = text_of(row, "local"), *remote = text_of(row, "remote");
	struct claim *claim;

	HASH_FIND(hh, claims->first, &cookie, sizeof(cookie), claim);
	if (!claim && HASH_COUNT(claims->first) < claims->max)
		claim = calloc(1, sizeof(*claim));
	else if (claim)
		goto known;
	if (!claim) {
		claims->lost++;
		return NULL;
	}
	claim->cookie = cookie;
	claim->opened_ns = now_ns;
	HASH_ADD(hh, claims->first, cookie, sizeof(claim->cookie), claim);
known:
	parse_endpoint(&local, &claim->local);
	parse_endpoint(&remote, &claim->remote);
	return claim;
}

void claims_take(struct claims *claims, const json_t *row)
{
	uint64_t now_ns = number_of(row, "time_ms") * 1000000;
	const char *to = text_of(row, "to"), *custody = text_of(row, "outcome");
	struct claim *claim;
	enum close_side side;

	if (!strcmp(text_of(row, "type"), "lost")) {
		claims->lost += number_of(row, "count");
		return;
	}
	if (strcmp(text_of(row, "type"), "transition") || !(claim = claim_of(claims, row, now_ns)))
		return;
	side = side_of(text_of(row, "side"));
	if (side != claim->side || !claim->claimed_ns)
		claim->claimed_ns = side == SIDE_UNKNOWN ? 0 : now_ns;
	claim->side = side;
	claim->state = *to ? tcp_state_parse(to) : 0;
	if (*custody)
		snprintf(claim->custody, sizeof(claim->custody), "%s", custody);
	snprintf(claim->role, sizeof(claim->role), "%s", text_of(row, "role"));
	snprintf(claim->policy, sizeof(claim->policy), "%s", text_of(row, "policy"));
	if (number_of(row, "unacked"))
		claim->unacked = (uint32_t)number_of(row, "unacked");
	note(claims, claim, row, now_ns);
}
