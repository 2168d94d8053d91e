/* SPDX-License-Identifier: MIT */
#include "shim/slots.h"

#include "shim/raw.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

_Atomic(struct slot *) slots_chunk[SLOTS_MAX / SLOTS_CHUNK];
_Atomic uint32_t slots_limit;
static _Atomic int high;

static struct slot *map_chunk(void)
{
	size_t size = sizeof(struct slot) * SLOTS_CHUNK;
	long p = raw(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p < 0 && p > -4096)
		return NULL;
	raw(SYS_madvise, p, size, MADV_DONTDUMP);
	return (struct slot *)p;
}

/* The slot, with its chunk mapped if need be; NULL if it can't be. */
static struct slot *slot_make(int fd)
{
	struct slot *none = NULL, *made;

	if ((uint32_t)fd >= atomic_load_explicit(&slots_limit, memory_order_relaxed))
		return NULL;
	if (slot_at(fd))
		return slot_at(fd);
	made = map_chunk();
	if (!made)
		return NULL;
	/* Another thread may have been faster. */
	if (!atomic_compare_exchange_strong(&slots_chunk[fd / SLOTS_CHUNK], &none, made)) {
		raw(SYS_munmap, made, sizeof(struct slot) * SLOTS_CHUNK);
		made = none;
	}
	return &made[fd % SLOTS_CHUNK];
}

bool slot_ready(int fd)
{
	return slot_make(fd) != NULL;
}

bool slots_init(void)
{
	atomic_store(&slots_limit, SLOTS_MAX);
	if (slot_ready(0))
		return true;
	atomic_store(&slots_limit, 0);
	return false;
}

void slots_disable(void)
{
	atomic_store(&slots_limit, 0);
}

static void raise_high(int fd)
{
	int now = atomic_load_explicit(&high, memory_order_relaxed);

	while (now <= fd && !atomic_compare_exchange_weak(&high, &now, fd + 1))
		;
}

int slots_high(void)
{
	return atomic_load(&high);
}

void slot_fill(int fd, uint32_t word, uint64_t cookie, const struct slot_info *info, bool keep_sets)
{
	struct slot *slot = slot_make(fd);
	uint64_t words[5] = {0};

	if (!slot)
		return;
	if (info)
		memcpy(words, info, sizeof(words));
	for (int i = 0; i < 5; i++)
		atomic_store_explicit(&slot->info[i], words[i], memory_order_relaxed);
	for (int i = 0; i < SLOT_SETS && !keep_sets; i++)
		atomic_store_explicit(&slot->set[i], 0, memory_order_relaxed);
	atomic_store_explicit(&slot->cookie, cookie, memory_order_relaxed);
	if ((word & SLOT_KIND) != SLOT_CHANNEL)
		raise_high(
			fd); /* a fork looks at all below: not at a thousand because of our own */
	/* Sequentially consistent: fork's scan and our look at the fork epoch must not pass
	 * each other (see holders.h). */
	atomic_store(&slot->word, word);
}

void slot_load_info(const struct slot *slot, struct slot_info *info)
{
	uint64_t words[5];

	for (int i = 0; i < 5; i++)
		words[i] = atomic_load_explicit(&slot->info[i], memory_order_relaxed);
	memcpy(info, words, sizeof(words));
}

uint32_t slot_claim(struct slot *slot)
{
	return atomic_exchange(&slot->word, 0);
}

void slot_clear(int fd)
{
	struct slot *slot = slot_at(fd);

	if (slot)
		slot_claim(slot);
}

/* Never revives a slot that another thread has cleared. */
void slot_set_flag(int fd, uint32_t flag)
{
	struct slot *slot = slot_at(fd);
	uint32_t word = slot ? atomic_load(&slot->word) : 0;

	while (word && !atomic_compare_exchange_weak(&slot->word, &word, word | flag))
		;
}

void slot_clear_flag(int fd, uint32_t flag)
{
	struct slot *slot = slot_at(fd);
	uint32_t word = slot ? atomic_load(&slot->word) : 0;

	while (word && !atomic_compare_exchange_weak(&slot->word, &word, word & ~flag))
		;
}
