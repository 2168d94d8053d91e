/* SPDX-License-Identifier: MIT */
/* sock_kinds HOW: sockets with an option that makes a close special, and sockets that are no TCP.
 *
 * Each is closed three times. What the peer sees at the end is only printed where the close is not
 * to be handed over: the daemon waits for the peer's FIN, and reads what was left unread. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/shim/pair.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef AF_SMC
#define AF_SMC 43
#endif
#ifndef IPPROTO_SCTP
#define IPPROTO_SCTP 132
#endif

enum { ROUNDS = 3, QUIET_MS = 30 };

static void set_int(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) != 0)
		die("setsockopt");
}

static int get_int(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
}

static void await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	if (poll(&p, 1, 20000) != 1)
		die("poll");
}

/* It says bye, is closed, and the peer hears it. */
static void bye(const struct pair *p)
{
	pair_say_bye(p->server);
	saw("close", close(p->server));
	pair_hear_bye("the peer", p->client);
}

static void bye_to_eof(const struct pair *p)
{
	pair_say_bye(p->server);
	saw("close", close(p->server));
	pair_hear_eof("the peer", p->client);
}

/* --- signals ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t signals, by_fd;

static void on_io(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	signals = signals + 1;
	by_fd = info->si_fd;
}

static void own_io(int fd, int number)
{
	struct sigaction action = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO};

	sigaction(number, &action, NULL);
	if (fcntl(fd, F_SETOWN, getpid()) != 0 || fcntl(fd, F_SETSIG, number) != 0)
		die("F_SETOWN");
}

/* Signals of the connection come before its close and not after. */
static void async_end(const struct pair *p)
{
	signals = 0;
	if (write(p->client, "x", 1) != 1)
		die("write");
	await(p->server, POLLIN);
	printf("signals before: %d\n", signals > 0);
	printf("of this one: %d\n", by_fd == p->server);
	pair_say_bye(p->server);
	saw("close", close(p->server));
	signals = 0;
	pair_hear_bye("the peer", p->client);
	usleep(QUIET_MS * 1000);
	printf("signals after: %d\n", (int)signals);
}

static void async(struct pair p)
{
	own_io(p.server, SIGIO);
	fcntl(p.server, F_SETFL, O_ASYNC | O_NONBLOCK);
	async_end(&p);
}

static void async_by_ioctl(struct pair p)
{
	int on = 1;

	own_io(p.server, SIGRTMIN + 3);
	ioctl(p.server, FIOASYNC, &on);
	async_end(&p);
}

/* Switched off again: nothing stands in the way. */
static void async_off(struct pair p)
{
	own_io(p.server, SIGIO);
	fcntl(p.server, F_SETFL, O_ASYNC);
	fcntl(p.server, F_SETFL, 0);
	bye(&p);
}

/* Switched on after a shutdown that is deferred: the daemon has a duplicate by then. */
static void async_late(struct pair p)
{
	pair_say_bye(p.server);
	saw("shutdown", shutdown(p.server, SHUT_WR));
	own_io(p.server, SIGIO);
	fcntl(p.server, F_SETFL, O_ASYNC);
	saw("close", close(p.server));
	signals = 0;
	pair_hear_bye("the peer", p.client);
	usleep(QUIET_MS * 1000);
	printf("signals after: %d\n", (int)signals);
}

/* --- linger ----------------------------------------------------------------------------------- */

static void set_linger(int fd, int on, int seconds)
{
	struct linger linger = {on, seconds};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) != 0)
		die("SO_LINGER");
}

static void linger_on(struct pair p)
{
	set_linger(p.server, 1, 5);
	bye_to_eof(&p);
}

static void linger_reset(struct pair p)
{
	set_linger(p.server, 1, 0);
	bye_to_eof(&p);
}

static void linger_off(struct pair p)
{
	set_linger(p.server, 1, 5);
	set_linger(p.server, 0, 0);
	bye(&p);
}

static void accept_as(struct pair *p, int listener)
{
	p->client = pair_connect(listener);
	p->server = accept(listener, NULL, NULL);
	if (p->server < 0)
		die("accept");
	close(listener);
}

static void linger_listener(struct pair p)
{
	int listener = pair_listen();

	close(p.client);
	close(p.server);
	set_linger(listener, 1, 0);
	accept_as(&p, listener);
	printf("inherited: %d\n", get_int(p.server, SOL_SOCKET, SO_LINGER));
	bye_to_eof(&p);
}

/* --- what is held back ------------------------------------------------------------------------ */

static void cork(struct pair p)
{
	set_int(p.server, IPPROTO_TCP, TCP_CORK, 1);
	bye(&p);
}

static void more(struct pair p)
{
	if (send(p.server, "bye", 3, MSG_MORE) != 3)
		die("send");
	saw("close", close(p.server));
	pair_hear_bye("the peer", p.client);
}

static void zerocopy(struct pair p)
{
	static char big[200000];
	size_t have = 0;
	ssize_t got;

	memset(big, 'z', sizeof(big));
	set_int(p.server, SOL_SOCKET, SO_ZEROCOPY, 1);
	saw("send", send(p.server, big, sizeof(big), MSG_ZEROCOPY));
	saw("close", close(p.server));
	memset(big, 'y', sizeof(big)); /* loopback copies */
	while (have < sizeof(big) && (got = read(p.client, big, sizeof(big))) > 0)
		have += (size_t)got;
	printf("the peer: %zu '%c'\n", have, big[0]);
	close(p.client);
}

static void send_file(struct pair p)
{
	int file = open("/proc/self/exe", O_RDONLY), ends[2];
	char buf[4096];
	size_t have = 0;
	ssize_t got;

	if (pipe(ends) != 0 || write(ends[1], "pipe", 4) != 4)
		die("pipe");
	saw("splice", splice(ends[0], NULL, p.server, NULL, 4, SPLICE_F_MORE));
	saw("sendfile", sendfile(p.server, file, NULL, 8192));
	saw("close", close(p.server));
	while (have < 8196 && (got = read(p.client, buf, sizeof(buf))) > 0)
		have += (size_t)got;
	printf("the peer: %zu\n", have);
	close(p.client);
	close(file);
	close(ends[0]);
	close(ends[1]);
}

/* --- what has come ---------------------------------------------------------------------------- */

static void out_of_band(struct pair p)
{
	char byte = '-';

	if (send(p.client, "u", 1, MSG_OOB) != 1)
		die("send");
	await(p.server, POLLPRI);
	saw("recv", recv(p.server, &byte, 1, MSG_OOB));
	printf("urgent: %c, at mark: %d\n", byte, sockatmark(p.server));
	saw("send", send(p.server, "!", 1, MSG_OOB));
	await(p.client, POLLPRI);
	bye(&p);
}

static void unread(struct pair p)
{
	if (write(p.client, "a request that nobody reads", 27) != 27)
		die("write");
	await(p.server, POLLIN);
	bye(&p);
}

static void peer_first(struct pair p)
{
	char byte;

	shutdown(p.client, SHUT_WR);
	saw("read", read(p.server, &byte, 1));
	bye_to_eof(&p);
}

static void peer_resets(struct pair p)
{
	char byte;

	set_linger(p.client, 1, 0);
	close(p.client);
	await(p.server, POLLIN);
	saw("read", read(p.server, &byte, 1));
	saw("write", write(p.server, "x", 1));
	saw("close", close(p.server));
}

/* --- ways to connect -------------------------------------------------------------------------- */

static void fastopen(struct pair p)
{
	int listener = pair_listen();

	close(p.client);
	close(p.server);
	set_int(listener, IPPROTO_TCP, TCP_FASTOPEN, 5);
	p.client = pair_socket();
	set_int(p.client, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	pair_connect_to(p.client, listener);
	saw("write", write(p.client, "hello", 5));
	p.server = accept(listener, NULL, NULL);
	await(p.server, POLLIN);
	close(listener);
	bye(&p);
}

static void fastopen_by_send(struct pair p)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int listener = pair_listen();

	close(p.client);
	close(p.server);
	set_int(listener, IPPROTO_TCP, TCP_FASTOPEN, 5);
	p.client = pair_socket();
	getsockname(listener, (struct sockaddr *)&addr, &len);
	saw("sendto", sendto(p.client, "hello", 5, MSG_FASTOPEN, (struct sockaddr *)&addr, len));
	p.server = accept(listener, NULL, NULL);
	await(p.server, POLLIN);
	close(listener);
	bye(&p);
}

static void defer_accept(struct pair p)
{
	int listener = pair_listen();

	close(p.client);
	close(p.server);
	set_int(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	p.client = pair_connect(listener);
	if (write(p.client, "hello", 5) != 5)
		die("write");
	p.server = accept(listener, NULL, NULL);
	close(listener);
	bye(&p);
}

static int listen_at(int family, uint16_t port, bool only)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET};
	int fd = socket(family, SOCK_STREAM, 0);

	six.sin6_port = four.sin_port = htons(port);
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, only);
	if (family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof(six)) != 0
			       : bind(fd, (struct sockaddr *)&four, sizeof(four)) != 0)
		die("bind");
	if (listen(fd, 16) != 0)
		die("listen");
	return fd;
}

/* Which of two listeners of one port a connection comes to is the kernel's choice. */
static void reuse_port(struct pair p)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(8800)};
	struct pollfd both[2] = {{.fd = listen_at(AF_INET, 8800, false), .events = POLLIN},
				 {.fd = listen_at(AF_INET, 8800, false), .events = POLLIN}};

	close(p.client);
	close(p.server);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p.client = pair_socket();
	saw("connect", connect(p.client, (struct sockaddr *)&addr, sizeof(addr)));
	poll(both, 2, 20000);
	p.server = accept(both[both[0].revents ? 0 : 1].fd, NULL, NULL);
	bye(&p);
	close(both[0].fd);
	close(both[1].fd);
}

static void print_names(const char *who, int fd)
{
	struct sockaddr_in6 addr;
	char text[64] = "";
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		die("getsockname");
	inet_ntop(AF_INET6, &addr.sin6_addr, text, sizeof(text));
	printf("%s: length %u, family %d, %s\n", who, len, addr.sin6_family, text);
	len = sizeof(addr);
	if (getpeername(fd, (struct sockaddr *)&addr, &len) != 0)
		die("getpeername");
	inet_ntop(AF_INET6, &addr.sin6_addr, text, sizeof(text));
	printf("its peer: length %u, family %d, %s\n", len, addr.sin6_family, text);
}

static void six(struct pair p, const char *to)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(8801)};
	int listener = listen_at(AF_INET6, 8801, false);

	close(p.client);
	close(p.server);
	inet_pton(AF_INET6, to, &addr.sin6_addr);
	p.client = socket(AF_INET6, SOCK_STREAM, 0);
	saw("connect", connect(p.client, (struct sockaddr *)&addr, sizeof(addr)));
	p.server = accept(listener, NULL, NULL);
	print_names("server", p.server);
	print_names("client", p.client);
	bye(&p);
	close(listener);
}

static void v6(struct pair p)
{
	six(p, "::1");
}

static void mapped(struct pair p)
{
	six(p, "::ffff:127.0.0.1");
}

/* --- no TCP, or something on top of it -------------------------------------------------------- */

/* The family of connections that are not ours to steer, beside one that is. */
static void others_close(int a, int b)
{
	char buf[8] = "";

	if (a < 0 || b < 0)
		die("a socket");
	saw("write", write(a, "bye", 3));
	saw("read", read(b, buf, sizeof(buf)));
	saw("close", close(a));
	saw("close", close(b));
}

static void connect_by(struct pair *other, int family, int type, int protocol, uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int listener = socket(family, type, protocol);

	other->client = other->server = -1;
	if (saw("socket", listener >= 0 ? 0 : -1) < 0)
		return;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	set_int(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(listener, 4) != 0)
		die("listen");
	other->client = socket(family, type, protocol);
	saw("connect", connect(other->client, (struct sockaddr *)&addr, sizeof(addr)));
	other->server = accept(listener, NULL, NULL);
	close(listener);
	if (other->server < 0)
		die("accept");
}

static void no_tcp(struct pair p, int family, int type, int protocol)
{
	struct pair other;

	connect_by(&other, family, type, protocol, 8802);
	if (other.server >= 0)
		others_close(other.server, other.client);
	bye(&p);
}

static void multipath(struct pair p)
{
	no_tcp(p, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
}

static void sctp(struct pair p)
{
	no_tcp(p, AF_INET, SOCK_STREAM, IPPROTO_SCTP);
}

static void smc(struct pair p)
{
	no_tcp(p, AF_SMC, SOCK_STREAM, 0);
}

/* A listener of MPTCP to which a plain TCP client comes. */
static void multipath_falls_back(struct pair p)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(8803)};
	int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	struct pair other;

	if (saw("socket", listener >= 0 ? 0 : -1) == 0) {
		addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		set_int(listener, SOL_SOCKET, SO_REUSEADDR, 1);
		if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		    listen(listener, 4) != 0)
			die("listen");
		other.client = pair_socket();
		saw("connect", connect(other.client, (struct sockaddr *)&addr, sizeof(addr)));
		other.server = accept(listener, NULL, NULL);
		printf("protocol: %d\n", get_int(other.server, SOL_SOCKET, SO_PROTOCOL));
		others_close(other.server, other.client);
		close(listener);
	}
	bye(&p);
}

static void other_families(struct pair p)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct sockaddr_in udp = {.sin_family = AF_INET};
	struct sockaddr_nl netlink = {.nl_family = AF_NETLINK};
	struct sockaddr_storage from;
	socklen_t len = sizeof(udp), from_len = sizeof(from);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), ends[2];

	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "closeside case %d", getpid());
	saw("bind", bind(listener, (struct sockaddr *)&addr, sizeof(addr)));
	saw("listen", listen(listener, 1));
	saw("connect", connect(client, (struct sockaddr *)&addr, sizeof(addr)));
	ends[0] = accept(listener, (struct sockaddr *)&from, &from_len);
	printf("from: length %u, family %d\n", from_len, from.ss_family);
	others_close(ends[0], client);
	close(listener);

	udp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	saw("bind", bind(a, (struct sockaddr *)&udp, sizeof(udp)));
	getsockname(a, (struct sockaddr *)&udp, &len);
	saw("connect", connect(b, (struct sockaddr *)&udp, sizeof(udp)));
	saw("shutdown", shutdown(a, SHUT_WR));
	others_close(b, a);

	a = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	saw("bind", bind(a, (struct sockaddr *)&netlink, sizeof(netlink)));
	saw("close", close(a));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
		die("socketpair");
	others_close(ends[0], ends[1]);
	bye(&p);
}

/* What the kernel encrypts has a record of its own to send at close. */
static void tls(struct pair p)
{
	if (setsockopt(p.server, IPPROTO_TCP, TCP_ULP, "tls", 4) != 0)
		die("TCP_ULP");
	bye_to_eof(&p);
}

static void unknown_ulp(struct pair p)
{
	saw("TCP_ULP", setsockopt(p.server, IPPROTO_TCP, TCP_ULP, "none such", 10));
	bye(&p);
}

/* As CRIU takes a connection away: nothing is sent at its close. */
static void repair(struct pair p)
{
	struct pollfd silent = {.fd = p.client, .events = POLLIN | POLLRDHUP};

	if (write(p.server, "bye", 3) != 3)
		die("write");
	await(p.client, POLLIN);
	set_int(p.server, IPPROTO_TCP, TCP_REPAIR, 1);
	saw("close", close(p.server));
	silent.events = POLLRDHUP;
	printf("the peer sees an end: %d\n", poll(&silent, 1, QUIET_MS));
	pair_hear_bye("the peer", p.client);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct pair p);
	} hows[] = {
		{"async", async},
		{"async-ioctl", async_by_ioctl},
		{"async-off", async_off},
		{"async-late", async_late},
		{"linger", linger_on},
		{"linger-reset", linger_reset},
		{"linger-off", linger_off},
		{"linger-listener", linger_listener},
		{"cork", cork},
		{"more", more},
		{"zerocopy", zerocopy},
		{"sendfile", send_file},
		{"out-of-band", out_of_band},
		{"unread", unread},
		{"peer-first", peer_first},
		{"peer-resets", peer_resets},
		{"fastopen", fastopen},
		{"fastopen-send", fastopen_by_send},
		{"defer-accept", defer_accept},
		{"reuse-port", reuse_port},
		{"v6", v6},
		{"mapped", mapped},
		{"mptcp", multipath},
		{"mptcp-falls-back", multipath_falls_back},
		{"sctp", sctp},
		{"smc", smc},
		{"others", other_families},
		{"tls", tls},
		{"unknown-ulp", unknown_ulp},
		{"repair", repair},
	};

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc == 2 && i < sizeof(hows) / sizeof(hows[0]); i++)
		if (strcmp(argv[1], hows[i].name) == 0) {
			for (int round = 0; round < ROUNDS; round++)
				hows[i].run(pair_open(false));
			return 0;
		}
	return 2;
}
