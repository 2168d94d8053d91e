/* SPDX-License-Identifier: MIT */
/* The two queues of a listener. The accept queue holds what has been established and waits for
 * accept(): as many as listen() said, at most somaxconn. The SYN queue holds handshakes: with
 * tcp_syncookies as many as the accept queue may, and over that a cookie does without; without
 * cookies what is over is dropped (TCPReqQFullDrop), and of strangers all past three quarters of
 * tcp_max_syn_backlog (tcp_conn_request(), Linux 4.4 on). */
#include "daemon/balance_sheet.h"

#include <stdio.h>

enum { SPOKEN_PERCENT = 50, BURST_PERCENT = 150, BACKLOG_MOST = 65535 };

struct queue {
	struct assessing *a;
	const struct balance_listener *listener;
	const struct balance_space *space;
	struct balance_entry *entry;
	uint64_t best; /* backlog */
};

static void place_text(const struct balance_listener *listener, char *buf, size_t size)
{
	char at[ENDPOINT_TEXT_MAX];

	snprintf(buf, size, "%s", endpoint_format(&listener->at, at, sizeof(at)));
}

/* How long drops make it is not known: half as much again is tried. */
static uint64_t need_of(uint64_t capacity, uint64_t peak, uint64_t drops)
{
	uint64_t burst = capacity * BURST_PERCENT / 100;

	return drops && burst > peak ? burst : peak;
}

/* --- levers: a longer backlog ----------------------------------------------------------------- */

static struct balance_advice *advise_backlog(const struct queue *queue)
{
	struct balance_advice *advice = advice_new(queue->a, LEVER_BACKLOG);
	char keys[32];

	if (!advice)
		return NULL;
	snprintf(keys, sizeof(keys), "backlog = %llu", (unsigned long long)queue->best);
	advice_title(advice, "a longer backlog from the next listen() on: %s", keys);
	advice_effect(advice, "a burst of %s waits for accept() instead of being dropped",
		      number_text(queue->best));
	advice_cost(advice, "who waits in it waits longer: a queue helps with bursts, not with a "
			    "program that is too slow");
	advice_policy(queue->a, advice, &queue->listener->who, true, &queue->listener->at, keys);
	advice_line(advice, "# and start %s again%s", who_text(&queue->listener->who),
		    queue->listener->who.shim ? "" : ", by `closeside run`");
	return advice;
}

static struct balance_advice *advise_somaxconn(const struct queue *queue)
{
	struct balance_advice *advice;

	if (space_number(queue->space, SYSCTL_SOMAXCONN) >= queue->best)
		return NULL;
	advice = advice_new(queue->a, LEVER_SOMAXCONN);
	if (!advice)
		return NULL;
	advice_title(advice, "listen() may say up to %s", number_text(queue->best));
	advice_effect(advice,
		      "whatever listen() says is cut to it; what listens already stays as it "
		      "is until it listens again");
	advice_cost(advice, "nothing by itself; a few hundred bytes for each that waits");
	advice_set(queue->a, advice, SYSCTL_SOMAXCONN, sysctl_number((int64_t)queue->best));
	return advice;
}

static void say_relisten_line(const struct queue *queue, struct balance_advice *advice)
{
	const char *path = queue->a->inputs->socket_path;
	char socket[BALANCE_TEXT] = "";

	if (*path && !shell_text(path, socket, sizeof(socket)))
		return;
	advice_line(advice, "closeside%s%s tune apply '%s'", *socket ? " -s " : "", socket,
		    advice->id);
}

static struct balance_advice *advise_relisten(const struct queue *queue)
{
	struct balance_advice *advice = advice_new(queue->a, LEVER_RELISTEN);

	if (!advice)
		return NULL;
	advice->best = sysctl_number((int64_t)queue->best);
	advice->cookie = queue->listener->cookie;
	advice_title(advice, "call listen(%llu) again for the socket that listens now",
		     (unsigned long long)queue->best);
	advice_effect(advice, "the queue is longer at once, without a restart");
	advice_cost(advice,
		    "gone when the program starts again: a policy, or its own config, stays");
	say_relisten_line(queue, advice);
	if (!queue->listener->can_relisten)
		snprintf(advice->why_not, BALANCE_TEXT, "whose listener it is, is not known");
	return advice;
}

/* No more than listen() can say; returns what makes the socket of now listen longer. What somaxconn
 * cuts needs it too. */
static struct balance_advice *advise_longer(struct queue *queue, uint64_t need)
{
	struct balance_advice *backlog, *somaxconn, *relisten;
	const struct balance_entry *entry = queue->entry;
	bool is_enough;

	queue->best = times(need, 1 / entry->target);
	if (queue->best > BACKLOG_MOST)
		queue->best = BACKLOG_MOST;
	is_enough = queue->best >= need;
	if (queue->best <= queue->listener->backlog)
		return NULL;
	backlog = advise_backlog(queue);
	somaxconn = advise_somaxconn(queue);
	relisten = advise_relisten(queue);
	if (backlog)
		backlog->enough = is_enough;
	if (somaxconn)
		somaxconn->enough = is_enough;
	if (relisten)
		relisten->enough = is_enough;
	if (backlog && somaxconn)
		backlog->with = advice_index(queue->a, somaxconn);
	advice_pair(queue->a, somaxconn, relisten);
	return relisten;
}

/* --- the accept queue ------------------------------------------------------------------------- */

/* The kernel counts the drops of a listener without saying why; and those of the namespace by why,
 * without saying whose. */
static uint64_t accept_drops(const struct balance_space *space,
			     const struct balance_listener *listener)
{
	if (!space->listen_drops)
		return 0;
	return listener->drops < space->listen_drops ? listener->drops : space->listen_drops;
}

static void assess_accept_queue(struct queue *queue)
{
	const struct balance_listener *listener = queue->listener;
	uint64_t drops = accept_drops(queue->space, listener);
	struct balance_entry *entry;
	char where[ENDPOINT_TEXT_MAX];

	if (!drops && listener->queue_peak * 100ULL < (uint64_t)listener->backlog * SPOKEN_PERCENT)
		return;
	place_text(listener, where, sizeof(where));
	entry = entry_new(queue->a, BALANCE_ACCEPT_QUEUE, listener->space, &listener->who, where);
	if (!entry)
		return;
	queue->entry = entry;
	entry->capacity = listener->backlog;
	entry->used = listener->queue;
	entry->peak = listener->queue_peak;
	entry->drops = drops;
	entry->rate_s = listener->rate_s;
	entry->need = need_of(entry->capacity, entry->peak, drops);
	entry_judge(entry);
	entry_title(entry, "accept queue of %s at %s: %s wait, room for %s",
		    who_text(&listener->who), where, number_text(entry->used),
		    number_text(entry->capacity));
	if (drops)
		entry_evidence(entry, "%s dropped in %d s because it was full (ListenOverflows)",
			       number_text(drops), BALANCE_WINDOW_MS / 1000);
	if (listener->queue >= listener->backlog)
		entry_evidence(entry,
			       "it is full at this moment: if it stays so, the program does not "
			       "accept, and no length helps");
	if (entry->level == BALANCE_FINE)
		return;
	advise_longer(queue, entry->need);
}

/* --- the SYN queue ---------------------------------------------------------------------------- */

static uint64_t syn_capacity(const struct queue *queue, uint64_t *of_sysctl)
{
	uint64_t backlog = queue->listener->backlog;

	*of_sysctl = space_number(queue->space, SYSCTL_SYN_BACKLOG_MAX) * 3 / 4;
	if (space_number(queue->space, SYSCTL_SYN_COOKIES) || !*of_sysctl || *of_sysctl > backlog)
		return backlog;
	return *of_sysctl;
}

/* A listener's own drops are not all of SYNs that found no room: one that comes again while its
 * handshake is under way is a drop too (tcp_v4_rcv(), seen in Linux 6.18). */
static uint64_t syn_drops(const struct queue *queue)
{
	uint64_t drops = queue->listener->drops;

	return drops < queue->space->syn_drops ? drops : queue->space->syn_drops;
}

static void advise_syn(struct queue *queue, uint64_t of_sysctl)
{
	const struct balance_entry *entry = queue->entry;
	uint64_t best = times(entry->need, 4.0 / 3 / entry->target);
	struct balance_advice *advice, *strangers = NULL, *longer;

	if (!space_number(queue->space, SYSCTL_SYN_COOKIES)) {
		char prefix[40];

		advice = advice_new(queue->a, LEVER_SYNCOOKIES);
		if (!advice)
			return;
		advice_title(advice,
			     "SYN cookies: what does not fit into the queue does without it");
		advice_effect(advice, "no SYN is dropped because the queue is full");
		advice_cost(advice, "a connection that began with a cookie has a coarser MSS, and "
				    "window scaling only with timestamps");
		advice_line(advice, "%ssysctl -w net.ipv4.tcp_syncookies=1",
			    space_prefix(queue->a, entry->space, prefix, sizeof(prefix)));
		if (of_sysctl < times(entry->need, 1 / entry->target)) {
			strangers = advice = advice_new(queue->a, LEVER_SYN_BACKLOG);
			if (!advice)
				return;
			advice_title(advice, "strangers may take three quarters of %s",
				     number_text(best));
			advice_effect(advice, "room for %s handshakes", number_text(best * 3 / 4));
			advice_cost(advice, "about 300 bytes each: %s", bytes_text(best * 300));
			advice_set(queue->a, advice, SYSCTL_SYN_BACKLOG_MAX,
				   sysctl_number((int64_t)best));
		}
	}
	longer = advise_longer(queue, entry->need);
	if (strangers && longer)
		strangers->with = advice_index(queue->a, longer);
}

static void assess_syn_queue(struct queue *queue)
{
	const struct balance_listener *listener = queue->listener;
	uint64_t of_sysctl, capacity = syn_capacity(queue, &of_sysctl), drops = syn_drops(queue);
	struct balance_entry *entry;
	char where[ENDPOINT_TEXT_MAX];

	if (!drops && listener->handshakes_peak * 100ULL < capacity * SPOKEN_PERCENT)
		return;
	place_text(listener, where, sizeof(where));
	entry = entry_new(queue->a, BALANCE_SYN_QUEUE, listener->space, &listener->who, where);
	if (!entry)
		return;
	queue->entry = entry;
	entry->capacity = capacity;
	entry->used = listener->handshakes;
	entry->peak = listener->handshakes_peak;
	entry->drops = drops;
	entry->need = need_of(capacity, entry->peak, drops);
	entry_judge(entry);
	/* With cookies a full queue loses nothing. */
	if (space_number(queue->space, SYSCTL_SYN_COOKIES) && entry->level == BALANCE_OVER)
		entry->level = BALANCE_NEAR;
	entry_title(entry, "SYN queue of %s at %s: %s handshakes, room for %s",
		    who_text(&listener->who), where, number_text(entry->used),
		    number_text(capacity));
	if (drops)
		entry_evidence(entry,
			       "%s SYNs dropped in %d s because it was full (ListenDrops that are "
			       "no ListenOverflows)",
			       number_text(drops), BALANCE_WINDOW_MS / 1000);
	if (queue->space->syn_cookies)
		entry_evidence(entry, "%s were answered with cookies (TCPReqQFullDoCookies)",
			       number_text(queue->space->syn_cookies));
	if (entry->level != BALANCE_FINE)
		advise_syn(queue, of_sysctl);
}

void assess_queues(struct assessing *a)
{
	for (size_t i = 0; i < a->inputs->listener_count; i++) {
		const struct balance_listener *listener = &a->inputs->listeners[i];
		struct queue queue = {a, listener, &a->inputs->spaces[listener->space], NULL, 0};

		if (!listener->backlog)
			continue;
		assess_accept_queue(&queue);
		assess_syn_queue(&queue);
	}
}
