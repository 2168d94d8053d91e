/* SPDX-License-Identifier: MIT */
#include "shim/user.h"

#include "shim/process.h"
#include "shim/raw.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/uio.h>

enum { PAGE = 4096, KNOWN = 256 };

/* Numbers of pages that could be read, plus one. One that was unmapped since is taken for good:
 * then a wrong pointer ends the program as it would have ended it anywhere else. */
static _Atomic uintptr_t known[KNOWN];

/* Where the kernel does not say, or must not be asked, it is believed. */
static bool ask(uintptr_t page)
{
	char byte;
	struct iovec here = {&byte, 1}, there = {(void *)(page * PAGE), 1};

	if (process_is_sealed() || !process_may_ask())
		return true;
	return raw(SYS_process_vm_readv, raw(SYS_getpid), &here, 1, &there, 1, 0) != -EFAULT;
}

static bool page_readable(uintptr_t page)
{
	_Atomic uintptr_t *at = &known[page % KNOWN];

	if (atomic_load_explicit(at, memory_order_relaxed) == page + 1)
		return true;
	if (!ask(page))
		return false;
	atomic_store_explicit(at, page + 1, memory_order_relaxed);
	return true;
}

bool user_readable(const void *start, size_t len)
{
	uintptr_t first = (uintptr_t)start / PAGE, last;

	if (len == 0)
		return true;
	if ((uintptr_t)start + len - 1 < (uintptr_t)start)
		return false;
	last = ((uintptr_t)start + len - 1) / PAGE;
	for (uintptr_t page = first; page <= last; page++)
		if (!page_readable(page))
			return false;
	return true;
}
