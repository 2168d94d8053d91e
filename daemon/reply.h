/* SPDX-License-Identifier: MIT */
/* The rows of the control socket's replies, as JSON. All return a new reference. */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include "daemon/conn.h"
#include "daemon/loop.h"
#include "daemon/tally.h"

#include <jansson.h>

json_t *reply_status(const struct loop *loop);
json_t *reply_conn(const struct loop *loop, const struct conn *conn);
/* The policy in a slot of the book. */
json_t *reply_policy(const struct loop *loop, unsigned int slot);
json_t *reply_report(const char *tag, const struct tally *tally);
/* error NULL: it went well. */
json_t *reply_end(const char *error);

#endif
