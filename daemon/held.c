/* SPDX-License-Identifier: MIT */
#include "daemon/held.h"

#include "daemon/ending.h"
#include "daemon/self.h"
#include "daemon/sock.h"

#include "common/tcp_state.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>

enum {
	DRAIN_ONCE = 4 << 20,	  /* bytes before the loop does other things */
	FIN_COMES_MS = 50,	  /* from our own closing thread */
	AT_EXIT_LIVES_MS = 10000, /* a process that says it ends, and does not */
};

static void arm(struct held *held, uint64_t wait_ms)
{
	struct timeval tv = {
		.tv_sec = (time_t)(wait_ms / 1000),
		.tv_usec = (suseconds_t)(wait_ms % 1000) * 1000,
	};

	evtimer_add(&held->timer, &tv);
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
		.mute = look->mute,
		.client = held->role == ROLE_CLIENT,
		.unheard = held->received_at_start <= held->unread_at_start,
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

static void on_event(evutil_socket_t fd, short what, void *arg);

/* Edge-triggered: level-triggered EV_CLOSED spins without a callback after an RST. What has
 * happened since we looked is reported at once. Most sockets never come here: their peer's FIN was
 * quicker than their hand-over. */
static bool watch(struct held *held)
{
	if (held->watched)
		return true;
	event_assign(&held->ready, held->custody->parts.base, held->fd,
		     EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_event, held);
	held->watched = event_add(&held->ready, NULL) == 0;
	return held->watched;
}

/* Read late, in case a thread of the program is still reading: when the window would close. */
static void keep_waiting(struct held *held, bool has_data)
{
	uint64_t now = wire_now_ms();
	uint64_t wait = held->deadline_ms > now ? held->deadline_ms - now : 1;

	if (!watch(held)) {
		held_end_early(held);
		return;
	}
	if (held->draining) {
		ending_drain(held, DRAIN_ONCE);
		wait = wait < CUSTODY_SILENCE_MS ? wait : CUSTODY_SILENCE_MS;
	} else if (has_data && held->owned &&
		   sock_unread(held->fd) > sock_receive_buffer(held->fd) / 2) {
		ending_drain(held, DRAIN_ONCE);
	}
	if (held->draining || !evtimer_pending(&held->timer, NULL))
		arm(held, wait);
}

static void begin_draining(struct held *held)
{
	struct conn *conn = conn_find(held->custody->parts.conns, held->cookie);

	ending_learn(held, PEER_WENT_ON);
	shutdown(held->fd, SHUT_WR);
	held->draining = true;
	held->shut_ms = wire_now_ms();
	held->deadline_ms = held->shut_ms + held->drain_max_ms;
	if (conn)
		conn_set_custody(held->custody->parts.conns, conn, CUSTODY_DRAINING);
	keep_waiting(held, true);
}

static enum custody_outcome outcome_of_grace(const struct held *held)
{
	return held->waited ? OUTCOME_GRACE : OUTCOME_NOT_WAITED;
}

static void peer_closed(struct held *held)
{
	if (!ending_awaits_ack(held)) {
		ending_peer(held);
		return;
	}
	held->saw_fin = true;
	arm(held, held->rtt_us / 1000 + 2);
}

void held_tell_other_end(const struct held *held)
{
	struct endpoint key[2] = {held->remote, held->local};
	struct held *other;

	HASH_FIND(tuple_hh, held->custody->by_tuple, key, ENDPOINT_PAIR_SIZE, other);
	if (other)
		other->fin_coming = true;
}

/* Both ends' graces often end in the same moment: each would be the first. Waits once. */
static bool let_fin_come(struct held *held)
{
	if (!held->fin_coming || held->draining)
		return false;
	held->fin_coming = false;
	held->deadline_ms = wire_now_ms() + FIN_COMES_MS;
	evtimer_del(&held->timer);
	keep_waiting(held, false);
	return true;
}

static void act(struct held *held, enum custody_verdict verdict, bool has_data)
{
	switch (verdict) {
	case VERDICT_WAIT:
		keep_waiting(held, has_data);
		break;
	case VERDICT_PEER:
		peer_closed(held);
		break;
	case VERDICT_BOTH:
		ending_first(held, outcome_of_grace(held), SIDE_BOTH);
		break;
	case VERDICT_RESET:
		ending_reset(held);
		break;
	case VERDICT_EARLY:
		ending_new_request(held);
		break;
	case VERDICT_DRAIN:
		begin_draining(held);
		break;
	case VERDICT_GRACE:
		if (let_fin_come(held))
			break;
		ending_learn(held, PEER_STAYED);
		/* fallthrough */
	case VERDICT_US:
		ending_first(held, outcome_of_grace(held), SIDE_US);
		break;
	}
}

/* Before the process has ended, an at-exit duplicate only watches. */
static bool only_watches(struct held *held, const struct sock_look *look)
{
	if (held->owned || held->type != WIRE_AT_EXIT || look->state == STATE_CLOSE)
		return false;
	if (wire_now_ms() >= held->began_ms + AT_EXIT_LIVES_MS)
		ending_let_go(held);
	else if (!watch(held))
		ending_let_go(held);
	else if (!evtimer_pending(&held->timer, NULL))
		arm(held, AT_EXIT_LIVES_MS);
	return true;
}

bool held_moved(int fd, uint8_t state, const struct endpoint *local, const struct endpoint *remote)
{
	struct endpoint now_local, now_remote;

	if (state == STATE_SYN_SENT || state == STATE_LISTEN)
		return true;
	return sock_endpoints(fd, &now_local, &now_remote) &&
	       (now_local.port != local->port || !endpoint_equal(&now_remote, remote));
}

static void examine(struct held *held, const struct sock_look *look)
{
	struct conn *conn = conn_find(held->custody->parts.conns, held->cookie);
	struct custody_facts facts;

	if (conn)
		conn_set_state(held->custody->parts.conns, conn, look->state, wire_now_ms());
	if (!held->draining && (look->state == STATE_FIN_WAIT1 || look->state == STATE_FIN_WAIT2))
		held->shut_here = true;
	if (!held->owned && held->type == WIRE_DEFER &&
	    held_moved(held->fd, look->state, &held->local, &held->remote)) {
		ending_let_go(held);
		return;
	}
	if (only_watches(held, look))
		return;
	facts = facts_of(held, look);
	act(held, custody_judge(&facts), facts.received > 0 || facts.unread_at_start > 0);
	/* `held` may be gone. */
}

void held_check(struct held *held)
{
	struct sock_look look;

	if (sock_look(held->fd, &look))
		examine(held, &look);
	else
		ending_let_go(held);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	held_check(arg);
}

/* What is left of a policy when it is switched off. */
static void take_plain_terms(struct held *held)
{
	held->grace_ms = 0;
	held->time_wait_ms = TIME_WAIT_KEEP;
	held->reset_peer = false;
}

void held_release(struct held *held, uint32_t after_ms)
{
	take_plain_terms(held);
	if (held->draining || (!held->owned && held->type == WIRE_AT_EXIT))
		return;
	held->waited = false;
	held->deadline_ms = wire_now_ms() + after_ms;
	arm(held, after_ms);
}

/* How long to wait: as patience says, which may be not at all. */
static void set_wait(struct held *held)
{
	struct patience_case about = ending_case(held);
	uint64_t now = wire_now_ms();
	uint32_t wait;

	if (held->custody->off)
		take_plain_terms(held);
	wait = held->grace_ms;
	held->began_ms = now;
	if (held->grace_learn && wait)
		wait = patience_next(held->custody->parts.patience, &about, now);
	held->waited = wait > 0;
	held->deadline_ms = now + wait;
}

void held_close_other_end(struct held *held)
{
	if (!held->owned || held->custody->off ||
	    !self_close_other_end(held->custody->parts.conns, held->custody->parts.closer,
				  &held->local, &held->remote))
		return;
	held->waited = true; /* its FIN is on its way, whatever patience thinks of it */
	held->deadline_ms = wire_now_ms() + held->grace_ms;
	evtimer_del(&held->timer);
}

void held_begin(struct held *held, const struct sock_look *look)
{
	struct conn *conn = conn_find(held->custody->parts.conns, held->cookie);

	if (conn)
		conn_set_custody(held->custody->parts.conns, conn, CUSTODY_WAITING);
	held->began_ms = wire_now_ms();
	if (held->type != WIRE_AT_EXIT)
		set_wait(held);
	evtimer_assign(&held->timer, held->custody->parts.base, on_event, held);
	held_close_other_end(held);
	examine(held, look);
}

/* What came before, the program may have read: what counts is what comes from now on. */
static void own_deferred(struct held *held)
{
	struct sock_look look;

	if (!sock_look(held->fd, &look))
		return;
	held->received_at_start = look.received;
	held->unread_at_start = sock_unread(held->fd);
	held->quiet = custody_quiet(held->unread_at_start, look.last_received_ms, look.rtt_us);
}

void held_own(struct held *held)
{
	held->owned = true;
	if (held->type == WIRE_AT_EXIT) { /* its wait begins now */
		evtimer_del(&held->timer);
		set_wait(held);
	} else {
		own_deferred(held);
	}
	held_check(held);
}

void held_end_early(struct held *held)
{
	if (held->saw_fin) {
		ending_peer(held);
		return;
	}
	if (!held->owned && held->type == WIRE_AT_EXIT) {
		ending_let_go(held);
		return;
	}
	ending_first(held, OUTCOME_EARLY, SIDE_US);
}
