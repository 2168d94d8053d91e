/* SPDX-License-Identifier: MIT */
/* Connections that a server closes when it is told to, to be held in custody.
 *
 * hold serve PORT PORTS            listens on so many ports from this one on; a byte on a
 * connection: answers with the time, and closes hold connect HOST PORT PORTS N [OPTIONS]   makes N
 * connections, and says "held"; for each line on stdin, says the byte on the next of them -n COUNT
 * for each line, on so many (all) -r RATE    so many a second -p         closes when it has the
 * answer: the first, if the server's FIN is held back
 *
 * For each line, once all it spoke on are over, a line of JSON: how many had their answer and a
 * clean end of file; and from the server's close() to that, in ms. Both ends have one clock. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, AT_ONCE = 128, LISTENER = 1 << 30, MANY_FILES = 300000, OVER_S = 900 };

static int set;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
}

/* --- the server ------------------------------------------------------------------------------- */

static void listen_on(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 4096) < 0)
		fail("listen");
	watch(fd, EPOLLIN, (uint32_t)(fd | LISTENER));
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		watch(fd, EPOLLIN, (uint32_t)fd);
}

static void answer(int fd)
{
	char byte;
	uint64_t now;

	if (recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN)
		return;
	now = now_us();
	send(fd, &now, sizeof(now), MSG_NOSIGNAL);
	close(fd);
}

static _Noreturn void serve(char **argv)
{
	struct epoll_event events[EVENTS];

	for (int i = 0; i < atoi(argv[1]); i++)
		listen_on((uint16_t)(atoi(argv[0]) + i));
	for (;;) {
		int n = epoll_wait(set, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)events[i].data.u32 & ~LISTENER;

			if (events[i].data.u32 & LISTENER)
				accept_all(fd);
			else
				answer(fd);
		}
	}
}

/* --- the clients ------------------------------------------------------------------------------ */

struct one {
	int fd;
	bool answered;
	uint64_t closed_us; /* by the server */
};

static struct {
	struct sockaddr_in server;
	unsigned int ports, count, rate, batch;
	bool closes;
	struct one *one;
	unsigned int opened, there; /* connections that were begun, that are there */
	unsigned int said, begun;   /* the byte; where this line's begin */
	unsigned int answered, ended, clean;
	double *waits_ms;
	uint64_t began_us;
} hold;

static void open_next(void)
{
	struct sockaddr_in to = hold.server;
	unsigned int i = hold.opened++;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	to.sin_port = htons((uint16_t)(ntohs(to.sin_port) + i % hold.ports));
	if (fd < 0)
		fail("socket");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		fail("connect");
	hold.one[i].fd = fd;
	watch(fd, EPOLLOUT | EPOLLONESHOT, i);
}

static void connected(unsigned int i)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
	int fd = hold.one[i].fd, error = 0;
	socklen_t len = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		errno = error;
		fail("connect");
	}
	hold.there++;
	epoll_ctl(set, EPOLL_CTL_MOD, fd, &event);
}

static void over(struct one *one, bool clean)
{
	hold.waits_ms[hold.ended++] = (double)(now_us() - one->closed_us) / 1000;
	hold.clean += clean && one->answered;
	close(one->fd);
	one->fd = -1;
}

static void readable(struct one *one)
{
	uint64_t time = 0;
	ssize_t n = recv(one->fd, &time, sizeof(time), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n != sizeof(time)) {
		over(one, n == 0);
		return;
	}
	one->answered = true;
	one->closed_us = time;
	hold.answered++;
	if (hold.closes)
		over(one, true);
}

static void turn(int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(set, events, EVENTS, timeout_ms);

	for (int i = 0; i < n; i++) {
		unsigned int which = events[i].data.u32;

		if (events[i].events & EPOLLOUT)
			connected(which);
		else
			readable(&hold.one[which]);
	}
}

static void connect_all(void)
{
	while (hold.there < hold.count) {
		while (hold.opened < hold.count && hold.opened - hold.there < AT_ONCE)
			open_next();
		turn(20);
	}
	puts("held");
	fflush(stdout);
}

/* --- a line ----------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void tell(unsigned int count, double said_s)
{
	double *waits = hold.waits_ms;

	if (!hold.ended)
		return;
	qsort(waits, hold.ended, sizeof(waits[0]), compare);
	printf("{\"connections\":%u,\"answered\":%u,\"ended\":%u,\"clean\":%u,\"said_s\":%.3f,"
	       "\"wait_ms\":{\"min\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}}\n",
	       count, hold.answered, hold.ended, hold.clean, said_s, waits[0],
	       waits[hold.ended / 2], waits[(uint64_t)hold.ended * 99 / 100],
	       waits[hold.ended - 1]);
	fflush(stdout);
}

static unsigned int due(uint64_t now)
{
	uint64_t so_far = (now - hold.began_us) * hold.rate / 1000000;

	return hold.rate ? (unsigned int)so_far + hold.begun : UINT32_MAX;
}

static void speak(void)
{
	unsigned int left = hold.count - hold.said;
	unsigned int count = hold.batch && hold.batch < left ? hold.batch : left;
	double said_s = 0;

	hold.began_us = now_us();
	hold.begun = hold.said;
	hold.answered = hold.ended = hold.clean = 0;
	while (hold.ended < count && now_us() - hold.began_us < OVER_S * UINT64_C(1000000)) {
		unsigned int until = due(now_us());

		for (int burst = 0;
		     burst < AT_ONCE && hold.said < hold.begun + count && hold.said < until;
		     burst++) {
			send(hold.one[hold.said++].fd, "x", 1, MSG_NOSIGNAL);
			said_s = (double)(now_us() - hold.began_us) / 1e6;
		}
		turn(hold.said < hold.begun + count ? (hold.rate ? 1 : 0) : 20);
	}
	tell(count, said_s);
}

static int connect_to(int argc, char **argv)
{
	char line[16];
	int option;

	if (inet_pton(AF_INET, argv[0], &hold.server.sin_addr) != 1)
		return 2;
	hold.server.sin_family = AF_INET;
	hold.server.sin_port = htons((uint16_t)atoi(argv[1]));
	hold.ports = (unsigned int)atoi(argv[2]);
	hold.count = (unsigned int)atoi(argv[3]);
	while ((option = getopt(argc - 3, argv + 3, "n:r:p")) != -1) {
		if (option == 'n')
			hold.batch = (unsigned int)atoi(optarg);
		else if (option == 'r')
			hold.rate = (unsigned int)atoi(optarg);
		else if (option == 'p')
			hold.closes = true;
		else
			return 2;
	}
	hold.one = calloc(hold.count, sizeof(hold.one[0]));
	hold.waits_ms = calloc(hold.count, sizeof(hold.waits_ms[0]));
	if (!hold.ports || !hold.one || !hold.waits_ms)
		return 2;
	connect_all();
	while (hold.said < hold.count && fgets(line, sizeof(line), stdin))
		speak();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct rlimit many = {MANY_FILES, MANY_FILES};

	setrlimit(RLIMIT_NOFILE, &many); /* or as many as we have */
	set = epoll_create1(EPOLL_CLOEXEC);
	if (set >= 0 && argc == 4 && !strcmp(argv[1], "serve"))
		serve(argv + 2);
	if (set >= 0 && argc >= 6 && !strcmp(argv[1], "connect"))
		return connect_to(argc - 2, argv + 2);
	fprintf(stderr,
		"usage: hold serve PORT PORTS | hold connect HOST PORT PORTS N [OPTIONS]\n");
	return 2;
}
