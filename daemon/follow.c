/* SPDX-License-Identifier: MIT */
/* A round: for each network namespace a dump of its sockets, then a sweep over what the dump did
 * not meet; then, once for all, whose the new ones are, and which namespaces there are. */
#include "daemon/follow.h"

#include "daemon/adopt.h"
#include "daemon/freed.h"
#include "daemon/kernel.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/netns.h"
#include "daemon/opener.h"
#include "daemon/probe.h"
#include "daemon/survey.h"
#include "daemon/sweep.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <utlist.h>

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
	SURVEY_MS = 5000,      /* between surveys that nobody waits for, at the least */
	SURVEY_SHARE = 200,    /* ... and so many times what the last one took; */
	SURVEY_MAX_MS = 8000,  /* but what lives for 10 s is to be met, as long as that */
	SURVEY_MAX_SHARE = 50, /* is no more than so */
	FRESH_MS = 200,	       /* what is younger is fresh enough for who asks */
	FRESH_SHARE = 20,
	ROUND_MS = 2000,	  /* then who waits is answered with what is known */
	TIME_WAIT_MS = 60000,	  /* TCP_TIMEWAIT_LEN, */
	TIME_WAIT_LATE_MS = 6000, /* and how late the kernel's timer may be */
	TIME_WAIT_FEW = 8192,
	EXPIRE_AT_ONCE = 4096,
	EXPIRE_SOME = 500,
	TIME_WAIT_SLACK = 16, /* so many more or fewer than the kernel has, and a fiftieth */
	HOLDERS_ASKED = 3,    /* then it is nobody's whom we may know */
	WANTED_MAX = 65536,
	UNACCEPTED_MAX = 65536,
	LISTENERS_MAX = 4096,
	NETNS_MAX = LIMIT_NAMESPACES,
	NETNS_MS = 5000, /* between looks for namespaces */
};

/* An inode whose process is looked for. */
struct wanted {
	uint64_t inode, cookie;
	UT_hash_handle hh;
};

struct followed {
	struct netns *ns;
	struct freed *freed; /* NULL: no multicast */
	bool gone;	     /* no process is in it any more */
	bool met;	     /* in this look for namespaces */
	bool old;	     /* it was there before us, and so is what the first look finds */
};

struct follow {
	struct follow_parts parts;
	struct survey *survey;
	struct sweep *sweep;
	struct event expire, opened;
	enum { IDLE, DUMPING, SWEEPING, HOLDERS, NAMESPACES, CHECKING } phase;
	struct followed all[NETNS_MAX]; /* the first is our own */
	unsigned int at;		/* the one that the round is at */
	uint8_t generation;
	unsigned int what; /* of the dump under way */
	uint64_t started_ms, began_ms, ended_ms, namespaces_ms, checked_ms;
	uint64_t round_ms; /* when the last round began */
	uint64_t took_us;  /* the dumps of the last round: whose the new ones are, is asked once */
	uint64_t dumps_us, round_us; /* of this one up to now, and all of it */
	bool first;
	struct wanted *wanted;
	bool wants_listener;  /* one of them is: the shim does not speak of those */
	uint64_t *unaccepted; /* cookies */
	unsigned int unaccepted_count;
	uint64_t *listeners; /* cookies */
	unsigned int listener_count;
	struct follow_waiter *waiters;
	struct follow_costs costs;
};

static unsigned int expire_all(struct follow *follow);

static struct netns *current(const struct follow *follow)
{
	return follow->all[follow->at].ns;
}

/* --- surveys ---------------------------------------------------------------------------------- */

static void want_holder(struct follow *follow, struct conn *conn, uint64_t inode)
{
	struct wanted *wanted;

	if (conn->by_listener && inode)
		conn_disown(follow->parts.conns, conn); /* it was accepted: by whom? */
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
	follow->wants_listener |= conn->state == STATE_LISTEN;
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

static void note_listener(struct follow *follow, const struct kernel_socket *socket)
{
	netns_listens(current(follow), socket->local.port);
	if (follow->listener_count < LISTENERS_MAX)
		follow->listeners[follow->listener_count++] = socket->cookie;
}

static void note_unaccepted(struct follow *follow, const struct conn *conn)
{
	if (conn_is_unaccepted(conn) && !conn->proc && conn->role == ROLE_SERVER &&
	    follow->unaccepted_count < UNACCEPTED_MAX)
		follow->unaccepted[follow->unaccepted_count++] = conn->cookie;
}

static void discovered(struct follow *follow, const struct kernel_socket *socket)
{
	struct netns *ns = current(follow);
	struct conn *conn = conn_discover(
		follow->parts.conns, socket, ns->index,
		socket->state == STATE_LISTEN ? ROLE_SERVER : netns_role(ns, socket->local.port),
		follow->began_ms);

	if (!conn)
		return;
	if (follow->all[follow->at].old)
		conn_was_there(follow->parts.conns, conn);
	conn->generation = follow->generation;
	conn->no_inode = !socket->inode;
	freed_note(conn, socket);
	conn->unread = socket->unread;
	conn->unacked = socket->unacked;
	adopt(&follow->parts, conn);
	if (socket->state == STATE_TIME_WAIT)
		adopt_time_wait(&follow->parts, conn);
	want_holder(follow, conn, socket->inode);
	note_unaccepted(follow, conn);
}

static void seen(struct follow *follow, struct conn *conn, const struct kernel_socket *socket)
{
	bool began = socket->state == STATE_TIME_WAIT && conn->state != STATE_TIME_WAIT;

	conn->generation = follow->generation;
	conn->missed = false;
	conn->no_inode = !socket->inode;
	if (conn->netns == CONN_NETNS_NONE)
		conn_set_netns(follow->parts.conns, conn, current(follow)->index);
	if (socket->state != STATE_TIME_WAIT) {
		freed_note(conn, socket);
		conn->unread = socket->unread;
		conn->unacked = socket->unacked;
	}
	/* What the record of a close, or the multicast, said since the dump began is newer. */
	if (conn->since_ms < follow->began_ms || conn->state == 0)
		conn_set_state(follow->parts.conns, conn, socket->state, wire_now_ms());
	if (began && conn->state == STATE_TIME_WAIT)
		adopt_time_wait(&follow->parts, conn);
	want_holder(follow, conn, socket->inode);
	note_unaccepted(follow, conn);
}

static void on_sockets(void *arg, const struct kernel_socket *sockets, unsigned int count)
{
	struct follow *follow = arg;

	for (unsigned int i = 0; i < count; i++) {
		const struct kernel_socket *socket = &sockets[i];
		struct conn *conn = conn_find(follow->parts.conns, socket->cookie);

		if (socket->state == STATE_LISTEN)
			note_listener(follow, socket);
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
	adopt(&follow->parts, conn);
	if (conn->state == STATE_TIME_WAIT)
		adopt_time_wait(&follow->parts, conn);
}

static void tell_waiters(struct follow *follow)
{
	struct follow_waiter *waiter;

	if (follow->waiters)
		expire_all(follow);
	while ((waiter = follow->waiters)) {
		DL_DELETE(follow->waiters, waiter);
		waiter->ready(waiter);
	}
}

static void finish(struct follow *follow)
{
	follow->phase = IDLE;
	follow->ended_ms = wire_now_ms();
	follow->took_us = follow->dumps_us;
	follow->costs.surveys++;
	follow->costs.survey_us += follow->round_us;
	follow->first = false;
	tell_waiters(follow);
}

/* --- backlogs --------------------------------------------------------------------------------- */

static bool is_backlog_of(const struct conn *conn, const struct conn *listener)
{
	return listener->state == STATE_LISTEN && listener->netns == conn->netns &&
	       listener->local.port == conn->local.port &&
	       (endpoint_is_any(&listener->local) ||
		endpoint_equal(&listener->local, &conn->local));
}

/* Whose listener it waits at; NULL: nobody's that we know, or more than one's. */
static const struct proc *backlog_of(const struct follow *follow, const struct conn *conn)
{
	const struct proc *found = NULL;

	for (unsigned int i = 0; i < follow->listener_count; i++) {
		const struct conn *listener = conn_find(follow->parts.conns, follow->listeners[i]);

		if (!listener || !is_backlog_of(conn, listener))
			continue;
		if (!listener->proc || (found && found != listener->proc))
			return NULL;
		found = listener->proc;
	}
	return found;
}

/* What waits to be accepted has no inode yet: it is his whose listener it is. */
static void attribute_backlogs(struct follow *follow)
{
	for (unsigned int i = 0; i < follow->unaccepted_count; i++) {
		struct conn *conn = conn_find(follow->parts.conns, follow->unaccepted[i]);
		const struct proc *proc = conn && !conn->proc ? backlog_of(follow, conn) : NULL;

		if (!proc)
			continue;
		conn_attribute(follow->parts.conns, conn, &proc->process);
		conn->by_listener = true;
		adopt(&follow->parts, conn);
	}
	follow->unaccepted_count = 0;
}

/* --- the round -------------------------------------------------------------------------------- */

static unsigned int most_namespaces(const struct follow *follow)
{
	unsigned int most = (*follow->parts.config)->namespaces;

	return most < NETNS_MAX ? most : NETNS_MAX;
}

static void look_for_namespaces(struct follow *follow)
{
	attribute_backlogs(follow);
	if (follow->parts.opener < 0 || most_namespaces(follow) < 2 ||
	    (follow->namespaces_ms && wire_now_ms() - follow->namespaces_ms < NETNS_MS)) {
		finish(follow);
		return;
	}
	follow->namespaces_ms = wire_now_ms();
	for (unsigned int i = 0; i < NETNS_MAX; i++)
		follow->all[i].met = false;
	follow->phase = NAMESPACES;
	survey_namespaces(follow->survey);
}

static void ask_for_holders(struct follow *follow)
{
	unsigned int count = HASH_COUNT(follow->wanted), i = 0, spare_count = 0;
	pid_t *spare = NULL;
	uint64_t *inodes = count ? malloc(count * sizeof(inodes[0])) : NULL;
	struct wanted *wanted;

	if (!inodes) {
		look_for_namespaces(follow);
		return;
	}
	for (wanted = follow->wanted; wanted; wanted = wanted->hh.next)
		inodes[i++] = wanted->inode;
	follow->phase = HOLDERS;
	if (!follow->wants_listener)
		spare = procs_with_sessions(conns_procs(follow->parts.conns), &spare_count);
	survey_holders(follow->survey, inodes, count, spare, spare_count);
}

/* Somebody waits, and a few TIME_WAITs are seen in a moment: some may have been replaced by new
 * connections of the same ends, which nobody tells us. */
static bool is_cheap_to_see(const struct follow *follow, const struct netns *ns)
{
	return follow->waiters &&
	       conns_in(follow->parts.conns, ns->index, STATE_TIME_WAIT) <= TIME_WAIT_FEW;
}

static void dump(struct follow *follow)
{
	struct followed *followed = &follow->all[follow->at];
	struct netns *ns = followed->ns;

	freed_drain(followed->freed);
	follow->what = KERNEL_LIVE;
	if (ns->want_time_wait || !ns->destroyed || is_cheap_to_see(follow, ns))
		follow->what |= KERNEL_TIME_WAIT;
	follow->phase = DUMPING;
	follow->began_ms = wire_now_ms();
	netns_listens_begin(ns);
	survey_dump(follow->survey, ns->dump, follow->what);
}

/* The next of the namespaces, from here on. */
static void go_on(struct follow *follow, unsigned int from)
{
	for (follow->at = from; follow->at < NETNS_MAX; follow->at++)
		if (follow->all[follow->at].ns && !follow->all[follow->at].gone) {
			dump(follow);
			return;
		}
	ask_for_holders(follow);
}

/* Nobody is in it any more; we would keep it alive. */
static void close_namespace(struct followed *followed)
{
	freed_free(followed->freed);
	netns_close(followed->ns);
	*followed = (struct followed){.ns = NULL};
}

static void sweep(struct follow *follow, bool all_time_waits)
{
	const struct netns *ns = current(follow);
	struct sweep_scope scope = {
		.kernel = follow->all[follow->at].gone ? NULL : ns->lookup,
		.netns = ns->index,
		.generation = follow->generation,
		.before_ms = follow->began_ms,
		.time_wait = all_time_waits,
	};

	follow->phase = SWEEPING;
	sweep_begin(follow->sweep, &scope, follow->waiters != NULL);
}

/* At the end of a round: those that have gone. */
static void sweep_gone(struct follow *follow)
{
	for (follow->at = 1; follow->at < NETNS_MAX; follow->at++)
		if (follow->all[follow->at].ns && follow->all[follow->at].gone) {
			sweep(follow, true);
			return;
		}
	finish(follow);
}

static void begin(struct follow *follow);

/* Between surveys that are far apart: what a process spoke of and may be over, in each namespace
 * from here on. */
static void check(struct follow *follow, unsigned int from)
{
	for (follow->at = from; follow->at < NETNS_MAX; follow->at++)
		if (follow->all[follow->at].ns && !follow->all[follow->at].gone) {
			struct sweep_scope scope = {
				.kernel = current(follow)->lookup,
				.netns = current(follow)->index,
				.before_ms = wire_now_ms(),
				.no_survey = true,
			};

			follow->phase = CHECKING;
			sweep_begin(follow->sweep, &scope, follow->waiters != NULL);
			return;
		}
	follow->phase = IDLE;
	follow->checked_ms = wire_now_ms();
	if (follow->waiters)
		begin(follow);
}

static void on_swept(void *arg)
{
	struct follow *follow = arg;

	if (follow->phase == CHECKING) {
		check(follow, follow->at + 1);
		return;
	}
	if (!follow->all[follow->at].gone) {
		go_on(follow, follow->at + 1);
		return;
	}
	conns_name_netns(follow->parts.conns, current(follow)->index, 0);
	close_namespace(&follow->all[follow->at]);
	sweep_gone(follow);
}

static void on_time_wait(void *arg, struct conn *conn)
{
	const struct follow *follow = arg;

	adopt_time_wait(&follow->parts, conn);
}

static void dumped(struct follow *follow, int error)
{
	struct netns *ns = current(follow);
	bool all_time_waits = follow->what & KERNEL_TIME_WAIT && !error;

	if (error) {
		log_limited(LOG_WARNING, "sock_diag: %s", strerror(error));
		go_on(follow, follow->at + 1);
		return;
	}
	follow->all[follow->at].old = false;
	netns_listens_end(ns);
	if (all_time_waits)
		ns->want_time_wait = false;
	sweep(follow, all_time_waits);
}

static void namespaces_met(struct follow *follow)
{
	for (unsigned int i = 1; i < NETNS_MAX; i++)
		if (follow->all[i].ns && !follow->all[i].met)
			follow->all[i].gone = true;
	sweep_gone(follow);
}

static void on_done(void *arg, int error, uint64_t cpu_us)
{
	struct follow *follow = arg;

	follow->round_us += cpu_us;
	if (follow->phase == DUMPING) {
		follow->dumps_us += cpu_us;
		dumped(follow, error);
	} else if (follow->phase == HOLDERS) {
		forget_wanted(follow);
		look_for_namespaces(follow);
	} else {
		namespaces_met(follow);
	}
}

static void begin(struct follow *follow)
{
	if (++follow->generation == 0)
		follow->generation = 1;
	follow->round_us = follow->dumps_us = 0;
	follow->round_ms = wire_now_ms();
	follow->listener_count = follow->unaccepted_count = 0;
	follow->wants_listener = false;
	forget_wanted(follow);
	go_on(follow, 0);
}

/* --- namespaces ------------------------------------------------------------------------------- */

static struct followed *find_namespace(struct follow *follow, uint64_t inode)
{
	for (unsigned int i = 0; i < NETNS_MAX; i++)
		if (follow->all[i].ns && follow->all[i].ns->inode == inode)
			return &follow->all[i];
	return NULL;
}

static bool follow_namespace(struct follow *follow, struct followed *followed, struct netns *ns)
{
	if (!ns)
		return false;
	followed->ns = ns;
	followed->met = true;
	followed->old = wire_now_ms() - follow->started_ms < 2 * NETNS_MS;
	conns_name_netns(follow->parts.conns, ns->index, ns->inode);
	if (ns->destroyed)
		followed->freed = freed_new(&follow->parts, ns, &follow->costs);
	return true;
}

static bool add_own(struct follow *follow)
{
	struct netns *ns = netns_open_own(follow->parts.probe, follow->parts.vitals);

	return follow_namespace(follow, follow->all, ns);
}

static void add_namespace(struct follow *follow, const struct opener_answer *answer,
			  int fds[OPENED_FDS])
{
	const struct followed *end = follow->all + most_namespaces(follow);
	struct followed *followed = follow->all;

	while (followed < end && followed->ns)
		followed++;
	if (followed == end || find_namespace(follow, answer->netns))
		opener_drop(fds);
	else
		follow_namespace(follow, followed,
				 netns_open(answer->netns, (uint8_t)(followed - follow->all),
					    (pid_t)answer->pid, fds));
}

static void on_namespace(void *arg, uint64_t inode, pid_t pid)
{
	struct follow *follow = arg;
	struct followed *followed = find_namespace(follow, inode);
	struct opener_request request = {.netns = inode, .pid = pid};

	if (followed) {
		followed->met = true;
		followed->ns->pid = inode == follow->all[0].ns->inode ? 0 : pid;
	} else {
		opener_ask(follow->parts.opener, &request);
	}
}

static void on_opened(evutil_socket_t fd, short what, void *arg)
{
	struct follow *follow = arg;
	struct opener_answer answer;
	int fds[OPENED_FDS];

	(void)what;
	while (opener_take(fd, &answer, fds)) {
		if (answer.error == EPERM && !follow->costs.closed_netns)
			log_notice("without CAP_SYS_ADMIN: connections in other network namespaces "
				   "are known only as far as their programs are under the shim");
		if (answer.error) {
			follow->costs.closed_netns++;
			continue;
		}
		add_namespace(follow, &answer, fds);
	}
}

/* --- who asks --------------------------------------------------------------------------------- */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Would the next one be worth what it takes? */
static bool is_due(const struct follow *follow, uint64_t now_ms)
{
	uint64_t pause = larger(SURVEY_MS, follow->took_us * SURVEY_SHARE / 1000);
	uint64_t most = larger(SURVEY_MAX_MS, follow->took_us * SURVEY_MAX_SHARE / 1000);

	return now_ms - follow->ended_ms >= (pause < most ? pause : most);
}

static bool is_fresh(const struct follow *follow, uint64_t now_ms)
{
	return now_ms - follow->ended_ms < larger(FRESH_MS, follow->took_us * FRESH_SHARE / 1000);
}

static void drain(struct follow *follow)
{
	for (unsigned int i = 0; i < NETNS_MAX; i++)
		freed_drain(follow->all[i].freed);
}

void follow_refresh(struct follow *follow, struct follow_waiter *waiter)
{
	uint64_t now = wire_now_ms();

	if (follow->phase == IDLE && !follow->first &&
	    !conns_census(follow->parts.conns)->state[0] && is_fresh(follow, now)) {
		drain(follow);
		expire_all(follow);
		waiter->ready(waiter);
		return;
	}
	DL_APPEND(follow->waiters, waiter);
	sweep_hurry(follow->sweep);
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

static bool is_far_off(long more, long of)
{
	return more > TIME_WAIT_SLACK + of / 50;
}

/* The kernel says how many there are, their age which have gone. Returns how many. */
static unsigned int expire(struct follow *follow, struct netns *ns, uint64_t now_ms)
{
	struct conns *conns = follow->parts.conns;
	long known = conns_in(conns, ns->index, STATE_TIME_WAIT),
	     there = probe_time_waits(ns->probe);
	long over = there < 0 ? 0 : known - there;
	unsigned int gone = 0;

	if (over > 0)
		gone = conns_expire(conns, ns->index, now_ms - TIME_WAIT_MS,
				    over < EXPIRE_AT_ONCE ? (unsigned int)over : EXPIRE_AT_ONCE);
	over -= (long)gone;
	gone += conns_expire(conns, ns->index, now_ms - TIME_WAIT_MS - TIME_WAIT_LATE_MS,
			     EXPIRE_AT_ONCE);
	if (there >= 0 &&
	    (is_far_off(over, there) ||
	     is_far_off(there - known - conns_in(conns, ns->index, STATE_FIN_WAIT2), there)))
		ns->want_time_wait = true;
	return gone;
}

static unsigned int expire_all(struct follow *follow)
{
	uint64_t now = wire_now_ms();
	unsigned int gone = 0;

	if (now < TIME_WAIT_MS + TIME_WAIT_LATE_MS)
		return 0; /* the machine was just started */
	for (unsigned int i = 0; i < NETNS_MAX; i++)
		if (follow->all[i].ns)
			gone += expire(follow, follow->all[i].ns, now);
	return gone;
}

/* To ask costs as much as to forget some hundreds. */
static void on_expire(evutil_socket_t fd, short what, void *arg)
{
	struct follow *follow = arg;
	struct timeval next = {.tv_sec = 1};

	(void)fd;
	(void)what;
	if (expire_all(follow) >= EXPIRE_SOME)
		next = (struct timeval){.tv_usec = 250000};
	evtimer_add(&follow->expire, &next);
}

/* Nobody is to wait for what takes so long. */
static void answer_late(struct follow *follow)
{
	survey_interrupt(follow->survey);
	if (follow->first)
		return; /* but there is nothing yet */
	tell_waiters(follow);
}

void follow_tick(struct follow *follow, uint64_t now_ms)
{
	if (follow->phase != IDLE) {
		if (now_ms - follow->round_ms >= ROUND_MS)
			answer_late(follow);
		return;
	}
	if (follow->first || is_due(follow, now_ms))
		begin(follow);
	else if (now_ms - larger(follow->ended_ms, follow->checked_ms) >= SURVEY_MS)
		check(follow, 0);
}

/* --- life ------------------------------------------------------------------------------------- */

uint64_t follow_age_ms(const struct follow *follow, uint64_t now_ms)
{
	return !follow || follow->first ? 0 : now_ms - follow->ended_ms;
}

void follow_costs(const struct follow *follow, struct follow_costs *costs)
{
	*costs = follow->costs;
	costs->multicast = follow->all[0].freed != NULL;
}

static bool add_events(struct follow *follow)
{
	static const struct timeval second = {.tv_sec = 1};
	struct event_base *base = follow->parts.base;

	evtimer_assign(&follow->expire, base, on_expire, follow);
	if (evtimer_add(&follow->expire, &second) < 0)
		return false;
	if (follow->parts.opener < 0)
		return true;
	event_assign(&follow->opened, base, follow->parts.opener, EV_READ | EV_PERSIST, on_opened,
		     follow);
	return event_add(&follow->opened, NULL) == 0;
}

struct follow *follow_new(const struct follow_parts *parts)
{
	static const struct survey_calls survey_calls = {on_sockets, on_holder, on_namespace,
							 on_done};
	static const struct sweep_calls sweep_calls = {on_time_wait, on_swept};
	struct follow *follow = calloc(1, sizeof(*follow));

	if (!follow)
		return NULL;
	follow->parts = *parts;
	follow->first = true;
	follow->started_ms = wire_now_ms();
	follow->unaccepted = calloc(UNACCEPTED_MAX, sizeof(follow->unaccepted[0]));
	follow->listeners = calloc(LISTENERS_MAX, sizeof(follow->listeners[0]));
	follow->survey = survey_new(parts->base, &survey_calls, follow);
	follow->sweep = sweep_new(parts->base, parts->conns, parts->book, &sweep_calls, follow);
	if (!follow->unaccepted || !follow->listeners || !follow->survey || !follow->sweep ||
	    !add_own(follow) || !add_events(follow)) {
		int error = errno;

		follow_free(follow);
		errno = error;
		return NULL;
	}
	follow->all[0].ns->want_time_wait = true;
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
	if (event_initialized(&follow->opened))
		event_del(&follow->opened);
	for (unsigned int i = 0; i < NETNS_MAX; i++)
		close_namespace(&follow->all[i]);
	forget_wanted(follow);
	free(follow->unaccepted);
	free(follow->listeners);
	free(follow);
}

struct netns *follow_netns(const struct follow *follow, unsigned int index)
{
	return follow && index < NETNS_MAX && !follow->all[index].gone ? follow->all[index].ns
								       : NULL;
}
