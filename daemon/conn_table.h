/* SPDX-License-Identifier: MIT */
/* The connections by their cookies: of a million, one costs 16 bytes at most, and to find it takes
 * two looks into memory that is not in a cache. A process may say any cookie: what they are mixed
 * with is drawn at the start, or it would choose those that fall into one bucket. */
#ifndef DAEMON_CONN_TABLE_H
#define DAEMON_CONN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

enum {
	CONN_SHARD_BITS = 6, /* to grow takes a moment, and others wait: each by itself */
	CONN_SHARDS = 1 << CONN_SHARD_BITS,
};

struct conn_table {
	uint64_t seed[2];
	struct conn_shard {
		struct conn **bucket;
		unsigned int bits; /* of the number of buckets */
		size_t count;
	} shard[CONN_SHARDS];
};

/* False: out of memory. */
bool conn_table_init(struct conn_table *table);
/* The connections are not its own. */
void conn_table_destroy(struct conn_table *table);

/* There is none with its cookie. */
void conn_table_add(struct conn_table *table, struct conn *conn);
void conn_table_remove(struct conn_table *table, struct conn *conn);
struct conn *conn_table_find(const struct conn_table *table, uint64_t cookie);

#endif
