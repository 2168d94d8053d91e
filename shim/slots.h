/* SPDX-License-Identifier: MIT */
/* The descriptor table: what we know of each TCP socket of this process, by its number.
 *
 * In chunks, each mapped when its first slot is filled, so that neither a limit on the address
 * space nor mlockall() meets more than what is used; a descriptor that is not tracked costs a
 * compare and two loads. A slot is a hint: libc closes some descriptors behind our back, so before
 * any side effect the connection's cookie is read again. All members are atomics, since another
 * thread may look at a slot (to publish it) while it is cleared and filled. */
#ifndef SHIM_SLOTS_H
#define SHIM_SLOTS_H

#include "common/endpoint.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SLOT_SOCKET = 1,   /* a TCP socket, neither listening nor connected */
	SLOT_LISTENER = 2, /* listening */
	SLOT_CONN = 3,	   /* connected, or connecting */
	SLOT_CHANNEL = 4,  /* our own socket to the daemon */
	SLOT_KIND = 7,

	SLOT_SERVER = 1 << 3,	   /* SLOT_CONN: accepted; otherwise connected */
	SLOT_APP_LINGER = 1 << 4,  /* the program set SO_LINGER, here or on the listener */
	SLOT_BOUND = 1 << 5,	   /* the program called bind() */
	SLOT_BIND_LATE = 1 << 6,   /* bound without a port: getsockname() must bind for real */
	SLOT_DEFERRED = 1 << 7,	   /* the daemon holds a duplicate and will shut it down */
	SLOT_EPOLL_LOST = 1 << 8,  /* in more epoll sets than we remember */
	SLOT_SHUT_FIRST = 1 << 9,  /* shutdown(SHUT_WR) went out in ESTABLISHED */
	SLOT_SHUT_LATER = 1 << 10, /* ... and in CLOSE_WAIT */
	SLOT_INHERITED = 1 << 11,  /* SLOT_CONN: this process has it by a fork */
	SLOT_ULP = 1 << 12,	   /* the program set a ULP (kTLS) or TCP_REPAIR */
	SLOT_SHARED = 1 << 13,	   /* another descriptor has it, or once had */
	SLOT_ADDED_HERE = 1 << 14, /* SLOT_INHERITED: added to an epoll set since */
	SLOT_QUIET = 1 << 15,	   /* time-wait = none: TCP_LINGER2 is -1 since it was opened */

	SLOT_LOWAT = 1 << 16, /* the program set SO_RCVLOWAT, here or on the listener */

	SLOT_SHUT_WHY = 20, /* bits from here: with SLOT_SHUT_FIRST, why it was not deferred */
};

enum { SLOT_SETS = 2, SLOTS_MAX = 1 << 20, SLOTS_CHUNK = 1 << 10 };

struct slot_info {
	struct endpoint local, remote;
};

struct slot {
	_Atomic uint32_t word;		/* kind and flags; 0: not tracked */
	_Atomic int32_t set[SLOT_SETS]; /* epoll descriptors it was added to, plus one; 0: none */
	uint32_t pad;
	_Atomic uint64_t cookie;
	_Atomic uint64_t info[5]; /* struct slot_info */
};
_Static_assert(sizeof(struct slot) == 64, "a cache line");
_Static_assert(sizeof(struct slot_info) == 40, "slot.info");

extern _Atomic(struct slot *) slots_chunk[SLOTS_MAX / SLOTS_CHUNK];
extern _Atomic uint32_t slots_limit; /* 0 until slots_init(), and again when the shim goes inert */

bool slots_init(void);
void slots_disable(void);

/* NULL if fd is outside of the table, or none of its chunk was ever filled. */
static inline struct slot *slot_at(int fd)
{
	uint32_t n = (uint32_t)fd;
	struct slot *chunk;

	if (n >= atomic_load_explicit(&slots_limit, memory_order_relaxed))
		return NULL;
	chunk = atomic_load_explicit(&slots_chunk[n % SLOTS_MAX / SLOTS_CHUNK],
				     memory_order_acquire);
	return chunk ? &chunk[n % SLOTS_CHUNK] : NULL;
}

/* The word of a descriptor, 0 if it is not tracked. */
static inline uint32_t slot_word(int fd)
{
	struct slot *slot = slot_at(fd);

	return slot ? atomic_load_explicit(&slot->word, memory_order_acquire) : 0;
}

static inline uint32_t slot_kind(int fd)
{
	return slot_word(fd) & SLOT_KIND;
}

/* Can this descriptor be filed? Maps its chunk if need be. */
bool slot_ready(int fd);

/* Fills a slot that is ready; the word is stored last. Keeps the epoll sets if keep_sets. */
void slot_fill(int fd, uint32_t word, uint64_t cookie, const struct slot_info *info,
	       bool keep_sets);
void slot_load_info(const struct slot *slot, struct slot_info *info);
void slot_clear(int fd);
/* Clears the slot and returns its word: of several threads that close it, one gets it. */
uint32_t slot_claim(struct slot *slot);
void slot_set_flag(int fd, uint32_t flag);
void slot_clear_flag(int fd, uint32_t flag);

/* One more than the highest descriptor that was ever tracked, our channel aside. */
int slots_high(void);

#endif
