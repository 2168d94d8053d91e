/* SPDX-License-Identifier: MIT */
#include "shim/libc.h"

#include "shim/raw.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

/* Stage one: before the constructor has run (another library's constructor closes something), what
 * is a system call is made as one, and the rest is looked up when it is called. */

static long with_errno(long result)
{
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

/* ISO C has no conversion between object and function pointers; POSIX demands that it works. */
static void resolve(void *pointer, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found)
		*(void **)pointer = found;
}

#define STRIP(...) __VA_ARGS__
#define SYS(type, name, parameters, arguments)                             \
	static type early_##name parameters                                \
	{                                                                  \
		return (type)with_errno(raw(SYS_##name, STRIP arguments)); \
	}
#define LIB(type, name, parameters, arguments) \
	static type early_##name parameters    \
	{                                      \
		resolve(&libc.name, #name);    \
		if (libc.name == early_##name) \
			__builtin_trap();      \
		return libc.name arguments;    \
	}
#define OPT(type, name, parameters, arguments) static type early_##name parameters;
#define ODD(name)
SHIM_CALLS(SYS, LIB, OPT, ODD)
#undef SYS
#undef LIB
#undef OPT

/* What an older libc lacks, no program linked against it calls; a newer one may look for it. */
#define MISSING(name, parameters, arguments)        \
	static int early_##name parameters          \
	{                                           \
		resolve(&libc.name, #name);         \
		if (libc.name != early_##name)      \
			return libc.name arguments; \
		errno = ENOSYS;                     \
		return -1;                          \
	}

MISSING(_Fork, (void), ())

static int early_close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)with_errno(raw(SYS_close_range, first, last, flags));
}

static void early_closefrom(int first)
{
	raw(SYS_close_range, first < 0 ? 0 : first, ~0U, 0);
}

#define MISSING_SPAWN(name)                                                              \
	static int early_##name(                                                         \
		int *pidfd, const char *path, const posix_spawn_file_actions_t *actions, \
		const posix_spawnattr_t *attr, char *const argv[], char *const envp[])   \
	{                                                                                \
		resolve(&libc.name, #name);                                              \
		if (libc.name != early_##name)                                           \
			return libc.name(pidfd, path, actions, attr, argv, envp);        \
		return ENOSYS;                                                           \
	}

MISSING_SPAWN(pidfd_spawn)
MISSING_SPAWN(pidfd_spawnp)

static int early_fcntl(int fd, int command, ...)
{
	va_list ap;
	long arg;

	va_start(ap, command);
	arg = va_arg(ap, long);
	va_end(ap);
	return (int)with_errno(raw(SYS_fcntl, fd, command, arg));
}

static int early_prctl(int option, ...)
{
	va_list ap;
	long a, b, c, d;

	va_start(ap, option);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	va_end(ap);
	return (int)with_errno(raw(SYS_prctl, option, a, b, c, d));
}

static long early_syscall(long number, ...)
{
	va_list ap;
	long a[6];

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return with_errno(raw(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

struct libc_calls libc = {
#define CALL(type, name, parameters, arguments) .name = early_##name,
	SHIM_CALLS(CALL, CALL, CALL, ODD)
#undef CALL
		.fcntl = early_fcntl,
	.fcntl64 = early_fcntl,
	.prctl = early_prctl,
	.syscall = early_syscall,
};

#define STRIP(...) __VA_ARGS__
#define SYS(type, name, parameters, arguments)                          \
	static type numbered_##name parameters                          \
	{                                                               \
		return (type)libc.syscall(SYS_##name, STRIP arguments); \
	}
#define NONE(type, name, parameters, arguments)
SHIM_CALLS(SYS, NONE, NONE, ODD)
#undef SYS

const struct libc_calls libc_by_number = {
#define SYS(type, name, parameters, arguments) .name = numbered_##name,
	SHIM_CALLS(SYS, NONE, NONE, ODD)
#undef SYS
#undef NONE
};

void libc_resolve(void)
{
#define CALL(type, name, parameters, arguments) resolve(&libc.name, #name);
#undef ODD
#define ODD(name) resolve(&libc.name, #name);
	SHIM_CALLS(CALL, CALL, CALL, ODD)
#undef CALL
#undef ODD
}
