/* SPDX-License-Identifier: MIT */
#include "shim/turn.h"

#include "shim/raw.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { TURN_MS = 100 };

int turn_self(void)
{
	return (int)((uintptr_t)pthread_self() >> 4 | 1);
}

void turn_await(_Atomic int *word, int value, int by)
{
	const struct timespec limit = {.tv_nsec = TURN_MS * 1000000L};

	if (by != turn_self())
		raw(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &limit);
}

void turn_done(_Atomic int *word)
{
	raw(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX);
}
