/* SPDX-License-Identifier: MIT */
#include "tests/soak/io.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *const io_words[] = {"whole",	 "end of file",	     "reset",
				"nothing comes", "wrong bytes come", "an error"};

enum { CHUNK = 16384 };

void io_set_deadline(int fd, int seconds)
{
	struct timeval limit = {.tv_sec = seconds};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static enum io_end end_by_errno(void)
{
	switch (errno) {
	case ECONNRESET:
	case EPIPE:
		return IO_RESET;
	case EAGAIN:
		return IO_HUNG;
	default:
		return IO_ERROR;
	}
}

enum io_end io_write(int fd, const void *buf, size_t len, bool more)
{
	const char *at = buf;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return end_by_errno();
		at += n;
		len -= (size_t)n;
	}
	return IO_WHOLE;
}

enum io_end io_read(int fd, void *buf, size_t len, size_t *got)
{
	size_t have = 0;
	enum io_end end = IO_WHOLE;

	while (have < len) {
		ssize_t n = recv(fd, (char *)buf + have, len - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			end = n == 0 ? IO_EOF : end_by_errno();
			break;
		}
		have += (size_t)n;
	}
	if (got)
		*got = have;
	return end;
}

enum io_end io_send_payload(int fd, uint64_t seed, size_t from, size_t to)
{
	uint8_t buf[CHUNK];
	enum io_end end = IO_WHOLE;

	while (from < to && end == IO_WHOLE) {
		size_t part = to - from < CHUNK ? to - from : CHUNK;

		payload_fill(seed, from, buf, part);
		end = io_write(fd, buf, part, false);
		from += part;
	}
	return end;
}

enum io_end io_receive_payload(int fd, uint64_t seed, size_t len)
{
	uint8_t buf[CHUNK];
	size_t at = 0;

	while (at < len) {
		size_t part = len - at < CHUNK ? len - at : CHUNK, got;
		enum io_end end = io_read(fd, buf, part, &got);

		if (!payload_matches(seed, at, buf, got))
			return IO_WRONG;
		if (end != IO_WHOLE)
			return end;
		at += part;
	}
	return IO_WHOLE;
}

enum io_end io_await_eof(int fd)
{
	char byte;
	enum io_end end = io_read(fd, &byte, 1, NULL);

	return end == IO_WHOLE ? IO_WRONG : end;
}

unsigned int io_tcp_state(int fd, unsigned int *idle_ms)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return 0;
	if (idle_ms)
		*idle_ms = info.tcpi_last_data_sent < info.tcpi_last_data_recv
				   ? info.tcpi_last_data_sent
				   : info.tcpi_last_data_recv;
	return info.tcpi_state;
}

void io_nap_ms(unsigned int ms)
{
	struct timespec nap = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&nap, NULL);
}

void io_fork_beside(unsigned int turn)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (turn % 2)
			execl("/bin/true", "true", NULL);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}
