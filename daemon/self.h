/* SPDX-License-Identifier: MIT */
/* close-first = self, where both ends are ours: the server's end is held and waits for its
 * client's FIN, and the client waits for the server's. So shut the client's end down for it: its
 * process reads the answer to the end, then EOF. */
#ifndef DAEMON_SELF_H
#define DAEMON_SELF_H

#include "daemon/conn.h"

/* If the other end of (local, remote) is a connection of one of our sessions whose policy says
 * close-first = self, shuts down its writing half. Returns whether it did. */
bool self_close_other_end(struct conns *conns, struct closer *closer, const struct endpoint *local,
			  const struct endpoint *remote);

#endif
