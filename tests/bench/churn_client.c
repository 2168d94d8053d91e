/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_client.h"
#include "tests/bench/churn_conns.h"
#include "tests/bench/churn_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256, TURN_NS = 2000000, SLOW_NS = 5000000, MILLISECOND_NS = 1000000 };

struct churn_client {
	const struct churn_options *options;
	unsigned int index;
	int epoll;
	pthread_t thread;
	uint64_t began_ns, next; /* the number of the next to begin */
	atomic_bool stop, done;
	atomic_uint_fast64_t begun;
	atomic_bool wanted;   /* the main thread waits for the lock, which is not a fair one */
	pthread_mutex_t lock; /* of the rest, which the main thread collects */
	struct churn_stats stats;
	struct churn_conns conns;
};

static void conn_fail(struct churn_client *client, int place, int error)
{
	const struct churn_conn *conn = &client->conns.at[place];

	/* A server that is only slow has cut nothing off. */
	if (conn->phase == CHURN_READING && error != CHURN_TIMEOUT) {
		client->stats.cut++;
		client->stats.bytes_lost += client->options->answer - conn->got;
	}
	churn_stats_error(&client->stats, (unsigned int)error);
	churn_conns_end(&client->conns, place);
}

/* From when it was due. */
static void connect_took(struct churn_client *client, uint64_t ns)
{
	churn_hist_record(&client->stats.connect, ns);
	client->stats.slow += ns > SLOW_NS;
}

/* --- beginning --------------------------------------------------------------------------------
 */

/* 0, or an errno. */
static int conn_connect(struct churn_client *client, struct churn_conn *conn)
{
	const struct churn_address *at = &client->options->at;
	uint64_t before = churn_now_ns(), took_ns;
	int error = 0;

	if (connect(conn->fd, (const struct sockaddr *)&at->sa, at->len) < 0)
		error = errno;
	took_ns = churn_now_ns() - before;
	churn_hist_record(&client->stats.call, took_ns);
	client->stats.slow_calls += took_ns > SLOW_NS;
	return error == EINPROGRESS ? 0 : error;
}

static void begin(struct churn_client *client, uint64_t number, uint64_t due_ns)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int place = churn_conns_new(&client->conns), error;
	struct churn_conn *conn;

	client->stats.begun++;
	client->begun++;
	if (place == CHURN_NO_PLACE) {
		churn_stats_error(&client->stats, ENOMEM);
		return;
	}
	conn = &client->conns.at[place];
	conn->phase = CHURN_CONNECTING;
	conn->due_ns = due_ns;
	conn->begun_ns = churn_now_ns();
	conn->seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	conn->fd = churn_socket(client->options, number);
	error = conn->fd < 0 ? errno : conn_connect(client, conn);
	event.data.u32 = (uint32_t)place;
	if (!error && epoll_ctl(client->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		error = errno;
	if (error)
		conn_fail(client, place, error);
}

/* Begins what is due, but not for long: answers are waiting. Returns when the next is due;
 * UINT64_MAX: there is none. */
static uint64_t begin_due(struct churn_client *client)
{
	uint64_t since_ns = churn_now_ns();

	for (;;) {
		uint64_t due_ns = churn_plan_due(&client->options->plan, client->next), now;

		if (due_ns == UINT64_MAX)
			return UINT64_MAX;
		due_ns += client->began_ns;
		now = churn_now_ns();
		if (due_ns > now || now - since_ns > TURN_NS)
			return due_ns;
		begin(client, client->next, due_ns);
		client->next += client->options->threads;
	}
}

/* --- events -----------------------------------------------------------------------------------
 */

/* 0, or an errno. */
static int ask(struct churn_client *client, struct churn_conn *conn)
{
	struct churn_request request = {
		.magic = CHURN_MAGIC, .length = client->options->answer, .seed = conn->seed};
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
		return error ? error : errno;
	client->stats.connected++;
	connect_took(client, churn_now_ns() - conn->due_ns);
	request.sum = churn_request_sum(&request);
	if (send(conn->fd, &request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
		return errno ? errno : EIO;
	conn->phase = CHURN_READING;
	if (client->options->read_after_ms)
		conn->act_ns = churn_now_ns() + client->options->read_after_ms * MILLISECOND_NS;
	return 0;
}

static bool is_right(const struct churn_client *client, const struct churn_conn *conn,
		     const uint8_t *buf, size_t len)
{
	uint8_t expected[4096];

	if (len > client->options->answer - conn->got)
		return false;
	churn_payload(conn->seed, conn->got, expected, len);
	return !memcmp(buf, expected, len);
}

/* As was planned. */
static void conn_end(struct churn_client *client, int place)
{
	client->stats.ended++;
	churn_conns_end(&client->conns, place);
}

/* The whole answer is there. */
static void answered(struct churn_client *client, int place)
{
	struct churn_conn *conn = &client->conns.at[place];

	client->stats.answered++;
	churn_hist_record(&client->stats.answer, churn_now_ns() - conn->due_ns);
	if (client->options->close == CHURN_NEVER) {
		churn_conns_stay(&client->conns, place);
		return;
	}
	conn->phase = CHURN_AWAITING_EOF;
	if (client->options->close == CHURN_PEER)
		return;
	if (client->options->pause_ms)
		conn->act_ns = churn_now_ns() + client->options->pause_ms * MILLISECOND_NS;
	else
		conn_end(client, place);
}

static void end_of_file(struct churn_client *client, int place)
{
	struct churn_conn *conn = &client->conns.at[place];

	if (conn->phase == CHURN_READING && client->options->until_eof &&
	    conn->got == client->options->answer)
		answered(client, place);
	if (conn->phase == CHURN_AWAITING_EOF)
		conn_end(client, place);
	else if (conn->phase == CHURN_READING)
		conn_fail(client, place, CHURN_EOF);
}

static void read_all(struct churn_client *client, int place)
{
	struct churn_conn *conn = &client->conns.at[place];
	uint8_t buf[4096];

	while (conn->phase == CHURN_READING || conn->phase == CHURN_AWAITING_EOF) {
		ssize_t n = recv(conn->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && conn->phase == CHURN_AWAITING_EOF) {
			client->stats.reset++;
			conn_end(client, place);
		} else if (n < 0) {
			conn_fail(client, place, errno);
		} else if (n == 0) {
			end_of_file(client, place);
		} else if (!is_right(client, conn, buf, (size_t)n)) {
			conn_fail(client, place, CHURN_WRONG);
		} else {
			conn->got += (uint32_t)n;
			if (conn->got == client->options->answer && !client->options->until_eof)
				answered(client, place);
		}
	}
}

static void act(struct churn_client *client, const struct epoll_event *event)
{
	int place = (int)event->data.u32, error;
	struct churn_conn *conn = &client->conns.at[place];

	if (conn->phase == CHURN_CONNECTING) {
		error = ask(client, conn);
		if (error) {
			conn_fail(client, place, error);
			return;
		}
	}
	if (event->events & ~(uint32_t)EPOLLOUT && !(conn->phase == CHURN_READING && conn->act_ns))
		read_all(client, place);
}

/* What a connection does by the clock: it begins to read, or has paused before its close() for long
 * enough. They are few, or all is late anyway. */
static void act_by_clock(struct churn_client *client)
{
	int place = client->conns.oldest, newer;
	uint64_t now = churn_now_ns();

	if (!client->options->pause_ms && !client->options->read_after_ms)
		return;
	for (; place != CHURN_NO_PLACE; place = newer) {
		struct churn_conn *conn = &client->conns.at[place];

		newer = conn->newer;
		if (!conn->act_ns || now < conn->act_ns)
			continue;
		conn->act_ns = 0;
		if (conn->phase == CHURN_READING)
			read_all(client, place);
		else
			conn_end(client, place);
	}
}

static void give_up(struct churn_client *client, int place)
{
	const struct churn_conn *conn = &client->conns.at[place];

	if (conn->phase == CHURN_CONNECTING)
		connect_took(client, churn_now_ns() - conn->due_ns);
	conn_fail(client, place, CHURN_TIMEOUT);
}

static void give_up_old(struct churn_client *client)
{
	uint64_t patience_ns = client->options->timeout_s * UINT64_C(1000000000);
	uint64_t now = churn_now_ns();

	while (client->conns.oldest != CHURN_NO_PLACE &&
	       now - client->conns.at[client->conns.oldest].begun_ns > patience_ns)
		give_up(client, client->conns.oldest);
}

/* The time is over: what was due and has not been begun has waited in vain until now. */
static uint64_t begin_or_drop(struct churn_client *client)
{
	uint64_t now = churn_now_ns(), end_ns, due_ns;

	end_ns = client->began_ns + (uint64_t)(client->options->plan.seconds * 1e9);
	if (!client->options->drop_late || now < end_ns)
		return begin_due(client);
	while ((due_ns = churn_plan_due(&client->options->plan, client->next)) != UINT64_MAX) {
		client->stats.missed++;
		connect_took(client, now - client->began_ns - due_ns);
		client->next += client->options->threads;
	}
	return UINT64_MAX;
}

/* --- the thread -------------------------------------------------------------------------------
 */

static void wait_for_events(struct churn_client *client, uint64_t until_ns)
{
	struct epoll_event events[EVENTS];
	uint64_t now = churn_now_ns(), left = until_ns > now ? until_ns - now : 0;
	uint64_t most = client->options->pause_ms && client->conns.open ? MILLISECOND_NS : 50000000;
	struct timespec timeout = {0, (long)(left < most ? left : most)};
	int n = epoll_pwait2(client->epoll, events, EVENTS, &timeout, NULL);

	pthread_mutex_lock(&client->lock);
	for (int i = 0; i < n; i++)
		act(client, &events[i]);
	pthread_mutex_unlock(&client->lock);
}

static void *run(void *arg)
{
	struct churn_client *client = arg;

	while (!client->stop) {
		uint64_t due_ns;

		pthread_mutex_lock(&client->lock);
		due_ns = begin_or_drop(client);
		act_by_clock(client);
		give_up_old(client);
		client->done = due_ns == UINT64_MAX && client->conns.oldest == CHURN_NO_PLACE;
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
	client->options = options;
	client->index = client->next = index;
	client->began_ns = began_ns;
	churn_conns_init(&client->conns);
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
	churn_stats_move(to, &client->stats);
	open = client->conns.open;
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
	churn_conns_free(&client->conns);
	close(client->epoll);
	pthread_mutex_destroy(&client->lock);
	free(client);
}
