/* SPDX-License-Identifier: MIT */
#include "daemon/retire.h"

#include "daemon/kernel.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/user.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

enum {
	TICK_MIN_MS = 5, /* what is due within it goes together */
	TRIES_MAX = 12,	 /* of a live one, with doubling pauses: three minutes */
	RETRY_MS = 50,
	RETRY_MAX_MS = 30000,
	BATCHES_PER_TICK = 8, /* then the loop does other things */
};

struct entry {
	uint64_t due_ms;
	struct retire_item item;
	unsigned int tries;
};

struct retire {
	struct event_base *base;
	struct event timer;
	struct book *book;
	struct kernel *kernel;
	struct entry *heap; /* by due_ms, smallest first */
	unsigned int count, size;
	bool off;
};

static uint64_t now_ms(void)
{
	return wire_now_ms();
}

static void arm(struct retire *retire)
{
	struct timeval tv = {.tv_sec = 0};
	uint64_t now = now_ms(), wait = TICK_MIN_MS;

	if (!retire->count)
		return;
	if (retire->heap[0].due_ms > now + wait)
		wait = retire->heap[0].due_ms - now;
	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000) * 1000;
	event_add(&retire->timer, &tv);
}

static bool reserve(struct retire *retire)
{
	unsigned int size = retire->size ? retire->size * 2 : 256;
	struct entry *heap;

	if (retire->count < retire->size)
		return true;
	if (retire->count >= LIMIT_RETIRES)
		return false;
	heap = reallocarray(retire->heap, size, sizeof(heap[0]));
	if (!heap)
		return false;
	retire->heap = heap;
	retire->size = size;
	return true;
}

static bool push(struct retire *retire, const struct entry *entry)
{
	unsigned int i = retire->count;

	if (!reserve(retire))
		return false;
	retire->count++;
	while (i > 0 && retire->heap[(i - 1) / 2].due_ms > entry->due_ms) {
		retire->heap[i] = retire->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	retire->heap[i] = *entry;
	return true;
}

static struct entry pop(struct retire *retire)
{
	struct entry first = retire->heap[0];
	struct entry last = retire->heap[--retire->count];
	unsigned int i = 0;

	for (;;) {
		unsigned int child = 2 * i + 1;

		if (child >= retire->count)
			break;
		if (child + 1 < retire->count &&
		    retire->heap[child + 1].due_ms < retire->heap[child].due_ms)
			child++;
		if (retire->heap[child].due_ms >= last.due_ms)
			break;
		retire->heap[i] = retire->heap[child];
		i = child;
	}
	if (retire->count)
		retire->heap[i] = last;
	return first;
}

static void book_left(struct retire *retire, const struct retire_item *item)
{
	retire->book->retire_left++;
	BOOK_ADD(retire->book, item->account, time_wait_left, 1);
	if (item->booked)
		BOOK_ADD(retire->book, item->account, time_wait_avoided, (uint64_t)-1);
}

/* No more is to be done for it. */
static void done_with(const struct retire_item *item)
{
	user_give_back(item->user, USER_RETIRES);
}

static void book_avoided(struct retire *retire, const struct retire_item *item)
{
	if (!item->booked)
		BOOK_ADD(retire->book, item->account, time_wait_avoided, 1);
}

static void again(struct retire *retire, struct entry *entry)
{
	uint64_t pause = (uint64_t)RETRY_MS << entry->tries;

	/* A live one that was booked as avoided is being finished by the kernel: it leaves
	 * nothing, unless the peer's FIN crosses ours. */
	if (++entry->tries > TRIES_MAX) {
		if (!entry->item.booked)
			book_left(retire, &entry->item);
		done_with(&entry->item);
		return;
	}
	entry->due_ms = now_ms() + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
	if (push(retire, entry))
		return;
	book_left(retire, &entry->item);
	done_with(&entry->item);
}

static void destroy(struct retire *retire, struct entry *entries, struct kernel_query *queries,
		    unsigned int count)
{
	if (!count)
		return;
	kernel_destroy(retire->kernel, queries, count);
	for (unsigned int i = 0; i < count; i++) {
		switch (queries[i].error) {
		case 0:
			retire->book->retired++;
			/* fallthrough */
		case ENOENT:
			book_avoided(retire, &entries[i].item);
			done_with(&entries[i].item);
			break;
		case EAGAIN:
			again(retire, &entries[i]);
			break;
		default: /* EPERM, or a kernel without it */
			book_left(retire, &entries[i].item);
			done_with(&entries[i].item);
		}
	}
}

/* Keeps in front of both arrays what is to be destroyed, and sees to the rest. */
static unsigned int sort_out(struct retire *retire, struct entry *entries,
			     struct kernel_query *queries, unsigned int count)
{
	unsigned int waiting = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (queries[i].error == 0 && queries[i].state == STATE_TIME_WAIT) {
			entries[waiting] = entries[i];
			queries[waiting++] = queries[i];
		} else if (queries[i].error == 0 || queries[i].error == EAGAIN) {
			again(retire, &entries[i]);
		} else if (queries[i].error == ENOENT) {
			book_avoided(retire, &entries[i].item);
			done_with(&entries[i].item);
		} else {
			log_limited(LOG_WARNING, "sock_diag: %s", strerror(queries[i].error));
			book_left(retire, &entries[i].item);
			done_with(&entries[i].item);
		}
	}
	return waiting;
}

static void run_batch(struct retire *retire, uint64_t until_ms)
{
	struct entry entries[KERNEL_BATCH];
	struct kernel_query queries[KERNEL_BATCH];
	unsigned int count = 0;

	while (count < KERNEL_BATCH && retire->count && retire->heap[0].due_ms <= until_ms) {
		entries[count] = pop(retire);
		queries[count] = (struct kernel_query){
			.local = entries[count].item.local,
			.remote = entries[count].item.remote,
			.cookie = entries[count].item.cookie,
		};
		count++;
	}
	if (!count)
		return;
	kernel_lookup(retire->kernel, queries, count);
	count = sort_out(retire, entries, queries, count);
	destroy(retire, entries, queries, count);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct retire *retire = arg;
	uint64_t until = now_ms() + TICK_MIN_MS;

	(void)fd;
	(void)what;
	for (int i = 0; i < BATCHES_PER_TICK; i++)
		run_batch(retire, until);
	arm(retire);
}

struct retire *retire_new(struct event_base *base, struct book *book, struct kernel *kernel)
{
	struct retire *retire = calloc(1, sizeof(*retire));

	if (!retire)
		return NULL;
	retire->base = base;
	retire->book = book;
	retire->kernel = kernel;
	evtimer_assign(&retire->timer, base, on_timer, retire);
	return retire;
}

void retire_free(struct retire *retire)
{
	if (!retire)
		return;
	event_del(&retire->timer);
	free(retire->heap);
	free(retire);
}

static bool is_full(const struct retire_item *item)
{
	if (!user_is_full(item->user, USER_RETIRES))
		return false;
	user_blame(item->user, FAULT_RETIRES, NULL,
		   "limit reached: %u TIME_WAITs to be ended; what is over it stays",
		   LIMIT_RETIRES / LIMIT_RETIRES_PART);
	return true;
}

void retire_add(struct retire *retire, const struct retire_item *item, uint32_t after_ms)
{
	struct entry entry = {.due_ms = now_ms() + after_ms, .item = *item};
	bool earliest = !retire->count || entry.due_ms < retire->heap[0].due_ms;

	if (retire->off || item->local.family == 0 || item->remote.family == 0 || is_full(item) ||
	    !push(retire, &entry)) {
		book_left(retire, item);
		return;
	}
	user_take(item->user, USER_RETIRES);
	if (earliest)
		arm(retire);
}

void retire_switch(struct retire *retire, bool on)
{
	retire->off = !on;
	while (retire->off && retire->count) {
		struct retire_item *item = &retire->heap[--retire->count].item;

		if (!item->booked) /* what is, leaves none but after a simultaneous close */
			book_left(retire, item);
		done_with(item);
	}
}

unsigned int retire_pending(const struct retire *retire)
{
	return retire->count;
}
