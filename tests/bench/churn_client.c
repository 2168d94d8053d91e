/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_client.h"
#include "tests/bench/churn_conns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3 */
#endif

enum { EVENTS = 256, TURN_NS = 2000000 };

struct churn_client {
	const struct churn_options *options;
	unsigned int index;
	int epoll;
	pthread_t thread;
	uint64_t began_ns, next; /* the number of the next to begin */
	atomic_bool stop, done;
	atomic_bool wanted;   /* the main thread waits for the lock, which is not a fair one */
	pthread_mutex_t lock; /* of the rest, which the main thread collects */
	struct churn_stats stats;
	struct churn_conns conns;
};

static void conn_fail(struct churn_client *client, int place, int error)
{
	churn_stats_error(&client->stats, (unsigned int)error);
	churn_conns_end(&client->conns, place);
}

/* --- beginning --------------------------------------------------------------------------------
 */

/* 0, or an errno. */
static int prepare(const struct churn_options *options, int fd, uint64_t number)
{
	const struct churn_address *source;
	int on = 1;

	if (options->port_range &&
	    setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &options->port_range,
		       sizeof(options->port_range)) < 0)
		return errno;
	if (!options->source_count)
		return 0;
	/* the port is looked for by connect(), which knows where to */
	source = &options->source[number % options->source_count];
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&source->sa, source->len) < 0 ? errno : 0;
}

/* 0, or an errno. */
static int conn_connect(struct churn_client *client, struct churn_conn *conn, uint64_t number)
{
	const struct churn_address *at = &client->options->at;
	int error = prepare(client->options, conn->fd, number);
	uint64_t before;

	if (error)
		return error;
	before = churn_now_ns();
	if (connect(conn->fd, (const struct sockaddr *)&at->sa, at->len) < 0)
		error = errno;
	churn_hist_record(&client->stats.call, churn_now_ns() - before);
	return error == EINPROGRESS ? 0 : error;
}

static void begin(struct churn_client *client, uint64_t number, uint64_t due_ns)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int place = churn_conns_new(&client->conns), error = 0;
	struct churn_conn *conn;

	client->stats.begun++;
	if (place == CHURN_NO_PLACE) {
		churn_stats_error(&client->stats, ENOMEM);
		return;
	}
	conn = &client->conns.at[place];
	conn->phase = CHURN_CONNECTING;
	conn->due_ns = due_ns;
	conn->begun_ns = churn_now_ns();
	conn->seed = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	conn->fd = socket(client->options->at.sa.ss_family,
			  SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		error = errno;
	if (!error)
		error = conn_connect(client, conn, number);
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
	churn_hist_record(&client->stats.connect, churn_now_ns() - conn->due_ns);
	request.sum = churn_request_sum(&request);
	if (send(conn->fd, &request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
		return errno ? errno : EIO;
	conn->phase = CHURN_READING;
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

/* The whole answer is there. */
static void answered(struct churn_client *client, int place)
{
	struct churn_conn *conn = &client->conns.at[place];

	client->stats.answered++;
	churn_hist_record(&client->stats.answer, churn_now_ns() - conn->due_ns);
	if (client->options->close == CHURN_US) {
		client->stats.ended++;
		churn_conns_end(&client->conns, place);
	} else if (client->options->close == CHURN_NEVER) {
		churn_conns_stay(&client->conns, place);
	} else {
		conn->phase = CHURN_AWAITING_EOF;
	}
}

static void end_of_file(struct churn_client *client, int place)
{
	struct churn_conn *conn = &client->conns.at[place];

	if (conn->phase == CHURN_READING && client->options->until_eof &&
	    conn->got == client->options->answer)
		answered(client, place);
	if (conn->phase == CHURN_AWAITING_EOF) {
		client->stats.ended++;
		churn_conns_end(&client->conns, place);
	} else if (conn->phase == CHURN_READING) {
		conn_fail(client, place, CHURN_EOF);
	}
}

static void read_all(struct churn_client *client, int place)
{
	struct churn_conn *conn = &client->conns.at[place];
	uint8_t buf[4096];

	while (conn->phase == CHURN_READING || conn->phase == CHURN_AWAITING_EOF) {
		ssize_t n = recv(conn->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
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
	if (event->events & ~(uint32_t)EPOLLOUT)
		read_all(client, place);
}

static void give_up_old(struct churn_client *client)
{
	uint64_t patience_ns = client->options->timeout_s * UINT64_C(1000000000);
	uint64_t now = churn_now_ns();

	while (client->conns.oldest != CHURN_NO_PLACE &&
	       now - client->conns.at[client->conns.oldest].begun_ns > patience_ns)
		conn_fail(client, client->conns.oldest, CHURN_TIMEOUT);
}

/* --- the thread -------------------------------------------------------------------------------
 */

static void wait_for_events(struct churn_client *client, uint64_t until_ns)
{
	struct epoll_event events[EVENTS];
	uint64_t now = churn_now_ns(), left = until_ns > now ? until_ns - now : 0;
	struct timespec timeout = {0, (long)(left < 50000000 ? left : 50000000)};
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
		due_ns = begin_due(client);
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
