/* SPDX-License-Identifier: MIT */
/* The event-driven server: one thread, non-blocking sockets, level-triggered, edge-triggered,
 * one-shot, or in two sets. Like most such programs it does not take a connection out of its sets
 * before it closes it: an event that comes for a closed one is a failure. */
#include "tests/soak/serve.h"

#include "tests/soak/board.h"
#include "tests/soak/io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNS = 2000, EVENTS = 64, CHUNK = 16384, SWEEP_MS = 500 };
enum { LEVEL, EDGE, ONE_SHOT };
enum stage { FREE, ORDER, UP, HEAD, DOWN, AWAIT };

struct conn {
	enum stage stage;
	int fd, mode;
	bool twice;	     /* in the second set as well */
	uint32_t generation; /* of the slot: events carry it */
	size_t at;	     /* in what the stage reads or writes */
	struct order order;
	struct answer answer;
	uint64_t deadline_ms;
};

static struct conn conns[CONNS];
static unsigned int conn_count, accepted;
static int set, second_set;

/* More: the stage is to go on when the socket is ready. */
enum step { MORE, NEXT, BROKEN };

static void set_stage(struct conn *c, enum stage stage, int seconds)
{
	c->stage = stage;
	c->at = 0;
	c->deadline_ms = board_now_ms() + (uint64_t)seconds * 1000;
}

static void arm(struct conn *c, int op)
{
	bool writes = c->stage == HEAD || c->stage == DOWN;
	struct epoll_event event = {.events = writes ? EPOLLOUT : EPOLLIN};

	event.data.u64 = (uint64_t)c->generation << 32 | (uint64_t)(c - conns);
	if (c->mode == EDGE) {
		if (op == EPOLL_CTL_MOD)
			return;
		event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	} else if (c->mode == ONE_SHOT) {
		event.events |= EPOLLONESHOT;
	}
	if (epoll_ctl(set, op, c->fd, &event) != 0)
		FAIL(odd, &c->order, "epoll_ctl: %m");
	if (op == EPOLL_CTL_ADD && c->twice) {
		event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
		epoll_ctl(second_set, op, c->fd, &event);
	}
}

static void conn_free(struct conn *c)
{
	c->stage = FREE;
	c->generation++;
	conn_count--;
}

static void conn_close(struct conn *c)
{
	int fd = c->fd;
	bool by_thread = c->order.ending == END_THREAD;

	if (by_thread) { /* it may be closed later than the next event comes */
		epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL);
		if (c->twice)
			epoll_ctl(second_set, EPOLL_CTL_DEL, fd, NULL);
		closer_give(fd, &c->order, true);
	} else if (c->order.magic) {
		ending_close(fd, &c->order, true);
	} else {
		close(fd);
	}
	conn_free(c);
}

/* --- stages ----------------------------------------------------------------------------------- */

static enum step step_by_errno(void)
{
	return errno == EAGAIN || errno == EINTR ? MORE : BROKEN;
}

static enum step read_order(struct conn *c)
{
	ssize_t n = recv(c->fd, (char *)&c->order + c->at, sizeof(c->order) - c->at, 0);

	if (n <= 0) {
		enum step step = n == 0 ? BROKEN : step_by_errno();

		if (step == BROKEN) {
			COUNT(unordered);
			c->order.magic = 0;
		}
		return step;
	}
	c->at += (size_t)n;
	if (c->at < sizeof(c->order))
		return MORE;
	if (plan_is_sound(&c->order))
		return NEXT;
	FAIL(lost_up, NULL, "an order is not what was sent");
	c->order.magic = 0;
	return BROKEN;
}

static enum step read_up(struct conn *c)
{
	uint8_t buf[CHUNK];

	while (c->at < c->order.up) {
		size_t part = c->order.up - c->at < CHUNK ? c->order.up - c->at : CHUNK;
		ssize_t n = recv(c->fd, buf, part, 0);

		if (n < 0 && step_by_errno() == MORE)
			return MORE;
		if (n <= 0) {
			if (c->order.client_ending != CLIENT_ABORT)
				FAIL(lost_up, &c->order, "%zu bytes of the client's came: %s",
				     c->at, n ? strerror(errno) : "end of file");
			return BROKEN;
		}
		if (!payload_matches(c->order.seed, c->at, buf, (size_t)n)) {
			FAIL(lost_up, &c->order, "not what was sent, at %zu", c->at);
			c->answer.bad = 1;
		}
		c->at += (size_t)n;
	}
	return NEXT;
}

static enum step cannot_send(struct conn *c)
{
	if (step_by_errno() == MORE)
		return MORE;
	if (c->order.client_ending != CLIENT_ABORT && !plan_may_lose(&c->order))
		FAIL(lost, &c->order, "%zu bytes of the answer sent: %m", c->at);
	return BROKEN;
}

static enum step write_head(struct conn *c)
{
	bool more = c->order.down > 0 || c->order.turn % 4 == 0;
	ssize_t n = send(c->fd, (char *)&c->answer + c->at, sizeof(c->answer) - c->at,
			 MSG_NOSIGNAL | (more ? MSG_MORE : 0));

	if (n < 0)
		return cannot_send(c);
	c->at += (size_t)n;
	return c->at == sizeof(c->answer) ? NEXT : MORE;
}

static enum step write_down(struct conn *c)
{
	uint8_t buf[CHUNK];

	while (c->at < c->order.down) {
		size_t part = c->order.down - c->at < CHUNK ? c->order.down - c->at : CHUNK;
		ssize_t n;

		payload_fill(plan_down_seed(&c->order), c->at, buf, part);
		n = send(c->fd, buf, part, MSG_NOSIGNAL);
		if (n < 0)
			return cannot_send(c);
		c->at += (size_t)n;
	}
	return NEXT;
}

static enum step await_end(struct conn *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, 0);

	if (n < 0 && step_by_errno() == MORE)
		return MORE;
	if (n != 0 && c->order.client_ending != CLIENT_ABORT &&
	    !(n < 0 && errno == ECONNRESET && plan_server_may_reset(&c->order)))
		FAIL(not_ended, &c->order, "the server waits for the client's end: %s",
		     n < 0 ? strerror(errno) : "a byte too many");
	return NEXT;
}

/* --- from stage to stage ---------------------------------------------------------------------- */

static void begin_answer(struct conn *c)
{
	COUNT(served);
	atomic_fetch_add(&board->bytes_up, c->order.up);
	c->answer.magic = ORDER_MAGIC;
	c->answer.id = c->order.id;
	if (c->order.client_ending == CLIENT_FORGET) {
		if (!c->answer.bad)
			COUNT(heard);
		set_stage(c, DOWN, IO_DEADLINE_S);
	} else {
		set_stage(c, HEAD, IO_DEADLINE_S);
	}
}

/* false: it is closed. */
static bool next_stage(struct conn *c)
{
	switch (c->stage) {
	case ORDER:
		set_stage(c, UP, IO_DEADLINE_S);
		if (c->order.ending == END_EARLY)
			begin_answer(c);
		return true;
	case UP:
		begin_answer(c);
		return true;
	case HEAD:
		set_stage(c, DOWN, IO_DEADLINE_S);
		return true;
	case DOWN:
		if (c->order.ending == END_SHUT_WAIT)
			shutdown(c->fd, SHUT_WR);
		if (c->order.ending == END_WAIT || c->order.ending == END_SHUT_WAIT) {
			set_stage(c, AWAIT, ending_patience_s(&c->order));
			return true;
		}
		break;
	default:
		break;
	}
	conn_close(c);
	return false;
}

static void go_on(struct conn *c)
{
	static enum step (*const steps[])(struct conn *) = {
		[ORDER] = read_order, [UP] = read_up,	   [HEAD] = write_head,
		[DOWN] = write_down,  [AWAIT] = await_end,
	};
	enum stage before = c->stage;

	for (;;) {
		enum step step = steps[c->stage](c);

		if (step == BROKEN) {
			conn_close(c);
			return;
		}
		if (step == MORE)
			break;
		if (!next_stage(c))
			return;
	}
	if (c->mode == ONE_SHOT || c->stage != before)
		arm(c, EPOLL_CTL_MOD);
}

/* read_order() and write_head() may have read less than there is: edge-triggered has to ask until
 * EAGAIN. */
static void drive(struct conn *c)
{
	uint32_t generation = c->generation;
	size_t at;
	enum stage stage;

	do {
		at = c->at;
		stage = c->stage;
		go_on(c);
	} while (c->generation == generation && (c->at != at || c->stage != stage));
}

static void give_up(struct conn *c)
{
	if (c->stage != AWAIT)
		FAIL(hung, c->stage == ORDER ? NULL : &c->order, "stage %d, %zu bytes",
		     (int)c->stage, c->at);
	else if (plan_may_be_late(&c->order))
		COUNT(late); /* documented: the daemon was killed within the grace */
	else if (c->order.client_ending != CLIENT_ABORT)
		FAIL(not_ended, &c->order, "the client's end does not come");
	if (c->stage == ORDER)
		c->order.magic = 0;
	conn_close(c);
}

static void sweep(void)
{
	static uint64_t last;
	uint64_t now = board_now_ms();

	if (now - last < SWEEP_MS)
		return;
	last = now;
	for (unsigned int i = 0; i < CONNS; i++)
		if (conns[i].stage != FREE && conns[i].deadline_ms < now)
			give_up(&conns[i]);
}

static void welcome(int listener)
{
	static unsigned int place;
	struct conn *c;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	while (conns[place].stage != FREE)
		place = (place + 1) % CONNS;
	c = &conns[place];
	conn_count++;
	memset(&c->order, 0, sizeof(c->order));
	memset(&c->answer, 0, sizeof(c->answer));
	c->fd = fd;
	c->mode = (int)(accepted % 3);
	c->twice = accepted % 8 == 5;
	accepted++;
	set_stage(c, ORDER, IO_DEADLINE_S);
	arm(c, EPOLL_CTL_ADD);
}

static struct conn *conn_of(const struct epoll_event *event)
{
	struct conn *c = &conns[event->data.u32];

	return c->stage != FREE && c->generation == event->data.u64 >> 32 ? c : NULL;
}

/* Only whether there is an event of what is closed: nobody serves this set. */
static void look_at_second_set(void)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(second_set, events, EVENTS, 0);

	for (int i = 0; i < n; i++)
		if (!conn_of(&events[i]))
			FAIL(stale, NULL, "an event %#x of a closed connection in the second set",
			     events[i].events);
}

static void handle(const struct epoll_event *event)
{
	struct conn *c;

	if (event->data.u64 >> 32 == UINT32_MAX) {
		if (conn_count < CONNS)
			welcome((int)event->data.u32);
		return;
	}
	c = conn_of(event);
	if (c)
		drive(c);
	else
		FAIL(stale, NULL, "an event %#x of a closed connection", event->events);
}

int serve_epoll(void)
{
	struct epoll_event events[EVENTS], event = {.events = EPOLLIN};

	set = epoll_create1(EPOLL_CLOEXEC);
	second_set = epoll_create1(EPOLL_CLOEXEC);
	if (set < 0 || second_set < 0 || !closer_start())
		return 1;
	for (unsigned int i = 0; i < listener_count; i++) {
		event.data.u64 = (uint64_t)UINT32_MAX << 32 | (uint32_t)listeners[i];
		if (epoll_ctl(set, EPOLL_CTL_ADD, listeners[i], &event) != 0)
			return 1;
	}
	while (!atomic_load(&board->stop)) {
		int n = epoll_wait(set, events, EVENTS, 200);

		for (int i = 0; i < n; i++)
			handle(&events[i]);
		look_at_second_set();
		sweep();
	}
	return 0;
}
