/* SPDX-License-Identifier: MIT */
#include "common/ring.h"

#include <string.h>

enum {
	TRIES = 64,		      /* with so many threads at once a record may be lost */
	CALL_EVERY = RING_SLOTS / 16, /* while more than half is full */
};

static struct ring_slot *slot_of(struct ring *ring, uint32_t position)
{
	return &ring->slots[position % RING_SLOTS];
}

/* Its slot's turn while it is free for this position. */
static uint32_t free_turn(uint32_t position)
{
	return position / RING_SLOTS * 2;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool is_free(struct ring *ring, uint32_t position)
{
	return atomic_load_explicit(&slot_of(ring, position)->turn, memory_order_acquire) ==
	       free_turn(position);
}

static bool reserve(struct ring *ring, uint32_t *position)
{
	*position = atomic_load_explicit(&ring->head, memory_order_relaxed);
	for (int i = 0; i < TRIES; i++) {
		uint32_t seen = *position;

		if (is_free(ring, seen) &&
		    atomic_compare_exchange_strong(&ring->head, position, seen + 1))
			return true;
		*position = atomic_load_explicit(&ring->head, memory_order_relaxed);
		if (*position == seen)
			return false;
	}
	return false;
}

static void fetch_to_write(const void *line)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

/* The next record's slot was last written by the reader, on another processor, it may be: to fetch
 * it when it is needed would make the writer stand still for longer than all the rest takes. */
static void fetch_next(struct ring *ring, uint32_t position)
{
	const struct ring_slot *next = slot_of(ring, position + 1);

	fetch_to_write(next);
	fetch_to_write((const uint8_t *)next + sizeof(*next) / 2);
}

static bool reader_wants_call(struct ring *ring, uint32_t position)
{
	if (atomic_load(&ring->asleep))
		return atomic_exchange(&ring->asleep, 0) != 0;
	return position % CALL_EVERY == 0 && !is_free(ring, position + RING_SLOTS / 2);
}

enum ring_put ring_put(struct ring *ring, const void *bytes)
{
	uint32_t position, turn;

	if (!reserve(ring, &position))
		return RING_FULL;
	memcpy(slot_of(ring, position)->bytes, bytes, RING_BYTES);
	turn = free_turn(position);
	/* If the reader has given it up, it has counted it as well. Before `asleep` is looked at,
	 * as the reader sets that before it looks here: one of the two sees the other. */
	atomic_compare_exchange_strong(&slot_of(ring, position)->turn, &turn, turn + 1);
	fetch_next(ring, position);
	return reader_wants_call(ring, position) ? RING_PUT_CALL : RING_PUT;
}

uint32_t ring_head(const struct ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_relaxed);
}

/* --- reading ---------------------------------------------------------------------------------- */

enum slot_state { SLOT_GAP, SLOT_WRITTEN, SLOT_READ };

static enum slot_state state_at(struct ring *ring, uint32_t position)
{
	uint32_t turn = atomic_load(&slot_of(ring, position)->turn), free = free_turn(position);

	if (turn == free)
		return SLOT_GAP;
	return turn == free + 1 ? SLOT_WRITTEN : SLOT_READ;
}

static void set_read(struct ring *ring, uint32_t position)
{
	atomic_store_explicit(&slot_of(ring, position)->turn, free_turn(position + RING_SLOTS),
			      memory_order_release);
}

static void take_slot(struct ring *ring, uint32_t position,
		      void (*take)(void *arg, const void *bytes), void *arg)
{
	uint8_t bytes[RING_BYTES]; /* the writer might change it while it is looked at */

	memcpy(bytes, slot_of(ring, position)->bytes, sizeof(bytes));
	set_read(ring, position);
	take(arg, bytes);
}

/* The first position that is neither read nor given up. */
static void set_tail(struct ring *ring, struct ring_reader *reader, uint32_t tail, bool gap,
		     uint64_t now_ms)
{
	if (!gap || !reader->gap || tail != reader->tail)
		reader->gap_since_ms = now_ms;
	reader->tail = tail;
	reader->gap = gap;
	if (gap && now_ms - reader->gap_since_ms >= RING_PATIENCE_MS) {
		uint32_t turn = free_turn(tail);

		if (atomic_compare_exchange_strong(&slot_of(ring, tail)->turn, &turn,
						   free_turn(tail + RING_SLOTS))) {
			reader->given_up++;
			reader->tail++;
		}
		reader->gap = false;
	}
}

/* What a late writer to an earlier ring at the same address has left where the next record goes
 * would make the ring seem full for ever. */
static void mend_head(struct ring *ring, const struct ring_reader *reader)
{
	uint32_t head = ring_head(ring), turn;

	if (reader->gap || head != reader->tail)
		return;
	turn = atomic_load(&slot_of(ring, head)->turn);
	if (turn != free_turn(head) && ring_head(ring) == head)
		atomic_compare_exchange_strong(&slot_of(ring, head)->turn, &turn, free_turn(head));
}

/* Not before what is read, nor after what is reserved, nor more than there can be. */
static uint32_t within(struct ring *ring, const struct ring_reader *reader, uint32_t until)
{
	uint32_t tail = reader->tail, reserved = ring_head(ring) - tail;

	if (reserved > RING_SLOTS)
		reserved = RING_SLOTS;
	if (until - tail > UINT32_MAX / 2)
		return tail;
	return until - tail < reserved ? until : tail + reserved;
}

unsigned int ring_read(struct ring *ring, struct ring_reader *reader, uint32_t until,
		       uint64_t now_ms, void (*take)(void *arg, const void *bytes), void *arg)
{
	uint32_t gap_at = 0;
	unsigned int count = 0;
	bool gap = false;

	until = within(ring, reader, until);
	for (uint32_t position = reader->tail; position != until; position++) {
		switch (state_at(ring, position)) {
		case SLOT_WRITTEN:
			take_slot(ring, position, take, arg);
			count++;
			break;
		case SLOT_GAP:
			if (!gap)
				gap_at = position;
			gap = true;
			break;
		default:
			break;
		}
	}
	set_tail(ring, reader, gap ? gap_at : until, gap, now_ms);
	mend_head(ring, reader);
	return count;
}

bool ring_sleep(struct ring *ring, const struct ring_reader *reader)
{
	atomic_store(&ring->asleep, 1);
	/* A gap is no reason to stay awake: its writer looks at `asleep` when it has written. */
	for (uint32_t position = reader->tail, n = 0;
	     n < RING_SLOTS && position != atomic_load(&ring->head); position++, n++) {
		if (state_at(ring, position) == SLOT_WRITTEN) {
			ring_wake(ring);
			return false;
		}
	}
	return true;
}

void ring_wake(struct ring *ring)
{
	atomic_store(&ring->asleep, 0);
}
