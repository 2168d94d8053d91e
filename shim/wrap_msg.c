/* SPDX-License-Identifier: MIT */
/* Wrappers: descriptors that travel by SCM_RIGHTS. Messages without control data, which are nearly
 * all, cost a compare. */
#include "shim/libc.h"

#include "shim/process.h"
#include "shim/share.h"
#include "shim/user.h"
#include "shim/wrap.h"

#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

/* More than the kernel takes. */
enum { CONTROL_MAX = 1 << 20 };

static bool has_control(const struct msghdr *msg)
{
	return user_readable(msg, sizeof(*msg)) && msg->msg_control &&
	       msg->msg_controllen >= sizeof(struct cmsghdr) &&
	       msg->msg_controllen <= CONTROL_MAX &&
	       user_readable(msg->msg_control, msg->msg_controllen);
}

/* Of what is received. */
struct arrival {
	struct fork_mark mark; /* taken before the call */
	bool peeked;
};

/* Calls act on each descriptor that msg carries. */
static void each_fd(const struct msghdr *msg, void (*act)(int fd, const struct arrival *),
		    const struct arrival *arrival)
{
	struct msghdr *m = (struct msghdr *)msg;
	const char *end = (const char *)m->msg_control + m->msg_controllen;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count;

		if (c->cmsg_len > (size_t)(end - (const char *)c))
			return; /* the kernel will refuse it */
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    c->cmsg_len < CMSG_LEN(sizeof(int)))
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			act(fd, arrival);
		}
	}
}

static void passing(int fd, const struct arrival *unused)
{
	(void)unused;
	share_passing(fd);
}

static void not_passed(int fd, const struct arrival *unused)
{
	(void)unused;
	share_not_passed(fd);
}

static void received(int fd, const struct arrival *arrival)
{
	share_received(fd, arrival->peeked, arrival->mark);
}

static bool watches(const struct msghdr *msg)
{
	return process_is_on() && has_control(msg);
}

ssize_t sendmsg_by(const struct libc_calls *next, int fd, const struct msghdr *msg, int flags)
{
	ssize_t sent;

	if (write_refused(fd, flags))
		return -1;
	if (!watches(msg))
		return next->sendmsg(fd, msg, flags);
	each_fd(msg, passing, NULL);
	sent = next->sendmsg(fd, msg, flags);
	if (sent < 0)
		each_fd(msg, not_passed, NULL);
	return sent;
}

int sendmmsg_by(const struct libc_calls *next, int fd, struct mmsghdr *msgs, unsigned int count,
		int flags)
{
	int sent;

	if (write_refused(fd, flags))
		return -1;
	if (count > UIO_MAXIOV)
		count = UIO_MAXIOV; /* as the kernel does */
	for (unsigned int i = 0; i < count; i++)
		if (watches(&msgs[i].msg_hdr))
			each_fd(&msgs[i].msg_hdr, passing, NULL);
	sent = next->sendmmsg(fd, msgs, count, flags);
	for (unsigned int i = sent < 0 ? 0 : (unsigned int)sent; i < count; i++)
		if (watches(&msgs[i].msg_hdr))
			each_fd(&msgs[i].msg_hdr, not_passed, NULL);
	return sent;
}

ssize_t recvmsg_by(const struct libc_calls *next, int fd, struct msghdr *msg, int flags)
{
	struct arrival arrival = {fork_mark(), flags & MSG_PEEK};
	ssize_t got = next->recvmsg(fd, msg, flags);

	if (got >= 0 && watches(msg))
		each_fd(msg, received, &arrival);
	return got;
}

int recvmmsg_by(const struct libc_calls *next, int fd, struct mmsghdr *msgs, unsigned int count,
		int flags, struct timespec *limit)
{
	struct arrival arrival = {fork_mark(), flags & MSG_PEEK};
	int got = next->recvmmsg(fd, msgs, count, flags, limit);

	for (int i = 0; i < got; i++)
		if (watches(&msgs[i].msg_hdr))
			each_fd(&msgs[i].msg_hdr, received, &arrival);
	return got;
}

ssize_t wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return sendmsg_by(&libc, fd, msg, flags);
}

int wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags)
{
	return sendmmsg_by(&libc, fd, msgs, count, flags);
}

ssize_t wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return recvmsg_by(&libc, fd, msg, flags);
}

int wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags,
		  struct timespec *limit)
{
	return recvmmsg_by(&libc, fd, msgs, count, flags, limit);
}
