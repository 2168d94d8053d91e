/* SPDX-License-Identifier: MIT */
/* Records from all threads and signal handlers of a program to the daemon, in memory that both have
 * mapped. Nobody waits: what finds the ring full is dropped, by whom it is counted. Whoever reads
 * trusts nothing in it.
 *
 * A record's position is a number that only grows; its slot is that number modulo the size, and the
 * slot's turn says what is there. In the n-th lap it is 2n: free, or reserved by a writer that has
 * not yet written; 2n + 1: written; 2n + 2: read, which is free for the next lap. A page of zeros
 * is an empty ring, and untouched slots cost no memory.
 *
 * A writer may lose the processor between reserving and writing, or never come back (siglongjmp()
 * out of a signal handler). The reader passes over such a gap and comes back for it; after a while
 * it gives the slot up. */
#ifndef COMMON_RING_H
#define COMMON_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RING_SLOTS = 1024, /* a power of two; half a second at a thousand connections a second */
	RING_BYTES = 112,  /* of a record */
	RING_PATIENCE_MS = 500,
};

struct ring_slot {
	_Atomic uint32_t turn;
	uint32_t pad[3];
	uint8_t bytes[RING_BYTES];
};
_Static_assert(sizeof(struct ring_slot) == 128, "wire: two cache lines");

struct ring {
	_Atomic uint32_t head; /* the position that is reserved next; the writers' */
	_Atomic uint32_t
		asleep; /* 1: the reader will not look before it is called; its own to set */
	uint32_t pad[14];
	struct ring_slot slots[RING_SLOTS];
};
_Static_assert(sizeof(struct ring) == 64 + 128 * RING_SLOTS, "wire");

/* --- writing ---------------------------------------------------------------------------------- */

enum ring_put {
	RING_FULL,     /* it is dropped */
	RING_PUT,      /* the reader will come by itself */
	RING_PUT_CALL, /* the reader is to be called */
};

/* Async-signal-safe, bounded. The reader is to be called by one writer when it sleeps, and every so
 * often while more than half of the ring is full. */
enum ring_put ring_put(struct ring *ring, const void *bytes);

/* Where the next record goes: all that this thread has put are before it. */
uint32_t ring_head(const struct ring *ring);

/* --- reading: one thread ---------------------------------------------------------------------- */

struct ring_reader {
	uint32_t tail; /* all before it are read or given up */
	bool gap;      /* at tail is one that is reserved and not written, */
	uint64_t gap_since_ms;
	uint64_t given_up;
};

/* Reads what is written before position `until` (or all, if less is reserved) and has not been
 * read. Returns how many. */
unsigned int ring_read(struct ring *ring, struct ring_reader *reader, uint32_t until,
		       uint64_t now_ms, void (*take)(void *arg, const void *bytes), void *arg);

/* From here on a writer calls. False: there is something to read first, and nobody calls. */
bool ring_sleep(struct ring *ring, const struct ring_reader *reader);
void ring_wake(struct ring *ring);

#endif
