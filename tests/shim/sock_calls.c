/* SPDX-License-Identifier: MIT */
/* sock_calls HOW: the calls of sockets in every order, also in those that fail.
 *
 * The ones named connect-* are about the connecting end: it is the one that closes first. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { ROUNDS = 3, WAIT_MS = 20000, BAD = 8 /* an address that nobody has */ };

static int get_int(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
}

static int await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, WAIT_MS) == 1 ? p.revents : 0;
}

static void address_of(int listener, struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);

	if (getsockname(listener, (struct sockaddr *)addr, &len) != 0)
		die("getsockname");
}

/* A port outside of 8000-8999, which no policy is for. */
static int listen_elsewhere(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int fd = pair_socket();

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 16) != 0)
		die("listen");
	return fd;
}

static int accept_from(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		die("accept");
	return fd;
}

/* The first end says bye and closes, the other hears it. */
static void bye(int first, int other)
{
	pair_say_bye(first);
	saw("close", close(first));
	pair_hear_bye("the peer", other);
}

/* --- connecting ------------------------------------------------------------------------------- */

/* A listener whose queue is full: SYNs are dropped, and connect() waits. */
static int full_listener(struct sockaddr_in *addr, int fill[4])
{
	int listener = pair_listen();

	address_of(listener, addr);
	listen(listener, 0);
	for (int i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fill[i], (struct sockaddr *)addr, sizeof(*addr));
	}
	usleep(20000);
	return listener;
}

/* Room for those who wait: their next SYN, after a second, is answered. */
static void empty_listener(int listener, int fill[4])
{
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	listen(listener, 16);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
		close(fd);
	fcntl(listener, F_SETFL, 0);
}

/* The one that says "me" among those that were waiting too. */
static int accept_me(int listener)
{
	for (;;) {
		int fd = accept_from(listener);
		char buf[2];

		if (recv(fd, buf, 2, MSG_WAITALL) == 2)
			return fd;
		close(fd);
	}
}

static void not_completed(void)
{
	struct sockaddr_in addr;
	int fill[4], listener = full_listener(&addr, fill);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	saw("write", write(fd, "x", 1));
	saw("shutdown", shutdown(fd, SHUT_WR));
	saw("close", close(fd));
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(listener);
	for (int i = 0; i < 1; i++) { /* and one that does */
		struct pair p = pair_open(false);

		bye(p.client, p.server);
	}
}

static void in_progress(void)
{
	int listener = pair_listen(), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), server;
	struct sockaddr_in addr;

	address_of(listener, &addr);
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	printf("poll: %x\n", (unsigned int)await(fd, POLLOUT));
	printf("SO_ERROR: %d\n", get_int(fd, SOL_SOCKET, SO_ERROR));
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	server = accept_from(listener);
	bye(fd, server);
	close(listener);
}

static void closed_port(struct sockaddr_in *addr)
{
	int listener = pair_listen();

	address_of(listener, addr);
	close(listener);
}

/* Refused, and then connected elsewhere with the same socket. */
static void refused(void)
{
	struct sockaddr_in addr;
	int fd = pair_socket(), listener, server;

	closed_port(&addr);
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	listener = pair_listen();
	address_of(listener, &addr);
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	server = accept_from(listener);
	bye(fd, server);
	close(listener);
}

/* The same without waiting; first to a port for which there is no policy. */
static void refused_later(void)
{
	struct sockaddr_in addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), listener = listen_elsewhere(),
	    server;

	address_of(listener, &addr);
	close(listener);
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	printf("poll: %x\n", (unsigned int)await(fd, POLLOUT));
	printf("SO_ERROR: %d\n", get_int(fd, SOL_SOCKET, SO_ERROR));
	listener = pair_listen();
	address_of(listener, &addr);
	for (int i = 0; i < 3; i++) {
		saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
		await(fd, POLLOUT);
	}
	server = accept_from(listener);
	bye(fd, server);
	close(listener);
}

static void twice(void)
{
	int listener = pair_listen(), other = pair_listen(), fd = pair_connect(listener), server;
	struct sockaddr_in addr;

	server = accept_from(listener);
	address_of(other, &addr);
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	saw("listen", listen(fd, 1));
	saw("bind", bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	bye(fd, server);
	close(listener);
	close(other);
}

static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

/* Connected, dissolved and connected elsewhere: what is known of the socket is renewed. */
static void dissolved(void)
{
	int elsewhere = listen_elsewhere(), listener = pair_listen(), fd = pair_connect(elsewhere);
	int server = accept_from(elsewhere);
	char byte;

	saw("connect to nowhere", connect(fd, &nowhere, sizeof(nowhere)));
	saw("the peer's read", read(server, &byte, 1));
	close(server);
	saw("write", write(fd, "x", 1));
	saw("connect to nowhere", connect(fd, &nowhere, sizeof(nowhere)));
	pair_connect_to(fd, listener);
	server = accept_from(listener);
	bye(fd, server);
	close(listener);
	close(elsewhere);
}

/* The other way around: what had a policy has none any more. */
static void dissolved_away(void)
{
	int elsewhere = listen_elsewhere(), listener = pair_listen(), fd = pair_connect(listener);
	int server = accept_from(listener);

	saw("connect to nowhere", connect(fd, &nowhere, sizeof(nowhere)));
	close(server);
	pair_connect_to(fd, elsewhere);
	server = accept_from(elsewhere);
	pair_say_bye(fd);
	saw("close", close(fd));
	pair_hear_eof("the peer", server);
	close(listener);
	close(elsewhere);
}

/* With a shutdown deferred, which must not come upon the connection that follows. */
static void dissolved_after_shutdown(void)
{
	int listener = pair_listen(), other = pair_listen(), fd = pair_connect(listener);
	int server = accept_from(listener);
	struct pollfd p;

	pair_say_bye(fd);
	saw("shutdown", shutdown(fd, SHUT_WR));
	saw("connect to nowhere", connect(fd, &nowhere, sizeof(nowhere)));
	pair_connect_to(fd, other);
	close(server);
	server = accept_from(other);
	p = (struct pollfd){.fd = server, .events = POLLIN | POLLRDHUP};
	printf("the peer is told: %d\n", poll(&p, 1, 700));
	bye(fd, server);
	close(listener);
	close(other);
}

static void dissolved_listener(void)
{
	int listener = listen_elsewhere(), other = pair_listen(), server;

	saw("connect to nowhere", connect(listener, &nowhere, sizeof(nowhere)));
	saw("accept", accept(listener, NULL, NULL));
	pair_connect_to(listener, other);
	server = accept_from(other);
	bye(listener, server);
	close(other);
}

static void on_alarm(int number)
{
	(void)number;
}

/* A connect() that waits is interrupted; it goes on without us. */
static void interrupted(void)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval timer = {.it_interval.tv_usec = 50000, .it_value.tv_usec = 50000};
	const struct itimerval off = {.it_value.tv_usec = 0};
	struct sockaddr_in addr;
	int fill[4], listener = full_listener(&addr, fill), fd = pair_socket(), server;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	saw("connect", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	setitimer(ITIMER_REAL, &off, NULL);
	empty_listener(listener, fill);
	printf("poll: %x\n", (unsigned int)await(fd, POLLOUT));
	if (write(fd, "me", 2) != 2)
		die("write");
	server = accept_me(listener);
	bye(fd, server);
	close(listener);
}

static void bad_addresses(void)
{
	int fd = pair_socket(), listener = pair_listen();
	struct sockaddr_in addr;

	address_of(listener, &addr);
	saw("length 0", connect(fd, (struct sockaddr *)&addr, 0));
	saw("length 4", connect(fd, (struct sockaddr *)&addr, 4));
	saw("too long", connect(fd, (struct sockaddr *)&addr, 4000));
	saw("negative", connect(fd, (struct sockaddr *)&addr, (socklen_t)-1));
	addr.sin_family = AF_UNIX;
	saw("another family", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	addr.sin_family = AF_INET6;
	saw("another family", connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	pair_connect_to(fd, listener);
	bye(fd, accept_from(listener));
	close(listener);
}

/* --- listening and accepting ------------------------------------------------------------------ */

static void listen_again(void)
{
	int listener = pair_listen(), client, server;

	saw("listen", listen(listener, 8));
	saw("listen", listen(listener, -1));
	client = pair_connect(listener);
	saw("listen", listen(listener, 64));
	server = accept_from(listener);
	saw("listen on a connection", listen(server, 1));
	saw("accept from a connection", accept(server, NULL, NULL));
	bye(server, client);
	saw("shutdown", shutdown(listener, SHUT_RDWR));
	saw("accept", accept(listener, NULL, NULL));
	saw("listen", listen(listener, 8));
	client = pair_connect(listener);
	server = accept_from(listener);
	bye(server, client);
	saw("close", close(listener));
	saw("accept", accept(listener, NULL, NULL));
	saw("listen", listen(listener, 8));
}

static void print_from(const char *name, const struct sockaddr_in *addr, socklen_t len)
{
	printf("%s: length %u, family %d, %s\n", name, len, addr->sin_family,
	       len >= sizeof(*addr) ? inet_ntoa(addr->sin_addr) : "-");
}

static void accept_ways(void)
{
	struct sockaddr_in from = {.sin_family = 99};
	socklen_t len = sizeof(from);
	int listener = pair_listen(), client = pair_connect(listener), server;

	server = accept(listener, (struct sockaddr *)&from, &len);
	print_from("accept", &from, len);
	bye(server, client);

	client = pair_connect(listener);
	len = 4;
	from = (struct sockaddr_in){.sin_family = 99};
	server = accept(listener, (struct sockaddr *)&from, &len);
	printf("short: length %u, family %d, address %x\n", len, from.sin_family,
	       from.sin_addr.s_addr);
	bye(server, client);

	client = pair_connect(listener);
	len = 1000; /* of which the kernel believes as much as it needs */
	server = accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	print_from("accept4", &from, len);
	printf("flags: %d %d\n", fcntl(server, F_GETFL) & O_NONBLOCK, fcntl(server, F_GETFD));
	bye(server, client);

	client = pair_connect(listener);
	len = 0;
	server = accept(listener, (struct sockaddr *)&from, &len);
	printf("none: length %u\n", len);
	bye(server, client);

	fcntl(listener, F_SETFL, O_NONBLOCK);
	saw("accept", accept(listener, NULL, NULL));
	saw("accept4", accept4(listener, NULL, NULL, 12345));
	saw("accept of no socket", accept(1, NULL, NULL));
	saw("accept of a closed one", accept(700, NULL, NULL));
	close(listener);
}

/* --- shutting down ---------------------------------------------------------------------------- */

static unsigned int poll_now(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

	poll(&p, 1, 0);
	return (unsigned int)p.revents;
}

static void print_names(const char *when, int fd)
{
	struct sockaddr_in addr = {.sin_family = 0};
	socklen_t len = sizeof(addr);

	printf("%s:\n", when);
	saw("getsockname", getsockname(fd, (struct sockaddr *)&addr, &len));
	print_from("here", &addr, len);
	len = sizeof(addr);
	saw("getpeername", getpeername(fd, (struct sockaddr *)&addr, &len));
	print_from("there", &addr, len);
}

static void not_connected(void)
{
	int fd = pair_socket(), listener;
	struct pair p;

	saw("shutdown", shutdown(fd, SHUT_WR));
	saw("shutdown", shutdown(fd, 7));
	saw("shutdown", shutdown(fd, -1));
	print_names("not connected", fd);
	listener = pair_listen();
	saw("connect", (pair_connect_to(fd, listener), 0));
	p = (struct pair){.client = fd, .server = accept_from(listener)};
	saw("shutdown", shutdown(p.server, 3));
	saw("shutdown", shutdown(p.server, -1));
	bye(p.server, p.client);
	close(listener);
	saw("shutdown of a closed one", shutdown(p.server, SHUT_WR));
	saw("shutdown of no socket", shutdown(0, SHUT_WR));
}

/* The peer closes first in answer to the shutdown: what programs do that half-close. */
static void half_close(int how)
{
	struct pair p = pair_open(false);
	char buf[8];

	if (write(p.client, "asked", 5) != 5)
		die("write");
	await(p.server, POLLIN);
	pair_say_bye(p.server);
	saw("shutdown", shutdown(p.server, how));
	print_names("after the shutdown", p.server);
	saw("again", shutdown(p.server, how));
	saw("SO_ERROR", get_int(p.server, SOL_SOCKET, SO_ERROR));
	saw("read", read(p.server, buf, sizeof(buf)));
	if (how == SHUT_RDWR)
		saw("read", read(p.server, buf, sizeof(buf)));
	pair_hear_bye("the peer", p.client);
	printf("then: %d\n", (await(p.server, POLLIN) & POLLIN) != 0);
	saw("read", read(p.server, buf, sizeof(buf)));
	saw("close", close(p.server));
}

static void half_close_write(void)
{
	half_close(SHUT_WR);
}

static void half_close_both(void)
{
	half_close(SHUT_RDWR);
}

static void shut_read(void)
{
	struct pair p = pair_open(false);
	char buf[8];

	saw("shutdown", shutdown(p.server, SHUT_RD));
	printf("poll: %x\n", poll_now(p.server));
	saw("read", read(p.server, buf, sizeof(buf)));
	if (write(p.client, "more", 4) != 4)
		die("write");
	usleep(20000);
	saw("read", read(p.server, buf, sizeof(buf)));
	bye(p.server, p.client);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int number)
{
	(void)number;
	pipes = pipes + 1;
}

/* What one sees right after a shutdown, before the peer has done anything. */
static void shut_seen(int how)
{
	struct pair p = pair_open(false);
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int queued = -1;

	signal(SIGPIPE, on_pipe);
	pipes = 0;
	pair_say_bye(p.server);
	saw("shutdown", shutdown(p.server, how));
	printf("poll: %x\n", poll_now(p.server));
	printf("the peer's: %x\n", (unsigned int)await(p.client, POLLRDHUP));
	saw("write", write(p.server, "x", 1));
	saw("send", send(p.server, "x", 1, 0));
	printf("SIGPIPE: %d\n", (int)pipes);
	getsockopt(p.server, IPPROTO_TCP, TCP_INFO, &info, &len);
	ioctl(p.server, TIOCOUTQ, &queued);
	printf("state: %d, queued: %d\n", info.tcpi_state, queued);
	saw("close", close(p.server));
	pair_hear_eof("the peer", p.client);
}

static void shut_write_seen(void)
{
	shut_seen(SHUT_WR);
}

static void shut_both_seen(void)
{
	shut_seen(SHUT_RDWR);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void close_ways(void)
{
	struct pair p = pair_open(false);
	int null;

	bye(p.server, p.client);
	saw("close again", close(p.server));
	saw("close of -1", close(-1));
	saw("close of INT_MIN", close(INT_MIN));
	saw("close of INT_MAX", close(INT_MAX));
	saw("close of one million", close(1000000));
	saw("fsync", fsync(p.server));
	errno = 123;
	null = dup(0);
	saw("close", close(null));
	p = pair_open(false);
	saw("fsync", fsync(p.server));
	saw("fdatasync", fdatasync(p.server));
	saw("lseek", lseek(p.server, 0, SEEK_CUR));
	errno = 123;
	bye(p.server, p.client);
	printf("errno: %d\n", errno);
}

/* What succeeds leaves errno alone, with us too. */
static void errno_is_kept(void)
{
	int listener = pair_listen(), client, server, copy, epfd;
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

#define KEPT(call)                                \
	do {                                      \
		errno = 77;                       \
		if ((call) < 0)                   \
			die(#call);               \
		printf("%s: %d\n", #call, errno); \
	} while (0)
	KEPT(client = pair_connect(listener));
	KEPT(server = accept(listener, (struct sockaddr *)&addr, &len));
	KEPT(copy = dup(server));
	KEPT(close(copy));
	KEPT(copy = fcntl(server, F_DUPFD, 100));
	KEPT(dup2(client, copy));
	KEPT(close(copy));
	KEPT(setsockopt(server, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)));
	KEPT(getsockname(server, (struct sockaddr *)&addr, &len));
	KEPT(listen(listener, 5));
	KEPT(write(server, "bye", 3));
	KEPT(shutdown(server, SHUT_WR));
	KEPT(close(server));
	KEPT(epfd = dup(0));
	KEPT(close(epfd));
	pair_hear_bye("the peer", client);
	KEPT(close(listener));
	close(epfd);
#undef KEPT
}

/* The kernel says EFAULT; whoever looks first must not. */
static void bad_pointers(void)
{
	struct pair p = pair_open(false);
	void *bad = (void *)BAD;
	socklen_t len = sizeof(struct sockaddr_in);

	saw("setsockopt", setsockopt(p.server, SOL_SOCKET, SO_LINGER, bad, sizeof(struct linger)));
	saw("setsockopt", setsockopt(p.server, SOL_SOCKET, SO_LINGER, bad, 1));
	saw("setsockopt", setsockopt(p.server, IPPROTO_TCP, TCP_ULP, bad, 4));
	saw("setsockopt", setsockopt(p.server, IPPROTO_TCP, TCP_ULP, bad, (socklen_t)-1));
	saw("getsockname", getsockname(p.server, bad, &len));
	saw("getsockname", getsockname(p.server, bad, bad));
	bye(p.server, p.client);
}

int main(int argc, char **argv)
{
	static const struct pair_way ways[] = {
		{"connect-not-completed", not_completed},
		{"connect-in-progress", in_progress},
		{"connect-refused", refused},
		{"connect-refused-later", refused_later},
		{"connect-twice", twice},
		{"connect-dissolved", dissolved},
		{"connect-dissolved-away", dissolved_away},
		{"connect-dissolved-after-shutdown", dissolved_after_shutdown},
		{"connect-dissolved-listener", dissolved_listener},
		{"connect-interrupted", interrupted},
		{"connect-bad-addresses", bad_addresses},
		{"listen-again", listen_again},
		{"accept-ways", accept_ways},
		{"not-connected", not_connected},
		{"half-close", half_close_write},
		{"half-close-both", half_close_both},
		{"shut-read", shut_read},
		{"shut-write-seen", shut_write_seen},
		{"shut-both-seen", shut_both_seen},
		{"close-ways", close_ways},
		{"errno", errno_is_kept},
		{"bad-pointers", bad_pointers},
	};

	return pair_run(argc, argv, ways, sizeof(ways) / sizeof(ways[0]), ROUNDS);
}
