/* SPDX-License-Identifier: MIT */
#include "daemon/conn_table.h"

#include "daemon/conn.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/* Cookies are given one after the other, and records come in about that order: those of a line of
 * eight share a cache line of buckets. Which line, a stranger who claims cookies cannot foresee. */
enum { LINE_BITS = 3, BITS_FIRST = LINE_BITS + 1, BITS_MOST = 26 };

static uint64_t place_of(const struct conn_table *table, uint64_t cookie)
{
	uint64_t place = (cookie >> LINE_BITS ^ table->seed[0]) * UINT64_C(0x9e3779b97f4a7c15);

	place ^= place >> 32;
	return place * table->seed[1];
}

static struct conn_shard *shard_of(struct conn_table *table, uint64_t place)
{
	return &table->shard[place >> (64 - CONN_SHARD_BITS)];
}

static struct conn **bucket_of(const struct conn_shard *shard, uint64_t place, uint64_t cookie)
{
	uint64_t line = place << CONN_SHARD_BITS >> (64 - (shard->bits - LINE_BITS));

	return &shard->bucket[line << LINE_BITS | (cookie & ((1 << LINE_BITS) - 1))];
}

static size_t size_of(const struct conn_shard *shard)
{
	return (size_t)1 << shard->bits;
}

bool conn_table_init(struct conn_table *table)
{
	if (getrandom(table->seed, sizeof(table->seed), GRND_NONBLOCK) != sizeof(table->seed))
		table->seed[0] = table->seed[1] = (uint64_t)time(NULL) ^ (uintptr_t)table;
	table->seed[1] |= 1;
	for (unsigned int i = 0; i < CONN_SHARDS; i++) {
		table->shard[i] = (struct conn_shard){.bits = BITS_FIRST};
		table->shard[i].bucket = calloc(size_of(&table->shard[i]), sizeof(struct conn *));
		if (!table->shard[i].bucket) {
			conn_table_destroy(table);
			return false;
		}
	}
	return true;
}

void conn_table_destroy(struct conn_table *table)
{
	for (unsigned int i = 0; i < CONN_SHARDS; i++) {
		free(table->shard[i].bucket);
		table->shard[i].bucket = NULL;
	}
}

/* Out of memory: the chains become longer. */
static void grow(const struct conn_table *table, struct conn_shard *shard)
{
	struct conn_shard larger = {.bits = shard->bits + 1, .count = shard->count};
	struct conn *conn, *next;

	if (larger.bits > BITS_MOST)
		return;
	larger.bucket = calloc(size_of(&larger), sizeof(struct conn *));
	if (!larger.bucket)
		return;
	for (size_t i = 0; i < size_of(shard); i++) {
		for (conn = shard->bucket[i]; conn; conn = next) {
			struct conn **at =
				bucket_of(&larger, place_of(table, conn->cookie), conn->cookie);

			next = conn->chain;
			conn->chain = *at;
			*at = conn;
		}
	}
	free(shard->bucket);
	*shard = larger;
}

void conn_table_add(struct conn_table *table, struct conn *conn)
{
	uint64_t place = place_of(table, conn->cookie);
	struct conn_shard *shard = shard_of(table, place);
	struct conn **at;

	if (shard->count >= size_of(shard))
		grow(table, shard);
	at = bucket_of(shard, place, conn->cookie);
	conn->chain = *at;
	*at = conn;
	shard->count++;
}

void conn_table_remove(struct conn_table *table, struct conn *conn)
{
	uint64_t place = place_of(table, conn->cookie);
	struct conn_shard *shard = shard_of(table, place);
	struct conn **at = bucket_of(shard, place, conn->cookie);

	while (*at != conn)
		at = &(*at)->chain;
	*at = conn->chain;
	shard->count--;
}

struct conn *conn_table_find(const struct conn_table *table, uint64_t cookie)
{
	uint64_t place = place_of(table, cookie);
	const struct conn_shard *shard = &table->shard[place >> (64 - CONN_SHARD_BITS)];
	struct conn *conn = *bucket_of(shard, place, cookie);

	while (conn && conn->cookie != cookie)
		conn = conn->chain;
	return conn;
}
