/* SPDX-License-Identifier: MIT */
#include "shim/channel.h"

#include "shim/clock.h"
#include "shim/process.h"
#include "shim/publish.h"
#include "shim/raw.h"
#include "shim/rules.h"
#include "shim/session.h"
#include "shim/slots.h"
#include "shim/sock.h"
#include "shim/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	RETRY_MS = 1000,
	/* Our number: high, so that the program's descriptors are numbered as without us, but low
	 * enough that the kernel's table of descriptors, which a fork copies, does not grow. */
	NUMBER_MAX = 1008,
	/* A burst of connections while the daemon has no processor; the kernel gives less if
	 * wmem_max is less. */
	SEND_BUFFER = 1 << 20,
};

static _Atomic int number = -1;
static _Atomic uint64_t identity; /* SO_COOKIE of the socket: the number alone proves nothing */
static _Atomic bool up;		  /* false: broken, but the number is still ours */
static _Atomic uint64_t instance; /* the daemon's that it leads to; 0: not known yet */
static _Atomic int opening;	  /* the thread that opens it, or 0 */
static _Atomic uint64_t last_try_ms;

/* Threads have tables of their own: our number may mean something else in each of them, so that it
 * is looked at before each use, and what is not ours here may still be ours elsewhere. */
static _Atomic bool several_tables;

void channel_tables_part(void)
{
	atomic_store(&several_tables, true);
}

static int channel_fd(void)
{
	return atomic_load_explicit(&number, memory_order_relaxed);
}

static bool is_ours(int fd)
{
	return fd >= 0 && sock_cookie(fd) == atomic_load(&identity);
}

/* The wrappers guard the number, so only a raw system call can have taken it; asking the kernel
 * once in each tick of the coarse clock (4 ms) is asking before each use of a quiet process, and
 * costs a busy one nothing. */
static bool is_ours_still(int fd)
{
	static _Atomic uint64_t asked_ms;
	uint64_t now = clock_now_ms();

	if (atomic_load_explicit(&asked_ms, memory_order_relaxed) == now &&
	    !atomic_load_explicit(&several_tables, memory_order_relaxed))
		return true;
	if (!is_ours(fd))
		return false;
	atomic_store_explicit(&asked_ms, now, memory_order_relaxed);
	return true;
}

/* Somebody closed or replaced our descriptor behind the wrappers' back: it is theirs now. */
static void lose_number(int fd)
{
	if (atomic_load(&several_tables))
		return;
	atomic_store(&up, false);
	slot_clear(fd);
	atomic_compare_exchange_strong(&number, &fd, -1);
}

/* Not while it is being opened, for then number and identity are not a pair. */
int channel_guard(void)
{
	int fd = channel_fd();

	if (fd < 0 || atomic_load(&opening) || is_ours(fd))
		return fd;
	lose_number(fd);
	return -1;
}

bool channel_within(long first, long last)
{
	int fd = channel_fd();

	return fd >= first && fd <= last && fd >= 0 && channel_guard() == fd;
}

/* Moves fd to a number out of the way. Returns the new number, or fd. */
static int move_high(int fd)
{
	struct rlimit limit;
	long moved;
	int base = NUMBER_MAX;

	if (raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit) == 0 &&
	    limit.rlim_cur <= NUMBER_MAX + 8)
		base = (int)limit.rlim_cur - 8;
	moved = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, base);
	if (moved < 0)
		moved = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
	if (moved < 0)
		return fd;
	raw(SYS_close, fd);
	return (int)moved;
}

static int connect_daemon(void)
{
	static const int size = SEND_BUFFER;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	long fd = raw(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	/* Before it says a word: a program that closes a low number twice must not hit it. */
	fd = move_high((int)fd);
	raw(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	strcpy(addr.sun_path, process_socket());
	if (raw(SYS_connect, fd, &addr, sizeof(addr)) != 0) {
		raw(SYS_close, fd);
		return -1;
	}
	return (int)fd;
}

static bool say_hello(int fd)
{
	/* One thread opens the channel at a time; a signal handler's stack may be small. */
	static struct wire_hello hello;
	struct rlimit limit;

	hello = (struct wire_hello){
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .size = sizeof(hello)};

	if (raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit) == 0)
		hello.nofile = limit.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)limit.rlim_cur;
	strcpy(hello.options, process_options());
	return raw(SYS_sendto, fd, &hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) ==
	       sizeof(hello);
}

/* Puts a new socket at the number we have (other threads may be using it), or at a new one. */
static void settle(int fd)
{
	int at = channel_fd();

	if (is_ours(at)) {
		atomic_store(&identity, sock_cookie(fd));
		raw(SYS_dup3, fd, at, O_CLOEXEC);
		raw(SYS_close, fd);
		return;
	}
	atomic_store(&identity, sock_cookie(fd));
	slot_fill(fd, SLOT_CHANNEL, 0, NULL, false);
	atomic_store(&number, fd);
}

static bool is_due(void)
{
	uint64_t last = atomic_load(&last_try_ms);

	return last == 0 || clock_now_ms() - last >= RETRY_MS;
}

static void try_to_open(void)
{
	int fd = channel_fd();

	if (fd >= 0 && atomic_load(&several_tables) && !is_ours(fd))
		return;
	atomic_store(&last_try_ms, clock_now_ms());
	fd = connect_daemon();
	if (fd < 0)
		return;
	if (!say_hello(fd)) {
		raw(SYS_close, fd);
		return;
	}
	session_forget();
	settle(fd);
	atomic_store(&instance, rules_instance());
	atomic_store(&up, true);
	publish_all();
}

void channel_open(void)
{
	int by = atomic_load(&opening);
	unsigned long signals;

	if (atomic_load(&up) || (!by && !is_due()))
		return;
	signals = raw_block_signals();
	if (by || !atomic_compare_exchange_strong(&opening, &by, turn_self())) {
		raw_restore_signals(signals);
		turn_await(&opening, by, by);
		return;
	}
	if (!atomic_load(&up) && is_due())
		try_to_open();
	atomic_store(&opening, 0);
	turn_done(&opening);
	raw_restore_signals(signals);
}

static void take_welcome(int fd)
{
	if (!session_take_welcome(fd))
		atomic_store(&up, false);
}

/* The number if it is up and still ours, or -1. */
static int usable(void)
{
	int fd = channel_fd();

	if (!atomic_load(&up)) {
		channel_open();
		fd = channel_fd();
		if (!atomic_load(&up))
			return -1;
	}
	if (!is_ours_still(fd)) {
		lose_number(fd);
		return -1;
	}
	return fd;
}

/* A daemon that stands still and cannot be killed keeps its end open, but another has taken its
 * place: what were sent to the old one would wait there. */
static void follow_daemon(uint64_t now)
{
	uint64_t before = 0;

	if (!atomic_load(&up) || atomic_compare_exchange_strong(&instance, &before, now))
		return;
	if (before != now)
		atomic_store(&up, false);
}

bool channel_ready(void)
{
	int fd;

	if (!rules_daemon_alive())
		return false;
	follow_daemon(rules_instance());
	fd = usable();
	if (fd < 0)
		return false;
	if (!session_has_page())
		take_welcome(fd);
	return atomic_load(&up) && session_credit_left();
}

void channel_stamp(struct wire_record *record)
{
	record->magic = WIRE_MAGIC;
	record->version = WIRE_VERSION;
	record->ring_head = session_ring_head();
}

/* A program that hands nothing over and says little has no need of its page until it has something
 * to count in it; and a daemon that is starting may be long in sending it. */
static void want_page(int fd)
{
	if (!session_has_page() && (session_lost_early() || !session_is_terse()))
		take_welcome(fd);
}

/* What nobody is there to hear is not lost: a daemon that comes is told what is open. */
static void note_lost(void)
{
	if (!session_has_page() && !atomic_load(&up))
		return;
	session_note_lost();
	want_page(channel_fd());
}

/* Only a full queue is a passing trouble. */
static void note_error(long error)
{
	if (error != -EAGAIN && error != -EINTR && error != -ETOOMANYREFS && error != -ENOBUFS &&
	    error != -ENOMEM)
		atomic_store(&up, false);
}

static long send_message(int fd, const void *message, size_t size)
{
	return raw(SYS_sendto, fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
}

/* A queue that is full wakes the daemon as well. */
static void call_daemon(void)
{
	static const struct wire_call call = {.magic = WIRE_MAGIC};
	int fd = usable();
	long sent = fd >= 0 ? send_message(fd, &call, sizeof(call)) : 0;

	if (sent < 0)
		note_error(sent);
}

/* No system call, as a rule. False: it is to go by the socket, which also shows whether the daemon
 * is there at all. Of a policy with close-first = self the daemon may be waiting for the record. */
static bool publish_by_ring(const struct wire_record *record)
{
	uint64_t now = rules_instance();

	if (!now || record->close_first == FIRST_SELF)
		return false;
	follow_daemon(now);
	if (!atomic_load(&up))
		return false;
	switch (session_put(record)) {
	case SESSION_NO_RING:
		return false;
	case SESSION_FULL:
		session_note_lost();
		break;
	case SESSION_PUT_CALL:
		call_daemon();
		break;
	default:
		break;
	}
	return true;
}

void channel_publish(const struct wire_record *record)
{
	if (publish_by_ring(record))
		return;
	/* Twice: the first may find that the daemon has been restarted. */
	for (int i = 0; i < 2; i++) {
		int fd = usable();
		long sent;

		if (fd < 0)
			break;
		want_page(fd);
		sent = send_message(fd, record, sizeof(*record));
		if (sent == sizeof(*record))
			return;
		note_error(sent);
		if (atomic_load(&up))
			break;
	}
	note_lost();
}

static bool send_fd(int fd, const struct wire_record *record, int passed)
{
	struct iovec iov = {(void *)record, sizeof(*record)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	long sent;

	if (!session_credit_take())
		return false;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &passed, sizeof(passed));
	sent = raw(SYS_sendmsg, fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent == sizeof(*record))
		return true;
	session_credit_give_back();
	/* A program that closes twice, in two threads or in a signal handler, has closed it
	 * already. */
	if (sent != -EBADF || !is_ours(fd))
		note_error(sent);
	return false;
}

bool channel_send_fd(const struct wire_record *record, int passed)
{
	int fd = usable();

	if (fd >= 0 && send_fd(fd, record, passed))
		return true;
	/* The daemon has been restarted, it may be. */
	if (fd < 0 || atomic_load(&up))
		return false;
	fd = usable();
	return fd >= 0 && send_fd(fd, record, passed);
}

void channel_forget(void)
{
	int fd = channel_fd();

	if (is_ours(fd)) {
		slot_clear(fd);
		raw(SYS_close, fd);
	}
	atomic_store(&number, -1);
	atomic_store(&up, false);
	atomic_store(&opening, 0);
	atomic_store(&last_try_ms, 0);
	session_forget_parents();
}

void channel_refused(void)
{
	static _Atomic uint32_t refusals;
	int fd = channel_fd();

	if (atomic_fetch_add(&refusals, 1) % 2 == 0 || fd < 0)
		return;
	lose_number(fd);
	raw(SYS_close, fd);
	atomic_store(&last_try_ms, 0);
}

void channel_relocate(void)
{
	int fd = channel_fd();
	long moved;

	if (!is_ours(fd))
		return;
	moved = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, fd + 1);
	if (moved < 0)
		moved = raw(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
	if (moved < 0) {
		lose_number(fd);
		raw(SYS_close, fd);
		return;
	}
	slot_fill((int)moved, SLOT_CHANNEL, 0, NULL, false);
	slot_clear(fd);
	atomic_store(&number, (int)moved);
	raw(SYS_close, fd);
}
