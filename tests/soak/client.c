/* SPDX-License-Identifier: MIT */
/* The clients: each draws what a connection is to be, says so to the server, and judges what comes
 * back, by threads that each do one connection after another. */
#include "tests/soak/client.h"

#include "tests/soak/board.h"
#include "tests/soak/io.h"

#include "common/tcp_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS_MAX = 64, ADDRESSES_MAX = 16, LOOK_MS = 30 };

static struct sockaddr_in6 addresses[ADDRESSES_MAX]; /* or sockaddr_in */
static unsigned int address_count;
static unsigned int flags;

static int open_to(const struct order *order)
{
	struct sockaddr_in6 to = addresses[order->id % address_count];
	int fd = socket(to.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	io_set_deadline(fd, IO_DEADLINE_S);
	if (flags & CLIENT_BINDS && order->turn % 2) {
		struct sockaddr_in6 any = {.sin6_family = to.sin6_family};

		bind(fd, (struct sockaddr *)&any, sizeof(any));
	}
	to.sin6_port = htons(plan_port(order->model, order->policy)); /* the same place in both */
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	FAIL(unopened, order, "connect: %m");
	close(fd);
	return -1;
}

static enum io_end send_up(int fd, const struct order *order, size_t len)
{
	enum io_end end = io_write(fd, order, sizeof(*order), len > 0);

	return end == IO_WHOLE ? io_send_payload(fd, order->seed, 0, len) : end;
}

/* Anywhere on the way. */
static void abort_it(int fd, const struct order *order)
{
	struct linger linger = {1, 0};
	uint8_t buf[4096];

	if (order->cut >= 32)
		send_up(fd, order,
			(size_t)((uint64_t)order->up * order->cut / 128 > order->up
					 ? order->up
					 : (uint64_t)order->up * order->cut / 128));
	if (order->cut >= 160)
		recv(fd, buf, sizeof(buf), 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
	COUNT(aborted);
}

static enum io_end receive_answer(int fd, const struct order *order)
{
	struct answer answer;
	enum io_end end = io_read(fd, &answer, sizeof(answer), NULL);

	if (end != IO_WHOLE)
		return end;
	if (answer.magic != ORDER_MAGIC || answer.id != order->id || answer.bad)
		return IO_WRONG;
	return io_receive_payload(fd, plan_down_seed(order), order->down);
}

/* The server marks a close that should have been steered: there must be no FIN of it yet. */
static void look(int fd, const struct order *order)
{
	_Atomic uint64_t *mark = &board->mark[order->id % BOARD_MARKS];
	unsigned int state;

	if (!(policies[order->policy].flags & POLICY_STEERS))
		return;
	for (int i = 0; i < LOOK_MS && atomic_load(mark) != order->id; i++)
		io_nap_ms(1);
	if (atomic_load(mark) != order->id)
		return;
	io_nap_ms(1);
	state = io_tcp_state(fd, NULL);
	if (!atomic_load(&board->calm))
		return;
	COUNT(looked);
	atomic_fetch_add(&board->looked_at[order->model], 1);
	if (state != STATE_ESTABLISHED)
		return;
	COUNT(steered);
	atomic_fetch_add(&board->steered_at[order->model], 1);
}

static void judge_answer(enum io_end up, enum io_end down, const struct order *order)
{
	if (down == IO_WHOLE) {
		COUNT(whole);
		atomic_fetch_add(&board->bytes_down, order->down);
	} else if (down == IO_HUNG) {
		FAIL(hung, order, "no answer");
	} else if (plan_may_lose(order) && down != IO_WRONG) {
		COUNT(cut);
	} else {
		FAIL(lost, order, "%s where the answer should be (%s when it was asked)",
		     io_words[down], io_words[up]);
	}
}

static void await_eof(int fd, const struct order *order)
{
	enum io_end end = io_await_eof(fd);

	if (end == IO_EOF || (end == IO_RESET && plan_client_may_reset(order)))
		return;
	if (end == IO_HUNG)
		FAIL(hung, order, "no end of file");
	else
		FAIL(not_ended, order, "%s where the end of file should be: %m", io_words[end]);
}

static void exchange(int fd, const struct order *order)
{
	enum io_end up, down;

	if (order->client_ending == CLIENT_ABORT) {
		abort_it(fd, order);
		return;
	}
	up = send_up(fd, order, order->up);
	if (up != IO_WHOLE && !plan_may_lose(order))
		FAIL(lost_up, order, "%s while the client sends: %m", io_words[up]);
	if (order->client_ending == CLIENT_FORGET) {
		COUNT(forgotten);
	} else {
		if (order->client_ending == CLIENT_SHUT)
			shutdown(fd, SHUT_WR);
		down = receive_answer(fd, order);
		judge_answer(up, down, order);
		if (down == IO_WHOLE && order->client_ending == CLIENT_CLOSE)
			look(fd, order);
		else if (down == IO_WHOLE)
			await_eof(fd, order);
	}
	if (order->client_pause_ms)
		io_nap_ms(order->client_pause_ms);
	if (close(fd) != 0)
		FAIL(odd, order, "close: %m");
}

/* 0: not now. */
static uint64_t next_id(void)
{
	uint64_t started = atomic_load(&board->started);

	do {
		if (started >= atomic_load(&board->limit))
			return 0;
	} while (!atomic_compare_exchange_weak(&board->started, &started, started + 1));
	return started + 1;
}

/* So many a second and thread, and no catching up of more than a second. */
static void keep_pace(uint64_t *due_us)
{
	uint64_t rate = atomic_load(&board->rate), now_us = board_now_ms() * 1000;

	if (!rate)
		return;
	if (*due_us + 1000000 < now_us)
		*due_us = now_us - 1000000;
	*due_us += 1000000 / rate;
	if (*due_us > now_us)
		io_nap_ms((unsigned int)((*due_us - now_us) / 1000));
}

static void *run(void *unused)
{
	uint64_t due_us = board_now_ms() * 1000;

	while (!atomic_load(&board->stop)) {
		uint64_t id = next_id();
		struct order order;
		int fd;

		if (!id) {
			io_nap_ms(20);
			continue;
		}
		plan_draw(&order, atomic_load(&board->seed), id, flags);
		fd = open_to(&order);
		if (fd >= 0)
			exchange(fd, &order);
		COUNT(ended);
		keep_pace(&due_us);
	}
	return unused;
}

static bool add_address(const char *text)
{
	struct sockaddr_in6 *a = &addresses[address_count];

	if (address_count == ADDRESSES_MAX)
		return false;
	address_count++;
	a->sin6_family = AF_INET6;
	if (inet_pton(AF_INET6, text, &a->sin6_addr) == 1)
		return true;
	a->sin6_family = AF_INET;
	return inet_pton(AF_INET, text, &((struct sockaddr_in *)a)->sin_addr) == 1;
}

static bool find_policy(const char *word)
{
	for (unsigned int i = 0; i < client_policy_count; i++) {
		if (!strcmp(client_policies[i].word, word)) {
			flags = client_policies[i].flags;
			return true;
		}
	}
	return false;
}

int client_main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	int count;

	if (argc < 5 || !board_map(argv[1], false) || !find_policy(argv[2]))
		return 2;
	count = atoi(argv[3]);
	for (int i = 4; i < argc; i++)
		if (!add_address(argv[i]))
			return 2;
	if (count < 1 || count > THREADS_MAX)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, run, NULL) != 0)
			return 1;
	for (unsigned int turn = 0; !atomic_load(&board->stop); turn++) {
		io_nap_ms(700);
		if (atomic_load(&board->ended) < atomic_load(&board->limit))
			io_fork_beside(turn);
	}
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
