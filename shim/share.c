/* SPDX-License-Identifier: MIT */
#include "shim/share.h"

#include "shim/channel.h"
#include "shim/holders.h"
#include "shim/process.h"
#include "shim/publish.h"
#include "shim/raw.h"
#include "shim/slots.h"
#include "shim/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

/* A fork child tells the daemon of so many inherited connections at once. */
enum { TELL_AT_ONCE = 8 };

static uint64_t tracked_cookie(int fd)
{
	struct slot *slot = slot_at(fd);

	return slot && slot_kind(fd) == SLOT_CONN ? atomic_load(&slot->cookie) : 0;
}

/* A socket that is not connected yet is not counted: it is only known to be shared. */
struct fork_mark share_duplicating(int from)
{
	struct fork_mark mark = fork_mark();
	uint64_t cookie = tracked_cookie(from);

	if (process_is_on()) {
		slot_set_flag(from, SLOT_SHARED);
		if (cookie)
			holder_share(cookie);
	}
	return mark;
}

void share_duplicated(int from, int made, struct fork_mark mark)
{
	struct slot *slot = slot_at(from);
	uint64_t cookie = tracked_cookie(from);
	struct slot_info info;
	uint32_t word;
	int saved = errno;

	if (made < 0) {
		if (cookie)
			holder_unshare(cookie);
	} else if (slot && process_enter() && made != from) {
		word = slot_word(from) & ~(uint32_t)SLOT_EPOLL_LOST;
		slot_load_info(slot, &info);
		if (word)
			slot_fill(made, word, atomic_load(&slot->cookie), &info, false);
		if (cookie && share_copied_since(made, mark))
			holder_pin(cookie); /* the fork may have copied it before we filed it */
	}
	errno = saved;
}

void share_passing(int fd)
{
	share_duplicating(fd);
}

void share_not_passed(int fd)
{
	uint64_t cookie = tracked_cookie(fd);

	if (cookie)
		holder_unshare(cookie);
}

/* The reference in flight was counted by the sender, if it is of our family; one that was peeked
 * at is a further one. */
void share_received(int fd, bool peeked, struct fork_mark mark)
{
	struct policy_terms terms;
	struct slot_info info;
	uint64_t cookie;
	uint32_t word = SLOT_CONN | SLOT_SHARED;
	int saved = errno;
	bool server;

	if (!process_enter() || slot_word(fd))
		goto out;
	cookie = sock_cookie(fd);
	if (!cookie || !holder_known(cookie, &server) || !sock_remote(fd, &info.remote) ||
	    !sock_local(fd, &info.local))
		goto out;
	if (peeked)
		holder_share(cookie);
	word |= sock_options(fd);
	if (server)
		word |= SLOT_SERVER;
	slot_fill(fd, word, cookie, &info, false);
	if (share_copied_since(fd, mark))
		holder_pin(cookie);
	publish_open(fd, word, cookie, 0, &info, &terms);
out:
	errno = saved;
}

static bool is_close_on_exec(int fd)
{
	long flags = raw(SYS_fcntl, fd, F_GETFD);

	return flags >= 0 && flags & FD_CLOEXEC;
}

bool share_copied_since(int fd, struct fork_mark mark)
{
	return fork_mark_passed(mark, FORK_COPY) ||
	       (fork_mark_passed(mark, FORK_EXEC) && !is_close_on_exec(fd));
}

void share_pin(int fd)
{
	uint64_t cookie = tracked_cookie(fd);

	slot_set_flag(fd, SLOT_SHARED);
	if (cookie)
		holder_pin(cookie);
}

/* cookie: 0 if it is not connected yet. */
static void each_socket(void (*act)(int fd, uint64_t cookie))
{
	int high = slots_high();

	for (int fd = 0; fd < high; fd++) {
		uint32_t kind = slot_kind(fd);

		if (kind == SLOT_CONN || kind == SLOT_SOCKET)
			act(fd, tracked_cookie(fd));
	}
}

static void share_one(int fd, uint64_t cookie)
{
	slot_set_flag(fd, SLOT_SHARED);
	holder_share(cookie);
}

static void unshare_one(int fd, uint64_t cookie)
{
	(void)fd;
	holder_unshare(cookie);
}

static void pin_one(int fd, uint64_t cookie)
{
	slot_set_flag(fd, SLOT_SHARED);
	holder_pin(cookie);
}

static void pin_inherited(int fd, uint64_t cookie)
{
	if (!is_close_on_exec(fd))
		pin_one(fd, cookie);
}

/* The numbers that file actions duplicate, of all that were ever made: what they look like is
 * libc's secret, and what has the number is known at the spawn. The last bit is of all higher ones.
 */
enum { SOURCES = 1024 };
static _Atomic uint64_t sources[SOURCES / 64];

void share_spawn_source(int fd)
{
	unsigned int at = fd < 0 || fd >= SOURCES ? SOURCES - 1 : (unsigned int)fd;

	atomic_fetch_or(&sources[at / 64], (uint64_t)1 << at % 64);
}

static bool is_spawn_source(int fd)
{
	unsigned int at = fd >= SOURCES ? SOURCES - 1 : (unsigned int)fd;

	return atomic_load(&sources[at / 64]) >> at % 64 & 1;
}

static void pin_inherited_or_source(int fd, uint64_t cookie)
{
	if (is_spawn_source(fd) || !is_close_on_exec(fd))
		pin_one(fd, cookie);
}

void share_forking(void)
{
	each_socket(share_one);
}

void share_fork_failed(void)
{
	each_socket(unshare_one);
}

void share_spawning(bool actions)
{
	each_socket(actions ? pin_inherited_or_source : pin_inherited);
}

void share_pin_all(void)
{
	each_socket(pin_one);
}

/* glibc 2.32; true: no thread was ever made by pthread_create(). */
extern char __libc_single_threaded __attribute__((weak));
static _Atomic bool table_shared;

void share_table_shared(void)
{
	atomic_store(&table_shared, true);
}

bool share_unshares(void)
{
	if (&__libc_single_threaded && __libc_single_threaded && !atomic_load(&table_shared))
		return false;
	channel_tables_part();
	return true;
}

bool share_begin_unshare(void)
{
	if (!share_unshares())
		return false;
	fork_begin(FORK_COPY);
	share_pin_all();
	return true;
}

static void leave_alone(int fd, uint64_t cookie)
{
	slot_set_flag(fd, SLOT_SHARED);
	holder_pin(cookie);
	if (cookie)
		slot_clear(fd);
}

void share_uncounted(void)
{
	each_socket(leave_alone);
}

static void mark_inherited(int fd, uint64_t cookie)
{
	slot_clear_flag(fd, SLOT_ADDED_HERE);
	if (cookie)
		slot_set_flag(fd, SLOT_INHERITED);
}

void share_inherited(void)
{
	each_socket(mark_inherited);
}

void share_forked(void)
{
	int high = slots_high(), count = 0;

	fork_announced_here();
	/* While we had it too, the daemon would not see the parent end. */
	if (process_is_new())
		channel_forget();
	for (int fd = 0; fd < high && count <= TELL_AT_ONCE; fd++)
		count += slot_kind(fd) == SLOT_CONN;
	if (count > 0 && count <= TELL_AT_ONCE && process_enter())
		channel_open();
}
