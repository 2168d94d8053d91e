/* SPDX-License-Identifier: MIT */
/* scale TRACKED...: what a connection costs the daemon's loop with so many others in the model: an
 * OPEN and a CLOSE record through the real code, its TIME_WAIT, and its end by age, as long as all
 * others have lived as well. One line for each number: its microseconds, the median of several
 * turns; and the bytes of each. */
#include "daemon/conn.h"
#include "daemon/custody.h"
#include "daemon/limits.h"
#include "daemon/patience.h"
#include "daemon/record.h"
#include "daemon/retire.h"
#include "daemon/tally.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TURNS = 9, CONNS_A_TURN = 20000, OWNERS = 64, EXPIRED_AT_ONCE = 200 };

static struct record_context context;
static struct conn_owner owners[OWNERS];
static uint64_t opened, ended, draws = 1;

static double cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* Other sockets of the system have cookies as well. */
static uint64_t next_cookie(void)
{
	static uint64_t cookie = 1000;

	draws = draws * UINT64_C(6364136223846793005) + 1442695040888963407;
	return cookie += 1 + (draws >> 62);
}

static void say(enum wire_type type, uint64_t cookie, uint64_t number)
{
	struct wire_record record = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.type = (uint8_t)type,
		.role = ROLE_SERVER,
		.state = STATE_ESTABLISHED,
		.cookie = cookie,
		.fd = 9,
		.side = type == WIRE_CLOSE ? SIDE_US : SIDE_UNKNOWN,
		.time_wait_ms = TIME_WAIT_KEEP,
	};
	const char *problem;

	record.local = record.remote = (struct endpoint){
		.addr = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}, .family = AF_INET};
	record.local.port = 443;
	record.remote.port = (uint16_t)(1024 + number % 60000);
	record.remote.addr[13] = (uint8_t)(number / 60000);
	context.owner = &owners[number % OWNERS];
	problem = record_take(&context, &record, -1, false);
	if (!problem)
		return;
	fprintf(stderr, "%s\n", problem);
	exit(1);
}

static void open_and_close(void)
{
	uint64_t cookie = next_cookie(), number = opened++;
	struct conn *conn;

	say(WIRE_OPEN, cookie, number);
	say(WIRE_CLOSE, cookie, number);
	conn = conn_find(context.conns, cookie);
	if (conn) /* as the kernel says when it is asked */
		conn_set_state(context.conns, conn, STATE_TIME_WAIT, wire_now_ms());
}

/* The oldest go as others come. */
static void turn(unsigned int tracked)
{
	for (unsigned int i = 0; i < CONNS_A_TURN; i++) {
		open_and_close();
		if (conns_count(context.conns) == tracked + EXPIRED_AT_ONCE)
			ended += conns_expire(context.conns, CONN_NETNS_ANY, wire_now_ms(),
					      EXPIRED_AT_ONCE);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_us(unsigned int tracked)
{
	double each[TURNS];

	turn(tracked);
	for (int i = 0; i < TURNS; i++) {
		double before = cpu_us();

		turn(tracked);
		each[i] = (cpu_us() - before) / CONNS_A_TURN;
	}
	qsort(each, TURNS, sizeof(each[0]), compare);
	return each[TURNS / 2];
}

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void measure(unsigned int tracked)
{
	size_t before = allocated();
	double us;

	context.conns = conns_new(LIMIT_CONNS, LIMIT_CONNS_PROCESS, NULL);
	conns_set_followed(context.conns, true);
	while (conns_count(context.conns) < tracked)
		open_and_close();
	us = median_us(tracked);
	if (conns_count(context.conns) < tracked || !ended) {
		fprintf(stderr, "%u are there, not %u\n", conns_count(context.conns), tracked);
		exit(1);
	}
	printf("{\"tracked\":%u,\"us_per_connection\":%.3f,\"bytes_each\":%.0f}\n", tracked, us,
	       (double)(allocated() - before) / tracked);
	fflush(stdout);
	for (unsigned int i = 0; i < OWNERS; i++)
		conn_owner_gone(context.conns, &owners[i], UINT32_MAX);
	conns_free(context.conns);
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct book *book = book_new();
	struct custody_client client = {.process = &owners[0].process};
	struct custody_parts parts = {.base = base, .book = book};

	context.book = book;
	context.custody = custody_new(&parts, 1, 1);
	context.client = &client;
	context.retire = retire_new(base, book, NULL);
	for (int i = 0; i < OWNERS; i++)
		owners[i].process = (struct process){.pid = 100 + i, .start = 1};
	for (int i = 1; i < argc; i++)
		measure((unsigned int)atoi(argv[i]));
	retire_free(context.retire);
	custody_free(context.custody);
	book_free(book);
	event_base_free(base);
	return 0;
}
