/* SPDX-License-Identifier: MIT */
/* Many connections, one thread.
 *
 * crowd serve PORT...                    closes each connection once something has come over it
 * crowd connect HOST PORT N [OPTIONS]    makes N connections, says a word on each, reads to the end
 *   -r RATE     so many a second, whether the others are answered or not; by default 64 at a time
 *   -h SECONDS  all at once: says the word so long after the last is there
 *   -t TEXT     the word
 *   -p PORT     from this port and those after it: none is used twice, so that each leaves its own
 *               TIME_WAIT
 *
 * Prints "ready" when it serves, "held" when all are there, in the end how many came to theirs. The
 * server closes first, so that it has the TIME_WAITs. Without shared libraries, if need be. */
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

enum { EVENTS = 256, AT_ONCE = 64, LISTENER = 1 << 30 };

static int set;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int op, int fd, uint32_t events, int tag)
{
	struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(fd | tag)};

	if (epoll_ctl(set, op, fd, &event) < 0)
		fail("epoll_ctl");
}

/* --- the server ------------------------------------------------------------------------------- */

static void listen_on(uint16_t port)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, off = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 4096) < 0)
		fail("listen");
	watch(EPOLL_CTL_ADD, fd, EPOLLIN, LISTENER);
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		watch(EPOLL_CTL_ADD, fd, EPOLLIN, 0);
}

static _Noreturn void serve(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	char buf[4096];

	for (int i = 2; i < argc; i++)
		listen_on((uint16_t)atoi(argv[i]));
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(set, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)events[i].data.u32 & ~LISTENER;

			if (events[i].data.u32 & LISTENER)
				accept_all(fd);
			else if (recv(fd, buf, sizeof(buf), 0) >= 0 || errno != EAGAIN)
				close(fd);
		}
	}
}

/* --- the clients ------------------------------------------------------------------------------ */

static struct {
	struct sockaddr_in server;
	unsigned int count, rate, hold, port;
	const char *text;
	unsigned int opened, there, ended, failed;
	double began, all_there;
	int *held; /* their descriptors */
	bool said;
} crowd;

static void over(int fd, bool well)
{
	crowd.ended++;
	crowd.failed += !well;
	close(fd);
}

static bool is_wanted(void)
{
	unsigned int under_way = crowd.opened - crowd.ended;

	if (crowd.opened >= crowd.count)
		return false;
	if (crowd.rate)
		return crowd.opened < (now_s() - crowd.began) * crowd.rate;
	/* no more than a backlog takes */
	return crowd.hold ? crowd.opened - crowd.there < AT_ONCE : under_way < AT_ONCE;
}

static void take_port(int fd)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int on = 1;

	if (!crowd.port)
		return;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	do {
		addr.sin_port = htons((uint16_t)crowd.port);
		crowd.port = crowd.port < 65535 ? crowd.port + 1 : 1024;
	} while (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == EADDRINUSE);
}

static void open_one(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	crowd.opened++;
	if (fd < 0)
		fail("socket");
	take_port(fd);
	if (connect(fd, (struct sockaddr *)&crowd.server, sizeof(crowd.server)) < 0 &&
	    errno != EINPROGRESS) {
		crowd.there++;
		over(fd, false);
		return;
	}
	watch(EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLONESHOT, 0);
}

static bool say(int fd)
{
	return send(fd, crowd.text, strlen(crowd.text), MSG_NOSIGNAL) > 0;
}

static void say_to_held(void)
{
	if (crowd.said || crowd.there < crowd.count || now_s() - crowd.all_there < crowd.hold)
		return;
	crowd.said = true;
	for (unsigned int i = 0; i < crowd.count; i++)
		if (crowd.held[i])
			say(crowd.held[i]);
}

static void connected(int fd)
{
	if (crowd.hold) {
		crowd.held[crowd.there] = fd;
	} else if (!say(fd)) {
		crowd.there++;
		over(fd, false);
		return;
	}
	watch(EPOLL_CTL_MOD, fd, EPOLLIN, 0);
	if (++crowd.there < crowd.count)
		return;
	crowd.all_there = now_s();
	if (crowd.hold) {
		puts("held");
		fflush(stdout);
	}
}

static void readable(int fd)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		over(fd, n == 0);
}

static void act(const struct epoll_event *event)
{
	int fd = (int)event->data.u32, error = 0;
	socklen_t len = sizeof(error);

	if (event->events & EPOLLOUT) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (!error) {
			connected(fd);
			return;
		}
		crowd.there++;
		over(fd, false);
	} else {
		readable(fd);
	}
}

static int connect_all(void)
{
	struct epoll_event events[EVENTS];

	crowd.held = calloc(crowd.count, sizeof(crowd.held[0]));
	if (!crowd.held)
		return 1;
	crowd.began = now_s();
	while (crowd.ended < crowd.count) {
		int n;

		while (is_wanted())
			open_one();
		say_to_held();
		n = epoll_wait(set, events, EVENTS, crowd.rate ? 1 : 20);
		for (int i = 0; i < n; i++)
			act(&events[i]);
	}
	printf("%u of %u in %.1f s\n", crowd.ended - crowd.failed, crowd.count,
	       now_s() - crowd.began);
	return crowd.failed > 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: crowd serve PORT... | crowd connect HOST PORT N [OPTIONS]\n");
	return 2;
}

static int parse(int argc, char **argv)
{
	int option;

	if (argc < 5 || inet_pton(AF_INET, argv[2], &crowd.server.sin_addr) != 1)
		return usage();
	crowd.server.sin_family = AF_INET;
	crowd.server.sin_port = htons((uint16_t)atoi(argv[3]));
	crowd.count = (unsigned int)atoi(argv[4]);
	crowd.text = "x";
	while ((option = getopt(argc - 4, argv + 4, "r:h:t:p:")) != -1) {
		if (option == 'r')
			crowd.rate = (unsigned int)atoi(optarg);
		else if (option == 'h')
			crowd.hold = (unsigned int)atoi(optarg);
		else if (option == 'p')
			crowd.port = (unsigned int)atoi(optarg);
		else if (option == 't')
			crowd.text = optarg;
		else
			return usage();
	}
	return connect_all();
}

int main(int argc, char **argv)
{
	static const struct rlimit many = {262144, 262144};
	struct rlimit files;

	if (setrlimit(RLIMIT_NOFILE, &many) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	set = epoll_create1(EPOLL_CLOEXEC);
	if (set < 0 || argc < 3)
		return usage();
	if (!strcmp(argv[1], "serve"))
		serve(argc, argv);
	return strcmp(argv[1], "connect") ? usage() : parse(argc, argv);
}
