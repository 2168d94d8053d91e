/* SPDX-License-Identifier: MIT */
#include "daemon/opener.h"

#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REQUESTS_AT_ONCE = 16 };

bool opener_pair(int *guardian, int *loop)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return false;
	*guardian = ends[0];
	*loop = ends[1];
	return true;
}

/* --- the guardian's --------------------------------------------------------------------------- */

void opener_drop(int fds[OPENED_FDS])
{
	for (int i = 0; i < OPENED_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* In the namespace that we are in. 0 or errno. */
static int open_here(int fds[OPENED_FDS])
{
	static const int type = SOCK_RAW | SOCK_CLOEXEC;

	fds[OPENED_LOOKUP] = socket(AF_NETLINK, type, NETLINK_SOCK_DIAG);
	fds[OPENED_DUMP] = socket(AF_NETLINK, type, NETLINK_SOCK_DIAG);
	fds[OPENED_DESTROYED] = socket(AF_NETLINK, type, NETLINK_SOCK_DIAG);
	fds[OPENED_SOCKSTAT] = open("/proc/thread-self/net/sockstat", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < OPENED_FDS; i++)
		if (fds[i] < 0)
			return errno;
	return 0;
}

static int open_namespace(const struct opener_request *request)
{
	char path[64];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%lld/ns/net", (long long)request->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_ino != request->netns)) {
		close(fd);
		errno = ESRCH;
		return -1;
	}
	return fd;
}

/* 0 or errno. */
static int open_there(const struct opener_request *request, int fds[OPENED_FDS])
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = own < 0 ? -1 : open_namespace(request), error = errno;

	if (there >= 0) {
		error = setns(there, CLONE_NEWNET) < 0 ? errno : open_here(fds);
		if (setns(own, CLONE_NEWNET) < 0) {
			log_error("cannot come back from a network namespace: %m");
			_exit(1);
		}
		close(there);
	}
	if (own >= 0)
		close(own);
	return error;
}

static void answer(int fd, const struct opener_request *request)
{
	int fds[OPENED_FDS] = {-1, -1, -1, -1};
	struct opener_answer answer = {.netns = request->netns};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(fds))];
	} control = {.header = {.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(sizeof(fds))}};
	struct iovec iov = {&answer, sizeof(answer)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	answer.error = open_there(request, fds);
	if (!answer.error) {
		memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.space);
	}
	sendmsg(fd, &message, MSG_NOSIGNAL); /* a loop that has gone is started again, and asks */
	opener_drop(fds);
}

void opener_serve(int fd)
{
	struct opener_request request;

	for (int i = 0; i < REQUESTS_AT_ONCE; i++) {
		if (recv(fd, &request, sizeof(request), MSG_DONTWAIT) != sizeof(request))
			return;
		answer(fd, &request);
	}
}

/* --- the loop's ------------------------------------------------------------------------------- */

bool opener_ask(int fd, const struct opener_request *request)
{
	return fd >= 0 &&
	       send(fd, request, sizeof(*request), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(*request);
}

bool opener_take(int fd, struct opener_answer *answer, int fds[OPENED_FDS])
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(OPENED_FDS * sizeof(int))];
	} control;
	struct iovec iov = {answer, sizeof(*answer)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	const struct cmsghdr *cmsg;

	for (int i = 0; i < OPENED_FDS; i++)
		fds[i] = -1;
	if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof(*answer))
		return false;
	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(OPENED_FDS * sizeof(int)))
		memcpy(fds, CMSG_DATA(cmsg), OPENED_FDS * sizeof(int));
	else if (!answer->error)
		answer->error = EMFILE; /* they did not fit into our table */
	return true;
}
