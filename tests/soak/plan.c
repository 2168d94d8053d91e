/* SPDX-License-Identifier: MIT */
#include "tests/soak/plan.h"

#include <string.h>

const struct soak_policy policies[] = {
#define X(word, flags, keys) {word, flags, keys},
	POLICIES(X)
#undef X
};
const unsigned int policy_count = sizeof(policies) / sizeof(policies[0]);

const struct soak_policy client_policies[] = {
#define X(word, flags, keys) {word, flags, keys},
	CLIENT_POLICIES(X)
#undef X
};
const unsigned int client_policy_count = sizeof(client_policies) / sizeof(client_policies[0]);

#define X(name, word, weight) [name] = word,
const char *const model_words[] = {MODELS(X)};
const char *const ending_words[] = {ENDINGS(X)};
const char *const client_ending_words[] = {CLIENT_ENDINGS(X)};
#undef X

#define X(name, word, weight) [name] = weight,
static const uint8_t model_weights[] = {MODELS(X)};
static const uint8_t ending_weights[] = {ENDINGS(X)};
static const uint8_t client_ending_weights[] = {CLIENT_ENDINGS(X)};
#undef X

/* splitmix64's finalizer. */
uint64_t plan_mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15u;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
	value = (value ^ value >> 27) * 0x94d049bb133111ebu;
	return value ^ value >> 31;
}

static uint32_t draw(uint64_t *state, uint32_t below)
{
	*state = plan_mix(*state);
	return (uint32_t)((*state >> 32) * below >> 32);
}

static uint8_t draw_weighted(uint64_t *state, const uint8_t *weights, unsigned int count)
{
	unsigned int sum = 0, drawn, i;

	for (i = 0; i < count; i++)
		sum += weights[i];
	drawn = draw(state, sum);
	for (i = 0; drawn >= weights[i]; i++)
		drawn -= weights[i];
	return (uint8_t)i;
}

/* Mostly small, from nothing to some megabytes. */
static uint32_t draw_length(uint64_t *state)
{
	uint32_t kind = draw(state, 1000);

	if (kind < 100)
		return 0;
	if (kind < 940)
		return draw(state, 2000);
	if (kind < 998)
		return draw(state, 60000);
	return draw(state, 3000000);
}

static uint8_t draw_pause(uint64_t *state)
{
	uint32_t kind = draw(state, 100);

	if (kind < 80)
		return 0;
	return (uint8_t)(kind < 98 ? draw(state, 20) : 110 + draw(state, 40));
}

/* What would wait for each other, or cannot be judged, is not drawn. */
static void make_compatible(struct order *o)
{
	const struct soak_policy *policy = &policies[o->policy];

	if (policy->flags & POLICY_LOSES && o->ending != END_ABORT) {
		o->ending = END_WAIT;
		if (o->client_ending != CLIENT_ABORT)
			o->client_ending = CLIENT_CLOSE;
	}
	if (policy->flags & POLICY_DRAINS && o->turn < 64)
		o->ending = END_EARLY;
	if (o->ending == END_WAIT && o->client_ending == CLIENT_EOF)
		o->client_ending = CLIENT_SHUT;
	if (o->client_ending == CLIENT_FORGET) {
		o->down = 0;
		if (o->ending == END_EARLY || o->ending == END_STREAM || o->ending == END_DUP)
			o->ending = END_CLOSE;
	}
	if (o->ending == END_EARLY)
		o->up += 20000;
}

uint64_t plan_check(const struct order *order)
{
	uint64_t words[sizeof(*order) / 8], check = 0;

	memcpy(words, order, sizeof(words));
	for (size_t i = 0; i + 1 < sizeof(words) / 8; i++)
		check = plan_mix(check ^ words[i]);
	return check;
}

void plan_draw(struct order *order, uint64_t seed, uint64_t id, uint32_t client_flags)
{
	uint64_t state = plan_mix(seed ^ plan_mix(id));

	memset(order, 0, sizeof(*order));
	order->magic = ORDER_MAGIC;
	order->id = id;
	order->seed = plan_mix(state);
	order->model = draw_weighted(&state, model_weights, MODEL_COUNT);
	order->policy = (uint8_t)draw(&state, policy_count);
	order->ending = draw_weighted(&state, ending_weights, ENDING_COUNT);
	order->client_ending = draw_weighted(&state, client_ending_weights, CLIENT_ENDING_COUNT);
	order->up = draw_length(&state);
	order->down = draw_length(&state);
	order->pause_ms = draw_pause(&state);
	order->client_pause_ms = draw_pause(&state);
	order->cut = (uint8_t)draw(&state, 256);
	order->turn = (uint8_t)draw(&state, 256);
	order->client_flags = client_flags;
	make_compatible(order);
	order->check = plan_check(order);
}

bool plan_is_sound(const struct order *order)
{
	return order->magic == ORDER_MAGIC && order->check == plan_check(order);
}

bool plan_may_lose(const struct order *order)
{
	return order->ending == END_ABORT || order->ending == END_EARLY;
}

bool plan_client_may_reset(const struct order *order)
{
	/* Both have closed when its policy throws away, or the client has only half-closed. */
	return plan_may_lose(order) || policies[order->policy].flags & POLICY_LOSES ||
	       (policies[order->policy].flags & POLICY_EOF_RESETS &&
		order->client_ending == CLIENT_SHUT);
}

bool plan_server_may_reset(const struct order *order)
{
	return order->client_ending == CLIENT_ABORT || order->client_flags & CLIENT_EOF_RESETS;
}

/* Who defers its shutdown, and whose peer waits for it. */
bool plan_may_be_late(const struct order *order)
{
	return order->client_flags & CLIENT_DEFERS ||
	       (policies[order->policy].flags & POLICY_DEFERS && order->ending == END_SHUT_WAIT &&
		order->client_ending == CLIENT_EOF);
}

static uint64_t payload_word(uint64_t seed, size_t index)
{
	return plan_mix(seed + index);
}

void payload_fill(uint64_t seed, size_t offset, uint8_t *buf, size_t len)
{
	while (len > 0) {
		uint64_t word = payload_word(seed, offset / 8);
		size_t skip = offset % 8, part = 8 - skip < len ? 8 - skip : len;

		memcpy(buf, (uint8_t *)&word + skip, part);
		buf += part;
		offset += part;
		len -= part;
	}
}

bool payload_matches(uint64_t seed, size_t offset, const uint8_t *buf, size_t len)
{
	while (len > 0) {
		uint64_t word = payload_word(seed, offset / 8);
		size_t skip = offset % 8, part = 8 - skip < len ? 8 - skip : len;

		if (memcmp(buf, (uint8_t *)&word + skip, part) != 0)
			return false;
		buf += part;
		offset += part;
		len -= part;
	}
	return true;
}
