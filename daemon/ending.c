/* SPDX-License-Identifier: MIT */
#include "daemon/ending.h"

#include "daemon/closer.h"
#include "daemon/retire.h"
#include "daemon/sock.h"

#include "common/tcp_state.h"

#include <sys/socket.h>

enum {
	DRAIN_LAST = 64 << 20, /* more than a receive queue can hold */
	SIMULTANEOUS_MS = 100, /* when to see whether the peer's FIN crossed ours */
};

/* Until our FIN went out, if it did. */
static uint32_t waited_ms(const struct held *held)
{
	uint64_t end = held->draining ? held->shut_ms : wire_now_ms();

	return (uint32_t)(end - held->began_ms);
}

void ending_drain(struct held *held, uint64_t max)
{
	uint64_t bytes = sock_drain(held->fd, max);

	BOOK_ADD(held->custody->parts.book, held->account, drained_bytes, bytes);
}

struct patience_case ending_case(const struct held *held)
{
	return (struct patience_case){
		.policy = held->policy,
		.role = held->role,
		.local = held->local,
		.remote = held->remote,
		.grace_ms = held->grace_ms,
		.rtt_us = held->rtt_us,
		.late = held->late,
		.probe = held->probe,
		.uid = held->uid,
	};
}

void ending_learn(struct held *held, enum patience_result result)
{
	struct patience_case about = ending_case(held);
	uint64_t now = wire_now_ms();

	if (held->waited)
		patience_learn(held->custody->parts.patience, &about, result, waited_ms(held), now);
}

/* Books how it ended, and the state that our close leaves (0: none). The program will still say
 * CLOSE for a shared one: its connection stays, and remembers the side. */
static void settle(struct held *held, enum custody_outcome outcome, enum close_side side,
		   unsigned int state)
{
	const struct custody_parts *parts = &held->custody->parts;
	struct conn *conn = conn_find(parts->conns, held->cookie);

	BOOK_ADD(parts->book, held->account, outcomes[outcome], 1);
	if (held->waited)
		book_wait(parts->book, held->account, waited_ms(held));
	if (conn) {
		conn_count_outcome(parts->conns, conn, outcome);
		conn_set_custody(parts->conns, conn, CUSTODY_NONE);
		conn->side = (uint8_t)side;
		conn->outcome = (uint8_t)(outcome + 1);
	}
	if (!held->owned && conn && conn->owner)
		return;
	BOOK_ADD(parts->book, held->account, closes[side], 1);
	if (conn)
		conn_end(parts->conns, conn, held->owned ? state : conn->state);
}

static void drop(struct held *held, void (*close_it)(struct closer *closer, int fd, uid_t uid))
{
	struct closer *closer = held->custody->parts.closer;
	uid_t uid = held->uid;
	int fd = held->fd;

	held_forget(held);
	close_it(closer, fd, uid);
}

/* We are the first closer, or one of two: what stays here is as time-wait says. A shared one that
 * the program has yet to close is retired when it does. */
static void leave(struct held *held)
{
	const struct custody_parts *parts = &held->custody->parts;
	struct retire_item item = {
		.cookie = held->cookie,
		.local = held->local,
		.remote = held->remote,
		.account = held->account,
		.user = held->user,
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
			   item.booked ? SIMULTANEOUS_MS : (uint32_t)held->time_wait_ms);
}

static void end_owned(struct held *held, enum custody_outcome outcome, enum close_side side)
{
	ending_drain(held,
		     DRAIN_LAST); /* close() with unread data would send RST in place of FIN */
	leave(held);
	settle(held, outcome, side, side == SIDE_PEER ? STATE_LAST_ACK : STATE_FIN_WAIT1);
	held_tell_other_end(held);
	drop(held, closer_close);
}

static void end_shared(struct held *held, enum custody_outcome outcome, enum close_side side)
{
	if (held->type == WIRE_DEFER)
		shutdown(held->fd, SHUT_WR);
	leave(held);
	settle(held, outcome, side, STATE_FIN_WAIT1);
	drop(held, closer_drop);
}

void ending_first(struct held *held, enum custody_outcome outcome, enum close_side side)
{
	if (held->owned)
		end_owned(held, outcome, side);
	else
		end_shared(held, outcome, side);
}

bool ending_awaits_ack(const struct held *held)
{
	return held->owned && held->reset_peer && waited_ms(held) < held->grace_ms &&
	       sock_unacked(held->fd) > 0;
}

void ending_peer(struct held *held)
{
	bool reset = false;

	if (held->owned) {
		if (!held->drained)
			ending_drain(held, DRAIN_LAST);
		reset = held->reset_peer && sock_unacked(held->fd) == 0;
	} else if (held->type == WIRE_DEFER) {
		shutdown(held->fd, SHUT_WR);
	}
	ending_learn(held, PEER_CLOSED);
	BOOK_ADD(held->custody->parts.book, held->account, time_wait_avoided, 1);
	settle(held, OUTCOME_PEER, SIDE_PEER, reset ? 0 : STATE_LAST_ACK);
	if (!held->owned)
		drop(held, closer_drop);
	else
		drop(held, reset ? closer_reset : closer_close);
}

void ending_reset(struct held *held)
{
	settle(held, OUTCOME_RESET, SIDE_RESET, 0);
	drop(held, held->owned ? closer_close : closer_drop);
}

/* Left unread, so that close() sends RST. */
void ending_new_request(struct held *held)
{
	struct book *book = held->custody->parts.book;

	ending_learn(held, PEER_WENT_ON);
	BOOK_ADD(book, held->account, unread_bytes, sock_unread(held->fd));
	settle(held, OUTCOME_EARLY, SIDE_RESET, 0);
	drop(held, closer_close);
}

void ending_let_go(struct held *held)
{
	struct conn *conn = conn_find(held->custody->parts.conns, held->cookie);

	if (conn) {
		conn_set_custody(held->custody->parts.conns, conn, CUSTODY_NONE);
		if (!conn->owner)
			conn_end(held->custody->parts.conns, conn, conn->state);
	}
	drop(held, closer_drop);
}
