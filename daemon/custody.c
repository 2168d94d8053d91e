/* SPDX-License-Identifier: MIT */
#include "daemon/custody.h"

#include "daemon/closer.h"
#include "daemon/ending.h"
#include "daemon/held.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/sock.h"
#include "daemon/user.h"

#include "common/tcp_state.h"

#include <event2/event.h>
#include <utlist.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* No policy needs more, and a record may say anything. */
enum { TIME_WAIT_MAX_MS = 3600000 };

/* When it is switched off. */
enum { RELEASE_AT_ONCE = 1000, RELEASE_PAUSE_MS = 10 };

/* Some at a time, so that the loop does other things in between. */
void custody_switch(struct custody *custody, bool on)
{
	struct held *held;
	unsigned int count = 0;

	custody->off = !on;
	if (on)
		return;
	DL_FOREACH(custody->all, held)
	{
		held_release(held, 1 + count++ / RELEASE_AT_ONCE * RELEASE_PAUSE_MS);
	}
}

struct custody *custody_new(const struct custody_parts *parts, unsigned int max,
			    unsigned int per_client)
{
	struct custody *custody = calloc(1, sizeof(*custody));

	if (custody) {
		custody->parts = *parts;
		custody_set_limits(custody, max, per_client);
	}
	return custody;
}

void custody_set_limits(struct custody *custody, unsigned int max, unsigned int per_client)
{
	custody->max = max;
	custody->per_client = per_client;
}

void custody_free(struct custody *custody)
{
	struct held *held, *next;

	if (!custody)
		return;
	DL_FOREACH_SAFE(custody->all, held, next)
	{
		held_end_early(held);
	}
	free(custody);
}

unsigned int custody_count(const struct custody *custody)
{
	return custody->count;
}

static void leave_client(struct held *held)
{
	if (!held->client)
		return;
	DL_DELETE2(held->client->held, held, client_prev, client_next);
	if (--held->client->count == 0)
		DL_DELETE(held->custody->clients, held->client);
	held->client = NULL;
}

void held_forget(struct held *held)
{
	struct custody *custody = held->custody;

	/* Before the descriptor is closed: another thread does that, and epoll would keep it. */
	if (held->watched)
		event_del(&held->ready);
	if (event_initialized(&held->timer))
		event_del(&held->timer);
	BOOK_ADD(custody->parts.book, held->account, held, (uint64_t)-1);
	leave_client(held);
	HASH_DEL(custody->by_cookie, held);
	if (held->indexed)
		HASH_DELETE(tuple_hh, custody->by_tuple, held);
	DL_DELETE(custody->all, held);
	DL_DELETE2(held->user->held, held, user_prev, user_next);
	user_give_back(held->user, USER_HELD);
	custody->count--;
	free(held);
}

static uint32_t clamp(uint32_t value, uint32_t max)
{
	return value < max ? value : max;
}

static void take_terms(struct held *held, const struct wire_record *record)
{
	held->policy = record->policy;
	held->role = record->role;
	held->how = record->how;
	held->grace_ms = clamp(record->grace_ms, LIMIT_HOLD_MS);
	held->drain_max_ms = clamp(record->drain_max_ms, LIMIT_HOLD_MS);
	held->time_wait_ms =
		record->time_wait_ms < 0
			? TIME_WAIT_KEEP
			: (int32_t)clamp((uint32_t)record->time_wait_ms, TIME_WAIT_MAX_MS);
	held->grace_learn = record->grace_learn;
	held->reset_peer = record->peer_time_wait == PEER_TW_NONE;
}

/* What the socket itself says comes before what the record says of it. */
static void take_facts(struct held *held, const struct wire_record *record,
		       const struct sock_look *look)
{
	if (!sock_endpoints(held->fd, &held->local, &held->remote)) {
		held->local = record->local;
		held->remote = record->remote;
	}
	held->rtt_us = look->rtt_us;
	held->received_at_start = look->received;
	held->unread_at_start = sock_unread(held->fd);
	held->drained = look->state == STATE_CLOSE_WAIT && !held->unread_at_start;
	if (record->unread > held->unread_at_start)
		held->unread_at_start = record->unread;
	held->probe = record->patience == PATIENCE_PROBED;
	held->late = record->late != 0;
	held->quiet = custody_quiet(held->unread_at_start, record->idle_ms, look->rtt_us);
}

/* Two connections of one tuple can't be alive at once in one network namespace; of those in others,
 * the newer is as good as any. */
static void index_tuple(struct held *held)
{
	HASH_ADD(tuple_hh, held->custody->by_tuple, local, ENDPOINT_PAIR_SIZE, held);
	held->indexed = true;
}

/* The oldest of the user's process that holds most: nobody pays for another's flood. */
static struct held *most_expendable(const struct custody *custody, const struct user *user)
{
	struct custody_client *client, *most = NULL;

	DL_FOREACH(custody->clients, client)
	{
		if (client->user == user && (!most || client->count > most->count))
			most = client;
	}
	return most ? most->held : user->held;
}

static void make_room(struct custody *custody, struct custody_client *client)
{
	while (client->count >= custody->per_client && client->held)
		held_end_early(client->held);
	while (user_is_full(client->user, USER_HELD) && client->user->held) {
		user_blame(client->user, FAULT_HELD, client->process,
			   "limit reached: its share of custody, %u sockets; the oldest end early",
			   client->user->has[USER_HELD]);
		held_end_early(most_expendable(custody, client->user));
	}
	while (custody->count >= custody->max && custody->all) {
		log_limited(LOG_WARNING, "custody is full (custody %u): the oldest end early",
			    custody->max);
		held_end_early(
			most_expendable(custody, users_most(custody->parts.users, USER_HELD)));
	}
}

static struct held *held_new(struct custody *custody, struct custody_client *client,
			     uint64_t cookie, int fd)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held)
		return NULL;
	held->custody = custody;
	held->client = client;
	held->cookie = cookie;
	held->fd = fd;
	held->uid = client->process->uid;
	held->pid = client->process->pid;
	held->retirable = !client->process->other_netns;
	HASH_ADD(hh, custody->by_cookie, cookie, sizeof(held->cookie), held);
	DL_APPEND(custody->all, held);
	held->user = client->user;
	user_take(held->user, USER_HELD);
	DL_APPEND2(held->user->held, held, user_prev, user_next);
	DL_APPEND2(client->held, held, client_prev, client_next);
	if (client->count++ == 0)
		DL_APPEND(custody->clients, client);
	custody->count++;
	return held;
}

static struct held *find(struct custody *custody, uint64_t cookie)
{
	struct held *held;

	HASH_FIND(hh, custody->by_cookie, &cookie, sizeof(cookie), held);
	return held;
}

/* A second descriptor of what is held already: a duplicate of a duplicate says nothing new, but a
 * hand-over after a deferred shutdown makes the connection ours. */
static void take_again(struct custody *custody, struct held *held, const struct wire_record *record,
		       int fd)
{
	closer_drop(custody->parts.closer, fd, held->uid);
	if (record->type == WIRE_HAND_OVER && !held->owned)
		held_own(held);
	else if (record->type == WIRE_DEFER)
		held->how = record->how;
}

static void refuse(struct custody *custody, const struct custody_client *client, int fd)
{
	custody->parts.book->refused++;
	closer_drop(custody->parts.closer, fd, client->process->uid);
}

void custody_take(struct custody *custody, struct custody_client *client,
		  const struct wire_record *record, struct account account, int fd)
{
	struct sock_look look;
	struct held *held;
	uint64_t cookie;

	if (!sock_is_tcp(fd) || !(cookie = sock_cookie(fd)) || !sock_look(fd, &look) ||
	    look.state == STATE_LISTEN) {
		user_blame(client->user, FAULT_DESCRIPTOR, client->process,
			   "handed over what is no TCP connection");
		refuse(custody, client, fd);
		return;
	}
	if (cookie != record->cookie) {
		/* Its number was taken by another connection before it was sent. */
		user_blame(client->user, FAULT_COOKIE, client->process,
			   "handed over another connection than it said");
		refuse(custody, client, fd);
		return;
	}
	if (record->type == WIRE_DEFER &&
	    held_moved(fd, look.state, &record->local, &record->remote)) {
		refuse(custody, client, fd);
		return;
	}
	held = find(custody, cookie);
	if (held) {
		take_again(custody, held, record, fd);
		return;
	}
	make_room(custody, client);
	held = held_new(custody, client, cookie, fd);
	if (!held) {
		refuse(custody, client, fd);
		return;
	}
	BOOK_ADD(custody->parts.book, account, hand_overs, 1);
	BOOK_ADD(custody->parts.book, account, held, 1);
	held->type = record->type;
	held->owned = record->type == WIRE_HAND_OVER;
	held->account = account;
	take_terms(held, record);
	take_facts(held, record, &look);
	index_tuple(held);
	held_begin(held, &look);
}

bool custody_program_closed(struct custody *custody, const struct custody_client *client,
			    uint64_t cookie)
{
	struct held *held = find(custody, cookie);

	/* Owned means that we may read it: not on a stranger's word. */
	if (!held || (held->uid != client->process->uid && client->process->uid != 0))
		return false;
	if (!held->owned)
		held_own(held);
	return true;
}

void custody_other_end_opened(struct custody *custody, const struct endpoint *local,
			      const struct endpoint *remote)
{
	struct endpoint key[2] = {*remote, *local};
	struct held *held;

	HASH_FIND(tuple_hh, custody->by_tuple, key, ENDPOINT_PAIR_SIZE, held);
	if (!held || !held->owned || held->draining)
		return;
	held_close_other_end(held);
	held_check(held);
}

bool custody_awaits_death(const struct custody_client *client)
{
	struct held *held;

	DL_FOREACH2(client->held, held, client_next)
	{
		if (!held->owned && held->type == WIRE_AT_EXIT)
			return true;
	}
	return false;
}

/* An at-exit duplicate was of a sole owner, which is dead: it is ours. A deferred one may have
 * other holders, who still read: it stays a duplicate until its end. */
void custody_client_gone(struct custody_client *client, bool dead)
{
	while (client->held) {
		struct held *held = client->held;

		leave_client(held);
		if (held->owned || held->type != WIRE_AT_EXIT)
			continue;
		if (dead)
			held_own(held);
		else
			ending_let_go(held);
	}
}
