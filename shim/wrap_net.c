/* SPDX-License-Identifier: MIT */
/* Wrappers: sockets, from socket() to shutdown(). */
#include "shim/libc.h"

#include "common/tcp_state.h"
#include "shim/apply.h"
#include "shim/channel.h"
#include "shim/process.h"
#include "shim/raw.h"
#include "shim/sets.h"
#include "shim/share.h"
#include "shim/slots.h"
#include "shim/sock.h"
#include "shim/steer.h"
#include "shim/user.h"
#include "shim/wrap.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/un.h>

static bool is_inet(int family)
{
	return family == AF_INET || family == AF_INET6;
}

/* What bind() or connect() was given is an address of ours, and can be looked at. */
static bool is_inet_address(const struct sockaddr *addr, socklen_t len)
{
	return !process_is_inert() && addr && len >= sizeof(struct sockaddr_in) &&
	       len <= sizeof(struct sockaddr_storage) && user_readable(addr, len) &&
	       is_inet(addr->sa_family);
}

static bool is_unspec(const struct sockaddr *addr, socklen_t len)
{
	return !process_is_inert() && addr && len >= sizeof(sa_family_t) &&
	       user_readable(addr, sizeof(sa_family_t)) && addr->sa_family == AF_UNSPEC;
}

static bool is_tcp(int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	return raw(SYS_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	       protocol == IPPROTO_TCP;
}

/* The word of a TCP socket, also of one that we did not see being made (inherited by exec, passed
 * by systemd). 0: no TCP socket, or the shim is not on. */
static uint32_t adopt(int fd)
{
	uint32_t word = slot_word(fd);

	if (word)
		return process_enter() ? word : 0;
	if (process_is_sealed() || !process_may_ask() || !is_tcp(fd) || !process_start() ||
	    !slot_ready(fd))
		return 0;
	word = SLOT_SOCKET | SLOT_SHARED | sock_options(fd);
	slot_fill(fd, word, 0, NULL, false);
	return word;
}

static void set_kind(int fd, uint32_t kind, const struct slot_info *info)
{
	slot_fill(fd, (slot_word(fd) & ~(uint32_t)SLOT_KIND) | kind, 0, info, true);
}

/* A fork child starts anew first: else the fork that made it would seem to be still under way. */
static struct fork_mark mark_here(void)
{
	if (process_is_new())
		process_enter();
	return fork_mark();
}

int wrap_socket(int domain, int type, int protocol)
{
	struct fork_mark mark = mark_here();
	int fd = libc.socket(domain, type, protocol);

	if (fd >= 0 && is_inet(domain) && (type & 0xf) == SOCK_STREAM &&
	    (protocol == 0 || protocol == IPPROTO_TCP) && process_start()) {
		slot_fill(fd, SLOT_SOCKET, 0, NULL, false);
		if (share_copied_since(fd, mark))
			slot_set_flag(fd, SLOT_SHARED);
	}
	return fd;
}

int wrap_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int saved = errno, result;
	bool late = false;

	if (!is_inet_address(addr, len) || !adopt(fd))
		return libc.bind(fd, addr, len);
	channel_open();
	late = apply_bind(fd, addr, len);
	errno = saved;
	result = libc.bind(fd, addr, len);
	if (result == 0)
		slot_set_flag(fd, SLOT_BOUND | (late ? SLOT_BIND_LATE : 0));
	return result;
}

int wrap_listen(int fd, int backlog)
{
	struct slot_info info = {0};
	int saved = errno, result;

	if (!adopt(fd))
		return libc.listen(fd, backlog);
	channel_open();
	sock_local(fd, &info.local);
	errno = saved;
	result = libc.listen(fd, apply_listen(&info.local, backlog));
	if (result == 0) {
		sock_local(fd, &info.local); /* listen() binds what was not bound */
		set_kind(fd, SLOT_LISTENER, &info);
	}
	return result;
}

/* connect() to AF_UNSPEC dissolves the connection, with an RST, or the listener, and the socket may
 * be connected anew: elsewhere, and still with its cookie. */
static int disconnect(const struct libc_calls *next, int fd, const struct sockaddr *addr,
		      socklen_t len)
{
	const uint32_t gone = SLOT_KIND | SLOT_SERVER | SLOT_DEFERRED | SLOT_SHUT_FIRST |
			      SLOT_SHUT_LATER | ~0U << SLOT_SHUT_WHY;
	uint32_t word = slot_word(fd);
	int result;

	if (!word || (word & SLOT_KIND) == SLOT_CHANNEL || !process_enter())
		return next->connect(fd, addr, len);
	result = steer_disconnect(next, fd, addr, len);
	if (result == 0)
		slot_fill(fd, (slot_word(fd) & ~gone) | SLOT_SOCKET, 0, NULL, true);
	return result;
}

/* Will connect() try to connect it, or only tell how an earlier attempt fares? After one that
 * failed it tries again (Linux), elsewhere it may be. */
static bool connects_now(int fd, uint32_t word)
{
	uint32_t kind = word & SLOT_KIND;

	return kind == SLOT_SOCKET || (kind == SLOT_CONN && sock_state(fd) == STATE_CLOSE);
}

int connect_by(const struct libc_calls *next, int fd, const struct sockaddr *addr, socklen_t len)
{
	const uint32_t kept = SLOT_APP_LINGER | SLOT_BOUND | SLOT_EPOLL_LOST | SLOT_SHARED |
			      SLOT_ULP | SLOT_LOWAT | SLOT_QUIET;
	struct fork_mark mark;
	struct endpoint remote;
	int saved = errno, result;
	uint32_t word;

	if (is_unspec(addr, len))
		return disconnect(next, fd, addr, len);
	if (!is_inet_address(addr, len) || !connects_now(fd, adopt(fd)))
		return next->connect(fd, addr, len);
	channel_open();
	word = slot_word(fd);
	remote = endpoint_from_sockaddr(addr, len);
	mark = fork_mark();
	errno = saved;
	result = apply_connect(next, fd, addr, len, word & SLOT_BOUND);
	/* Interrupted, it goes on by itself as if it had not been to wait. */
	if (result == 0 || errno == EINPROGRESS || errno == EINTR) {
		saved = errno;
		steer_opened(fd, slot_word(fd) & kept,
			     result == 0 ? STATE_ESTABLISHED : STATE_SYN_SENT, NULL, &remote, mark);
		errno = saved;
	}
	return result;
}

int wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect_by(&libc, fd, addr, len);
}

/* Where did it come from? The address that accept() brought, else the kernel's answer. */
static struct endpoint accepted_from(int fd, const struct sockaddr_storage *addr, socklen_t len)
{
	struct endpoint remote = endpoint_from_sockaddr((const struct sockaddr *)addr, len);
	struct sockaddr_storage asked;
	socklen_t asked_len = sizeof(asked);

	if (!remote.family && raw(SYS_getpeername, fd, &asked, &asked_len) == 0)
		remote = endpoint_from_sockaddr((struct sockaddr *)&asked, asked_len);
	return remote;
}

static void accepted(int listener, int fd, const struct sockaddr_storage *addr, socklen_t len,
		     struct fork_mark mark)
{
	struct endpoint remote = accepted_from(fd, addr, len);
	struct slot *slot = slot_at(listener);
	struct slot_info info;
	bool wildcard;

	if (!remote.family || !slot)
		return;
	slot_load_info(slot, &info);
	wildcard = !info.local.family || endpoint_is_any(&info.local);
	steer_opened(fd, SLOT_SERVER | (slot_word(listener) & (SLOT_APP_LINGER | SLOT_LOWAT)),
		     STATE_ESTABLISHED, wildcard ? NULL : &info.local, &remote, mark);
}

/* A listener is tracked since listen(), or adopted here at its first connection. */
static bool is_listener(int fd, const struct sockaddr_storage *addr, socklen_t len)
{
	struct slot_info info = {0};

	if (slot_kind(fd) == SLOT_LISTENER)
		return process_enter();
	if (slot_word(fd) || len < sizeof(sa_family_t) || !is_inet(addr->ss_family) || !adopt(fd))
		return false;
	sock_local(fd, &info.local);
	set_kind(fd, SLOT_LISTENER, &info);
	channel_open();
	return true;
}

/* The program's buffer if it gave one, else ours: accept() can bring the address along. */
#define ACCEPT(call)                                                                        \
	struct sockaddr_storage own, *from = addr ? (struct sockaddr_storage *)addr : &own; \
	socklen_t own_len = sizeof(own), given = sizeof(own);                               \
	struct fork_mark mark = mark_here();                                                \
	int saved = errno, result;                                                          \
                                                                                            \
	if (process_is_inert() || (addr && !user_readable(len, sizeof(*len)))) {            \
		errno = saved;                                                              \
		return call;                                                                \
	}                                                                                   \
	if (addr) {                                                                         \
		given = *len;                                                               \
	} else {                                                                            \
		addr = (struct sockaddr *)&own;                                             \
		len = &own_len;                                                             \
	}                                                                                   \
	result = call;                                                                      \
	if (result >= 0) {                                                                  \
		socklen_t got = *len < given ? *len : given;                                \
                                                                                            \
		if (is_listener(fd, from, got))                                             \
			accepted(fd, result, from, got, mark);                              \
		errno = saved;                                                              \
	}                                                                                   \
	return result

int accept_by(const struct libc_calls *next, int fd, struct sockaddr *addr, socklen_t *len)
{
	ACCEPT(next->accept(fd, addr, len));
}

int accept4_by(const struct libc_calls *next, int fd, struct sockaddr *addr, socklen_t *len,
	       int flags)
{
	ACCEPT(next->accept4(fd, addr, len, flags));
}

int wrap_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return accept_by(&libc, fd, addr, len);
}

int wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return accept4_by(&libc, fd, addr, len, flags);
}

int wrap_shutdown(int fd, int how)
{
	if (slot_kind(fd) != SLOT_CONN)
		return libc.shutdown(fd, how);
	return steer_shutdown(fd, how);
}

int wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int result = libc.setsockopt(fd, level, name, value, len);

	if (level == IPPROTO_TCP && (name == TCP_ULP || name == TCP_REPAIR) && result == 0)
		slot_set_flag(fd, SLOT_ULP);
	if (level == SOL_SOCKET && name == SO_RCVLOWAT && result == 0)
		slot_set_flag(fd, SLOT_LOWAT);
	if (level == SOL_SOCKET && name == SO_LINGER && result == 0 && slot_word(fd)) {
		const struct linger *linger = value;

		if (linger->l_onoff)
			slot_set_flag(fd, SLOT_APP_LINGER);
		else
			slot_clear_flag(fd, SLOT_APP_LINGER);
	}
	return result;
}

/* A late bind has no port yet; who asks for it gets a real one (Linux binds again while none is
 * chosen). */
static void bind_for_real(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int off = 0;

	slot_clear_flag(fd, SLOT_BIND_LATE);
	if (slot_kind(fd) != SLOT_SOCKET || raw(SYS_getsockname, fd, &addr, &len) != 0 ||
	    endpoint_from_sockaddr((struct sockaddr *)&addr, len).port != 0)
		return;
	raw(SYS_setsockopt, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &off, sizeof(off));
	raw(SYS_bind, fd, &addr, len);
}

int wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	if (slot_word(fd) & SLOT_BIND_LATE && process_enter())
		bind_for_real(fd);
	return libc.getsockname(fd, addr, len);
}

int wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	struct sets_note note;
	int result;

	if (!slot_word(fd))
		return libc.epoll_ctl(epfd, op, fd, event);
	if (op != EPOLL_CTL_ADD) {
		result = libc.epoll_ctl(epfd, op, fd, event);
		if (op == EPOLL_CTL_DEL && result == 0)
			sets_removed(epfd, fd);
		return result;
	}
	note = sets_adding(epfd, fd);
	result = libc.epoll_ctl(epfd, op, fd, event);
	if (result != 0)
		sets_not_added(epfd, fd, note);
	return result;
}
