/* SPDX-License-Identifier: MIT */
#include "daemon/kernel.h"

#include "common/tcp_state.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	REQUEST_SIZE = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct inet_diag_req_v2)),
	RECEIVE_BUFFER = 1 << 20,
	EVENTS_BUFFER = 8 << 20, /* of some thousands */
	IN_SIZE = 65536,
	IN_PARTS = 32,	      /* messages of one socket: some hundred bytes */
	TIME_WAIT_MS = 60000, /* TCP_TIMEWAIT_LEN, include/net/tcp.h */
};

struct kernel {
	struct mnl_socket *socket;
	uint32_t seq;
	char in[IN_SIZE] __attribute__((aligned(8)));
};

bool kernel_is_over(const struct kernel_query *query)
{
	return query->error == ENOENT || (!query->error && query->state == STATE_TIME_WAIT);
}

struct kernel *kernel_open(int fd)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	int size = RECEIVE_BUFFER;

	if (!kernel) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	kernel->socket =
		fd < 0 ? mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC) : mnl_socket_fdopen(fd);
	if (!kernel->socket || mnl_socket_bind(kernel->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int error = errno;

		kernel_close(kernel);
		errno = error;
		return NULL;
	}
	/* More than fits is asked again: this only saves doing so. */
	setsockopt(mnl_socket_get_fd(kernel->socket), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return kernel;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	if (kernel->socket)
		mnl_socket_close(kernel->socket);
	free(kernel);
}

static void put_address(__be32 out[4], const struct endpoint *ep)
{
	if (ep->family == AF_INET)
		memcpy(out, ep->addr + 12, 4);
	else
		memcpy(out, ep->addr, 16);
}

static void put_request(char *buf, uint16_t type, uint16_t flags, uint32_t seq,
			const struct kernel_query *query)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *request;

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = seq;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = (uint8_t)query->local.family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = ~0u;
	request->id.idiag_sport = htons(query->local.port);
	request->id.idiag_dport = htons(query->remote.port);
	put_address(request->id.idiag_src, &query->local);
	put_address(request->id.idiag_dst, &query->remote);
	request->id.idiag_cookie[0] = (uint32_t)query->cookie;
	request->id.idiag_cookie[1] = (uint32_t)(query->cookie >> 32);
}

/* mnl_nlmsg_ok() takes a length of 2 GB and more for a negative one, which fits. */
static bool message_ok(const struct nlmsghdr *header, int left)
{
	return left > 0 && mnl_nlmsg_ok(header, left) && header->nlmsg_len <= (uint32_t)left;
}

static uint64_t cookie_of(const struct inet_diag_msg *diag)
{
	return diag->id.idiag_cookie[0] | (uint64_t)diag->id.idiag_cookie[1] << 32;
}

static void take_answer(const struct nlmsghdr *header, struct kernel_query *query)
{
	if (header->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);

		if (mnl_nlmsg_get_payload_len(header) >= sizeof(error->error))
			query->error = -error->error;
	} else if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY) {
		const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(header);

		if (mnl_nlmsg_get_payload_len(header) >= sizeof(*diag)) {
			query->error = 0;
			query->state = diag->idiag_state;
			query->inode = diag->idiag_inode;
			query->found = cookie_of(diag);
		}
	}
}

/* Several messages at once, each in its part of kernel->in. Returns how many; -1 with errno. */
static int receive(struct kernel *kernel, struct mmsghdr messages[IN_PARTS])
{
	struct iovec iov[IN_PARTS];
	int n;

	for (size_t i = 0; i < IN_PARTS; i++) {
		iov[i] = (struct iovec){kernel->in + i * (IN_SIZE / IN_PARTS), IN_SIZE / IN_PARTS};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	do {
		n = recvmmsg(kernel_fd(kernel), messages, IN_PARTS, MSG_DONTWAIT, NULL);
	} while (n < 0 && errno == EINTR);
	for (int i = 0; i < n; i++)
		messages[i].msg_hdr.msg_iov = NULL; /* it was ours */
	return n;
}

static const struct nlmsghdr *part(const struct kernel *kernel, int i)
{
	return (const struct nlmsghdr *)(const void *)(kernel->in +
						       (size_t)i * (IN_SIZE / IN_PARTS));
}

static void take_part(const struct nlmsghdr *header, int left, uint32_t first,
		      struct kernel_query *queries, unsigned int count)
{
	for (; message_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
		uint32_t index = header->nlmsg_seq - first;

		if (index < count)
			take_answer(header, &queries[index]);
	}
}

/* The kernel answers within send(): what is not there when it returns will not come. */
static void take_answers(struct kernel *kernel, uint32_t first, struct kernel_query *queries,
			 unsigned int count)
{
	struct mmsghdr messages[IN_PARTS];
	int n;

	do {
		n = receive(kernel, messages);
		for (int i = 0; i < n; i++)
			take_part(part(kernel, i), (int)messages[i].msg_len, first, queries, count);
	} while (n == IN_PARTS || (n < 0 && errno == ENOBUFS));
}

static void ask(struct kernel *kernel, uint16_t type, uint16_t flags, struct kernel_query *queries,
		unsigned int count)
{
	static char buf[KERNEL_BATCH * REQUEST_SIZE] __attribute__((aligned(8)));
	uint32_t first = kernel->seq;

	for (unsigned int i = 0; i < count; i++) {
		queries[i].error = EAGAIN;
		put_request(buf + i * REQUEST_SIZE, type, flags, first + i, &queries[i]);
	}
	kernel->seq += count;
	if (mnl_socket_sendto(kernel->socket, buf, count * REQUEST_SIZE) < 0)
		return;
	take_answers(kernel, first, queries, count);
}

void kernel_lookup(struct kernel *kernel, struct kernel_query *queries, unsigned int count)
{
	ask(kernel, SOCK_DIAG_BY_FAMILY, 0, queries, count);
}

void kernel_destroy(struct kernel *kernel, struct kernel_query *queries, unsigned int count)
{
	ask(kernel, SOCK_DESTROY, NLM_F_ACK, queries, count);
}

/* --- the dump --------------------------------------------------------------------------------- */

static struct endpoint get_endpoint(uint8_t family, const __be32 address[4], __be16 port)
{
	struct endpoint ep = {.family = AF_INET6, .port = ntohs(port)};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (family == AF_INET) {
		memcpy(ep.addr, mapped, sizeof(mapped));
		memcpy(ep.addr + 12, address, 4);
	} else {
		memcpy(ep.addr, address, 16);
	}
	if (!memcmp(ep.addr, mapped, sizeof(mapped)))
		ep.family = AF_INET;
	return ep;
}

static void take_tcp_info(struct kernel_socket *socket, const struct nlattr *attr)
{
	struct tcp_info info = {.tcpi_state = 0};
	size_t len = mnl_attr_get_payload_len(attr);

	memcpy(&info, mnl_attr_get_payload(attr), len < sizeof(info) ? len : sizeof(info));
	socket->has_info = true;
	socket->rtt_us = info.tcpi_rtt;
	socket->retrans = info.tcpi_total_retrans < UINT16_MAX ? (uint16_t)info.tcpi_total_retrans
							       : UINT16_MAX;
	socket->stuck = info.tcpi_retransmits > info.tcpi_backoff ? info.tcpi_retransmits
								  : info.tcpi_backoff;
}

static bool take_socket(const struct nlmsghdr *header, kernel_taker *take, void *arg)
{
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(header);
	struct kernel_socket socket;
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*diag))
		return true;
	socket = (struct kernel_socket){
		.inode = diag->idiag_inode,
		.cookie = cookie_of(diag),
		.local = get_endpoint(diag->idiag_family, diag->id.idiag_src, diag->id.idiag_sport),
		.remote =
			get_endpoint(diag->idiag_family, diag->id.idiag_dst, diag->id.idiag_dport),
		.uid = diag->idiag_uid,
		.unread = diag->idiag_rqueue,
		.unacked = diag->idiag_wqueue,
		.state = diag->idiag_state,
	};
	if (socket.state == STATE_TIME_WAIT && diag->idiag_expires < TIME_WAIT_MS)
		socket.age_ms = TIME_WAIT_MS - diag->idiag_expires;
	mnl_attr_for_each(attr, header, sizeof(*diag))
	{
		if (mnl_attr_get_type(attr) == INET_DIAG_INFO)
			take_tcp_info(&socket, attr);
	}
	return take(&socket, arg);
}

/* 1: more is to come; 0: the dump has ended; else -errno. */
static int take_dump(struct kernel *kernel, uint32_t seq, kernel_taker *take, void *arg)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)kernel->in;
	ssize_t n = recv(mnl_socket_get_fd(kernel->socket), kernel->in, sizeof(kernel->in), 0);
	int left = (int)n;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	for (; message_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
		if (header->nlmsg_seq != seq)
			continue;
		if (header->nlmsg_type == NLMSG_ERROR)
			return -EIO;
		if (header->nlmsg_type != TCPDIAG_GETSOCK)
			return 0; /* DONE */
		if (!take_socket(header, take, arg))
			return -ECANCELED;
	}
	return 1;
}

/* TCPDIAG_GETSOCK is the old request, which ss(8) makes as well: of both families in one walk, and
 * with many TIME_WAITs it is the walk that takes long. Only states that have a name here: newer
 * ones (bound, but neither listening nor connected, Linux 6.8) mean another table to walk. */
int kernel_dump(struct kernel *kernel, unsigned int what, kernel_taker *take, void *arg)
{
	char buf[NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct inet_diag_req))]
		__attribute__((aligned(8))) = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);
	uint32_t named = (1u << STATE_COUNT) - 1, seq = kernel->seq++;
	struct inet_diag_req *request;
	int more;

	header->nlmsg_type = TCPDIAG_GETSOCK;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = seq;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	if (what & KERNEL_LIVE) {
		request->idiag_states |= named & ~(1u << STATE_TIME_WAIT);
		request->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	}
	if (what & KERNEL_TIME_WAIT)
		request->idiag_states |= 1u << STATE_TIME_WAIT;
	if (mnl_socket_sendto(kernel->socket, buf, header->nlmsg_len) < 0)
		return errno;
	while ((more = take_dump(kernel, seq, take, arg)) > 0)
		;
	return -more;
}

/* --- what the kernel tells by itself ---------------------------------------------------------- */

struct kernel *kernel_open_destroyed(int fd)
{
	static const int groups[] = {SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY};
	struct kernel *kernel = kernel_open(fd);
	int size = EVENTS_BUFFER;

	if (!kernel)
		return NULL;
	for (size_t i = 0; i < 2; i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(kernel->socket, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0) {
			int error = errno;

			kernel_close(kernel);
			errno = error;
			return NULL;
		}
	}
	/* The second needs CAP_NET_ADMIN, which who may join has. */
	setsockopt(kernel_fd(kernel), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return kernel;
}

int kernel_fd(const struct kernel *kernel)
{
	return mnl_socket_get_fd(kernel->socket);
}

static unsigned int take_freed(const struct nlmsghdr *header, int left, kernel_taker *take,
			       void *arg)
{
	unsigned int count = 0;

	for (; message_ok(header, left); header = mnl_nlmsg_next(header, &left))
		if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY) {
			take_socket(header, take, arg);
			count++;
		}
	return count;
}

int kernel_destroyed(struct kernel *kernel, unsigned int max, kernel_taker *take, void *arg)
{
	struct mmsghdr messages[IN_PARTS];
	unsigned int count = 0;
	int n;

	do {
		n = receive(kernel, messages);
		if (n < 0)
			return errno == ENOBUFS ? -1 : (int)count;
		for (int i = 0; i < n; i++)
			count += take_freed(part(kernel, i), (int)messages[i].msg_len, take, arg);
	} while (n == IN_PARTS && count < max);
	return (int)count;
}
