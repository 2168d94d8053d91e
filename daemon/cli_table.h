/* SPDX-License-Identifier: MIT */
/* Rows of JSON: aligned columns for people, or as they are. Streams: of 100,000 rows it keeps the
 * first few hundred, to know how wide the columns are. */
#ifndef DAEMON_CLI_TABLE_H
#define DAEMON_CLI_TABLE_H

#include "daemon/cli.h"
#include "daemon/cli_color.h"

#include <jansson.h>

struct table_column {
	const char *title;
	const char *member; /* of the row; "closes.us" goes one level down */
	bool right;	    /* numbers */
	/* How a value looks to people, or NULL: as it is. */
	const char *(*text)(const json_t *value, char *buf, size_t size);
};

struct table;

/* columns end with a title of NULL and outlive the table; name is the array's in -f json.
 * NULL: no memory. */
struct table *table_new(enum cli_format format, const char *name,
			const struct table_column *columns);

/* For rows that come one by one without end: printed at table_flush(), in columns that are at least
 * as wide as widths says and only ever become wider. */
void table_stream(struct table *table, const unsigned char *widths);
void table_flush(struct table *table);

/* Leaves out the last columns that a terminal has no room for. */
void table_fit(struct table *table);

/* The colour of a cell. */
typedef enum color table_paint_fn(const struct table_column *column, const json_t *row);
void table_paint(struct table *table, table_paint_fn *paint);

/* The row stays the caller's. */
void table_row(struct table *table, json_t *row);
/* Prints what is left, and frees. */
void table_end(struct table *table);
/* The same, with a last object: a member of this name in -f json, a row in -f jsonl. Not for plain.
 */
void table_end_with(struct table *table, const char *name, const json_t *last);

/* Instead of table_end(), after an error: what has not been printed never is. */
void table_drop(struct table *table);

/* "3ms", "12s", "5m", "7h", "3d" */
const char *table_age(const json_t *value, char *buf, size_t size);
const char *table_age_ms(json_int_t ms, char *buf, size_t size);

/* {"idle":3,"shared":0,"vain":1} as "idle 3, vain 1"; "" if all are zero. */
const char *table_counts(const json_t *counts, char *buf, size_t size);

enum { CLI_SCHEMA = 1 };

#endif
