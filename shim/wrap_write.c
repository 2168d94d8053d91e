/* SPDX-License-Identifier: MIT */
/* Wrappers: what sends. A deferred shutdown has sent no FIN yet, but the program has said that it
 * would send no more: if it does, it gets what it would have got, EPIPE and SIGPIPE. While nothing
 * was ever deferred, that costs a load. */
#include "shim/libc.h"

#include "shim/raw.h"
#include "shim/steer.h"
#include "shim/wrap.h"

#include <errno.h>
#include <signal.h>

/* As tcp_sendmsg() does (net/ipv4/tcp.c, sk_stream_error()). */
static __attribute__((noinline)) bool refuse(int fd, int flags)
{
	if (!steer_is_shut(fd))
		return false;
	if (!(flags & MSG_NOSIGNAL))
		raw(SYS_tgkill, raw(SYS_getpid), raw(SYS_gettid), SIGPIPE);
	errno = EPIPE;
	return true;
}

bool write_refused(int fd, int flags)
{
	return __builtin_expect(atomic_load_explicit(&steer_defers, memory_order_relaxed), false) &&
	       refuse(fd, flags);
}

ssize_t wrap_write(int fd, const void *data, size_t len)
{
	return write_refused(fd, 0) ? -1 : libc.write(fd, data, len);
}

ssize_t wrap_writev(int fd, const struct iovec *parts, int count)
{
	return write_refused(fd, 0) ? -1 : libc.writev(fd, parts, count);
}

ssize_t wrap_send(int fd, const void *data, size_t len, int flags)
{
	return write_refused(fd, flags) ? -1 : libc.send(fd, data, len, flags);
}

ssize_t wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
		    socklen_t to_len)
{
	return write_refused(fd, flags) ? -1 : libc.sendto(fd, data, len, flags, to, to_len);
}

ssize_t wrap_sendfile(int fd, int from, off_t *offset, size_t count)
{
	return write_refused(fd, 0) ? -1 : libc.sendfile(fd, from, offset, count);
}

ssize_t wrap_sendfile64(int fd, int from, off64_t *offset, size_t count)
{
	return write_refused(fd, 0) ? -1 : libc.sendfile64(fd, from, offset, count);
}

ssize_t wrap_splice(int from, off64_t *from_at, int fd, off64_t *at, size_t len, unsigned int flags)
{
	return write_refused(fd, 0) ? -1 : libc.splice(from, from_at, fd, at, len, flags);
}
