/* SPDX-License-Identifier: MIT */
/* The two listening sockets. The guardian binds them, so that they outlive the loop: who connects
 * while it restarts waits in their queue. */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stdbool.h>

struct listeners {
	int session; /* SOCKET: any user's processes */
	int control; /* SOCKET.control: its owner and the group */
};

/* Takes over socket files that a dead daemon left, and refuses where one lives. Logs what went
 * wrong. group "": none. */
bool listeners_open(struct listeners *listeners, const char *path, const char *group);
void listeners_close(struct listeners *listeners, const char *path);

#endif
