/* SPDX-License-Identifier: MIT */
/* Wrappers: everything that closes, replaces or duplicates a descriptor. */
#include "shim/libc.h"

#include "shim/channel.h"
#include "shim/process.h"
#include "shim/share.h"
#include "shim/slots.h"
#include "shim/steer.h"
#include "shim/wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdarg.h>

#pragma weak pthread_testcancel /* libpthread's before glibc 2.34 */

/* Not what has taken our number by a raw system call. A vfork child may do with its copy as it
 * likes: it says nothing of its parent's, and exec closes it. */
static bool is_channel(int fd)
{
	return slot_kind(fd) == SLOT_CHANNEL && process_enter() && channel_guard() == fd;
}

/* The program never opened our channel. */
static int no_descriptor(void)
{
	errno = EBADF;
	return -1;
}

/* Kept out of close(), whose way for all other descriptors is to be short. A thread that is to be
 * cancelled ends before it has done anything, as in libc's close(), and else when all is done. */
static __attribute__((noinline)) int close_tracked(const struct libc_calls *next, int fd)
{
	int result, cancel;

	if (next == &libc && pthread_testcancel)
		pthread_testcancel();
	if (is_channel(fd)) {
		channel_refused();
		return no_descriptor();
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	steer_closing(fd);
	result = next->close(fd);
	steer_closed();
	pthread_setcancelstate(cancel, NULL);
	return result;
}

int close_by(const struct libc_calls *next, int fd)
{
	if (__builtin_expect(slot_word(fd) != 0, 0))
		return close_tracked(next, fd);
	return next->close(fd);
}

int wrap_close(int fd)
{
	return close_by(&libc, fd);
}

/* Around our channel, if it lies within. */
static int close_range_around(unsigned int first, unsigned int last, int flags, unsigned int skip)
{
	int result = 0;

	if (skip > first)
		result = libc.close_range(first, skip - 1, flags);
	if (result == 0 && skip < last)
		result = libc.close_range(skip + 1, last, flags);
	return result;
}

static int close_range_plain(unsigned int first, unsigned int last, int flags)
{
	int channel = channel_guard();

	if (channel < 0 || (unsigned int)channel < first || (unsigned int)channel > last)
		return libc.close_range(first, last, flags);
	return close_range_around(first, last, flags, (unsigned int)channel);
}

/* CLOSE_RANGE_UNSHARE closes copies of this thread's own, and the others' remain: that is no close
 * of a connection, and what it leaves open has one more holder. */
int wrap_close_range(unsigned int first, unsigned int last, int flags)
{
	bool unshares = flags & CLOSE_RANGE_UNSHARE;
	int result;

	if (unshares && !process_is_on())
		share_unshares();
	if (first > last || !process_enter())
		return libc.close_range(first, last, flags);
	unshares = unshares && share_begin_unshare();
	if (flags & CLOSE_RANGE_CLOEXEC) {
		result = libc.close_range(first, last, flags);
	} else {
		if (!unshares && (flags & ~CLOSE_RANGE_UNSHARE) == 0)
			steer_closing_range(first, last);
		result = close_range_plain(first, last, flags);
		steer_closed();
	}
	if (unshares)
		fork_end(FORK_COPY);
	return result;
}

void wrap_closefrom(int first)
{
	unsigned int from = first < 0 ? 0 : (unsigned int)first;
	int saved = errno, channel;

	if (!process_enter()) {
		libc.closefrom(first);
		return;
	}
	steer_closing_range(from, ~0U);
	channel = channel_guard();
	if (channel > (int)from && libc.close_range(from, (unsigned int)channel - 1, 0) != 0)
		for (int fd = (int)from; fd < channel; fd++)
			libc.close(fd);
	libc.closefrom(channel >= (int)from ? channel + 1 : (int)from);
	steer_closed();
	errno = saved;
}

/* What stdio holds back belongs to the connection: out with it before the connection goes. */
static void stream_closing(FILE *file)
{
	int saved = errno, fd = file ? fileno(file) : -1;

	if (fd >= 0 && slot_word(fd) && !is_channel(fd)) {
		fflush(file);
		steer_closing(fd);
	}
	errno = saved;
}

int wrap_fclose(FILE *file)
{
	int result;

	stream_closing(file);
	result = libc.fclose(file);
	steer_closed();
	return result;
}

/* glibc's fcloseall() flushes all streams and closes no descriptor; nothing to steer. */
int wrap_fcloseall(void)
{
	return libc.fcloseall();
}

#define REOPEN(call)          \
	FILE *result;         \
                              \
	stream_closing(file); \
	result = call;        \
	steer_closed();       \
	return result

FILE *wrap_freopen(const char *path, const char *mode, FILE *file)
{
	REOPEN(libc.freopen(path, mode, file));
}

FILE *wrap_freopen64(const char *path, const char *mode, FILE *file)
{
	REOPEN(libc.freopen64(path, mode, file));
}

static int duplicated(int from, int made, struct fork_mark mark)
{
	share_duplicated(from, made, mark);
	return made;
}

int wrap_dup(int fd)
{
	struct fork_mark mark;

	if (!slot_word(fd))
		return libc.dup(fd);
	if (is_channel(fd))
		return no_descriptor();
	mark = share_duplicating(fd);
	return duplicated(fd, libc.dup(fd), mark);
}

/* dup2(from, to) closes `to`: a close like any other, if it will succeed. */
static void replacing(int from, int to)
{
	int saved = errno;

	if (slot_word(to) && from != to && process_enter() && libc.fcntl(from, F_GETFD) >= 0) {
		if (is_channel(to))
			channel_relocate();
		else
			steer_closing(to);
	}
	errno = saved;
}

/* In a vfork child nothing of ours may change but what is shared: the copy outlives the exec. */
static void copied_in_vfork(int from)
{
	if (slot_kind(from) == SLOT_CONN && process_is_on() && !process_enter())
		share_pin(from);
}

#define DUP_OVER(call)                               \
	struct fork_mark mark;                       \
	int made;                                    \
                                                     \
	if (!slot_word(from) && !slot_word(to))      \
		return call;                         \
	if (is_channel(from))                        \
		return no_descriptor();              \
	copied_in_vfork(from);                       \
	replacing(from, to);                         \
	if (!slot_word(from) || from == to) {        \
		made = call;                         \
	} else {                                     \
		mark = share_duplicating(from);      \
		made = duplicated(from, call, mark); \
	}                                            \
	steer_closed();                              \
	return made

int wrap_dup2(int from, int to)
{
	DUP_OVER(libc.dup2(from, to));
}

int wrap_dup3(int from, int to, int flags)
{
	if (flags & ~O_CLOEXEC)
		return libc.dup3(from, to, flags); /* EINVAL, and `to` stays open */
	DUP_OVER(libc.dup3(from, to, flags));
}

/* F_DUPFD gives the lowest free number from `arg` on: that may be ours, and then it is the
 * program's. */
static int duplicate_from(int (*real)(int, int, ...), int fd, int command, long arg)
{
	int made = real(fd, command, arg), saved = errno;

	if (made < 0 || !process_enter() || !channel_within(arg, made))
		return made;
	channel_relocate();
	libc.close(made);
	made = real(fd, command, arg);
	if (made >= 0)
		errno = saved;
	return made;
}

static int fcntl_any(int (*real)(int, int, ...), int fd, int command, long arg)
{
	bool copies = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
	struct fork_mark mark;

	if (is_channel(fd))
		return no_descriptor();
	if (!copies)
		return real(fd, command, arg);
	if (!slot_word(fd))
		return duplicate_from(real, fd, command, arg);
	mark = share_duplicating(fd);
	return duplicated(fd, duplicate_from(real, fd, command, arg), mark);
}

#define FCNTL(name)             \
	va_list ap;             \
	long arg;               \
                                \
	va_start(ap, command);  \
	arg = va_arg(ap, long); \
	va_end(ap);             \
	return fcntl_any(libc.name, fd, command, arg)

int wrap_fcntl(int fd, int command, ...)
{
	FCNTL(fcntl);
}

int wrap_fcntl64(int fd, int command, ...)
{
	FCNTL(fcntl64);
}
