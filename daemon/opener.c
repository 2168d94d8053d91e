/* SPDX-License-Identifier: MIT */
#include "daemon/opener.h"

#include "daemon/sysctl.h"
#include "daemon/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

struct opening {
	int *fds;
	int error; /* errno */
};

/* In the namespace that we are in. */
static void open_here(void *arg)
{
	static const char *const paths[OPENED_FDS] = {
		[OPENED_NETSTAT] = "/proc/thread-self/net/netstat",
		[OPENED_SNMP] = "/proc/thread-self/net/snmp",
		[OPENED_SOCKSTAT] = "/proc/thread-self/net/sockstat",
		[OPENED_SOCKSTAT6] = "/proc/thread-self/net/sockstat6",
		[OPENED_IPV4] = SYSCTL_FOLDER "ipv4",
		[OPENED_CORE] = SYSCTL_FOLDER "core",
		[OPENED_NETFILTER] = SYSCTL_FOLDER "netfilter",
	};
	struct opening *opening = arg;
	int *fds = opening->fds;

	for (int i = 0; i < OPENED_FDS && !opening->error; i++) {
		if (!paths[i])
			fds[i] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
		else
			fds[i] = open(paths[i], O_CLOEXEC | (i >= OPENED_IPV4 ? O_PATH : O_RDONLY));
		if (fds[i] < 0 && (errno != ENOENT || !paths[i]))
			opening->error = errno;
	}
}

/* 0 or errno. */
static int open_there(const struct opener_request *request, int fds[OPENED_FDS])
{
	struct opening opening = {fds, 0};
	int error = visit_netns(request->netns, (pid_t)request->pid, open_here, &opening);

	return error ? error : opening.error;
}

static void answer(int fd, const struct opener_request *request)
{
	struct opener_answer answer = {.netns = request->netns, .pid = request->pid};
	int fds[OPENED_FDS], sent[OPENED_FDS];
	unsigned int count = 0;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(sent))];
	} control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {&answer, sizeof(answer)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	for (int i = 0; i < OPENED_FDS; i++)
		fds[i] = -1;
	answer.error = open_there(request, fds);
	for (int i = 0; i < OPENED_FDS && !answer.error; i++) {
		if (fds[i] < 0)
			continue;
		answer.opened |= 1u << i;
		sent[count++] = fds[i];
	}
	if (count) {
		memcpy(CMSG_DATA(&control.header), sent, count * sizeof(int));
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
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

static void take_fds(const struct cmsghdr *cmsg, struct opener_answer *answer, int fds[OPENED_FDS])
{
	size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int), at = 0;

	for (int i = 0; i < OPENED_FDS && at < count; i++)
		if (answer->opened & 1u << i)
			memcpy(&fds[i], CMSG_DATA(cmsg) + sizeof(int) * at++, sizeof(int));
	if (at == (size_t)__builtin_popcount(answer->opened))
		return;
	opener_drop(fds); /* they did not all fit into our table */
	answer->error = EMFILE;
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
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		take_fds(cmsg, answer, fds);
	else if (!answer->error)
		answer->error = EMFILE; /* they did not fit into our table */
	return true;
}
