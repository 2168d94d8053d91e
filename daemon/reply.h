/* SPDX-License-Identifier: MIT */
/* The rows of the control socket's replies, as JSON. All return a new reference. */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include "daemon/conn.h"
#include "daemon/loop.h"
#include "daemon/tally.h"

#include <jansson.h>

/* The capabilities that are missing, and what does not work without them. */
json_t *reply_missing(void);
json_t *reply_status(const struct loop *loop);
json_t *reply_conn(const struct loop *loop, const struct conn *conn);
/* Text that is the caller's to free(). from or to is 0: it was not there, it has gone. */
char *reply_transition(const struct loop *loop, const struct conn *conn, unsigned int from,
		       unsigned int to, uint64_t in_from_ms);
json_t *reply_lost(uint64_t count);
json_t *reply_proc(const struct proc *proc);
json_t *reply_unknown(const struct loop *loop); /* as a process: what is nobody's */
json_t *reply_total(const struct loop *loop);
/* The policy in a slot of the book. */
json_t *reply_policy(const struct loop *loop, unsigned int slot);
/* worst: of the balance sheet, or NULL. */
json_t *reply_report(const char *tag, const struct tally *tally, const char *worst);
/* error NULL: it went well. */
json_t *reply_end(const char *error);

#endif
