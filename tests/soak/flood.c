/* SPDX-License-Identifier: MIT */
/* Fills the daemon's sockets: sessions that send records of connections that never were. */
#include "tests/soak/client.h"

#include "tests/soak/board.h"

#include "common/wire.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SESSIONS_MAX = 1000 };

static int open_session(const char *path)
{
	struct wire_hello hello = {.magic = WIRE_MAGIC,
				   .version = WIRE_VERSION,
				   .size = sizeof(hello),
				   .nofile = 1024};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* "Let go" changes no other's connection, and no sum that the soak looks at. */
int flood_main(int argc, char **argv)
{
	static int fds[SESSIONS_MAX];
	struct wire_record record = {.magic = WIRE_MAGIC,
				     .version = WIRE_VERSION,
				     .type = WIRE_LET_GO,
				     .role = ROLE_SERVER};
	uint64_t until, sent = 0;
	int count, open = 0;

	if (argc != 4 || (count = atoi(argv[2])) < 1 || count > SESSIONS_MAX)
		return 2;
	for (int i = 0; i < count; i++)
		if ((fds[open] = open_session(argv[1])) >= 0)
			open++;
	until = board_now_ms() + strtoull(argv[3], NULL, 10) * 1000;
	for (uint64_t turn = 0; open > 0 && board_now_ms() < until; turn++) {
		record.cookie = UINT64_MAX - turn;
		if (send(fds[turn % (unsigned int)open], &record, sizeof(record), MSG_NOSIGNAL) < 0)
			sched_yield();
		else
			sent++;
	}
	printf("%d sessions, %llu records\n", open, (unsigned long long)sent);
	return 0;
}
