/* SPDX-License-Identifier: MIT */
#include "daemon/patience.h"

#include "common/policy.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	WAYS = 4,
	WAYS_OF_USER = 2, /* in a set that others use as well */
	HINT_USERS = 4,
	PORT_SETS = 256,
	PEER_SETS = 2048,
	HISTORY = 256,	/* successes before the buckets are halved */
	LEARNED = 8,	/* successes before the wait is cut to what they took */
	LONG_LOOK = 32, /* one wait in so many takes the whole grace, to see later closes */
};

#define SHARE_START 0.5f
#define SHARE_LOW 0.05f
#define SHARE_PROBED 0.3f /* after a successful probe: good for about a dozen waits */
#define PORT_WEIGHT 0.125f
#define PEER_WEIGHT 0.25f

/* What the users that share a hint have found. */
struct opinions {
	uid_t uid[HINT_USERS];
	uint8_t hint[HINT_USERS];
	uint8_t count, next;
	uint64_t rest_until_ms[HINT_USERS]; /* the earlier one of its two kinds */
};

struct patience {
	struct patience_entry port[PORT_SETS][WAYS];
	struct patience_entry peer[PEER_SETS][WAYS];
	_Atomic uint8_t *hints;
	struct opinions opinions[WIRE_HINTS];
};

struct patience *patience_new(void)
{
	return calloc(1, sizeof(struct patience));
}

void patience_free(struct patience *patience)
{
	free(patience);
}

/* A client's own port is the kernel's choice: the server's is what names the service. */
static uint16_t service_port(const struct patience_case *about)
{
	return about->role == ROLE_CLIENT ? about->remote.port : about->local.port;
}

static struct patience_entry port_key(const struct patience_case *about)
{
	return (struct patience_entry){
		.policy = about->policy,
		.role = about->role,
		.port = service_port(about),
		.late = about->late,
		.uid = about->uid,
	};
}

static struct patience_entry peer_key(const struct patience_case *about)
{
	struct patience_entry key = port_key(about);

	key.addr = about->remote;
	key.addr.port = 0;
	return key;
}

static bool same_key(const struct patience_entry *a, const struct patience_entry *b)
{
	return a->policy == b->policy && a->role == b->role && a->port == b->port &&
	       a->late == b->late && a->uid == b->uid &&
	       !memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

static uint32_t hash_bytes(uint32_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

static uint32_t hash_key(const struct patience_entry *key)
{
	uint32_t hash = 2166136261u;

	hash = hash_bytes(hash, &key->addr, sizeof(key->addr));
	hash = hash_bytes(hash, &key->policy, sizeof(key->policy));
	hash = hash_bytes(hash, &key->port, sizeof(key->port));
	hash = hash_bytes(hash, &key->role, sizeof(key->role));
	hash = hash_bytes(hash, &key->late, sizeof(key->late));
	hash = hash_bytes(hash, &key->uid, sizeof(key->uid));
	return hash ^ (hash >> 15);
}

/* The entry to be used anew: a free one, or the oldest; of the user's own, if it has its share. */
static struct patience_entry *make_room(struct patience_entry set[WAYS], uid_t uid)
{
	struct patience_entry *oldest = NULL;
	unsigned int own = 0;
	bool others = false;

	for (unsigned int i = 0; i < WAYS; i++) {
		if (!set[i].used)
			return &set[i];
		own += set[i].uid == uid;
		others |= set[i].uid != uid;
	}
	for (unsigned int i = 0; i < WAYS; i++) {
		if (others && own >= WAYS_OF_USER && set[i].uid != uid)
			continue;
		if (!oldest || set[i].used_ms < oldest->used_ms)
			oldest = &set[i];
	}
	return oldest;
}

static struct patience_entry *find(struct patience_entry set[WAYS],
				   const struct patience_entry *key, uint64_t now_ms)
{
	struct patience_entry *oldest;

	for (unsigned int i = 0; i < WAYS; i++) {
		if (set[i].used && same_key(&set[i], key)) {
			set[i].used_ms = now_ms;
			return &set[i];
		}
	}
	oldest = make_room(set, key->uid);
	*oldest = *key;
	oldest->used = true;
	oldest->share = SHARE_START;
	oldest->used_ms = now_ms;
	return oldest;
}

static struct patience_entry *port_entry(struct patience *patience,
					 const struct patience_case *about, uint64_t now_ms)
{
	struct patience_entry key = port_key(about);

	return find(patience->port[hash_key(&key) % PORT_SETS], &key, now_ms);
}

static struct patience_entry *peer_entry(struct patience *patience,
					 const struct patience_case *about, uint64_t now_ms)
{
	struct patience_entry key = peer_key(about);

	return find(patience->peer[hash_key(&key) % PEER_SETS], &key, now_ms);
}

/* Buckets 2n and 2n+1 hold [2^n, 1.5 * 2^n) and [1.5 * 2^n, 2^(n+1)); bucket 0 holds 0 too. */
static unsigned int bucket_of(uint32_t ms)
{
	unsigned int exponent, index;

	if (ms < 2)
		return 0;
	exponent = 31 - (unsigned int)__builtin_clz(ms);
	index = 2 * exponent + ((ms >> (exponent - 1)) & 1);
	return index < PATIENCE_BUCKETS ? index : PATIENCE_BUCKETS - 1;
}

static uint32_t bucket_end(unsigned int index)
{
	uint32_t base = 1u << (index / 2);

	return index & 1 ? base * 2 : base + (base + 1) / 2;
}

/* About the 99th percentile of the successful waits. */
static uint32_t usual_wait(const struct patience_entry *entry)
{
	uint32_t wanted = entry->successes - entry->successes / 100, seen = 0;

	for (unsigned int i = 0; i < PATIENCE_BUCKETS; i++) {
		seen += entry->bucket[i];
		if (seen >= wanted)
			return bucket_end(i);
	}
	return bucket_end(PATIENCE_BUCKETS - 1);
}

static bool hardly_pays(const struct patience_entry *entry)
{
	uint32_t enough = entry->addr.family ? PATIENCE_PEER_SAMPLES : PATIENCE_PORT_SAMPLES;

	if (!entry->paid)
		return entry->samples >= PATIENCE_PEER_SAMPLES;
	return entry->samples >= enough && entry->share < SHARE_LOW;
}

/* Four times the usual wait, so that a peer that becomes slower is still seen to close. */
static uint32_t paying_wait(const struct patience_entry *entry, uint32_t grace_ms, uint32_t rtt_us)
{
	uint32_t least = rtt_us / 250; /* four round trips */
	uint32_t wait;

	if (entry->successes < LEARNED || entry->doubt)
		return grace_ms;
	wait = 4 * usual_wait(entry);
	if (least < PATIENCE_WAIT_MIN_MS)
		least = PATIENCE_WAIT_MIN_MS;
	if (wait < least)
		wait = least;
	return wait < grace_ms ? wait : grace_ms;
}

uint32_t patience_entry_wait(const struct patience_entry *entry, uint32_t grace_ms, uint32_t rtt_us)
{
	return hardly_pays(entry) ? 0 : paying_wait(entry, grace_ms, rtt_us);
}

/* A late close: by what is known of its kind, or while that is nothing, by the prompt ones. */
static bool late_pays(struct patience *patience, const struct patience_case *about,
		      const struct patience_entry *entry, uint64_t now_ms)
{
	struct patience_case prompt = *about;
	const struct patience_entry *known;

	if (entry->samples >= PATIENCE_PEER_SAMPLES)
		return entry->share >= SHARE_START;
	prompt.late = false;
	known = port_entry(patience, &prompt, now_ms);
	return known->successes >= LEARNED && known->share >= SHARE_START;
}

uint32_t patience_next(struct patience *patience, const struct patience_case *about,
		       uint64_t now_ms)
{
	struct patience_entry *entry = peer_entry(patience, about, now_ms);

	if (entry->samples < PATIENCE_PEER_SAMPLES)
		entry = port_entry(patience, about, now_ms);
	if (hardly_pays(entry) || (about->late && !late_pays(patience, about, entry, now_ms))) {
		if (!about->probe &&
		    (++entry->skipped < PATIENCE_PROBE || now_ms < entry->rest_until_ms))
			return 0;
		entry->skipped = 0;
		return about->grace_ms;
	}
	if (++entry->probes % LONG_LOOK == 0)
		return about->grace_ms;
	return paying_wait(entry, about->grace_ms, about->rtt_us);
}

static void learn_rest(struct patience_entry *entry, bool success, uint64_t now_ms)
{
	if (success)
		entry->failures = 0;
	else if (entry->failures < PATIENCE_REST_DOUBLINGS)
		entry->failures++;
	entry->rest_until_ms =
		entry->failures ? now_ms + ((uint64_t)PATIENCE_REST_MIN_MS << entry->failures) : 0;
}

static void learn(struct patience_entry *entry, bool success, uint32_t waited_ms, bool whole,
		  float weight, uint64_t now_ms)
{
	entry->doubt = !success && !whole;
	if (entry->doubt)
		return;
	learn_rest(entry, success, now_ms);
	if (success && hardly_pays(entry))
		entry->share = SHARE_PROBED;
	else
		entry->share += weight * ((success ? 1.0f : 0.0f) - entry->share);
	entry->samples++;
	if (!success)
		return;
	entry->paid = true;
	entry->bucket[bucket_of(waited_ms)]++;
	if (++entry->successes < HISTORY)
		return;
	entry->successes = 0;
	for (unsigned int i = 0; i < PATIENCE_BUCKETS; i++) {
		entry->bucket[i] /= 2;
		entry->successes += entry->bucket[i];
	}
}

void patience_publish(struct patience *patience, _Atomic uint8_t *hints)
{
	patience->hints = hints;
}

enum { HINT_RESTS = HINT_PROMPT_RESTS | HINT_LATE_RESTS };

/* What all say; but late ones pay if they do for one. */
static uint8_t common_hint(const struct opinions *opinions)
{
	uint8_t vain = HINT_PROMPT_VAIN | HINT_RESTS, late = 0;

	for (unsigned int i = 0; i < opinions->count; i++) {
		vain &= opinions->hint[i];
		late |= opinions->hint[i] & HINT_LATE_PAYS;
	}
	return vain | late;
}

static uint8_t agreed(struct opinions *opinions, uid_t uid, uint8_t hint, uint64_t rest_until_ms)
{
	unsigned int i = 0;

	while (i < opinions->count && opinions->uid[i] != uid)
		i++;
	if (i == HINT_USERS) {
		i = opinions->next;
		opinions->next = (opinions->next + 1) % HINT_USERS;
	} else if (i == opinions->count) {
		opinions->count++;
	}
	opinions->uid[i] = uid;
	opinions->hint[i] = hint;
	opinions->rest_until_ms[i] = rest_until_ms;
	return common_hint(opinions);
}

/* bit if its rest is not over, and then when it will be. */
static uint8_t rests(const struct patience_entry *entry, uint8_t bit, uint64_t now_ms,
		     uint64_t *until_ms)
{
	if (entry->rest_until_ms <= now_ms)
		return 0;
	if (entry->rest_until_ms < *until_ms)
		*until_ms = entry->rest_until_ms;
	return bit;
}

static void publish_hint(struct patience *patience, const struct patience_case *about,
			 uint64_t now_ms)
{
	struct patience_case prompt = *about, late = *about;
	unsigned int index = wire_hint_index(about->policy, about->role, service_port(about));
	const struct patience_entry *entry;
	uint64_t until_ms = UINT64_MAX;
	uint8_t hint = 0;

	if (!patience->hints)
		return;
	prompt.late = false;
	late.late = true;
	entry = port_entry(patience, &prompt, now_ms);
	if (hardly_pays(entry))
		hint |= HINT_PROMPT_VAIN;
	hint |= rests(entry, HINT_PROMPT_RESTS, now_ms, &until_ms);
	entry = port_entry(patience, &late, now_ms);
	hint |= rests(entry, HINT_LATE_RESTS, now_ms, &until_ms);
	if (!hardly_pays(entry) && late_pays(patience, &late, entry, now_ms))
		hint |= HINT_LATE_PAYS;
	hint = agreed(&patience->opinions[index], about->uid, hint, until_ms);
	atomic_store_explicit(&patience->hints[index], hint, memory_order_relaxed);
}

static void end_rests(struct opinions *opinions, uint64_t now_ms)
{
	for (unsigned int i = 0; i < opinions->count; i++)
		if (opinions->rest_until_ms[i] <= now_ms)
			opinions->hint[i] &= (uint8_t)~HINT_RESTS;
}

/* After a rest one close in 64 is waited for again, and says whether to rest once more. */
void patience_tick(struct patience *patience, uint64_t now_ms)
{
	for (unsigned int i = 0; patience->hints && i < WIRE_HINTS; i++) {
		if (!(atomic_load_explicit(&patience->hints[i], memory_order_relaxed) & HINT_RESTS))
			continue;
		end_rests(&patience->opinions[i], now_ms);
		atomic_store_explicit(&patience->hints[i], common_hint(&patience->opinions[i]),
				      memory_order_relaxed);
	}
}

void patience_learn(struct patience *patience, const struct patience_case *about,
		    enum patience_result result, uint32_t waited_ms, uint64_t now_ms)
{
	bool whole = waited_ms >= about->grace_ms || result == PEER_WENT_ON;
	bool success = result == PEER_CLOSED;

	learn(port_entry(patience, about, now_ms), success, waited_ms, whole, PORT_WEIGHT, now_ms);
	learn(peer_entry(patience, about, now_ms), success, waited_ms, whole, PEER_WEIGHT, now_ms);
	publish_hint(patience, about, now_ms);
}

static void visit_set(const struct patience_entry *set, uint32_t policy,
		      void (*visit)(const struct patience_entry *entry, void *arg), void *arg)
{
	for (unsigned int i = 0; i < WAYS; i++)
		if (set[i].used && set[i].samples && set[i].policy == policy)
			visit(&set[i], arg);
}

void patience_each(const struct patience *patience, uint32_t policy,
		   void (*visit)(const struct patience_entry *entry, void *arg), void *arg)
{
	for (unsigned int i = 0; i < PORT_SETS; i++)
		visit_set(patience->port[i], policy, visit, arg);
	for (unsigned int i = 0; i < PEER_SETS; i++)
		visit_set(patience->peer[i], policy, visit, arg);
}
