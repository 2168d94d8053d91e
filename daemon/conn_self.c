/* SPDX-License-Identifier: MIT */
/* Connections whose policy is close-first = self, by their tuple: the other end may be ours too. */
#include "daemon/conns.h"

#include <stdlib.h>

static struct conn_self *find_self(struct conns *conns, const struct endpoint *local,
				   const struct endpoint *remote)
{
	struct endpoint key[2] = {*local, *remote};
	struct conn_self *self;

	HASH_FIND(hh, conns->by_tuple, key, ENDPOINT_PAIR_SIZE, self);
	return self;
}

void conn_unindex_self(struct conns *conns, struct conn *conn)
{
	if (!conn->self)
		return;
	HASH_DELETE(hh, conns->by_tuple, conn->self);
	free(conn->self);
	conn->self = NULL;
}

/* Two sockets of one tuple can't be alive at once; the newer record is right. */
void conn_index_self(struct conns *conns, struct conn *conn, const struct conn_owner *owner,
		     const struct wire_record *record)
{
	struct conn_self *old = find_self(conns, &conn->local, &conn->remote), *self;

	if (old && conn_process(old->conn)->uid != conn_process(conn)->uid &&
	    !conn_is_held_by(owner, conns->closer, record)) {
		conn->close_first = FIRST_APP; /* says a stranger */
		return;
	}
	if (old) {
		old->conn->close_first = FIRST_APP;
		conn_unindex_self(conns, old->conn);
	}
	self = calloc(1, sizeof(*self));
	if (!self)
		return;
	self->tuple[0] = conn->local;
	self->tuple[1] = conn->remote;
	self->conn = conn;
	conn->self = self;
	HASH_ADD(hh, conns->by_tuple, tuple, ENDPOINT_PAIR_SIZE, self);
}

struct conn *conn_find_self(struct conns *conns, const struct endpoint *local,
			    const struct endpoint *remote)
{
	struct conn_self *self = find_self(conns, remote, local);

	return self ? self->conn : NULL;
}
