/* SPDX-License-Identifier: MIT */
#include "daemon/tally.h"

#include <stdlib.h>
#include <string.h>

const char *custody_outcome_word(enum custody_outcome outcome)
{
	static const char *const words[] = {
#define X(name, word) [name] = word,
		CUSTODY_OUTCOMES(X)
#undef X
	};

	return (size_t)outcome < OUTCOME_COUNT ? words[outcome] : "unknown";
}

static unsigned int bucket_of(uint32_t ms)
{
	unsigned int exponent, index;

	if (ms < 16)
		return ms;
	exponent = 31 - (unsigned int)__builtin_clz(ms);
	index = 16 + 4 * (exponent - 4) + ((ms >> (exponent - 2)) & 3);
	return index < WAITS_BUCKETS ? index : WAITS_BUCKETS - 1;
}

/* The longest wait that falls into the bucket. */
static uint32_t bucket_top(unsigned int index)
{
	unsigned int exponent, quarter;

	if (index < 16)
		return index;
	exponent = 4 + (index - 16) / 4;
	quarter = (index - 16) % 4;
	return ((4 + quarter + 1) << (exponent - 2)) - 1;
}

void waits_add(struct waits *waits, uint32_t ms)
{
	waits->count++;
	waits->bucket[bucket_of(ms)]++;
	if (ms > waits->max_ms)
		waits->max_ms = ms;
}

uint32_t waits_percentile(const struct waits *waits, unsigned int percent)
{
	uint64_t wanted = (waits->count * percent + 99) / 100, seen = 0;

	if (!waits->count)
		return 0;
	for (unsigned int i = 0; i < WAITS_BUCKETS; i++) {
		seen += waits->bucket[i];
		if (seen >= wanted && seen)
			return bucket_top(i) < waits->max_ms ? bucket_top(i) : waits->max_ms;
	}
	return waits->max_ms;
}

struct book *book_new(void)
{
	struct book *book = calloc(1, sizeof(*book));

	if (book)
		book->policy_count = book->tag_count = 1;
	return book;
}

void book_free(struct book *book)
{
	free(book);
}

/* Up to `limit` slots in use. */
static uint16_t policy_slot(struct book *book, uint32_t id, unsigned int limit)
{
	if (!id)
		return 0;
	for (unsigned int i = 1; i < book->policy_count; i++)
		if (book->policy[i].id == id)
			return (uint16_t)i;
	if (book->policy_count >= limit)
		return 0;
	book->policy[book->policy_count].id = id;
	return (uint16_t)book->policy_count++;
}

uint16_t book_policy_slot(struct book *book, uint32_t id)
{
	return policy_slot(book, id, BOOK_POLICIES - WIRE_RULES_MAX);
}

void book_name_policy(struct book *book, uint32_t id, const char *name)
{
	struct book_policy *policy = &book->policy[policy_slot(book, id, BOOK_POLICIES)];

	if (policy == &book->policy[0])
		return;
	strncpy(policy->name, name, sizeof(policy->name) - 1);
}

uint16_t book_find_tag(const struct book *book, const char *tag, size_t len)
{
	if (!len || len >= BOOK_TAG_MAX)
		return 0;
	for (unsigned int i = 1; i < book->tag_count; i++)
		if (!strncmp(book->tag[i].tag, tag, len) && !book->tag[i].tag[len])
			return (uint16_t)i;
	return 0;
}

static unsigned int tags_in_use(const struct book *book, uid_t uid)
{
	unsigned int count = 0;

	for (unsigned int i = 1; i < book->tag_count; i++)
		count += book->tag[i].sessions && book->tag[i].uid == uid;
	return count;
}

uint16_t book_tag_slot(struct book *book, const char *tag, size_t len, uid_t uid)
{
	unsigned int slot = book_find_tag(book, tag, len);

	if (slot || !len || len >= BOOK_TAG_MAX)
		return (uint16_t)slot;
	if (uid && tags_in_use(book, uid) >= LIMIT_TAGS_USER)
		return 0;
	if (book->tag_count < BOOK_TAGS) {
		slot = book->tag_count++;
	} else {
		for (slot = 1; slot < BOOK_TAGS && book->tag[slot].sessions; slot++)
			;
		if (slot == BOOK_TAGS)
			return 0;
	}
	book->tag[slot] = (struct book_tag){.uid = uid};
	memcpy(book->tag[slot].tag, tag, len);
	return (uint16_t)slot;
}

struct tally *book_policy_tally(struct book *book, struct account account)
{
	struct book_policy *policy = &book->policy[account.policy];

	return account.control ? &policy->control : &policy->tally;
}

void book_wait(struct book *book, struct account account, uint32_t ms)
{
	waits_add(&book->all.waits, ms);
	waits_add(&book_policy_tally(book, account)->waits, ms);
	waits_add(&book->tag[account.tag].tally.waits, ms);
}
