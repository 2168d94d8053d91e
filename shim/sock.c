/* SPDX-License-Identifier: MIT */
#include "shim/sock.h"

#include "shim/raw.h"
#include "shim/slots.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

uint64_t sock_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (raw(SYS_getsockopt, fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) != 0)
		return 0;
	return cookie;
}

bool sock_local(int fd, struct endpoint *out)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (raw(SYS_getsockname, fd, &addr, &len) != 0)
		return false;
	*out = endpoint_from_sockaddr((struct sockaddr *)&addr, len);
	return true;
}

uint32_t sock_options(int fd)
{
	struct linger linger;
	char name[16] = "";
	socklen_t linger_len = sizeof(linger), name_len = sizeof(name);
	uint32_t flags = 0;

	if (raw(SYS_getsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, &linger_len) == 0 &&
	    linger.l_onoff)
		flags |= SLOT_APP_LINGER;
	if (raw(SYS_getsockopt, fd, IPPROTO_TCP, TCP_ULP, name, &name_len) == 0 && name_len > 0 &&
	    name[0])
		flags |= SLOT_ULP;
	return flags;
}

unsigned int sock_state(int fd)
{
	uint8_t state = 0; /* tcpi_state is the first */
	socklen_t len = sizeof(state);

	return raw(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &state, &len) == 0 ? state : 0;
}

uint32_t sock_queued(int fd, unsigned long request)
{
	int bytes = 0;

	return raw(SYS_ioctl, fd, request, &bytes) == 0 && bytes > 0 ? (uint32_t)bytes : 0;
}

bool sock_remote(int fd, struct endpoint *out)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (raw(SYS_getpeername, fd, &addr, &len) != 0)
		return false;
	*out = endpoint_from_sockaddr((struct sockaddr *)&addr, len);
	return out->family != 0;
}
