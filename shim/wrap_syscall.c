/* SPDX-License-Identifier: MIT */
/* Wrappers: syscall(), by which libuv closes, and prctl(), by which a filter is installed. */
#include "shim/libc.h"

#include "shim/process.h"
#include "shim/wrap.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* After a strict filter any system call of ours could be the last: OpenSSH's kills on getsockopt.
 */
int wrap_prctl(int option, ...)
{
	long a[4];
	va_list ap;

	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (option == PR_SET_SECCOMP && (a[0] != SECCOMP_MODE_FILTER || a[1]))
		process_inert(); /* without a filter it only asks whether there could be one */
	return libc.prctl(option, a[0], a[1], a[2], a[3]);
}

/* libc's functions that may block are cancellation points, syscall() is none, and libuv relies on
 * it: their wrappers go on by number here. */
long wrap_syscall(long number, ...)
{
	const struct libc_calls *next = &libc_by_number;
	long a[6];
	va_list ap;
	int fd;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	fd = (int)a[0];
	switch (number) {
	case SYS_close:
		return close_by(next, fd);
	case SYS_connect:
		return connect_by(next, fd, (const struct sockaddr *)a[1], (socklen_t)a[2]);
	case SYS_accept:
		return accept_by(next, fd, (struct sockaddr *)a[1], (socklen_t *)a[2]);
	case SYS_accept4:
		return accept4_by(next, fd, (struct sockaddr *)a[1], (socklen_t *)a[2], (int)a[3]);
	case SYS_sendmsg:
		return sendmsg_by(next, fd, (const struct msghdr *)a[1], (int)a[2]);
	case SYS_recvmsg:
		return recvmsg_by(next, fd, (struct msghdr *)a[1], (int)a[2]);
	case SYS_sendmmsg:
		return sendmmsg_by(next, fd, (struct mmsghdr *)a[1], (unsigned int)a[2], (int)a[3]);
	case SYS_recvmmsg:
		return recvmmsg_by(next, fd, (struct mmsghdr *)a[1], (unsigned int)a[2], (int)a[3],
				   (struct timespec *)a[4]);
	case SYS_write:
	case SYS_writev:
	case SYS_sendfile:
		if (write_refused(fd, 0))
			return -1;
		break;
	case SYS_sendto:
		if (write_refused(fd, (int)a[3]))
			return -1;
		break;
	case SYS_splice:
		if (write_refused((int)a[2], 0))
			return -1;
		break;
	case SYS_socket:
		return wrap_socket((int)a[0], (int)a[1], (int)a[2]);
	case SYS_setsockopt:
		return wrap_setsockopt(fd, (int)a[1], (int)a[2], (const void *)a[3],
				       (socklen_t)a[4]);
	case SYS_fcntl: /* the others may be cancellation points */
		if (a[1] == F_DUPFD || a[1] == F_DUPFD_CLOEXEC)
			return wrap_fcntl(fd, (int)a[1], a[2]);
		break;
	case SYS_close_range:
		return wrap_close_range((unsigned int)a[0], (unsigned int)a[1], (int)a[2]);
	case SYS_shutdown:
		return wrap_shutdown(fd, (int)a[1]);
	case SYS_epoll_ctl:
		return wrap_epoll_ctl((int)a[0], (int)a[1], (int)a[2], (struct epoll_event *)a[3]);
	case SYS_dup:
		return wrap_dup(fd);
#ifdef SYS_dup2
	case SYS_dup2:
		return wrap_dup2(fd, (int)a[1]);
#endif
	case SYS_dup3:
		return wrap_dup3(fd, (int)a[1], (int)a[2]);
#ifdef SYS_fork
	case SYS_fork:
		return wrap_fork_by_number(number, a);
#endif
	case SYS_clone: /* what wrap_vfork.c has left: a fork */
	case SYS_clone3:
		return wrap_fork_by_number(number, a);
	case SYS_unshare:
		return wrap_unshare((int)a[0]);
	case SYS_seccomp:
		if (a[0] == SECCOMP_SET_MODE_STRICT || (a[0] == SECCOMP_SET_MODE_FILTER && a[2]))
			process_inert();
		break;
	default:
		break;
	}
	return libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
