/* SPDX-License-Identifier: MIT */
/* What a record says, checked, and then done to the model, the books, custody and retire. */
#ifndef DAEMON_RECORD_H
#define DAEMON_RECORD_H

#include "daemon/conn.h"
#include "daemon/custody.h"
#include "daemon/tally.h"

#include "common/wire.h"

struct cuts;
struct retire;

/* Who speaks, and to whom. */
struct record_context {
	struct book *book;
	struct conns *conns;
	struct custody *custody;
	struct retire *retire;
	struct cuts *cuts; /* NULL: nobody wants them */
	struct conn_owner *owner;
	struct custody_client *client;
	uint16_t tag;
};

/* What is wrong with the record, or NULL. */
const char *record_problem(const struct wire_record *record);

/* Takes the record and its descriptor (-1: none; fd_lost: there was one, but it could not be
 * received). Returns what is wrong with it, the descriptor then untouched; or NULL. */
const char *record_take(const struct record_context *context, const struct wire_record *record,
			int fd, bool fd_lost);

#endif
