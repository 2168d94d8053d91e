/* SPDX-License-Identifier: MIT */
#include "shim/session.h"

#include "shim/clock.h"
#include "shim/raw.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* So many records are not worth a page. */
enum { TERSE = 8 };

static _Atomic(struct session_page *) session;
/* Where its page is, and every later one's will be: while a thread uses it a page can't be
 * unmapped, but it can be replaced. */
static struct session_page *session_place;
static _Atomic bool has_ring; /* false: the page is of an earlier version's daemon */
static _Atomic int32_t credits_start = WIRE_CREDITS_START;
static _Atomic uint32_t lost_early; /* records, before there was a page to count them in */
static _Atomic uint32_t said;	    /* records by the socket */
static _Atomic uint64_t asked_ms;   /* for the welcome of one that is not terse */

bool session_has_page(void)
{
	return atomic_load(&session) != NULL;
}

bool session_is_terse(void)
{
	uint64_t now;

	if (atomic_fetch_add_explicit(&said, 1, memory_order_relaxed) < TERSE)
		return true;
	/* A daemon that stands still is not asked at each record. */
	now = clock_now_ms();
	return atomic_exchange_explicit(&asked_ms, now, memory_order_relaxed) == now;
}

/* --- the page --------------------------------------------------------------------------------- */

/* A thread may be just writing to the ring of the session before: where this one has none, that
 * part stays as it is, for touching a file beyond its end would kill the program. */
static size_t size_to_map(bool ring)
{
	return ring || !session_place ? sizeof(struct session_page) : SESSION_PAGE_MIN;
}

/* Mapped elsewhere and found good first, for what fails half-way must not leave a hole. A thread
 * that still takes a credit of the session before takes one of this. */
static struct session_page *place_session(struct session_page *page, size_t size)
{
	if (session_place &&
	    raw(SYS_mremap, page, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, session_place) > 0)
		return session_place;
	if (size < sizeof(*page)) {
		raw(SYS_munmap, page, size);
		return NULL;
	}
	session_place = page;
	return page;
}

static void use_page(int memfd)
{
	struct session_page *page;
	struct stat st;
	size_t size;
	bool ring;
	long map;

	if (raw(SYS_fstat, memfd, &st) != 0 || st.st_size < SESSION_PAGE_MIN)
		return;
	ring = st.st_size >= (off_t)sizeof(*page);
	size = size_to_map(ring);
	map = raw(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (map < 0 && map > -4096)
		return;
	page = place_session((struct session_page *)map, size);
	if (!page)
		return;
	atomic_fetch_add(&page->lost, atomic_exchange(&lost_early, 0));
	atomic_store(&has_ring, ring);
	atomic_store(&session, page);
}

bool session_take_welcome(int fd)
{
	struct wire_welcome welcome;
	struct iovec iov = {&welcome, sizeof(welcome)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg;
	int memfd;
	long len = raw(SYS_recvmsg, fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	cmsg = len > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS || cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
		return len != 0;
	memcpy(&memfd, CMSG_DATA(cmsg), sizeof(memfd));
	if (len == sizeof(welcome) && welcome.magic == WIRE_MAGIC &&
	    welcome.version == WIRE_VERSION)
		use_page(memfd);
	raw(SYS_close, memfd);
	return true;
}

void session_forget(void)
{
	atomic_store(&session, NULL);
	atomic_store(&has_ring, false);
	atomic_store(&credits_start, WIRE_CREDITS_START);
	atomic_store(&said, 0);
}

void session_forget_parents(void)
{
	session_forget();
	if (session_place)
		raw(SYS_munmap, session_place, sizeof(*session_place));
	session_place = NULL;
	atomic_store(&lost_early, 0);
}

/* --- records ---------------------------------------------------------------------------------- */

enum session_put session_put(const struct wire_record *record)
{
	struct session_page *page = atomic_load(&session);

	if (!page || !atomic_load(&has_ring))
		return SESSION_NO_RING;
	switch (ring_put(&page->ring, record)) {
	case RING_PUT:
		return SESSION_PUT;
	case RING_PUT_CALL:
		return SESSION_PUT_CALL;
	default:
		return SESSION_FULL;
	}
}

uint32_t session_ring_head(void)
{
	struct session_page *page = atomic_load(&session);

	return page && atomic_load(&has_ring) ? ring_head(&page->ring) : 0;
}

void session_note_lost(void)
{
	struct session_page *page = atomic_load(&session);

	atomic_fetch_add(page ? &page->lost : &lost_early, 1);
}

bool session_lost_early(void)
{
	return atomic_load(&lost_early) && !session_has_page();
}

/* --- credits ---------------------------------------------------------------------------------- */

static _Atomic int32_t *credits(void)
{
	struct session_page *page = atomic_load(&session);

	return page ? &page->credits : &credits_start;
}

bool session_credit_left(void)
{
	return atomic_load(credits()) > 0;
}

bool session_credit_take(void)
{
	_Atomic int32_t *left = credits();

	if (atomic_fetch_sub(left, 1) > 0)
		return true;
	atomic_fetch_add(left, 1);
	return false;
}

void session_credit_give_back(void)
{
	atomic_fetch_add(credits(), 1);
}
