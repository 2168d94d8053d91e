/* SPDX-License-Identifier: MIT */
/* The answering side: one thread, epoll. */
#include "tests/bench/churn.h"
#include "tests/bench/churn_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256, FDS_MAX = 1 << 20, PART = 16384 };

enum phase { UNUSED, ASKED, ANSWERING, AWAITING_EOF };

struct conn {
	enum phase phase;
	uint32_t got, sent;
	struct churn_request request;
};

struct server {
	const struct churn_options *options;
	int epoll, listener;
	struct conn *conns; /* by descriptor */
	uint64_t next_accept_ns;
	struct {
		uint64_t accepted, answered, open, wrong, failed, refused;
	} count;
};

static void end(struct server *server, int fd)
{
	server->conns[fd].phase = UNUSED;
	server->count.open--;
	close(fd);
}

static void fail(struct server *server, int fd)
{
	server->count.failed++;
	end(server, fd);
}

static void answer(struct server *server, int fd)
{
	struct conn *conn = &server->conns[fd];
	uint8_t part[PART];

	while (conn->sent < conn->request.length) {
		size_t len = conn->request.length - conn->sent;
		ssize_t n;

		if (len > sizeof(part))
			len = sizeof(part);
		churn_payload(conn->request.seed, conn->sent, part, len);
		n = send(fd, part, len, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno != EAGAIN)
				fail(server, fd);
			return;
		}
		conn->sent += (uint32_t)n;
	}
	server->count.answered++;
	conn->phase = AWAITING_EOF;
	if (server->options->close == CHURN_US)
		end(server, fd);
}

static void asked(struct server *server, int fd)
{
	struct conn *conn = &server->conns[fd];
	const struct churn_request *request = &conn->request;

	if (request->magic != CHURN_MAGIC || request->length > CHURN_ANSWER_MAX ||
	    request->sum != churn_request_sum(request)) {
		server->count.wrong++;
		end(server, fd);
		return;
	}
	conn->phase = ANSWERING;
	answer(server, fd);
}

static void read_request(struct server *server, int fd)
{
	struct conn *conn = &server->conns[fd];
	ssize_t n =
		recv(fd, (char *)&conn->request + conn->got, sizeof(conn->request) - conn->got, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		fail(server, fd);
	} else if (n > 0) {
		conn->got += (uint32_t)n;
		if (conn->got == sizeof(conn->request))
			asked(server, fd);
	}
}

static void await_eof(struct server *server, int fd)
{
	char buf[64];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n > 0)
		server->count.wrong++;
	else if (n < 0 && errno == EAGAIN)
		return;
	if (server->options->close != CHURN_NEVER)
		end(server, fd);
}

static void act(struct server *server, int fd)
{
	switch (server->conns[fd].phase) {
	case ASKED:
		read_request(server, fd);
		break;
	case ANSWERING:
		answer(server, fd);
		break;
	case AWAITING_EOF:
		await_eof(server, fd);
		break;
	default:
		break;
	}
}

static void accept_all(struct server *server)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int fd;

	while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		event.data.fd = fd;
		if (fd >= FDS_MAX || epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
			server->count.refused++;
			close(fd);
			continue;
		}
		if (server->options->linger0)
			churn_socket_linger0(fd);
		server->count.accepted++;
		server->count.open++;
		memset(&server->conns[fd], 0, sizeof(server->conns[fd]));
		server->conns[fd].phase = ASKED;
		act(server, fd); /* the request is mostly there */
	}
	if (errno != EAGAIN) { /* EMFILE: the queue stays as it is */
		server->count.refused++;
		poll(NULL, 0, 10);
	}
}

static bool begin(struct server *server)
{
	const struct churn_options *options = server->options;
	struct epoll_event event = {.events = EPOLLIN};
	int on = 1;

	server->conns = calloc(FDS_MAX, sizeof(server->conns[0]));
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->listener =
		socket(options->at.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	event.data.fd = server->listener;
	return server->conns && server->epoll >= 0 && server->listener >= 0 &&
	       !setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
	       !bind(server->listener, (const struct sockaddr *)&options->at.sa, options->at.len) &&
	       !listen(server->listener, options->backlog) &&
	       (options->accept_every_ms ||
		!epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &event));
}

/* Milliseconds until it looks into the queue again, if it does so by the clock. */
static int accept_by_clock(struct server *server)
{
	uint64_t every_ns = server->options->accept_every_ms * UINT64_C(1000000);
	uint64_t now = churn_now_ns();

	if (!every_ns)
		return 1000;
	if (now >= server->next_accept_ns) {
		accept_all(server);
		server->next_accept_ns = churn_now_ns() + every_ns;
	}
	return (int)((server->next_accept_ns - now) / 1000000) + 1;
}

int churn_serve(const struct churn_options *options)
{
	struct server server = {.options = options};
	struct epoll_event events[EVENTS];

	if (!begin(&server)) {
		perror("churn: listen");
		return 1;
	}
	while (!churn_stop) {
		int timeout_ms = accept_by_clock(&server);
		int n = epoll_wait(server.epoll, events, EVENTS, timeout_ms);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == server.listener)
				accept_all(&server);
			else
				act(&server, events[i].data.fd);
		}
	}
	printf("{\"accepted\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"open\":%" PRIu64
	       ",\"wrong\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"refused\":%" PRIu64 "}\n",
	       server.count.accepted, server.count.answered, server.count.open, server.count.wrong,
	       server.count.failed, server.count.refused);
	free(server.conns);
	return 0;
}
