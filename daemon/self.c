/* SPDX-License-Identifier: MIT */
#include "daemon/self.h"

#include "daemon/closer.h"
#include "daemon/log.h"
#include "daemon/sock.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

bool self_close_other_end(struct conns *conns, struct closer *closer, const struct endpoint *local,
			  const struct endpoint *remote)
{
	struct conn *conn = conn_find_self(conns, local, remote);
	bool done;
	int fd;

	if (!conn || !conn->owner || conn->owner->pidfd < 0)
		return false;
	fd = (int)syscall(SYS_pidfd_getfd, conn->owner->pidfd, conn->fd, 0);
	if (fd < 0) {
		if (errno == EPERM)
			log_limited(LOG_WARNING,
				    "close-first = self: may not take a socket of %s[%d] "
				    "(CAP_SYS_PTRACE)",
				    process_name(conn_process(conn)), (int)conn_process(conn)->pid);
		return false;
	}
	/* The number may be another file's by now. */
	done = sock_cookie(fd) == conn->cookie && shutdown(fd, SHUT_WR) == 0;
	closer_drop(closer, fd, conn_process(conn)->uid); /* by now it may be the last */
	return done;
}
