/* SPDX-License-Identifier: MIT */
/* System calls without libc: no errno, no cancellation point, no way back into a wrapper. They
 * return what the kernel returns: a value, or -errno. */
#ifndef SHIM_RAW_H
#define SHIM_RAW_H

#include <sys/syscall.h>

static inline long raw6(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
#else
#error "raw system calls are written for x86-64 and arm64"
#endif
}

#define RAW_PICK(nr, a, b, c, d, e, f, ...) \
	raw6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* raw(SYS_close, fd): one to six arguments after the number, each an integer or a pointer. */
#define raw(...) RAW_PICK(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* What a signal handler must not jump out of, nor a thread be cancelled in (which is a signal,
 * too): all signals are kept off, and what this returns is to be restored. */
static inline unsigned long raw_block_signals(void)
{
	unsigned long all = ~0UL, before = 0;

	raw(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &before, sizeof(all));
	return before;
}

static inline void raw_restore_signals(unsigned long before)
{
	raw(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &before, 0, sizeof(before));
}

#endif
