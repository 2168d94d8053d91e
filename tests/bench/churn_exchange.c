/* SPDX-License-Identifier: MIT */
#include "tests/bench/churn_exchange.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { SLOW_NS = 5000000, MILLISECOND_NS = 1000000 };

void churn_exchange_fail(struct churn_exchange *exchange, int place, int error)
{
	const struct churn_conn *conn = &exchange->conns.at[place];

	/* A server that is only slow has cut nothing off. */
	if (conn->phase == CHURN_READING && error != CHURN_TIMEOUT) {
		exchange->stats.cut++;
		exchange->stats.bytes_lost += exchange->options->answer - conn->got;
	}
	churn_stats_error(&exchange->stats, (unsigned int)error);
	churn_conns_end(&exchange->conns, place);
}

/* From when it was due. */
void churn_exchange_connect_took(struct churn_exchange *exchange, uint64_t ns)
{
	churn_hist_record(&exchange->stats.connect, ns);
	exchange->stats.slow += ns > SLOW_NS;
}

/* 0, or an errno. */
static int say(const struct churn_exchange *exchange, const struct churn_conn *conn)
{
	static const char http[] = "GET / HTTP/1.0\r\nHost: bench\r\n\r\n";
	struct churn_request request = {
		.magic = CHURN_MAGIC, .length = exchange->options->answer, .seed = conn->seed};
	const void *what = exchange->options->http ? (const void *)http : &request;
	size_t len = exchange->options->http ? sizeof(http) - 1 : sizeof(request);

	request.sum = churn_request_sum(&request);
	if (send(conn->fd, what, len, MSG_NOSIGNAL) != (ssize_t)len)
		return errno ? errno : EIO;
	return 0;
}

/* 0, or an errno. */
static int ask(struct churn_exchange *exchange, struct churn_conn *conn)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
		return error ? error : errno;
	exchange->stats.connected++;
	churn_exchange_connect_took(exchange, churn_now_ns() - conn->due_ns);
	error = say(exchange, conn);
	if (error)
		return error;
	conn->phase = CHURN_READING;
	if (exchange->options->read_after_ms)
		conn->act_ns = churn_now_ns() + exchange->options->read_after_ms * MILLISECOND_NS;
	return 0;
}

static bool is_right(const struct churn_exchange *exchange, const struct churn_conn *conn,
		     const uint8_t *buf, size_t len)
{
	uint8_t expected[4096];

	if (len > exchange->options->answer - conn->got)
		return false;
	if (exchange->options->http) /* of so many bytes, that is all that is known */
		return true;
	churn_payload(conn->seed, conn->got, expected, len);
	return !memcmp(buf, expected, len);
}

/* As was planned. */
static void conn_end(struct churn_exchange *exchange, int place)
{
	exchange->stats.ended++;
	churn_conns_end(&exchange->conns, place);
}

/* The whole answer is there. */
static void answered(struct churn_exchange *exchange, int place)
{
	struct churn_conn *conn = &exchange->conns.at[place];

	exchange->stats.answered++;
	churn_hist_record(&exchange->stats.answer, churn_now_ns() - conn->due_ns);
	if (exchange->options->close == CHURN_NEVER) {
		churn_conns_stay(&exchange->conns, place);
		return;
	}
	conn->phase = CHURN_AWAITING_EOF;
	if (exchange->options->close == CHURN_PEER)
		return;
	if (exchange->options->pause_ms)
		conn->act_ns = churn_now_ns() + exchange->options->pause_ms * MILLISECOND_NS;
	else
		conn_end(exchange, place);
}

static void end_of_file(struct churn_exchange *exchange, int place)
{
	struct churn_conn *conn = &exchange->conns.at[place];

	if (conn->phase == CHURN_READING && exchange->options->until_eof &&
	    conn->got == exchange->options->answer)
		answered(exchange, place);
	if (conn->phase == CHURN_AWAITING_EOF)
		conn_end(exchange, place);
	else if (conn->phase == CHURN_READING)
		churn_exchange_fail(exchange, place, CHURN_EOF);
}

static void read_all(struct churn_exchange *exchange, int place)
{
	struct churn_conn *conn = &exchange->conns.at[place];
	uint8_t buf[4096];

	while (conn->phase == CHURN_READING || conn->phase == CHURN_AWAITING_EOF) {
		ssize_t n = recv(conn->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && conn->phase == CHURN_AWAITING_EOF) {
			exchange->stats.reset++;
			conn_end(exchange, place);
		} else if (n < 0) {
			churn_exchange_fail(exchange, place, errno);
		} else if (n == 0) {
			end_of_file(exchange, place);
		} else if (!is_right(exchange, conn, buf, (size_t)n)) {
			churn_exchange_fail(exchange, place, CHURN_WRONG);
		} else {
			conn->got += (uint32_t)n;
			if (conn->got == exchange->options->answer && !exchange->options->until_eof)
				answered(exchange, place);
		}
	}
}

void churn_exchange_act(struct churn_exchange *exchange, const struct epoll_event *event)
{
	int place = (int)event->data.u32, error;
	struct churn_conn *conn = &exchange->conns.at[place];

	if (conn->phase == CHURN_CONNECTING) {
		error = ask(exchange, conn);
		if (error) {
			churn_exchange_fail(exchange, place, error);
			return;
		}
	}
	if (event->events & ~(uint32_t)EPOLLOUT && !(conn->phase == CHURN_READING && conn->act_ns))
		read_all(exchange, place);
}

/* What a connection does by the clock: it begins to read, or has paused before its close() for long
 * enough. They are few, or all is late anyway. */
void churn_exchange_by_clock(struct churn_exchange *exchange)
{
	int place = exchange->conns.oldest, newer;
	uint64_t now = churn_now_ns();

	if (!exchange->options->pause_ms && !exchange->options->read_after_ms)
		return;
	for (; place != CHURN_NO_PLACE; place = newer) {
		struct churn_conn *conn = &exchange->conns.at[place];

		newer = conn->newer;
		if (!conn->act_ns || now < conn->act_ns)
			continue;
		conn->act_ns = 0;
		if (conn->phase == CHURN_READING)
			read_all(exchange, place);
		else
			conn_end(exchange, place);
	}
}

static void give_up(struct churn_exchange *exchange, int place)
{
	const struct churn_conn *conn = &exchange->conns.at[place];

	if (conn->phase == CHURN_CONNECTING)
		churn_exchange_connect_took(exchange, churn_now_ns() - conn->due_ns);
	churn_exchange_fail(exchange, place, CHURN_TIMEOUT);
}

void churn_exchange_give_up_old(struct churn_exchange *exchange)
{
	uint64_t patience_ns = exchange->options->timeout_s * UINT64_C(1000000000);
	uint64_t now = churn_now_ns();

	while (exchange->conns.oldest != CHURN_NO_PLACE &&
	       now - exchange->conns.at[exchange->conns.oldest].begun_ns > patience_ns)
		give_up(exchange, exchange->conns.oldest);
}
