/* SPDX-License-Identifier: MIT */
/* epoll_sets HOW: connections that are closed while they are in epoll sets, with events pending,
 * and mostly without EPOLL_CTL_DEL, as libevent, libuv and nginx do it.
 *
 * What a set reports carries the generation of its connection, for the numbers are used again:
 * after its close nothing of a generation may be reported, neither while its peer does nothing, nor
 * when the peer sends, nor when its FIN comes. The daemon holds the connection all that time. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { ROUNDS = 3, MAX_EVENTS = 64, QUIET_MS = 20 };

static const uint32_t all_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;

/* --- what they share -------------------------------------------------------------------------- */

static int set_new(void)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);

	if (epfd < 0)
		die("epoll_create1");
	return epfd;
}

static void control(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	if (epoll_ctl(epfd, op, fd, &event) != 0)
		die("epoll_ctl");
}

static void add(int epfd, int fd, uint32_t events, uint64_t data)
{
	control(epfd, EPOLL_CTL_ADD, fd, events, data);
}

static int by_data(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b;

	return x->data.u64 < y->data.u64 ? -1 : x->data.u64 > y->data.u64;
}

/* Prints what the set has to say, of each connection and what happened. */
static void look(const char *when, int epfd)
{
	struct epoll_event events[MAX_EVENTS];
	int n = epoll_wait(epfd, events, MAX_EVENTS, QUIET_MS);

	if (n < 0)
		die("epoll_wait");
	qsort(events, (size_t)n, sizeof(events[0]), by_data);
	printf("%s: %d events", when, n);
	for (int i = 0; i < n; i++)
		printf(" %llu:%x", (unsigned long long)events[i].data.u64, events[i].events);
	printf("\n");
}

static void send_byte(int fd)
{
	ssize_t unused = send(fd, "x", 1, MSG_NOSIGNAL);

	(void)unused; /* how a dead connection answers is not the matter here */
}

static void await_data(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, 20000) != 1)
		die("poll");
}

/* A connection with data to read and room to write. */
static struct pair pair_ready(void)
{
	struct pair p = pair_open(false);

	send_byte(p.client);
	await_data(p.server);
	return p;
}

static void say_bye_and_close(const struct pair *p)
{
	pair_say_bye(p->server);
	if (close(p->server) != 0)
		die("close");
}

/* The peer reads the answer, goes on sending, and then ends: nothing of it may be reported. */
static void peer_goes_on(const struct pair *p, int epfd)
{
	char buf[3];

	look("after the close", epfd);
	if (recv(p->client, buf, sizeof(buf), MSG_WAITALL) != sizeof(buf))
		die("recv");
	send_byte(p->client);
	look("after the peer's data", epfd);
	shutdown(p->client, SHUT_WR);
	look("after the peer's FIN", epfd);
	close(p->client);
	look("after all", epfd);
}

static void one_end(int epfd, int number, const struct pair *p)
{
	look("before", epfd);
	say_bye_and_close(p);
	peer_goes_on(p, epfd);
	printf("the same number: %d\n", number == p->server);
}

/* --- one set and one connection at a time ----------------------------------------------------- */

static void plainly(uint32_t flags)
{
	int epfd = set_new(), number = -1;

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();

		number = number < 0 ? p.server : number;
		add(epfd, p.server,
		    flags & EPOLLEXCLUSIVE ? flags | EPOLLIN | EPOLLOUT : flags | all_events, gen);
		one_end(epfd, number, &p);
	}
	close(epfd);
}

static void level(void)
{
	plainly(0);
}

static void edge(void)
{
	plainly(EPOLLET);
}

static void one_shot(void)
{
	plainly(EPOLLONESHOT);
}

static void exclusive(void)
{
	plainly(EPOLLEXCLUSIVE);
}

/* As some libraries call it. */
static void by_number(void)
{
	int epfd = set_new();

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();
		struct epoll_event event = {.events = all_events, .data.u64 = gen};

		saw("EPOLL_CTL_ADD", syscall(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, p.server, &event));
		one_end(epfd, p.server, &p);
	}
}

/* Changed, taken out and put in again, on numbers that were in it before. */
static void changed(void)
{
	int epfd = set_new();

	for (uint64_t gen = 10; gen <= ROUNDS * 10; gen += 10) {
		struct pair p = pair_ready();

		add(epfd, p.server, EPOLLIN, gen);
		look("added", epfd);
		control(epfd, EPOLL_CTL_MOD, p.server, EPOLLOUT, gen + 1);
		look("changed", epfd);
		control(epfd, EPOLL_CTL_DEL, p.server, 0, 0);
		look("taken out", epfd);
		add(epfd, p.server, all_events, gen + 2);
		if (gen == 20)
			control(epfd, EPOLL_CTL_DEL, p.server, 0, 0);
		one_end(epfd, p.server, &p);
	}
}

/* What a set refuses, and what is refused after a close. */
static void refused(void)
{
	struct epoll_event event = {.events = all_events, .data.u64 = 7};
	int epfd = set_new();

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();

		saw("DEL of one that is not in it", epoll_ctl(epfd, EPOLL_CTL_DEL, p.server, NULL));
		saw("MOD of one that is not in it",
		    epoll_ctl(epfd, EPOLL_CTL_MOD, p.server, &event));
		saw("ADD at a bad address",
		    syscall(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, p.server, 8));
		saw("an unknown operation", epoll_ctl(epfd, 99, p.server, &event));
		saw("ADD to what is no set", epoll_ctl(p.client, EPOLL_CTL_ADD, p.server, &event));
		saw("ADD to a closed set", epoll_ctl(500, EPOLL_CTL_ADD, p.server, &event));
		add(epfd, p.server, all_events, gen);
		saw("ADD again", epoll_ctl(epfd, EPOLL_CTL_ADD, p.server, &event));
		one_end(epfd, p.server, &p);
		saw("DEL of a closed one", epoll_ctl(epfd, EPOLL_CTL_DEL, p.server, NULL));
		saw("MOD of a closed one", epoll_ctl(epfd, EPOLL_CTL_MOD, p.server, &event));
	}
}

/* --- several sets ----------------------------------------------------------------------------- */

static void several(int count)
{
	int epfd[4];

	for (int i = 0; i < count; i++)
		epfd[i] = set_new();
	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();

		for (int i = 0; i < count; i++)
			add(epfd[i], p.server, all_events, gen * 10 + (uint64_t)i);
		say_bye_and_close(&p);
		for (int i = 0; i < count; i++)
			look("after the close", epfd[i]);
		peer_goes_on(&p, epfd[0]);
		for (int i = 1; i < count; i++)
			look("after all", epfd[i]);
	}
}

static void two(void)
{
	several(2);
}

static void four(void)
{
	several(4);
}

/* In a set that is in a set; and the outer one is waited for. */
static void nested(void)
{
	int inner = set_new(), outer = set_new();

	add(outer, inner, EPOLLIN, 99);
	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();

		add(inner, p.server, all_events, gen);
		look("outer before", outer);
		one_end(inner, p.server, &p);
		look("outer after", outer);
	}
}

/* The set goes first; another takes its number. */
static void set_closed(void)
{
	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		int epfd = set_new(), again;
		struct pair p = pair_ready();

		add(epfd, p.server, all_events, gen);
		look("before", epfd);
		close(epfd);
		again = set_new();
		printf("the same number: %d\n", again == epfd);
		if (gen == 2)
			add(again, p.server, all_events, gen + 100);
		say_bye_and_close(&p);
		peer_goes_on(&p, again);
		close(again);
	}
}

/* The set lives on under another number. */
static void set_moved(void)
{
	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		int epfd = set_new(), kept, again;
		struct pair p = pair_ready();

		add(epfd, p.server, all_events, gen);
		kept = dup(epfd);
		close(epfd);
		again = set_new(); /* has its number */
		if (gen == 2)
			control(kept, EPOLL_CTL_DEL, p.server, 0, 0);
		if (gen == 3)
			add(again, p.server, all_events, gen + 100);
		say_bye_and_close(&p);
		peer_goes_on(&p, kept);
		look("the other", again);
		close(kept);
		close(again);
	}
}

/* --- several descriptors of one connection ---------------------------------------------------- */

/* A duplicate is in the set, and is closed first: from then on nobody can take it out. */
static void copy_closed(void)
{
	int epfd = set_new();

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();
		int copy = dup(p.server);

		if (gen != 2)
			add(epfd, copy, all_events, gen);
		else
			add(epfd, p.server, all_events, gen);
		close(copy);
		look("after the copy's close", epfd);
		say_bye_and_close(&p);
		peer_goes_on(&p, epfd);
	}
}

/* The connection is in the set, a duplicate outlives it. */
static void copy_outlives(void)
{
	int epfd = set_new();

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();
		int copy = dup(p.server);

		add(epfd, p.server, all_events, gen);
		if (gen == 2)
			add(epfd, copy, all_events, gen + 100);
		close(p.server);
		look("after the first close", epfd);
		p.server = copy;
		say_bye_and_close(&p);
		peer_goes_on(&p, epfd);
	}
}

/* dup2() over a connection that is in the set, as the JDK closes. */
static void replaced(void)
{
	int epfd = set_new(), null = dup(0);

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();

		add(epfd, p.server, all_events, gen);
		pair_say_bye(p.server);
		saw("dup2", dup2(null, p.server) == p.server);
		peer_goes_on(&p, epfd);
		close(p.server);
	}
}

/* --- several processes ------------------------------------------------------------------------ */

static void reap(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child || status != 0)
		die("the child");
}

/* Both have the connection and the set; the parent closes first. */
static void fork_both(void)
{
	int epfd = set_new();

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();
		int go[2];
		pid_t child;
		char byte;

		if (pipe(go) != 0)
			die("pipe");
		add(epfd, p.server, all_events, gen);
		fflush(stdout);
		child = fork();
		if (child == 0) {
			close(p.client);
			close(go[1]);
			if (read(go[0], &byte, 1) != 0)
				_exit(1);
			close(p.server);
			_exit(0);
		}
		close(go[0]);
		say_bye_and_close(&p);
		look("the child has it", epfd);
		close(go[1]);
		reap(child);
		peer_goes_on(&p, epfd);
	}
}

/* The child puts into the parent's set what it has accepted, and ends without a close. */
static void child_adds(bool inherited, void (*end)(int))
{
	int epfd = set_new();

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		int listener = pair_listen();
		struct pair p = {.client = pair_connect(listener)};
		pid_t child;

		p.server = inherited ? accept(listener, NULL, NULL) : -1;
		fflush(stdout);
		child = fork();
		if (child == 0) {
			close(p.client);
			if (!inherited)
				p.server = accept(listener, NULL, NULL);
			add(epfd, p.server, all_events, gen);
			if (!inherited)
				pair_say_bye(p.server);
			end(0);
		}
		reap(child);
		close(listener);
		if (inherited)
			say_bye_and_close(&p);
		peer_goes_on(&p, epfd);
	}
}

static void child_accepts(void)
{
	child_adds(false, exit);
}

static void child_accepts_2(void)
{
	child_adds(false, _exit);
}

static void child_inherits(void)
{
	child_adds(true, exit);
}

/* A child that is forked while the connection is in a set of the parent's, and does nothing. */
static void bystander(void)
{
	int epfd = set_new();

	for (uint64_t gen = 1; gen <= ROUNDS; gen++) {
		struct pair p = pair_ready();
		pid_t child;

		add(epfd, p.server, all_events, gen);
		fflush(stdout);
		child = fork();
		if (child == 0)
			_exit(0);
		reap(child);
		one_end(epfd, p.server, &p);
	}
}

/* --- many ------------------------------------------------------------------------------------- */

/* A server that never calls EPOLL_CTL_DEL, with numbers that are used again and again. */
static void many(void)
{
	enum { N = 20 };
	struct pair p[N];
	int epfd = set_new();
	uint64_t gen = 0;

	for (int i = 0; i < N; i++) {
		p[i] = pair_ready();
		add(epfd, p[i].server, EPOLLIN | EPOLLRDHUP, gen++);
	}
	for (int round = 0; round < 5; round++) {
		for (int i = round % 2; i < N; i += 2) {
			say_bye_and_close(&p[i]);
			send_byte(p[i].client);
		}
		look("half of them closed", epfd);
		for (int i = round % 2; i < N; i += 2) {
			struct pair next = pair_ready();

			close(p[i].client);
			p[i] = next;
			add(epfd, p[i].server, EPOLLIN | EPOLLRDHUP, gen++);
		}
		look("and new ones", epfd);
	}
}

int main(int argc, char **argv)
{
	static const struct pair_way ways[] = {
		{"level", level},
		{"edge", edge},
		{"one-shot", one_shot},
		{"exclusive", exclusive},
		{"by-number", by_number},
		{"changed", changed},
		{"refused", refused},
		{"two", two},
		{"four", four},
		{"nested", nested},
		{"set-closed", set_closed},
		{"set-moved", set_moved},
		{"copy-closed", copy_closed},
		{"copy-outlives", copy_outlives},
		{"replaced", replaced},
		{"fork-both", fork_both},
		{"child-accepts", child_accepts},
		{"child-accepts-_exit", child_accepts_2},
		{"child-inherits", child_inherits},
		{"bystander", bystander},
		{"many", many},
	};

	return pair_run(argc, argv, ways, sizeof(ways) / sizeof(ways[0]), 1);
}
