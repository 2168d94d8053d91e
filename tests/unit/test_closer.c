/* SPDX-License-Identifier: MIT */
#include "daemon/closer.h"

#include "common/wire.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { LINGER_S = 600, UID = 1000 };

static unsigned int blamed;

static void on_blocked(void *arg, uid_t uid)
{
	(void)arg;
	assert_int_equal(uid, UID);
	blamed++;
}

/* A connection with unsent data, whose peer does not read. */
static void make_stuck(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct linger linger = {.l_onoff = 1, .l_linger = LINGER_S};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	static char data[65536];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(ends[0], (struct sockaddr *)&address, len), 0);
	ends[1] = accept(listener, NULL, NULL);
	close(listener);
	while (send(ends[0], data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

/* The socket is left in a queue, so that its last reference goes when the queue does. */
static int queue_up(int fd, int *other)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
	close(fd);
	*other = pair[0];
	return pair[1];
}

static bool at_eof(int fd, int ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, ms) > 0;
}

static void what_lingers_is_interrupted_and_told(void **state)
{
	struct closer *closer = closer_new();
	uint64_t begin = wire_now_ms();
	int ends[8][2], others[8], pipes[2];

	(void)state;
	assert_non_null(closer);
	for (int i = 0; i < 8; i++) {
		make_stuck(ends[i]);
		closer_drop(closer, queue_up(ends[i][0], &others[i]), UID);
	}
	assert_int_equal(pipe(pipes), 0);
	closer_close(closer, pipes[1], 0); /* behind them all */
	closer_flush(closer);
	while (!at_eof(pipes[0], 20) && wire_now_ms() - begin < LINGER_S * 500)
		closer_check(closer, wire_now_ms(), on_blocked, NULL);
	assert_true(at_eof(pipes[0], 0));
	while (!blamed && wire_now_ms() - begin < LINGER_S * 500)
		closer_check(closer, wire_now_ms(), on_blocked, NULL);
	assert_true(blamed > 0);
	closer_free(closer, LINGER_S * 500);
	assert_true(wire_now_ms() - begin < LINGER_S * 500);
	for (int i = 0; i < 8; i++) {
		close(ends[i][1]);
		close(others[i]);
	}
	close(pipes[0]);
}

static void more_is_closed_than_can_be_open(void **state)
{
	struct closer *closer = closer_new();
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	for (int i = 0; i < 100000; i++) {
		int fd = dup(pipes[1]);

		for (int tries = 0; fd < 0 && tries < 1000; tries++) {
			closer_flush(closer);
			closer_relieve(closer);
			usleep(1000);
			fd = dup(pipes[1]);
		}
		assert_true(fd >= 0);
		closer_close(closer, fd, 0);
	}
	closer_free(closer, 20000);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_lingers_is_interrupted_and_told),
		cmocka_unit_test(more_is_closed_than_can_be_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
