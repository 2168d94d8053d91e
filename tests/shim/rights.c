/* SPDX-License-Identifier: MIT */
/* rights HOW: connections that travel by SCM_RIGHTS. rights receive: the program at the other end
 * of descriptor 0 that is no relative. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/shim/pair.h"

enum { MOST = 8 };

struct letter {
	struct iovec iov;
	char byte;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MOST * sizeof(int)) +
					      CMSG_SPACE(sizeof(int))];
};

static struct msghdr blank(struct letter *l, size_t room)
{
	l->iov = (struct iovec){&l->byte, 1};
	l->byte = 'x';
	return (struct msghdr){.msg_iov = &l->iov,
			       .msg_iovlen = 1,
			       .msg_control = room ? l->control : NULL,
			       .msg_controllen = room};
}

/* The descriptors in one header, or each in one of its own. */
static struct msghdr address(struct letter *l, const int *fds, size_t count, bool apart)
{
	struct msghdr msg =
		blank(l, apart ? count * CMSG_SPACE(sizeof(int)) : CMSG_SPACE(count * sizeof(int)));
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	memset(l->control, 0, sizeof(l->control));
	for (size_t i = 0; i < (apart ? count : 1); i++, c = CMSG_NXTHDR(&msg, c)) {
		size_t len = (apart ? 1 : count) * sizeof(int);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(c), fds + i, len);
	}
	return msg;
}

static ssize_t post(int to, const int *fds, size_t count, bool apart)
{
	struct letter l;
	struct msghdr msg = address(&l, fds, count, apart);

	return sendmsg(to, &msg, 0);
}

static size_t unpack(struct msghdr *msg, int *fds)
{
	size_t have = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		memcpy(fds + have, CMSG_DATA(c), count * sizeof(int));
		have += count;
	}
	return have;
}

/* Into fds; room is for so many, the rest is cut off. */
static size_t fetch(int from, int *fds, size_t room, int flags)
{
	struct letter l;
	struct msghdr msg = blank(&l, room ? CMSG_SPACE(room * sizeof(int)) : 0);
	size_t have;

	if (room == 1)
		msg.msg_controllen = CMSG_LEN(sizeof(int));
	saw("recvmsg", recvmsg(from, &msg, flags));
	have = unpack(&msg, fds);
	printf("received: %zu, cut: %d\n", have, !!(msg.msg_flags & MSG_CTRUNC));
	return have;
}

static void serve_on(int fd)
{
	pair_say_bye(fd);
	saw("close of what came", close(fd));
}

static void to_self(int ends[2], bool close_first)
{
	struct pair p = pair_open(false);
	int fd;

	saw("sendmsg", post(ends[0], &p.server, 1, false));
	if (close_first)
		saw("close of the original", close(p.server));
	pair_look(p.client);
	fetch(ends[1], &fd, 1, MSG_CMSG_CLOEXEC);
	if (!close_first)
		saw("close of the original", close(p.server));
	pair_look(p.client);
	serve_on(fd);
	pair_hear_bye("client", p.client);
}

static void several(int ends[2], bool apart)
{
	struct pair p[3];
	int fds[MOST], sent[3];
	size_t count;

	for (int i = 0; i < 3; i++) {
		p[i] = pair_open(false);
		sent[i] = p[i].server;
	}
	saw("sendmsg", post(ends[0], sent, 3, apart));
	for (int i = 0; i < 3; i++)
		close(p[i].server);
	count = fetch(ends[1], fds, MOST, 0);
	for (size_t i = 0; i < count; i++) {
		pair_look(p[i].client);
		serve_on(fds[i]);
		pair_hear_bye("client", p[i].client);
	}
}

/* Two of three are cut off: the kernel closes them. */
static void cut(int ends[2], size_t room)
{
	struct pair p[3];
	int fds[MOST], sent[3];
	size_t count;

	for (int i = 0; i < 3; i++) {
		p[i] = pair_open(false);
		sent[i] = p[i].server;
	}
	saw("sendmsg", post(ends[0], sent, 3, false));
	count = fetch(ends[1], fds, room, 0);
	for (int i = 0; i < 3; i++) {
		pair_say_bye(p[i].server);
		close(p[i].server);
		if ((size_t)i < count)
			close(fds[i]);
		pair_hear_eof("client", p[i].client);
	}
}

static void many_at_once(int ends[2])
{
	struct pair p[2] = {pair_open(false), pair_open(false)};
	struct letter letters[2];
	struct mmsghdr msgs[2] = {0};
	int fds[2];

	for (int i = 0; i < 2; i++)
		msgs[i].msg_hdr = address(&letters[i], &p[i].server, 1, false);
	saw("sendmmsg", sendmmsg(ends[0], msgs, 2, 0));
	for (int i = 0; i < 2; i++) {
		close(p[i].server);
		msgs[i].msg_hdr = blank(&letters[i], CMSG_SPACE(sizeof(int)));
	}
	saw("recvmmsg", recvmmsg(ends[1], msgs, 2, 0, NULL));
	for (int i = 0; i < 2; i++) {
		unpack(&msgs[i].msg_hdr, &fds[i]);
		pair_look(p[i].client);
		serve_on(fds[i]);
		pair_hear_bye("client", p[i].client);
	}
}

/* Each peek is a copy more. */
static void peek(int ends[2])
{
	struct pair p = pair_open(false);
	int fds[3];

	saw("sendmsg", post(ends[0], &p.server, 1, false));
	fetch(ends[1], &fds[0], 1, MSG_PEEK);
	fetch(ends[1], &fds[1], 1, MSG_PEEK);
	fetch(ends[1], &fds[2], 1, 0);
	close(p.server);
	close(fds[1]);
	close(fds[2]);
	pair_look(p.client);
	serve_on(fds[0]);
	pair_hear_bye("client", p.client);
}

/* It goes with the queue that it sits in. */
static void never(int ends[2])
{
	struct pair p = pair_open(false);

	saw("sendmsg", post(ends[0], &p.server, 1, false));
	pair_say_bye(p.server);
	close(p.server);
	pair_look(p.client);
	close(ends[0]);
	close(ends[1]);
	pair_hear_eof("client", p.client);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0)
		die("socketpair");
}

/* Nothing was passed, so that nothing is shared. */
static void refused(int ends[2])
{
	struct pair p = pair_open(false);
	int two[2] = {p.server, 900};

	saw("sendmsg with a wrong descriptor", post(ends[0], two, 2, false));
	saw("sendmsg to a wrong descriptor", post(900, two, 1, false));
	pair_look(p.client);
	serve_on(p.server);
	pair_hear_bye("client", p.client);
}

static int receive(int from)
{
	int fd;

	if (fetch(from, &fd, 1, 0) != 1)
		return 1;
	serve_on(fd);
	pair_serve();
	fflush(stdout);
	return 0;
}

/* To a child, or to a program that has no memory of us. */
static void to_other(int ends[2], const char *program)
{
	struct pair p = pair_open(true);
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(p.server);
		close(p.client);
		if (!program)
			_exit(receive(ends[1]));
		dup2(ends[1], 0);
		execl(program, program, "receive", NULL);
		_exit(7);
	}
	if (post(ends[0], &p.server, 1, false) != 1 || close(p.server) != 0)
		die("sendmsg or close");
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	printf("the other ended with %x\n", (unsigned int)status);
	pair_hear_bye("client", p.client);
}

int main(int argc, char **argv)
{
	const char *how = argc == 2 ? argv[1] : "";
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(how, "receive") == 0)
		return receive(0);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0)
		die("socketpair");
	for (int i = 0; i < 2; i++) {
		if (strcmp(how, "self") == 0)
			to_self(ends, i);
		else if (strcmp(how, "several") == 0)
			several(ends, i);
		else if (strcmp(how, "cut") == 0)
			cut(ends, (size_t)i);
		else if (strcmp(how, "mmsg") == 0)
			many_at_once(ends);
		else if (strcmp(how, "peek") == 0)
			peek(ends);
		else if (strcmp(how, "never") == 0)
			never(ends);
		else if (strcmp(how, "refused") == 0)
			refused(ends);
		else if (strcmp(how, "child") == 0)
			to_other(ends, NULL);
		else if (strcmp(how, "stranger") == 0)
			to_other(ends, argv[0]);
		else
			return 2;
		pair_serve();
	}
	return 0;
}
