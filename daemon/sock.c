/* SPDX-License-Identifier: MIT */
#include "daemon/sock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* glibc's tcp_info ends before the byte counts */
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) < 0 ? -1 : value;
}

/* A raw socket of that protocol passes here, but has no TCP_INFO. */
bool sock_is_tcp(int fd)
{
	return get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP;
}

uint64_t sock_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

bool sock_endpoints(int fd, struct endpoint *local, struct endpoint *remote)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return false;
	*local = endpoint_from_sockaddr((struct sockaddr *)&sa, len);
	len = sizeof(sa);
	if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0)
		return false;
	*remote = endpoint_from_sockaddr((struct sockaddr *)&sa, len);
	return true;
}

bool sock_look(int fd, struct sock_look *look)
{
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	*look = (struct sock_look){
		.state = info.tcpi_state,
		.rtt_us = info.tcpi_rtt,
		.last_received_ms = info.tcpi_last_data_recv,
		.received = info.tcpi_bytes_received,
		.mute = len >= offsetof(struct tcp_info, tcpi_delivery_rate) &&
			info.tcpi_data_segs_out == 0 && info.tcpi_notsent_bytes == 0,
	};
	return true;
}

static uint32_t queue_size(int fd, unsigned long request)
{
	int value = 0;

	return ioctl(fd, request, &value) < 0 || value < 0 ? 0 : (uint32_t)value;
}

uint32_t sock_unread(int fd)
{
	return queue_size(fd, SIOCINQ);
}

uint32_t sock_unacked(int fd)
{
	return queue_size(fd, SIOCOUTQ);
}

uint32_t sock_receive_buffer(int fd)
{
	int value = get_int(fd, SOL_SOCKET, SO_RCVBUF);

	return value < 0 ? 0 : (uint32_t)value;
}

bool sock_has_error(int fd)
{
	struct pollfd pfd = {.fd = fd};

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLERR);
}

int sock_take_error(int fd)
{
	int error = get_int(fd, SOL_SOCKET, SO_ERROR);

	return error < 0 ? 0 : error;
}

/* With MSG_TRUNC, TCP drops the bytes without copying them (tcp(7)). */
uint64_t sock_drain(int fd, uint64_t max)
{
	static char buf[65536];
	uint64_t drained = 0;

	while (drained < max) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_TRUNC | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		drained += (uint64_t)n;
	}
	return drained;
}

void sock_leave_nothing(int fd)
{
	int value = -1;

	setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &value, sizeof(value));
}
