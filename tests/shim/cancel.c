/* SPDX-License-Identifier: MIT */
/* cancel HOW: threads that are cancelled in the calls of sockets, where these are cancellation
 * points, and not where they are none. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { ROUNDS = 3, BLOCKED_MS = 30 };

static struct pair p;
static int listener, type;
static _Atomic bool ready;
static _Atomic int cleaned;
static void (*call)(void);

static void clean(void *arg)
{
	(void)arg;
	atomic_fetch_add(&cleaned, 1);
}

/* --- cancelled while it blocks ---------------------------------------------------------------- */

static void *run_call(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	pthread_setcanceltype(type, NULL);
	atomic_store(&ready, true);
	call();
	pthread_cleanup_pop(0);
	return arg;
}

static void cancel_in(const char *name, void (*blocking)(void))
{
	pthread_t thread;
	void *result = NULL;

	call = blocking;
	cleaned = 0;
	ready = false;
	if (pthread_create(&thread, NULL, run_call, NULL) != 0)
		die("pthread_create");
	while (!ready)
		usleep(100);
	usleep(BLOCKED_MS * 1000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("%s: cancelled %d, cleaned up %d\n", name, result == PTHREAD_CANCELED, cleaned);
}

static void in_accept(void)
{
	accept(listener, NULL, NULL);
}

static void in_accept4(void)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	accept4(listener, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC);
}

static void in_recvmsg(void)
{
	char buf[8];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	recvmsg(p.server, &msg, 0);
}

static void in_sendmsg(void)
{
	static char buf[65536];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	while (sendmsg(p.client, &msg, MSG_NOSIGNAL) > 0)
		;
}

static void in_connect(void)
{
	pair_begin_connect(p.client, listener);
}

static void one_more(void)
{
	char buf[3];

	p.client = pair_connect(listener);
	p.server = accept(listener, NULL, NULL);
	pair_say_bye(p.server);
	saw("close", close(p.server));
	printf("the peer: %zd\n", recv(p.client, buf, 3, MSG_WAITALL));
	close(p.client);
}

static void blocked_calls(int cancel_type)
{
	int fill[4], other;

	type = cancel_type;
	for (int i = 0; i < ROUNDS; i++) {
		listener = pair_listen();
		cancel_in("accept", in_accept);
		cancel_in("accept4", in_accept4);
		p = pair_open(false);
		cancel_in("recvmsg", in_recvmsg);
		pair_say_bye(p.server);
		saw("close", close(p.server));
		pair_hear_bye("the peer", p.client);
		one_more();
		p = pair_open(false);
		cancel_in("sendmsg", in_sendmsg);
		close(p.client);
		close(p.server);

		other = listener;
		listener = pair_listen();
		listen(listener, 0); /* a full queue: connect() waits */
		for (int k = 0; k < 4; k++) {
			fill[k] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
			pair_begin_connect(fill[k], listener);
		}
		usleep(20000);
		p.client = pair_socket();
		cancel_in("connect", in_connect);
		saw("close", close(p.client));
		for (int k = 0; k < 4; k++)
			close(fill[k]);
		close(listener);
		close(other);
	}
}

static void deferred(void)
{
	blocked_calls(PTHREAD_CANCEL_DEFERRED);
}

static void asynchronous(void)
{
	blocked_calls(PTHREAD_CANCEL_ASYNCHRONOUS);
}

/* --- cancelled before it closes --------------------------------------------------------------- */

static int (*close_way)(int);

static void *close_cancelled(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	saw("close", close_way(p.server));
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return arg;
}

static int close_by_number(int fd)
{
	return (int)syscall(SYS_close, fd);
}

/* It ends before it has closed: what it would have closed is as before, also for an epoll set. */
static void before_close(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 5};
	int set = epoll_create1(0);

	for (int i = 0; i < 2 * ROUNDS; i++) {
		pthread_t thread;
		void *result;

		p = pair_open(false);
		cleaned = 0;
		close_way = i % 2 ? close_by_number : close;
		epoll_ctl(set, EPOLL_CTL_ADD, p.server, &event);
		pair_say_bye(p.server);
		if (pthread_create(&thread, NULL, close_cancelled, NULL) != 0)
			die("pthread_create");
		pthread_join(thread, &result);
		printf("cancelled %d, cleaned up %d, open %d\n", result == PTHREAD_CANCELED,
		       cleaned, is_open(p.server));
		if (send(p.client, "x", 1, MSG_NOSIGNAL) != 1)
			die("send");
		printf("reported: %d\n", epoll_wait(set, &event, 1, is_open(p.server) ? 5000 : 30));
		event = (struct epoll_event){.events = EPOLLIN, .data.u64 = 5};
		if (is_open(p.server))
			saw("close", close(p.server));
		pair_hear_bye("the peer", p.client);
	}
}

int main(int argc, char **argv)
{
	static const struct pair_way ways[] = {
		{"deferred", deferred},
		{"asynchronous", asynchronous},
		{"before-close", before_close},
	};

	return pair_run(argc, argv, ways, sizeof(ways) / sizeof(ways[0]), 1);
}
