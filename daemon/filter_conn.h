/* SPDX-License-Identifier: MIT */
/* Between filters and the daemon: connections as their subject, JSON as their text. */
#ifndef DAEMON_FILTER_CONN_H
#define DAEMON_FILTER_CONN_H

#include "daemon/conn.h"
#include "daemon/filter.h"
#include "daemon/tally.h"

#include <jansson.h>

/* words: NULL, a string, or an array of strings. False with a message. */
bool filter_from_json(struct filter *filter, const json_t *words, char *error, size_t size);

/* The strings are conn's and book's. */
struct filter_subject filter_subject_of(const struct conn *conn, const struct book *book,
					uint64_t now_ms);

#endif
