/* SPDX-License-Identifier: MIT */
/* signals HOW: connections that are opened and closed in signal handlers, which come in the middle
 * of the same calls, and handlers that jump out of calls that block. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { ROUNDS = 3000, HANDLED = 200, EVERY_US = 300 };

static void on_alarm(void (*handler)(int), int every_us)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct itimerval timer = {.it_interval.tv_usec = every_us, .it_value.tv_usec = every_us};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void no_alarm(void)
{
	const struct itimerval off = {.it_value.tv_usec = 0};

	setitimer(ITIMER_REAL, &off, NULL);
}

/* --- a server in main() and one in the handler ------------------------------------------------ */

static int listeners[2];
static _Atomic int served[2], failed;

/* One connection from connect() to close(), with what is safe in a handler. */
static void serve_one(int which)
{
	int client = pair_connect(listeners[which]);
	int server = accept(listeners[which], NULL, NULL);
	char buf[3];

	if (server < 0 || write(server, "bye", 3) != 3 || close(server) != 0 ||
	    recv(client, buf, 3, MSG_WAITALL) != 3 || close(client) != 0)
		atomic_fetch_add(&failed, 1);
	else
		atomic_fetch_add(&served[which], 1);
}

static void serve_in_handler(int number)
{
	int saved = errno;

	(void)number;
	serve_one(1);
	errno = saved;
}

static void serve(void)
{
	int before;

	listeners[0] = pair_listen();
	listeners[1] = pair_listen();
	serve_one(0);
	atomic_store(&served[0], 0);
	before = count_open(3);
	on_alarm(serve_in_handler, EVERY_US);
	while (served[0] < ROUNDS || served[1] < HANDLED)
		serve_one(0);
	no_alarm();
	printf("served: %d %d, failed: %d\n", served[0] >= ROUNDS, served[1] >= HANDLED, failed);
	printf("leaked: %d\n", count_open(3) - before);
}

/* --- the first TCP call of all is in the handler ---------------------------------------------- */

static void first_in_handler(void)
{
	listeners[1] = pair_listen();
	on_alarm(serve_in_handler, EVERY_US);
	while (served[1] < HANDLED)
		pause();
	no_alarm();
	printf("served: %d, failed: %d\n", served[1] >= HANDLED, failed);
}

/* --- the handler closes what main() is closing ------------------------------------------------ */

static volatile sig_atomic_t victim = -1;
static _Atomic int closed, refused;

static void close_victim(void)
{
	if (close(victim) == 0)
		atomic_fetch_add(&closed, 1);
	else if (errno == EBADF)
		atomic_fetch_add(&refused, 1);
}

static void close_in_handler(int number)
{
	int saved = errno;

	(void)number;
	if (victim >= 0)
		close_victim();
	errno = saved;
}

static void close_twice(void)
{
	int wrong = 0;

	on_alarm(close_in_handler, EVERY_US / 3);
	for (int i = 0; i < ROUNDS; i++) {
		struct pair p = pair_open(false);
		char buf[3];

		pair_say_bye(p.server);
		atomic_store(&closed, 0);
		victim = p.server;
		close_victim();
		victim = -1;
		wrong += closed != 1;
		wrong += recv(p.client, buf, 3, MSG_WAITALL) != 3;
		close(p.client);
	}
	no_alarm();
	printf("not closed exactly once: %d\n", wrong);
}

/* --- out of a call that blocks ---------------------------------------------------------------- */

static sigjmp_buf back;

static void jump(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static volatile int listener, blocked;

static void jump_out(void (*block)(void), int times)
{
	struct sigaction action = {.sa_handler = jump};
	struct itimerval timer = {.it_value.tv_usec = 20000};
	volatile int jumped = 0;

	sigaction(SIGALRM, &action, NULL);
	while (jumped < times) {
		if (sigsetjmp(back, 1) == 0) {
			setitimer(ITIMER_REAL, &timer, NULL);
			block();
			printf("it did not block\n");
		}
		jumped++;
	}
	no_alarm();
	printf("jumped: %d\n", jumped);
}

static void block_accept(void)
{
	accept(listener, NULL, NULL);
}

static void block_accept_by_number(void)
{
	syscall(SYS_accept4, listener, NULL, NULL, 0);
}

static void block_recvmsg(void)
{
	char buf[8];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	syscall(SYS_recvmsg, blocked, &msg, 0);
}

static void block_connect(void)
{
	blocked = pair_socket();
	pair_connect_to(blocked, listener);
}

/* Could the thread be cancelled, before and after? */
static void print_cancel_state(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	printf("may be cancelled: %d\n", state == PTHREAD_CANCEL_ENABLE);
}

static void one_more(void)
{
	struct pair p = {.client = pair_connect(listener)};

	p.server = accept(listener, NULL, NULL);
	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("the peer", p.client);
}

static void jump_accept(void)
{
	listener = pair_listen();
	jump_out(block_accept, 20);
	one_more();
	jump_out(block_accept_by_number, 20);
	print_cancel_state();
	one_more();
}

static void jump_recvmsg(void)
{
	struct pair p = pair_open(false);

	blocked = p.server;
	jump_out(block_recvmsg, 10);
	print_cancel_state();
	pair_say_bye(p.server);
	saw("close", close(p.server));
	pair_hear_bye("the peer", p.client);
}

static void jump_connect(void)
{
	int fill[4], other;

	listener = pair_listen();
	listen(listener, 0);
	for (int i = 0; i < 4; i++) { /* the queue is full: connect() waits */
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		pair_begin_connect(fill[i], listener);
	}
	usleep(20000);
	for (int i = 0; i < 5; i++) {
		jump_out(block_connect, 1);
		saw("close", close(blocked));
	}
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	other = listener;
	listener = pair_listen();
	one_more();
	close(other);
}

int main(int argc, char **argv)
{
	static const struct pair_way ways[] = {
		{"serve", serve},
		{"first", first_in_handler},
		{"close-twice", close_twice},
		{"jump-accept", jump_accept},
		{"jump-recvmsg", jump_recvmsg},
		{"jump-connect", jump_connect},
	};

	return pair_run(argc, argv, ways, sizeof(ways) / sizeof(ways[0]), 1);
}
