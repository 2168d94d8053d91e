/* SPDX-License-Identifier: MIT */
#include "daemon/held.h"

#include "daemon/closer.h"
#include "daemon/retire.h"
#include "daemon/self.h"
#include "daemon/sock.h"

#include "common/tcp_state.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DRAIN_ONCE = 4 << 20,	  /* bytes before the loop does other things */
	SIMULTANEOUS_MS = 100,	  /* when to see whether the peer's FIN crossed ours */
	AT_EXIT_LIVES_MS = 10000, /* a process that says it ends, and does not */
};

static uint64_t since_ms(const struct held *held)
{
	return wire_now_ms() - held->began_ms;
}

static void arm(struct held *held, uint64_t wait_ms)
{
	struct timeval tv = {
		.tv_sec = (time_t)(wait_ms / 1000),
		.tv_usec = (suseconds_t)(wait_ms % 1000) * 1000,
	};

	evtimer_add(&held->timer, &tv);
}

static void drain(struct held *held)
{
	uint64_t bytes = sock_drain(held->fd, DRAIN_ONCE);

	held->drained += bytes;
	BOOK_ADD(held->custody->parts.book, held->account, drained_bytes, bytes);
}

static struct patience_case patience_case_of(const struct held *held)
{
	return (struct patience_case){
		.policy = held->policy,
		.role = held->role,
		.local = held->local,
		.remote = held->remote,
		.grace_ms = held->grace_ms,
		.rtt_us = held->rtt_us,
	};
}

static void learn(struct held *held, bool success)
{
	struct patience_case about = patience_case_of(held);
	uint64_t now = wire_now_ms();

	if (held->waited)
		patience_learn(held->custody->parts.patience, &about, success,
			       (uint32_t)since_ms(held), now);
}

/* Books how it ended. The program will still say CLOSE for a shared one: its connection stays,
 * and remembers the side. */
static void settle(struct held *held, enum custody_outcome outcome, enum close_side side)
{
	const struct custody_parts *parts = &held->custody->parts;
	struct conn *conn = conn_find(parts->conns, held->cookie);

	BOOK_ADD(parts->book, held->account, outcomes[outcome], 1);
	if (held->waited)
		book_wait(parts->book, held->account, (uint32_t)since_ms(held));
	if (conn) {
		conn->custody = CUSTODY_NONE;
		conn->side = (uint8_t)side;
	}
	if (!held->owned && conn && conn->owner)
		return;
	BOOK_ADD(parts->book, held->account, closes[side], 1);
	if (conn)
		conn_remove(parts->conns, conn);
}

static void drop(struct held *held, void (*close_it)(struct closer *closer, int fd))
{
	struct closer *closer = held->custody->parts.closer;
	int fd = held->fd;

	held_forget(held);
	close_it(closer, fd);
}

/* We are the first closer, or one of two: what stays here is as time-wait says. A shared one that
 * the program has yet to close is retired when it does. */
static void leave(struct held *held, uint32_t check_ms)
{
	const struct custody_parts *parts = &held->custody->parts;
	struct retire_item item = {
		.cookie = held->cookie,
		.local = held->local,
		.remote = held->remote,
		.account = held->account,
		.booked = held->time_wait_ms == TIME_WAIT_NONE,
	};
	struct conn *conn = conn_find(parts->conns, held->cookie);

	if (held->time_wait_ms == TIME_WAIT_NONE)
		sock_leave_nothing(held->fd);
	if (held->time_wait_ms < 0 || (!held->retirable && !item.booked)) {
		BOOK_ADD(parts->book, held->account, time_wait_left, 1);
		return;
	}
	if (item.booked)
		BOOK_ADD(parts->book, held->account, time_wait_avoided, 1);
	if (!held->owned && conn && conn->owner) {
		conn->retire = true;
		conn->retire_ms = held->time_wait_ms;
	}
	if (held->retirable)
		retire_add(parts->retire, &item,
			   item.booked ? check_ms : (uint32_t)held->time_wait_ms);
}

static void end_owned(struct held *held, enum custody_outcome outcome, enum close_side side)
{
	drain(held); /* close() with unread data would send RST in place of FIN */
	leave(held, SIMULTANEOUS_MS);
	settle(held, outcome, side);
	drop(held, closer_close);
}

static void end_shared(struct held *held, enum custody_outcome outcome, enum close_side side)
{
	if (held->type == WIRE_DEFER)
		shutdown(held->fd, SHUT_WR);
	leave(held, SIMULTANEOUS_MS);
	settle(held, outcome, side);
	drop(held, closer_drop);
}

static void end_first(struct held *held, enum custody_outcome outcome, enum close_side side)
{
	if (held->owned)
		end_owned(held, outcome, side);
	else
		end_shared(held, outcome, side);
}

/* The peer's FIN is here. RST in answer would cost it what it has not acknowledged: so wait for
 * that, within the grace, where the policy wants its TIME_WAIT away. */
static void end_peer(struct held *held)
{
	struct book *book = held->custody->parts.book;
	bool unacked = false, reset = false;

	if (held->owned) {
		drain(held);
		unacked = held->reset_peer && sock_unacked(held->fd) > 0;
		if (unacked && since_ms(held) < held->grace_ms) {
			held->saw_fin = held->fin_answered = true;
			arm(held, held->rtt_us / 1000 + 2);
			return;
		}
		reset = held->reset_peer && !unacked;
	} else if (held->type == WIRE_DEFER) {
		shutdown(held->fd, SHUT_WR);
	}
	learn(held, true);
	BOOK_ADD(book, held->account, time_wait_avoided, 1);
	settle(held, OUTCOME_PEER, SIDE_PEER);
	if (!held->owned)
		drop(held, closer_drop);
	else
		drop(held, reset ? closer_reset : closer_close);
}

static void end_reset(struct held *held)
{
	settle(held, OUTCOME_RESET, SIDE_RESET);
	drop(held, held->owned ? closer_close : closer_drop);
}

/* A new request on a quiet connection: its client learns from RST, as it would without us, that
 * nobody read it. So leave it unread. */
static void end_new_request(struct held *held)
{
	struct book *book = held->custody->parts.book;

	learn(held, false);
	BOOK_ADD(book, held->account, unread_bytes, sock_unread(held->fd));
	settle(held, OUTCOME_EARLY, SIDE_RESET);
	drop(held, closer_close);
}

static void begin_draining(struct held *held)
{
	struct conn *conn = conn_find(held->custody->parts.conns, held->cookie);

	learn(held, false);
	shutdown(held->fd, SHUT_WR);
	held->draining = true;
	held->deadline_ms = wire_now_ms() + held->drain_max_ms;
	if (conn)
		conn->custody = CUSTODY_DRAINING;
	drain(held);
	arm(held, CUSTODY_SILENCE_MS);
}

static enum custody_outcome outcome_of_grace(const struct held *held)
{
	return held->waited ? OUTCOME_GRACE : OUTCOME_NOT_WAITED;
}

static struct custody_facts facts_of(struct held *held, const struct sock_look *look)
{
	struct custody_facts facts = {
		.state = look->state,
		.owned = held->owned,
		.draining = held->draining,
		.wait_over = wire_now_ms() >= held->deadline_ms,
		.saw_fin = held->saw_fin,
		.shut_here = held->shut_here,
		.quiet = held->quiet,
		.unread_at_start = held->unread_at_start,
		.received = look->received - held->received_at_start,
		.last_received_ms = look->last_received_ms,
	};

	if (look->state == STATE_CLOSE && held->owned) {
		int error = sock_take_error(held->fd);

		facts.error = error != 0;
		facts.error_pipe = error == EPIPE;
	} else if (look->state == STATE_CLOSE) {
		facts.error = sock_has_error(held->fd);
	}
	return facts;
}

/* Read late, in case a thread of the program is still reading: when the window would close. */
static void keep_waiting(struct held *held)
{
	uint64_t now = wire_now_ms();
	uint64_t wait = held->deadline_ms > now ? held->deadline_ms - now : 1;

	if (held->draining) {
		drain(held);
		wait = wait < CUSTODY_SILENCE_MS ? wait : CUSTODY_SILENCE_MS;
	} else if (held->owned && sock_unread(held->fd) > held->receive_buffer / 2) {
		drain(held);
	}
	if (held->draining || !evtimer_pending(&held->timer, NULL))
		arm(held, wait);
}

static void act(struct held *held, enum custody_verdict verdict)
{
	switch (verdict) {
	case VERDICT_WAIT:
		keep_waiting(held);
		break;
	case VERDICT_PEER:
		end_peer(held);
		break;
	case VERDICT_BOTH:
		end_first(held, outcome_of_grace(held), SIDE_BOTH);
		break;
	case VERDICT_RESET:
		end_reset(held);
		break;
	case VERDICT_EARLY:
		end_new_request(held);
		break;
	case VERDICT_DRAIN:
		begin_draining(held);
		break;
	case VERDICT_GRACE:
		learn(held, false);
		/* fallthrough */
	case VERDICT_US:
		end_first(held, outcome_of_grace(held), SIDE_US);
		break;
	}
}

/* Before the process has ended, an at-exit duplicate only watches. */
static bool only_watches(struct held *held, const struct sock_look *look)
{
	if (held->owned || held->type != WIRE_AT_EXIT || look->state == STATE_CLOSE)
		return false;
	if (wire_now_ms() >= held->began_ms + AT_EXIT_LIVES_MS)
		held_let_go(held);
	else if (!evtimer_pending(&held->timer, NULL))
		arm(held, AT_EXIT_LIVES_MS);
	return true;
}

void held_check(struct held *held)
{
	struct conn *conn = conn_find(held->custody->parts.conns, held->cookie);
	struct custody_facts facts;
	struct sock_look look;

	if (!sock_look(held->fd, &look)) {
		held_let_go(held);
		return;
	}
	if (conn)
		conn->state = look.state;
	if (!held->draining && (look.state == STATE_FIN_WAIT1 || look.state == STATE_FIN_WAIT2))
		held->shut_here = true;
	if (only_watches(held, &look))
		return;
	facts = facts_of(held, &look);
	act(held, custody_judge(&facts));
	/* `held` may be gone. */
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	held_check(arg);
}

/* Edge-triggered: level-triggered EV_CLOSED spins without a callback after an RST. */
static bool watch(struct held *held)
{
	struct event_base *base = held->custody->parts.base;

	evtimer_assign(&held->timer, base, on_event, held);
	event_assign(&held->ready, base, held->fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST,
		     on_event, held);
	return event_add(&held->ready, NULL) == 0;
}

/* How long to wait: as patience says, which may be not at all. */
static void set_wait(struct held *held)
{
	struct patience_case about = patience_case_of(held);
	uint64_t now = wire_now_ms();
	uint32_t wait = held->grace_ms;

	held->began_ms = now;
	if (held->grace_learn && wait)
		wait = patience_next(held->custody->parts.patience, &about, now);
	held->waited = wait > 0;
	held->deadline_ms = now + wait;
}

void held_begin(struct held *held)
{
	struct conn *conn = conn_find(held->custody->parts.conns, held->cookie);

	if (conn)
		conn->custody = CUSTODY_WAITING;
	held->began_ms = wire_now_ms();
	if (held->type != WIRE_AT_EXIT)
		set_wait(held);
	if (!watch(held)) {
		held_end_early(held);
		return;
	}
	if (held->owned &&
	    self_close_other_end(held->custody->parts.conns, &held->local, &held->remote)) {
		held->waited = true; /* its FIN is on its way, whatever patience thinks of it */
		held->deadline_ms = held->began_ms + held->grace_ms;
	}
	held_check(held);
}

void held_own(struct held *held)
{
	held->owned = true;
	held->receive_buffer = sock_receive_buffer(held->fd);
	if (held->type == WIRE_AT_EXIT) { /* its wait begins now */
		evtimer_del(&held->timer);
		set_wait(held);
	}
	held_check(held);
}

void held_end_early(struct held *held)
{
	if (held->saw_fin) {
		held->grace_ms = 0;
		end_peer(held);
		return;
	}
	if (!held->owned && held->type == WIRE_AT_EXIT) {
		held_let_go(held);
		return;
	}
	end_first(held, OUTCOME_EARLY, SIDE_US);
}

void held_let_go(struct held *held)
{
	struct conn *conn = conn_find(held->custody->parts.conns, held->cookie);

	if (conn) {
		conn->custody = CUSTODY_NONE;
		if (!conn->owner)
			conn_remove(held->custody->parts.conns, conn);
	}
	drop(held, closer_drop);
}
