/* SPDX-License-Identifier: MIT */
#include "daemon/follow.h"

#include "daemon/kernel.h"
#include "daemon/log.h"
#include "daemon/retire.h"
#include "daemon/survey.h"
#include "daemon/sweep.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <utlist.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
	SURVEY_MS = 5000,   /* between surveys that nobody waits for, at the least */
	SURVEY_SHARE = 200, /* ... and so many times what the last one took */
	FRESH_MS = 200,	    /* what is younger is fresh enough for who asks */
	FRESH_SHARE = 20,
	GATHER_MS = 20, /* messages of the multicast */
	DESTROYED_AT_ONCE = 512,
	TIME_WAIT_MS = 60000, /* TCP_TIMEWAIT_LEN; the kernel's timer may be late by */
	TIME_WAIT_LATE_MS = 6000,
	EXPIRE_AT_ONCE = 4096,
	TIME_WAIT_SLACK =
		16,	   /* so many more or fewer than the kernel has, and a fiftieth, are none */
	HOLDERS_ASKED = 3, /* then it is nobody's whom we may know */
	WANTED_MAX = 65536,
};

/* An inode whose process is looked for. */
struct wanted {
	uint64_t inode, cookie;
	UT_hash_handle hh;
};

struct follow {
	struct follow_parts parts;
	struct survey *survey;
	struct sweep *sweep;
	struct kernel *dump;	  /* the survey's */
	struct kernel *destroyed; /* NULL: not permitted */
	struct event readable, gather, expire;
	enum { IDLE, DUMPING, SWEEPING, HOLDERS } phase;
	uint8_t generation;
	unsigned int what; /* of the dump under way */
	uint64_t began_ms, ended_ms, took_us, survey_us;
	uint64_t dumped_us, dumped_time_wait_us; /* what such a dump took last */
	uint64_t time_wait_ms;			 /* when all TIME_WAITs were last seen */
	bool want_time_wait, first;
	uint8_t listening[65536 / 8]; /* a bit for each port */
	struct wanted *wanted;
	struct follow_waiter *waiters;
	struct follow_costs costs;
};

/* --- policies for those without the shim ------------------------------------------------------ */

static bool selects_process(const struct policy_rule *rule)
{
	return rule->program_count || rule->unit_count || rule->user_count;
}

/* What it is, is not known of a connection that is nobody's: a policy that asks may be the one or
 * not, and then none is. */
static const struct policy_rule *find_rule(const struct follow *follow, const struct conn *conn)
{
	const struct config *config = *follow->parts.config;
	const struct process *process = conn_process(conn);
	struct policy_process who = {process->exe, process->comm, process->unit, process->cgroup};
	struct policy_subject subject = {
		.role = conn->role,
		.uid = process->uid,
		.local = conn->local,
		.remote = conn->remote,
	};

	for (unsigned int i = 0; i < config->rule_count; i++) {
		const struct policy_rule *rule = &config->rules[i];

		if (!conn->proc && selects_process(rule)) {
			struct policy_rule anybody = *rule;

			anybody.user_count = 0;
			if (policy_admits(&anybody, &subject))
				return NULL;
		} else if (policy_admits(rule, &subject) && policy_admits_process(rule, &who)) {
			return rule;
		}
	}
	return NULL;
}

/* Not what the shim speaks of: its policy was in its record, and acted on. */
static const struct policy_rule *apply_rule(struct follow *follow, struct conn *conn)
{
	const struct policy_rule *rule;

	if (conn->spoken || conn->state == STATE_LISTEN)
		return NULL;
	rule = find_rule(follow, conn);
	conn->policy = rule ? rule->id : 0;
	conn->account.policy = rule ? book_policy_slot(follow->parts.book, rule->id) : 0;
	return rule;
}

/* Its TIME_WAIT has begun, or is seen for the first time. */
static void time_wait_began(struct follow *follow, struct conn *conn)
{
	const struct policy_rule *rule = apply_rule(follow, conn);
	uint64_t age = wire_now_ms() - conn->since_ms;
	struct retire_item item = {
		.cookie = conn->cookie,
		.local = conn->local,
		.remote = conn->remote,
		.account = conn->account,
	};

	if (!rule || rule->terms.time_wait_ms < 0 || conn->retire)
		return;
	conn->retire = true;
	retire_add(follow->parts.retire, &item,
		   (uint64_t)rule->terms.time_wait_ms > age
			   ? rule->terms.time_wait_ms - (uint32_t)age
			   : 0);
}

/* --- the multicast ---------------------------------------------------------------------------- */

struct batch {
	struct follow *follow;
	struct kernel_query queries[KERNEL_BATCH];
	unsigned int count;
};

static void freed(struct follow *follow, struct conn *conn, const struct kernel_query *query)
{
	uint64_t now = wire_now_ms();

	if (query->error && query->error != ENOENT)
		return; /* a sweep will see */
	if (!query->error) {
		conn_set_state(follow->parts.conns, conn, query->state, now);
		if (query->state == STATE_TIME_WAIT)
			time_wait_began(follow, conn);
	} else if (!conn->owner && conn->custody == CUSTODY_NONE) {
		conn_remove(follow->parts.conns, conn);
	} else {
		conn_set_state(follow->parts.conns, conn, STATE_CLOSE, now); /* its record comes */
	}
}

/* What port a listener has was accepted there. */
static uint8_t role_of(const struct follow *follow, uint16_t port)
{
	return follow->listening[port / 8] & 1u << port % 8 ? ROLE_SERVER : ROLE_CLIENT;
}

/* Nobody has spoken of it, and it lived between two surveys. */
static void freed_stranger(struct follow *follow, const struct kernel_query *query)
{
	struct kernel_socket socket = {
		.cookie = query->found,
		.local = query->local,
		.remote = query->remote,
		.state = query->state,
	};
	struct conn *conn;

	if (query->error || query->state != STATE_TIME_WAIT || !query->found ||
	    conn_find(follow->parts.conns, query->found))
		return;
	conn = conn_discover(follow->parts.conns, &socket, CONN_NETNS_OWN,
			     role_of(follow, socket.local.port), wire_now_ms());
	if (!conn)
		return;
	conn->freed = conn->no_inode = true;
	time_wait_began(follow, conn);
}

static void look_at_batch(struct batch *batch)
{
	struct follow *follow = batch->follow;
	uint64_t asked[KERNEL_BATCH];

	if (!batch->count)
		return;
	for (unsigned int i = 0; i < batch->count; i++)
		asked[i] = batch->queries[i].cookie;
	kernel_lookup(follow->parts.kernel, batch->queries, batch->count);
	follow->costs.lookups += batch->count;
	for (unsigned int i = 0; i < batch->count; i++) {
		struct conn *conn = asked[i] == KERNEL_ANY_COOKIE
					    ? NULL
					    : conn_find(follow->parts.conns, asked[i]);

		if (conn)
			freed(follow, conn, &batch->queries[i]);
		else if (asked[i] == KERNEL_ANY_COOKIE)
			freed_stranger(follow, &batch->queries[i]);
	}
	batch->count = 0;
}

static void note_info(struct conn *conn, const struct kernel_socket *socket)
{
	if (!socket->has_info)
		return;
	conn->rtt_us = socket->rtt_us;
	conn->retrans = socket->retrans;
	conn->stuck = socket->stuck;
}

static bool take_destroyed(const struct kernel_socket *socket, void *arg)
{
	struct batch *batch = arg;
	struct conn *conn = conn_find(batch->follow->parts.conns, socket->cookie);

	if (!conn && !socket->remote.port)
		return true; /* a listener, or never connected */
	if (conn) {
		conn->freed = true;
		note_info(conn, socket);
	}
	batch->queries[batch->count++] = (struct kernel_query){
		.local = socket->local,
		.remote = socket->remote,
		.cookie = conn ? socket->cookie : KERNEL_ANY_COOKIE,
	};
	if (batch->count == KERNEL_BATCH)
		look_at_batch(batch);
	return true;
}

static void arm_gather(struct follow *follow)
{
	static const struct timeval gather = {.tv_usec = GATHER_MS * 1000};

	evtimer_add(&follow->gather, &gather);
}

static void drain_destroyed(struct follow *follow)
{
	struct batch batch = {.follow = follow};
	int count;

	if (!follow->destroyed)
		return;
	count = kernel_destroyed(follow->destroyed, DESTROYED_AT_ONCE, take_destroyed, &batch);
	look_at_batch(&batch);
	if (count < 0) {
		follow->costs.overruns++;
		follow->want_time_wait = true;
	} else {
		follow->costs.destroyed += (unsigned int)count;
	}
}

/* They come one by one: let some gather. */
static void on_gathered(evutil_socket_t fd, short what, void *arg)
{
	struct follow *follow = arg;

	(void)fd;
	(void)what;
	drain_destroyed(follow);
	event_add(&follow->readable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct follow *follow = arg;

	(void)fd;
	(void)what;
	event_del(&follow->readable);
	arm_gather(follow);
}

/* --- surveys ---------------------------------------------------------------------------------- */

static void want_holder(struct follow *follow, struct conn *conn, uint64_t inode)
{
	struct wanted *wanted;

	if (conn->proc || !inode || conn->asked >= HOLDERS_ASKED ||
	    HASH_COUNT(follow->wanted) >= WANTED_MAX)
		return;
	HASH_FIND(hh, follow->wanted, &inode, sizeof(inode), wanted);
	if (wanted)
		return;
	wanted = calloc(1, sizeof(*wanted));
	if (!wanted)
		return;
	conn->asked++;
	wanted->inode = inode;
	wanted->cookie = conn->cookie;
	HASH_ADD(hh, follow->wanted, inode, sizeof(wanted->inode), wanted);
}

static void forget_wanted(struct follow *follow)
{
	struct wanted *wanted, *next;

	HASH_ITER(hh, follow->wanted, wanted, next)
	{
		HASH_DEL(follow->wanted, wanted);
		free(wanted);
	}
}

static void discovered(struct follow *follow, const struct kernel_socket *socket)
{
	bool listener = socket->state == STATE_LISTEN;
	struct conn *conn = conn_discover(
		follow->parts.conns, socket, CONN_NETNS_OWN,
		listener ? ROLE_SERVER : role_of(follow, socket->local.port), follow->began_ms);

	if (!conn)
		return;
	conn->generation = follow->generation;
	conn->no_inode = !socket->inode;
	note_info(conn, socket);
	if (socket->state == STATE_TIME_WAIT)
		time_wait_began(follow, conn);
	want_holder(follow, conn, socket->inode);
}

static void seen(struct follow *follow, struct conn *conn, const struct kernel_socket *socket)
{
	bool began = socket->state == STATE_TIME_WAIT && conn->state != STATE_TIME_WAIT;

	conn->generation = follow->generation;
	conn->missed = false;
	conn->no_inode = !socket->inode;
	if (socket->state != STATE_TIME_WAIT) {
		note_info(conn, socket);
		conn->unread = socket->unread;
		conn->unacked = socket->unacked;
	}
	/* What the record of a close, or the multicast, said since the dump began is newer. */
	if (conn->since_ms < follow->began_ms || conn->state == 0)
		conn_set_state(follow->parts.conns, conn, socket->state, wire_now_ms());
	if (began && conn->state == STATE_TIME_WAIT)
		time_wait_began(follow, conn);
	want_holder(follow, conn, socket->inode);
}

static void on_sockets(void *arg, const struct kernel_socket *sockets, unsigned int count)
{
	struct follow *follow = arg;

	for (unsigned int i = 0; i < count; i++) {
		const struct kernel_socket *socket = &sockets[i];
		struct conn *conn = conn_find(follow->parts.conns, socket->cookie);

		if (socket->state == STATE_LISTEN)
			follow->listening[socket->local.port / 8] |= 1u << socket->local.port % 8;
		if (conn)
			seen(follow, conn, socket);
		else
			discovered(follow, socket);
	}
}

static void on_holder(void *arg, uint64_t inode, const struct process *process)
{
	struct follow *follow = arg;
	struct wanted *wanted;
	struct conn *conn;

	HASH_FIND(hh, follow->wanted, &inode, sizeof(inode), wanted);
	conn = wanted ? conn_find(follow->parts.conns, wanted->cookie) : NULL;
	if (!conn || conn->proc)
		return;
	conn_attribute(follow->parts.conns, conn, process);
	apply_rule(follow, conn);
	if (conn->state == STATE_TIME_WAIT)
		time_wait_began(follow, conn);
}

static void tell_waiters(struct follow *follow)
{
	struct follow_waiter *waiter;

	while ((waiter = follow->waiters)) {
		DL_DELETE(follow->waiters, waiter);
		waiter->ready(waiter);
	}
}

static void finish(struct follow *follow)
{
	follow->phase = IDLE;
	follow->ended_ms = wire_now_ms();
	follow->took_us = follow->survey_us;
	follow->costs.surveys++;
	follow->costs.survey_us += follow->survey_us;
	follow->first = false;
	tell_waiters(follow);
}

/* Where a process has a listener, what waits there to be accepted is its own: an inode comes with
 * accept(), and no orphan is in these states. */
static void ask_for_holders(struct follow *follow)
{
	unsigned int count = HASH_COUNT(follow->wanted), i = 0;
	uint64_t *inodes = count ? malloc(count * sizeof(inodes[0])) : NULL;
	struct wanted *wanted;

	if (!inodes) {
		finish(follow);
		return;
	}
	for (wanted = follow->wanted; wanted; wanted = wanted->hh.next)
		inodes[i++] = wanted->inode;
	follow->phase = HOLDERS;
	survey_holders(follow->survey, inodes, count);
}

static void on_swept(void *arg)
{
	ask_for_holders(arg);
}

static void on_time_wait(void *arg, struct conn *conn)
{
	time_wait_began(arg, conn);
}

static void dumped(struct follow *follow, int error)
{
	struct sweep_scope scope = {
		.generation = follow->generation,
		.before_ms = follow->began_ms,
		.time_wait = follow->what & KERNEL_TIME_WAIT && !error,
	};

	if (error) {
		log_limited(LOG_WARNING, "sock_diag: %s", strerror(error));
		finish(follow);
		return;
	}
	if (scope.time_wait) {
		follow->time_wait_ms = follow->began_ms;
		follow->want_time_wait = false;
		follow->dumped_time_wait_us = follow->survey_us;
	} else {
		follow->dumped_us = follow->survey_us;
	}
	follow->phase = SWEEPING;
	sweep_begin(follow->sweep, &scope, follow->waiters != NULL);
}

static void on_done(void *arg, int error, uint64_t cpu_us)
{
	struct follow *follow = arg;

	follow->survey_us += cpu_us;
	if (follow->phase == DUMPING) {
		dumped(follow, error);
		return;
	}
	forget_wanted(follow);
	finish(follow);
}

static void begin(struct follow *follow)
{
	drain_destroyed(follow);
	if (++follow->generation == 0)
		follow->generation = 1;
	follow->what = KERNEL_LIVE;
	if (follow->want_time_wait || !follow->destroyed)
		follow->what |= KERNEL_TIME_WAIT;
	follow->began_ms = wire_now_ms();
	follow->survey_us = 0;
	follow->phase = DUMPING;
	forget_wanted(follow);
	memset(follow->listening, 0, sizeof(follow->listening));
	survey_dump(follow->survey, follow->dump, follow->what);
}

/* Would the next one be worth what it takes? */
static bool is_due(const struct follow *follow, uint64_t now_ms, unsigned int min_ms,
		   unsigned int share)
{
	uint64_t pause = follow->took_us * share / 1000;

	return now_ms - follow->ended_ms >= (pause > min_ms ? pause : min_ms);
}

void follow_refresh(struct follow *follow, struct follow_waiter *waiter)
{
	uint64_t now = wire_now_ms();

	if (follow->phase == IDLE && !follow->first &&
	    !conns_census(follow->parts.conns)->state[0] &&
	    !is_due(follow, now, FRESH_MS, FRESH_SHARE)) {
		drain_destroyed(follow);
		waiter->ready(waiter);
		return;
	}
	DL_APPEND(follow->waiters, waiter);
	if (follow->phase == IDLE)
		begin(follow);
}

void follow_forget(struct follow *follow, struct follow_waiter *waiter)
{
	struct follow_waiter *at;

	DL_FOREACH(follow->waiters, at)
	{
		if (at != waiter)
			continue;
		DL_DELETE(follow->waiters, waiter);
		return;
	}
}

/* --- how many TIME_WAITs there are ------------------------------------------------------------ */

/* /proc/net/sockstat: minisockets of both families, in TIME_WAIT or FIN_WAIT2. -1: not known. */
static long kernel_time_waits(void)
{
	FILE *file = fopen("/proc/net/sockstat", "re");
	char line[256];
	long count = -1;

	if (!file)
		return -1;
	while (count < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "TCP: inuse %*d orphan %*d tw %ld", &count) != 1)
			count = -1;
	fclose(file);
	return count;
}

static bool is_far_off(long more, long of)
{
	return more > TIME_WAIT_SLACK + of / 50;
}

/* The kernel says how many there are, their age which have gone. */
static void expire(struct follow *follow, uint64_t now_ms)
{
	struct conns *conns = follow->parts.conns;
	const struct census *census = conns_census(conns);
	long known = census->state[STATE_TIME_WAIT], there = kernel_time_waits(), over;

	if (now_ms < 2 * TIME_WAIT_MS && known == 0)
		return;
	over = there < 0 ? 0 : known - there;
	if (over > 0)
		over -= (long)conns_expire(conns, CONN_NETNS_OWN, now_ms - TIME_WAIT_MS,
					   over < EXPIRE_AT_ONCE ? (unsigned int)over
								 : EXPIRE_AT_ONCE);
	conns_expire(conns, CONN_NETNS_ANY, now_ms - TIME_WAIT_MS - TIME_WAIT_LATE_MS,
		     EXPIRE_AT_ONCE);
	if (there >= 0 && (is_far_off(over, there) ||
			   is_far_off(there - known - (long)census->state[STATE_FIN_WAIT2], there)))
		follow->want_time_wait = true;
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
	struct follow *follow = arg;

	(void)fd;
	(void)what;
	if (conns_census(follow->parts.conns)->state[STATE_TIME_WAIT])
		expire(follow, wire_now_ms());
}

void follow_tick(struct follow *follow, uint64_t now_ms)
{
	expire(follow, now_ms);
	if (follow->phase == IDLE &&
	    (follow->first || is_due(follow, now_ms, SURVEY_MS, SURVEY_SHARE)))
		begin(follow);
}

/* --- life ------------------------------------------------------------------------------------- */

uint64_t follow_age_ms(const struct follow *follow, uint64_t now_ms)
{
	return follow->first ? 0 : now_ms - follow->ended_ms;
}

void follow_costs(const struct follow *follow, struct follow_costs *costs)
{
	*costs = follow->costs;
	costs->multicast = follow->destroyed != NULL;
}

static bool add_events(struct follow *follow)
{
	static const struct timeval quarter = {.tv_usec = 250000};
	struct event_base *base = follow->parts.base;

	evtimer_assign(&follow->gather, base, on_gathered, follow);
	event_assign(&follow->expire, base, -1, EV_PERSIST, on_expire, follow);
	if (event_add(&follow->expire, &quarter) < 0)
		return false;
	if (!follow->destroyed)
		return true;
	event_assign(&follow->readable, base, kernel_fd(follow->destroyed), EV_READ | EV_PERSIST,
		     on_readable, follow);
	return event_add(&follow->readable, NULL) == 0;
}

struct follow *follow_new(const struct follow_parts *parts)
{
	static const struct survey_calls survey_calls = {on_sockets, on_holder, on_done};
	static const struct sweep_calls sweep_calls = {on_time_wait, on_swept};
	struct follow *follow = calloc(1, sizeof(*follow));

	if (!follow)
		return NULL;
	follow->parts = *parts;
	follow->first = true;
	follow->dump = kernel_open();
	follow->destroyed = kernel_open_destroyed(); /* NULL: surveys see TIME_WAITs */
	follow->survey = survey_new(parts->base, &survey_calls, follow);
	follow->sweep = sweep_new(parts->base, parts->kernel, parts->conns, parts->book,
				  &sweep_calls, follow);
	if (!follow->dump || !follow->survey || !follow->sweep || !add_events(follow)) {
		int error = errno;

		follow_free(follow);
		errno = error;
		return NULL;
	}
	conns_set_followed(parts->conns, true);
	return follow;
}

void follow_free(struct follow *follow)
{
	if (!follow)
		return;
	conns_set_followed(follow->parts.conns, false);
	survey_free(follow->survey);
	sweep_free(follow->sweep);
	if (event_initialized(&follow->expire))
		event_del(&follow->expire);
	if (event_initialized(&follow->gather))
		event_del(&follow->gather);
	if (event_initialized(&follow->readable))
		event_del(&follow->readable);
	forget_wanted(follow);
	kernel_close(follow->destroyed);
	kernel_close(follow->dump);
	free(follow);
}
