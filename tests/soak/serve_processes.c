/* SPDX-License-Identifier: MIT */
/* Servers that serve with blocking calls: threads, a process for each connection, another process
 * that is sent the connection, and processes that exit with connections open. */
#include "tests/soak/serve.h"

#include "tests/soak/board.h"
#include "tests/soak/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 24, CHILDREN_MAX = 48, WORKERS = 3, WORKER_SERVES = 25, ACCEPT_WAIT_MS = 200 };

static bool is_over(void)
{
	return atomic_load(&board->stop);
}

/* --- seats ------------------------------------------------------------------------------------ */

unsigned int seat_take(void)
{
	unsigned int seat = (unsigned int)(atomic_fetch_add(&board->next_seat, 1) % BOARD_SEATS);

	atomic_store(&board->seat[seat], 0);
	return seat;
}

void seat_free(unsigned int seat)
{
	atomic_store(&board->seat[seat], 1);
}

bool seat_is_free(unsigned int seat)
{
	for (int i = 0; i < 200 && !atomic_load(&board->seat[seat]); i++)
		io_nap_ms(1);
	return atomic_load(&board->seat[seat]);
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *serve_thread(void *unused)
{
	while (!is_over()) {
		int fd = accept_any(ACCEPT_WAIT_MS);

		if (fd >= 0)
			serve(fd, true, false);
	}
	return unused;
}

int serve_threads(void)
{
	pthread_t threads[THREADS];

	if (!closer_start())
		return 1;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, serve_thread, NULL) != 0)
			return 1;
	for (unsigned int turn = 0; !is_over(); turn++) {
		io_nap_ms(500);
		if (atomic_load(&board->ended) < atomic_load(&board->limit))
			io_fork_beside(turn);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* --- a process for each connection ------------------------------------------------------------ */

static int children;

static void reap(bool wait)
{
	int status;
	pid_t pid;

	while (children > 0 && (pid = waitpid(-1, &status, wait ? 0 : WNOHANG)) > 0) {
		children--;
		wait = false;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			FAIL(odd, NULL, "a child ended with status %#x", (unsigned int)status);
	}
}

static void exec_serve(int fd)
{
	char fd_text[16];

	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	fcntl(fd, F_SETFD, 0);
	execl("/proc/self/exe", "soak", "serve-exec", board_path, fd_text, NULL);
	_exit(1);
}

/* serve-exec BOARD FD: by a program that finds the connection open. */
int serve_exec_main(int argc, char **argv)
{
	if (argc != 3 || !board_map(argv[1], false))
		return 2;
	serve(atoi(argv[2]), false, false);
	return 0;
}

static void child_serves(int fd, unsigned int seat, unsigned int turn)
{
	if (turn % 8 == 1)
		exec_serve(fd);
	/* Sole owner is who knows that the parent has closed. */
	serve(fd, turn % 4 != 3 && seat_is_free(seat), false);
	if (turn % 2)
		_exit(0);
	exit(0);
}

/* The child has a copy only, and closes it in its own time. */
static void child_drops(int fd, unsigned int seat, unsigned int turn)
{
	io_nap_ms(turn % 7);
	close(fd);
	seat_free(seat);
	_exit(0);
}

static void serve_by_fork(int fd, unsigned int turn)
{
	bool parent_serves = turn % 16 == 7;
	unsigned int seat = seat_take();
	pid_t pid = fork();

	if (pid == 0) {
		if (parent_serves)
			child_drops(fd, seat, turn);
		child_serves(fd, seat, turn);
	}
	children += pid > 0;
	if (pid < 0)
		FAIL(odd, NULL, "fork: %m");
	if (parent_serves && pid > 0) {
		serve(fd, seat_is_free(seat), false);
		return;
	}
	close(fd);
	seat_free(seat);
}

int serve_forking(void)
{
	for (unsigned int turn = 0; !is_over();) {
		int fd = accept_any(ACCEPT_WAIT_MS);

		if (fd >= 0)
			serve_by_fork(fd, turn++);
		reap(children >= CHILDREN_MAX);
	}
	while (children > 0)
		reap(true);
	return 0;
}

/* --- sent to another process ------------------------------------------------------------------ */

struct passed {
	unsigned int seat;
};

static bool pass(int channel, int fd, unsigned int seat)
{
	struct passed passed = {seat};
	struct iovec iov = {&passed, sizeof(passed)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(channel, &msg, MSG_NOSIGNAL) == sizeof(passed);
}

/* -1 at the end. */
static int take_passed(int channel, unsigned int *seat)
{
	struct passed passed;
	struct iovec iov = {&passed, sizeof(passed)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(channel, &msg, MSG_CMSG_CLOEXEC) != sizeof(passed) ||
	    !(cmsg = CMSG_FIRSTHDR(&msg)) || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	*seat = passed.seat;
	return fd;
}

static int passed_channel;

static void *serve_passed(void *unused)
{
	unsigned int seat;
	int fd;

	while ((fd = take_passed(passed_channel, &seat)) >= 0)
		serve(fd, seat_is_free(seat), false);
	return unused;
}

static int passed_worker(int channel)
{
	pthread_t threads[THREADS];

	for (unsigned int i = 0; i < listener_count; i++)
		close(listeners[i]);
	passed_channel = channel;
	if (!closer_start())
		return 1;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, serve_passed, NULL) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

int serve_passing(void)
{
	int pair[2], status = 1;
	pid_t pid;

	/* SEQPACKET, so that each thread of the worker takes one. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 || (pid = fork()) < 0)
		return 1;
	if (pid == 0) {
		close(pair[0]);
		exit(passed_worker(pair[1]));
	}
	close(pair[1]);
	while (!is_over()) {
		int fd = accept_any(ACCEPT_WAIT_MS);
		unsigned int seat;

		if (fd < 0)
			continue;
		seat = seat_take();
		if (!pass(pair[0], fd, seat))
			FAIL(odd, NULL, "a descriptor is not passed: %m");
		close(fd);
		seat_free(seat);
	}
	close(pair[0]);
	waitpid(pid, &status, 0);
	return status != 0;
}

/* --- exits with connections open -------------------------------------------------------------- */

/* A third of a second at the most from the first that stays open. */
static void exiting_worker(unsigned int turn)
{
	uint64_t first = 0;

	for (unsigned int served = 0; served < WORKER_SERVES && !is_over();) {
		int fd = accept_any(first ? 20 : ACCEPT_WAIT_MS);

		if (first && board_now_ms() - first > 300) {
			if (fd >= 0)
				serve(fd, false, true);
			break;
		}
		if (fd < 0)
			continue;
		serve(fd, false, true);
		served++;
		if (!first)
			first = board_now_ms();
	}
	if (turn % 2)
		_exit(0);
	exit(0);
}

int serve_exiting(void)
{
	for (unsigned int turn = 0; !is_over(); turn++) {
		pid_t pid;

		while (children >= WORKERS)
			reap(true);
		pid = fork();
		if (pid == 0)
			exiting_worker(turn);
		children += pid > 0;
	}
	while (children > 0)
		reap(true);
	return 0;
}
