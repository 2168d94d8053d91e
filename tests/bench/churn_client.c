/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_client.h"
#include "tests/bench/churn_exchange.h"
#include "tests/bench/churn_socket.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256, TURN_NS = 2000000, SLOW_NS = 5000000, MILLISECOND_NS = 1000000 };

struct churn_client {
	unsigned int index;
	int epoll;
	pthread_t thread;
	uint64_t began_ns, next; /* the number of the next to begin */
	atomic_bool stop, done;
	atomic_uint_fast64_t begun;
	atomic_bool wanted;   /* the main thread waits for the lock, which is not a fair one */
	pthread_mutex_t lock; /* of the rest, which the main thread collects */
	struct churn_exchange exchange;
};

/* --- beginning --------------------------------------------------------------------------------
 */

/* 0, or an errno. */
static int conn_connect(struct churn_client *client, struct churn_conn *conn)
{
	const struct churn_address *at = &client->exchange.options->at;
	uint64_t before = churn_now_ns(), took_ns;
	int error = 0;

	if (connect(conn->fd, (const struct sockaddr *)&at->sa, at->len) < 0)
		error = errno;
	took_ns = churn_now_ns() - before;
	churn_hist_record(&client->exchange.stats.call, took_ns);
	client->exchange.stats.slow_calls += took_ns > SLOW_NS;
	return error == EINPROGRESS ? 0 : error;
}

static void begin(struct churn_client *client, uint64_t number, uint64_t due_ns)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int place = churn_conns_new(&client->exchange.conns), error;
	struct churn_conn *conn;

	client->exchange.stats.begun++;
	client->begun++;
	if (place == CHURN_NO_PLACE) {
		churn_stats_error(&client->exchange.stats, ENOMEM);
		return;
	}
	conn = &client->exchange.conns.at[place];
	conn->phase = CHURN_CONNECTING;
	conn->due_ns = due_ns;
	conn->begun_ns = churn_now_ns();
	conn->seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	conn->fd = churn_socket(client->exchange.options, number);
	error = conn->fd < 0 ? errno : conn_connect(client, conn);
	event.data.u32 = (uint32_t)place;
	if (!error && epoll_ctl(client->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		error = errno;
	if (error)
		churn_exchange_fail(&client->exchange, place, error);
}

/* Begins what is due, but not for long: answers are waiting. Returns when the next is due;
 * UINT64_MAX: there is none. */
static uint64_t begin_due(struct churn_client *client)
{
	uint64_t since_ns = churn_now_ns();

	for (;;) {
		uint64_t due_ns = churn_plan_due(&client->exchange.options->plan, client->next),
			 now;

		if (due_ns == UINT64_MAX)
			return UINT64_MAX;
		due_ns += client->began_ns;
		now = churn_now_ns();
		if (due_ns > now || now - since_ns > TURN_NS)
			return due_ns;
		begin(client, client->next, due_ns);
		client->next += client->exchange.options->threads;
	}
}

/* The time is over: what was due and has not been begun has waited in vain until now. */
static uint64_t begin_or_drop(struct churn_client *client)
{
	uint64_t now = churn_now_ns(), end_ns, due_ns;

	end_ns = client->began_ns + (uint64_t)(client->exchange.options->plan.seconds * 1e9);
	if (!client->exchange.options->drop_late || now < end_ns)
		return begin_due(client);
	while ((due_ns = churn_plan_due(&client->exchange.options->plan, client->next)) !=
	       UINT64_MAX) {
		client->exchange.stats.missed++;
		churn_exchange_connect_took(&client->exchange, now - client->began_ns - due_ns);
		client->next += client->exchange.options->threads;
	}
	return UINT64_MAX;
}

/* --- the thread -------------------------------------------------------------------------------
 */

static void wait_for_events(struct churn_client *client, uint64_t until_ns)
{
	struct epoll_event events[EVENTS];
	uint64_t now = churn_now_ns(), left = until_ns > now ? until_ns - now : 0;
	uint64_t most = client->exchange.options->pause_ms && client->exchange.conns.open
				? MILLISECOND_NS
				: 50000000;
	struct timespec timeout = {0, (long)(left < most ? left : most)};
	int n = epoll_pwait2(client->epoll, events, EVENTS, &timeout, NULL);

	pthread_mutex_lock(&client->lock);
	for (int i = 0; i < n; i++)
		churn_exchange_act(&client->exchange, &events[i]);
	pthread_mutex_unlock(&client->lock);
}

static void *run(void *arg)
{
	struct churn_client *client = arg;

	while (!client->stop) {
		uint64_t due_ns;

		pthread_mutex_lock(&client->lock);
		due_ns = begin_or_drop(client);
		churn_exchange_by_clock(&client->exchange);
		churn_exchange_give_up_old(&client->exchange);
		client->done =
			due_ns == UINT64_MAX && client->exchange.conns.oldest == CHURN_NO_PLACE;
		pthread_mutex_unlock(&client->lock);
		wait_for_events(client, due_ns);
		while (client->wanted)
			sched_yield();
	}
	return NULL;
}

struct churn_client *churn_client_start(const struct churn_options *options, unsigned int index,
					uint64_t began_ns)
{
	struct churn_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->exchange.options = options;
	client->index = client->next = index;
	client->began_ns = began_ns;
	churn_conns_init(&client->exchange.conns);
	pthread_mutex_init(&client->lock, NULL);
	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll >= 0 && !pthread_create(&client->thread, NULL, run, client))
		return client;
	if (client->epoll >= 0)
		close(client->epoll);
	free(client);
	return NULL;
}

uint64_t churn_client_collect(struct churn_client *client, struct churn_stats *to)
{
	uint64_t open;

	client->wanted = true;
	pthread_mutex_lock(&client->lock);
	client->wanted = false;
	churn_stats_move(to, &client->exchange.stats);
	open = client->exchange.conns.open;
	pthread_mutex_unlock(&client->lock);
	return open;
}

uint64_t churn_client_begun(const struct churn_client *client)
{
	return client->begun;
}

bool churn_client_is_done(struct churn_client *client)
{
	return client->done;
}

void churn_client_free(struct churn_client *client)
{
	client->stop = true;
	pthread_join(client->thread, NULL);
	churn_conns_free(&client->exchange.conns);
	close(client->epoll);
	pthread_mutex_destroy(&client->lock);
	free(client);
}
