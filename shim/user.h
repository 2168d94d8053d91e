/* SPDX-License-Identifier: MIT */
/* Pointers that a program gave to a system call. A wrapper that must read what they point to before
 * the kernel does would turn EFAULT into a crash. */
#ifndef SHIM_USER_H
#define SHIM_USER_H

#include <stdbool.h>
#include <stddef.h>

/* Can it be read? The kernel is asked once for each page, and what it said is remembered of the
 * pages that were used last: programs pass the same stack and the same buffers again and again. */
bool user_readable(const void *start, size_t len);

#endif
