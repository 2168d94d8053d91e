/* SPDX-License-Identifier: MIT */
#include "daemon/inbox.h"

#include "daemon/closer.h"

#include "common/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
	/* One is right. There is room for all that a message can carry (SCM_MAX_FD), for the kernel
	 * would close the others on our behalf, and a close() may block. */
	FDS_PER_MESSAGE = 253,
};

static struct batch {
	struct mmsghdr messages[INBOX_MESSAGES];
	struct iovec iov[INBOX_MESSAGES];
	char data[INBOX_MESSAGES][sizeof(struct wire_hello) + 8];
	union {
		char buf[CMSG_SPACE(FDS_PER_MESSAGE * sizeof(int))];
		struct cmsghdr align;
	} control[INBOX_MESSAGES];
} batch;

static void prepare(void)
{
	for (int i = 0; i < INBOX_MESSAGES; i++) {
		batch.iov[i].iov_base = batch.data[i];
		batch.iov[i].iov_len = sizeof(batch.data[i]);
		batch.messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &batch.iov[i],
			.msg_iovlen = 1,
			.msg_control = batch.control[i].buf,
			.msg_controllen = sizeof(batch.control[i].buf),
		};
	}
}

/* The descriptors of a message: the first in *fd, the others dropped. Returns how many came. */
static unsigned int take_fds(struct msghdr *msg, struct closer *closer, uid_t uid, int *fd)
{
	unsigned int count = 0;

	*fd = -1;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t n;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int one;

			memcpy(&one, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (count++ == 0)
				*fd = one;
			else
				closer_drop(closer, one, uid);
		}
	}
	return count;
}

static struct inbox_message unpack(struct mmsghdr *received, struct closer *closer, uid_t uid)
{
	struct inbox_message message = {
		.data = received->msg_hdr.msg_iov->iov_base,
		.len = received->msg_len,
	};
	unsigned int fds = take_fds(&received->msg_hdr, closer, uid, &message.fd);

	message.several = fds > 1;
	message.fd_lost = !fds && (received->msg_hdr.msg_flags & MSG_CTRUNC);
	return message;
}

bool inbox_read(int fd, struct closer *closer, uid_t uid,
		bool (*take)(void *arg, const struct inbox_message *message), void *arg, bool *more)
{
	bool goes_on = true;
	int n;

	closer_relieve(closer);
	prepare();
	n = recvmmsg(fd, batch.messages, INBOX_MESSAGES, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (n < 0) {
		/* A peer that ended without reading its welcome: its records are there still. */
		*more = errno == EINTR || errno == ECONNRESET;
		return *more || errno == EAGAIN;
	}
	for (int i = 0; i < n; i++) { /* to the end: each may hold a descriptor */
		struct inbox_message message = unpack(&batch.messages[i], closer, uid);

		if (goes_on && message.len > 0)
			goes_on = take(arg, &message);
		else if (message.fd >= 0)
			closer_drop(closer, message.fd, uid);
		if (message.len == 0) /* EOF */
			goes_on = false;
	}
	*more = n == INBOX_MESSAGES;
	return goes_on;
}
