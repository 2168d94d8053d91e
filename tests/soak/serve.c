/* SPDX-License-Identifier: MIT */
#include "tests/soak/serve.h"

#include "tests/soak/board.h"
#include "tests/soak/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int listeners[LISTENERS_MAX];
unsigned int listener_count;

/* --- one connection, blocking ----------------------------------------------------------------- */

/* What the client does by order is no failure. */
static void judge_up(enum io_end end, const struct order *order)
{
	if (end == IO_WHOLE || order->client_ending == CLIENT_ABORT || order->ending == END_EARLY)
		return;
	if (end == IO_HUNG)
		FAIL(hung, order, "the server waits for the client's payload");
	else
		FAIL(lost_up, order, "%s before the client's payload is whole: %m", io_words[end]);
}

static enum io_end receive_order(int fd, struct order *order)
{
	enum io_end end = io_read(fd, order, sizeof(*order), NULL);

	if (end != IO_WHOLE) {
		COUNT(unordered);
		if (end == IO_HUNG)
			FAIL(hung, NULL, "the server waits for an order");
	} else if (!plan_is_sound(order)) {
		FAIL(lost_up, NULL, "an order is not what was sent");
		end = IO_WRONG;
	}
	return end;
}

/* The end of it by stdio, or through a duplicate, if it is so ordered. */
static enum io_end send_down(int *fd, const struct order *order)
{
	uint64_t seed = plan_down_seed(order);
	size_t half = order->down / 2;
	enum io_end end;
	int copy;

	if (order->ending != END_DUP)
		return io_send_payload(*fd, seed, 0, order->down);
	end = io_send_payload(*fd, seed, 0, half);
	copy = dup(*fd);
	if (copy < 0) {
		FAIL(odd, order, "dup: %m");
		return end;
	}
	close(*fd);
	*fd = copy;
	return end == IO_WHOLE ? io_send_payload(copy, seed, half, order->down) : end;
}

/* What stdio has not flushed yet when it is closed. */
static size_t stream_tail(const struct order *order)
{
	return order->down < 512 ? order->down : 512;
}

static void close_stream(int fd, const struct order *order, bool sole)
{
	FILE *file = fdopen(fd, "w");
	uint8_t buf[512];
	size_t tail = stream_tail(order);
	bool eligible;

	if (!file) {
		FAIL(odd, order, "fdopen: %m");
		close(fd);
		return;
	}
	payload_fill(plan_down_seed(order), order->down - tail, buf, tail);
	fwrite(buf, 1, tail, file);
	eligible = sole && ending_is_eligible(fd, order);
	if (fclose(file) != 0 && order->client_ending != CLIENT_ABORT &&
	    order->client_ending != CLIENT_FORGET)
		FAIL(odd, order, "fclose: %m");
	if (eligible)
		ending_mark(order);
}

static void await_client(int fd, const struct order *order)
{
	enum io_end end;

	io_set_deadline(fd, ending_patience_s(order));
	end = io_await_eof(fd);
	if (end == IO_EOF || (end == IO_RESET && plan_server_may_reset(order)) ||
	    order->client_ending == CLIENT_ABORT)
		return;
	if (end == IO_HUNG && plan_may_be_late(order))
		COUNT(late); /* documented: the daemon was killed within the grace */
	else
		FAIL(not_ended, order, "%s where the server waits for the client's end: %m",
		     io_words[end]);
}

static void judge_down(enum io_end end, const struct order *order)
{
	if (end == IO_WHOLE || order->client_ending == CLIENT_ABORT || plan_may_lose(order))
		return;
	if (end == IO_HUNG)
		FAIL(hung, order, "the server cannot send its answer");
	else
		FAIL(lost, order, "%s where the server sends its answer: %m", io_words[end]);
}

static enum io_end answer(int *fd, const struct order *order, bool bad)
{
	struct answer head = {ORDER_MAGIC, bad, order->id};
	struct order part = *order;
	enum io_end end;

	if (order->client_ending == CLIENT_FORGET)
		return IO_WHOLE;
	if (order->ending == END_STREAM)
		part.down -= stream_tail(order);
	/* One in four that is nothing else is corked: close() is to push it. */
	end = io_write(*fd, &head, sizeof(head), order->down > 0 || order->turn % 4 == 0);
	if (end == IO_WHOLE)
		end = send_down(fd, &part);
	judge_down(end, order);
	return end;
}

static void count_served(const struct order *order, enum io_end up)
{
	COUNT(served);
	atomic_fetch_add(&board->bytes_up, order->up);
	if (order->client_ending == CLIENT_FORGET && up == IO_WHOLE)
		COUNT(heard);
}

/* What comes before the close itself. */
static void wait_as_ordered(int fd, const struct order *order)
{
	if (order->pause_ms)
		io_nap_ms(order->pause_ms);
	if (order->ending == END_SHUT_WAIT)
		shutdown(fd, SHUT_WR);
	if (order->ending == END_WAIT || order->ending == END_SHUT_WAIT)
		await_client(fd, order);
}

void serve(int fd, bool sole, bool leave_open)
{
	struct order order;
	enum io_end up = IO_WHOLE;

	io_set_deadline(fd, IO_DEADLINE_S);
	if (receive_order(fd, &order) != IO_WHOLE) {
		close(fd);
		return;
	}
	if (order.ending != END_EARLY)
		up = io_receive_payload(fd, order.seed, order.up);
	judge_up(up, &order);
	count_served(&order, up);
	if (up == IO_WHOLE)
		answer(&fd, &order, false);
	else if (up == IO_WRONG)
		answer(&fd, &order, true);
	wait_as_ordered(fd, &order);
	if (order.ending == END_STREAM && order.client_ending != CLIENT_FORGET && up == IO_WHOLE)
		close_stream(fd, &order, sole);
	else if (leave_open && order.ending == END_CLOSE)
		return;
	else if (order.ending == END_THREAD)
		closer_give(fd, &order, sole);
	else
		ending_close(fd, &order, sole);
}

/* --- all of them ------------------------------------------------------------------------------ */

int accept_any(int wait_ms)
{
	struct pollfd pfds[LISTENERS_MAX];
	static _Thread_local unsigned int turn;

	for (unsigned int i = 0; i < listener_count; i++)
		pfds[i] = (struct pollfd){.fd = listeners[i], .events = POLLIN};
	if (poll(pfds, listener_count, wait_ms) <= 0)
		return -1;
	turn++;
	for (unsigned int i = 0; i < listener_count; i++) {
		const struct pollfd *pfd = &pfds[(i + turn) % listener_count];
		int fd;

		if (!(pfd->revents & POLLIN))
			continue;
		fd = accept4(pfd->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			FAIL(odd, NULL, "accept: %m");
	}
	return -1;
}

static bool listen_on(uint16_t port)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	listeners[listener_count++] = fd;
	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 1000) == 0;
}

/* serve BOARD MODEL */
int serve_main(int argc, char **argv)
{
	static int (*const servers[])(void) = {serve_epoll, serve_threads, serve_forking,
					       serve_passing, serve_exiting};
	unsigned int model = 0;

	if (argc != 3 || !board_map(argv[1], false))
		return 2;
	while (model < MODEL_COUNT && strcmp(model_words[model], argv[2]) != 0)
		model++;
	if (model == MODEL_COUNT)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	for (unsigned int i = 0; i < policy_count; i++) {
		if (!listen_on(plan_port(model, i))) {
			perror("listen");
			return 1;
		}
	}
	return servers[model]();
}
