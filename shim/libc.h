/* SPDX-License-Identifier: MIT */
/* The next definitions of what we interpose: libc's, or another preloaded library's. */
#ifndef SHIM_LIBC_H
#define SHIM_LIBC_H

#include "shim/calls.h"

struct libc_calls {
#define CALL(type, name, parameters, arguments) type(*name) parameters;
#define ODD(name)
	SHIM_CALLS(CALL, CALL, CALL, ODD)
#undef CALL
#undef ODD
	int (*fcntl)(int fd, int command, ...);
	int (*fcntl64)(int fd, int command, ...);
	int (*prctl)(int option, ...);
	long (*syscall)(long number, ...);
	int (*clone)(int (*fn)(void *), void *stack, int flags, void *arg, ...);
	pid_t (*vfork)(void);
};

/* Always callable, from the first instruction on: see calls.h. */
extern struct libc_calls libc;

/* The same of what is a system call, by syscall(), which is no cancellation point; nothing else. */
extern const struct libc_calls libc_by_number;

/* Looks all of them up; from the constructor. */
void libc_resolve(void);

/* The wrappers are called wrap_NAME in C and NAME in the symbol table. So no declaration of libc's
 * headers binds us: no transparent unions, and no nonnull attribute that would let the compiler
 * drop a check that libc leaves to the kernel. */
#define WRAPPER __attribute__((visibility("default"), used))
#define CALL(type, name, parameters, arguments) WRAPPER type wrap_##name parameters __asm__(#name);
#define ODD(name)
SHIM_CALLS(CALL, CALL, CALL, ODD)
#undef CALL
#undef ODD
WRAPPER int wrap_fcntl(int fd, int command, ...) __asm__("fcntl");
WRAPPER int wrap_fcntl64(int fd, int command, ...) __asm__("fcntl64");
WRAPPER int wrap_prctl(int option, ...) __asm__("prctl");
/* `syscall` itself is in wrap_vfork.c. */
__attribute__((visibility("hidden"), used)) long wrap_syscall(long number, ...);
WRAPPER int wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...) __asm__("clone");

#endif
