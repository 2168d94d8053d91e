/* SPDX-License-Identifier: MIT */
/* How a server ends a connection: every way in which programs do. */
#include "tests/soak/serve.h"

#include "tests/soak/board.h"
#include "tests/soak/io.h"

#include "common/tcp_state.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A close after so long is an idle one, and not waited for (100 ms); with room for a busy machine.
 */
enum { IDLE_MS = 60 };

int ending_patience_s(const struct order *order)
{
	return plan_may_be_late(order) ? GIVE_UP_DEFERRED_S : GIVE_UP_S;
}

bool ending_is_eligible(int fd, const struct order *order)
{
	unsigned int idle_ms;

	return policies[order->policy].flags & POLICY_STEERS && order->ending != END_LINGER &&
	       order->ending != END_ABORT && order->ending != END_EARLY &&
	       atomic_load(&board->calm) && io_tcp_state(fd, &idle_ms) == STATE_ESTABLISHED &&
	       idle_ms < IDLE_MS;
}

void ending_mark(const struct order *order)
{
	COUNT(eligible);
	atomic_store(&board->mark[order->id % BOARD_MARKS], order->id);
}

static void must(bool done, const struct order *order, const char *what)
{
	if (!done)
		FAIL(odd, order, "%s: %m", what);
}

/* Over it, as the JDK closes; then the number, which is no connection any more. */
static void close_by_dup2(int fd, const struct order *order)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	must(null >= 0, order, "/dev/null");
	must(dup2(null, fd) == fd, order, "dup2");
	close(null);
	must(close(fd) == 0, order, "close");
}

static void set_linger(int fd, int seconds)
{
	struct linger linger = {1, seconds};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void ending_close(int fd, const struct order *order, bool sole)
{
	bool eligible;

	if (order->ending == END_LINGER)
		set_linger(fd, 5);
	if (order->ending == END_ABORT)
		set_linger(fd, 0);
	eligible = sole && ending_is_eligible(fd, order);
	switch (order->ending) {
	case END_SHUT_CLOSE:
		shutdown(fd, SHUT_WR); /* ENOTCONN after a reset is no news */
		eligible = false;
		break;
	case END_SHUT_BOTH:
		shutdown(fd, SHUT_RDWR);
		eligible = false;
		break;
	case END_SHUT_WAIT:
		eligible = false;
		break;
	default:
		break;
	}
	if (order->ending == END_DUP2)
		close_by_dup2(fd, order);
	else if (order->ending == END_SYSCALL)
		must(syscall(SYS_close, fd) == 0, order, "SYS_close");
	else if (order->ending == END_RANGE)
		must(close_range((unsigned int)fd, (unsigned int)fd, 0) == 0, order, "close_range");
	else
		must(close(fd) == 0, order, "close");
	if (eligible)
		ending_mark(order);
}

/* --- another thread closes -------------------------------------------------------------------- */

struct given {
	struct order order;
	int fd;
	bool sole;
};

static int given_read = -1, given_write = -1;

static void *close_given(void *unused)
{
	struct given given;

	while (read(given_read, &given, sizeof(given)) == sizeof(given))
		ending_close(given.fd, &given.order, given.sole);
	return unused;
}

bool closer_start(void)
{
	pthread_t thread;
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return false;
	given_read = pipe_fds[0];
	given_write = pipe_fds[1];
	return pthread_create(&thread, NULL, close_given, NULL) == 0;
}

void closer_give(int fd, const struct order *order, bool sole)
{
	struct given given;

	memset(&given, 0, sizeof(given));
	given.order = *order;
	given.fd = fd;
	given.sole = sole;
	if (given_write < 0 || write(given_write, &given, sizeof(given)) != sizeof(given))
		ending_close(fd, order, sole);
}
