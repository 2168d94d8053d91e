/* SPDX-License-Identifier: MIT */
/* epoll_threads HOW: one thread waits for events, by epoll, poll, select or read, while another
 * closes what it waits for. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { ROUNDS = 5, QUIET_MS = 50 };

static struct pair p;
static int set = -1, wake = -1;
static _Atomic bool waiting;

/* --- one waits, the other closes -------------------------------------------------------------- */

static void *wait_epoll(void *arg)
{
	struct epoll_event event;

	atomic_store(&waiting, true);
	if (epoll_wait(set, &event, 1, -1) != 1)
		die("epoll_wait");
	printf("epoll: %llu %x\n", (unsigned long long)event.data.u64, event.events);
	return arg;
}

/* A thread that polls holds the file: this is the one way in which it learns of what the peer does
 * after the close. */
static void *wait_poll(void *arg)
{
	struct pollfd fds[] = {{.fd = p.server, .events = POLLIN}, {.fd = wake, .events = POLLIN}};

	atomic_store(&waiting, true);
	printf("poll: %d", poll(fds, 2, -1));
	printf(" %x %x\n", (unsigned int)fds[0].revents, (unsigned int)fds[1].revents);
	return arg;
}

static void *wait_select(void *arg)
{
	fd_set in;

	FD_ZERO(&in);
	FD_SET(p.server, &in);
	FD_SET(wake, &in);
	atomic_store(&waiting, true);
	printf("select: %d",
	       select((p.server > wake ? p.server : wake) + 1, &in, NULL, NULL, NULL));
	printf(" %d %d\n", FD_ISSET(p.server, &in) != 0, FD_ISSET(wake, &in) != 0);
	return arg;
}

static void *wait_read(void *arg)
{
	char buf[8];

	atomic_store(&waiting, true);
	printf("read: %zd\n", read(p.server, buf, sizeof(buf)));
	return arg;
}

static void start(pthread_t *thread, void *(*run)(void *))
{
	atomic_store(&waiting, false);
	pthread_create(thread, NULL, run, NULL);
	while (!atomic_load(&waiting))
		usleep(100);
	usleep(QUIET_MS * 1000); /* it is blocked by now; if not, that is seen with and without */
}

static void hear_bye(void)
{
	char buf[4] = "";

	printf("the peer: %zd '%s'\n", recv(p.client, buf, 3, MSG_WAITALL), buf);
}

/* What the peer sends after the close wakes who waited before it, or nobody. */
static void waits(void *(*run)(void *), bool by_peer)
{
	const uint64_t one = 1;

	for (int round = 0; round < ROUNDS; round++) {
		struct epoll_event event = {.events = EPOLLIN};
		pthread_t thread;

		p = pair_open(false);
		set = epoll_create1(0);
		wake = eventfd(0, 0);
		event.data.u64 = 1;
		epoll_ctl(set, EPOLL_CTL_ADD, p.server, &event);
		event.data.u64 = 2;
		epoll_ctl(set, EPOLL_CTL_ADD, wake, &event);
		start(&thread, run);
		pair_say_bye(p.server);
		close(p.server);
		hear_bye();
		if (write(p.client, "x", 1) < 0)
			die("write");
		if (!by_peer) {
			usleep(QUIET_MS * 1000);
			if (write(wake, &one, sizeof(one)) < 0)
				die("write");
		}
		pthread_join(thread, NULL);
		close(p.client);
		close(set);
		close(wake);
	}
}

static void epoll(void)
{
	waits(wait_epoll, false);
}

static void polls(void)
{
	waits(wait_poll, true);
}

static void selects(void)
{
	waits(wait_select, true);
}

static void reads(void)
{
	waits(wait_read, true);
}

/* --- one accepts and adds, the other serves and closes ---------------------------------------- */

enum { CONNS = 2000, AT_ONCE = 8 };

struct served {
	int fd;
	_Atomic bool closed;
};

static struct served table[CONNS + 1];
static _Atomic int served_count, stale;

static void serve(struct served *s)
{
	char buf[16];

	if (atomic_load(&s->closed)) {
		atomic_fetch_add(&stale, 1);
		return;
	}
	if (read(s->fd, buf, sizeof(buf)) < 0)
		die("read");
	pair_say_bye(s->fd);
	atomic_store(&s->closed, true);
	close(s->fd);
	atomic_fetch_add(&served_count, 1);
}

static void *server(void *arg)
{
	struct epoll_event event;

	for (;;) {
		if (epoll_wait(set, &event, 1, -1) != 1)
			die("epoll_wait");
		if (!event.data.ptr)
			return arg;
		serve(event.data.ptr);
	}
}

/* The connection has its request before it is added: it may be served and closed before the call
 * that adds it returns. Then the peer goes on. */
static void race(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};
	int listener = pair_listen(), client[AT_ONCE] = {0};
	const uint64_t one = 1;
	pthread_t thread;
	char buf[3];

	set = epoll_create1(0);
	wake = eventfd(0, 0);
	pthread_create(&thread, NULL, server, NULL);
	for (int i = 0; i < CONNS; i++) {
		struct served *s = &table[i];
		int *slot = &client[i % AT_ONCE];

		if (*slot)
			close(*slot);
		*slot = pair_connect(listener);
		if (write(*slot, "x", 1) != 1)
			die("write");
		s->fd = accept(listener, NULL, NULL);
		if (i % 32 == 0)
			usleep(1000); /* so that a busy machine's daemon gets its turn */
		event.data.ptr = s;
		if (epoll_ctl(set, EPOLL_CTL_ADD, s->fd, &event) != 0)
			die("epoll_ctl");
		if (recv(*slot, buf, sizeof(buf), MSG_WAITALL) != sizeof(buf))
			die("recv");
		if (send(*slot, "y", 1, MSG_NOSIGNAL) < 0)
			continue; /* has been reset */
	}
	event.data.ptr = NULL;
	epoll_ctl(set, EPOLL_CTL_ADD, wake, &event);
	if (write(wake, &one, sizeof(one)) < 0)
		die("write");
	pthread_join(thread, NULL);
	for (int i = 0; i < AT_ONCE; i++)
		close(client[i]);
	printf("served: %d, reported after its close: %d\n", served_count, stale);
}

int main(int argc, char **argv)
{
	static const struct pair_way ways[] = {
		{"epoll", epoll}, {"poll", polls}, {"select", selects},
		{"read", reads},  {"race", race},
	};

	return pair_run(argc, argv, ways, sizeof(ways) / sizeof(ways[0]), 1);
}
