/* SPDX-License-Identifier: MIT */
/* shut_write: what a program may do with a connection that it has shut down for writing. Where the
 * FIN is deferred, it must not notice: whatever sends fails with EPIPE and SIGPIPE, reading and
 * waiting go on, and not a byte reaches the peer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/shim/pair.h"

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	(void)sig;
	pipes++;
}

static int file;     /* with something in it */
static int pipe_end; /* likewise */
static struct iovec part = {"late", 4};
static struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

static long by_sendmmsg(int fd)
{
	struct mmsghdr two[2] = {{.msg_hdr = message}, {.msg_hdr = message}};

	return sendmmsg(fd, two, 2, 0);
}

static long by_sendfile(int fd)
{
	off_t from = 0;

	return sendfile(fd, file, &from, 4);
}

/* WAY(name, a call that sends) */
#define WAYS(WAY)                                                                  \
	WAY(write, write(fd, "late", 4))                                           \
	WAY(nothing, write(fd, "", 0))                                             \
	WAY(writev, writev(fd, &part, 1))                                          \
	WAY(send, send(fd, "late", 4, 0))                                          \
	WAY(send_nosignal, send(fd, "late", 4, MSG_NOSIGNAL))                      \
	WAY(sendto, sendto(fd, "late", 4, 0, NULL, 0))                             \
	WAY(sendmsg, sendmsg(fd, &message, 0))                                     \
	WAY(sendmsg_nosignal, sendmsg(fd, &message, MSG_NOSIGNAL))                 \
	WAY(sendmmsg, by_sendmmsg(fd))                                             \
	WAY(sendfile, by_sendfile(fd))                                             \
	WAY(splice, splice(pipe_end, NULL, fd, NULL, 4, 0))                        \
	WAY(sys_write, syscall(SYS_write, fd, "late", 4))                          \
	WAY(sys_writev, syscall(SYS_writev, fd, &part, 1))                         \
	WAY(sys_sendto, syscall(SYS_sendto, fd, "late", 4, MSG_NOSIGNAL, NULL, 0)) \
	WAY(sys_sendmsg, syscall(SYS_sendmsg, fd, &message, 0))                    \
	WAY(dup, write(dup(fd), "late", 4))

static void try_all(int fd)
{
#define WAY(name, call)   \
	pipes = 0;        \
	errno = 0;        \
	saw(#name, call); \
	printf("%s: %d signals\n", #name, (int)pipes);
	WAYS(WAY)
#undef WAY
}

static void make_sources(void)
{
	int ends[2];

	file = fileno(tmpfile());
	if (write(file, "late", 4) != 4 || pipe(ends) != 0 || write(ends[1], "late", 4) != 4)
		die("sources");
	pipe_end = ends[0];
}

/* The peer speaks after the shutdown, and closes: it must have had "bye" and nothing more. */
static void round_trip(int how)
{
	struct pair p = pair_open(true);
	char buf[16] = "";

	pair_say_bye(p.server);
	saw("shutdown", shutdown(p.server, how));
	saw("shutdown again", shutdown(p.server, how));
	try_all(p.server);
	printf("the peer reads %zd\n", read(p.client, buf, 3));
	if (how == SHUT_WR && write(p.client, "answer", 6) != 6)
		die("answer");
	printf("the peer has more: %d\n", recv(p.client, buf, sizeof(buf), MSG_DONTWAIT) > 0);
	close(p.client);
	if (how == SHUT_WR)
		printf("reads %zd, ", read(p.server, buf, sizeof(buf)));
	printf("then %zd\n", read(p.server, buf, sizeof(buf)));
	saw("write after the peer's close", write(p.server, "late", 4));
	saw("close", close(p.server));
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_pipe};

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGPIPE, &action, NULL);
	make_sources();
	round_trip(SHUT_WR);
	round_trip(SHUT_RDWR);
	return 0;
}
