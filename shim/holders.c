/* SPDX-License-Identifier: MIT */
#include "shim/holders.h"

#include "shim/raw.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

enum { HOLDERS = 1 << 18, COUNT_MAX = 127, SERVER = 128 };

static _Atomic uint64_t *table; /* cookie << 8 | SERVER | count; direct-mapped */

bool holders_init(void)
{
	long p = raw(SYS_mmap, 0, sizeof(*table) * HOLDERS, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p < 0 && p > -4096)
		return false;
	table = (_Atomic uint64_t *)p;
	return true;
}

/* Cookies are handed out in sequence, so their low bits spread by themselves. */
static _Atomic uint64_t *entry_of(uint64_t cookie)
{
	return &table[cookie & (HOLDERS - 1)];
}

static bool is_entry_of(uint64_t entry, uint64_t cookie)
{
	return entry != 0 && entry >> 8 == (cookie & (UINT64_MAX >> 8));
}

static unsigned int count_of(uint64_t entry)
{
	return entry & COUNT_MAX;
}

void holder_create(uint64_t cookie, bool server)
{
	atomic_store(entry_of(cookie), cookie << 8 | (server ? SERVER : 0) | 1);
}

void holder_share(uint64_t cookie)
{
	_Atomic uint64_t *at = entry_of(cookie);
	uint64_t entry = atomic_load(at);

	while (is_entry_of(entry, cookie) && count_of(entry) < COUNT_MAX &&
	       !atomic_compare_exchange_weak(at, &entry, entry + 1))
		;
}

/* Takes one off unless it is the last: the duplicate that was counted is not there. */
void holder_unshare(uint64_t cookie)
{
	_Atomic uint64_t *at = entry_of(cookie);
	uint64_t entry = atomic_load(at);

	while (is_entry_of(entry, cookie) && count_of(entry) < COUNT_MAX && count_of(entry) > 1 &&
	       !atomic_compare_exchange_weak(at, &entry, entry - 1))
		;
}

void holder_pin(uint64_t cookie)
{
	_Atomic uint64_t *at = entry_of(cookie);
	uint64_t entry = atomic_load(at);

	while (is_entry_of(entry, cookie) &&
	       !atomic_compare_exchange_weak(at, &entry, entry | COUNT_MAX))
		;
}

bool holder_known(uint64_t cookie, bool *server)
{
	uint64_t entry = atomic_load(entry_of(cookie));

	*server = entry & SERVER;
	return is_entry_of(entry, cookie);
}

bool holder_is_sole(uint64_t cookie)
{
	uint64_t entry = atomic_load(entry_of(cookie));

	return is_entry_of(entry, cookie) && count_of(entry) == 1;
}

bool holder_is_counted(uint64_t cookie)
{
	uint64_t entry = atomic_load(entry_of(cookie));

	return is_entry_of(entry, cookie) && count_of(entry) < COUNT_MAX;
}

bool holder_release(uint64_t cookie)
{
	_Atomic uint64_t *at = entry_of(cookie);
	uint64_t entry = atomic_load(at);

	for (;;) {
		unsigned int count = count_of(entry);

		if (!is_entry_of(entry, cookie) || count == COUNT_MAX)
			return false;
		if (atomic_compare_exchange_weak(at, &entry, count == 1 ? 0 : entry - 1))
			return count == 1;
	}
}
