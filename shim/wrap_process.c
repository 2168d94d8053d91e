/* SPDX-License-Identifier: MIT */
/* Wrappers: forks, spawns and exits.
 *
 * A fork copies every connection, so each gets one more holder first; the child starts anew at its
 * next TCP call. A spawned program keeps what is not close-on-exec; the short time between its
 * fork and its exec does not count, since nothing but exec or _exit can happen in it. */
#include "shim/libc.h"

#include "shim/holders.h"
#include "shim/process.h"
#include "shim/raw.h"
#include "shim/share.h"
#include "shim/slots.h"
#include "shim/steer.h"
#include "shim/wrap.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>

/* --- fork ------------------------------------------------------------------------------------- */

#define FORK(call)                   \
	pid_t pid;                   \
	int saved;                   \
                                     \
	if (!process_enter())        \
		return call;         \
	share_forking();             \
	pid = call;                  \
	if (pid == 0) {              \
		share_forked();      \
		return 0;            \
	}                            \
	saved = errno;               \
	if (pid < 0)                 \
		share_fork_failed(); \
	fork_end();                  \
	errno = saved;               \
	return pid

pid_t wrap_fork(void)
{
	FORK(libc.fork());
}

pid_t wrap__Fork(void)
{
	FORK(libc._Fork());
}

int wrap_forkpty(int *master, char *name, const struct termios *termp, const struct winsize *winp)
{
	FORK(libc.forkpty(master, name, termp, winp));
}

long wrap_fork_by_number(long nr, const long a[6])
{
	FORK((pid_t)libc.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* The parent of daemon() ends at once, so that what it held has one holder as before. It may fail
 * on either side of its fork. */
int wrap_daemon(int nochdir, int noclose)
{
	long parent = raw(SYS_getpid);
	int result, saved;

	if (!process_enter())
		return libc.daemon(nochdir, noclose);
	fork_begin();
	result = libc.daemon(nochdir, noclose);
	saved = errno;
	if (raw(SYS_getpid) == parent)
		fork_end();
	else
		share_forked();
	errno = saved;
	return result;
}

static int clone_forking(int (*fn)(void *), void *stack, int flags, void *arg, const long more[3])
{
	FORK(libc.clone(fn, stack, flags, arg, more[0], more[1], more[2]));
}

int wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	long more[3];
	va_list ap;

	va_start(ap, arg);
	for (int i = 0; i < 3; i++)
		more[i] = va_arg(ap, long);
	va_end(ap);
	if (!(flags & CLONE_VM))
		return clone_forking(fn, stack, flags, arg, more);
	if (!(flags & CLONE_THREAD) && process_enter()) {
		share_spawning();
		process_expect_vfork();
	}
	return libc.clone(fn, stack, flags, arg, more[0], more[1], more[2]);
}

long wrap_clone_by_number(long nr, const long a[6])
{
	unsigned long flags = (unsigned long)a[0];

	if (nr == SYS_clone3)
		flags = a[0] ? (unsigned long)((const struct clone_args *)a[0])->flags : 0;
	if (flags & CLONE_VM) {
		if (!(flags & CLONE_THREAD) && process_enter()) {
			share_spawning();
			process_expect_vfork();
		}
		return libc.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	return wrap_fork_by_number(nr, a);
}

/* --- vfork: returns twice, which no C frame survives; so a jump, after a look at the table -----
 */

__attribute__((used, visibility("hidden"))) void *vfork_prepare(void);

void *vfork_prepare(void)
{
	int saved = errno;

	if (process_enter()) {
		share_spawning();
		process_expect_vfork();
	}
	if (!libc.vfork)
		*(void **)&libc.vfork = dlsym(RTLD_NEXT, "vfork");
	errno = saved;
	return *(void **)&libc.vfork;
}

#if defined(__x86_64__)
__asm__(".text\n"
	".globl vfork\n"
	".type vfork, @function\n"
	"vfork:\n"
	"	.cfi_startproc\n"
	"	endbr64\n"
	"	subq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	call vfork_prepare\n"
	"	addq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	jmp *%rax\n"
	"	.cfi_endproc\n"
	".size vfork, .-vfork\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl vfork\n"
	".type vfork, @function\n"
	"vfork:\n"
	"	stp x29, x30, [sp, #-16]!\n"
	"	bl vfork_prepare\n"
	"	ldp x29, x30, [sp], #16\n"
	"	br x0\n"
	".size vfork, .-vfork\n");
#endif

/* --- spawns ----------------------------------------------------------------------------------- */

#define SPAWN(call)                       \
	do {                              \
		int saved = errno;        \
                                          \
		if (process_enter())      \
			share_spawning(); \
		errno = saved;            \
		return call;              \
	} while (0)

int wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	SPAWN(libc.posix_spawn(pid, path, actions, attr, argv, envp));
}

int wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		      const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	SPAWN(libc.posix_spawnp(pid, file, actions, attr, argv, envp));
}

int wrap_pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	SPAWN(libc.pidfd_spawn(pidfd, path, actions, attr, argv, envp));
}

int wrap_pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *actions,
		      const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	SPAWN(libc.pidfd_spawnp(pidfd, file, actions, attr, argv, envp));
}

/* The actions are done inside libc, where no wrapper sees them: what is named here is shared. */
int wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from, int to)
{
	share_pin(from);
	return libc.posix_spawn_file_actions_adddup2(actions, from, to);
}

int wrap_system(const char *command)
{
	SPAWN(libc.system(command));
}

FILE *wrap_popen(const char *command, const char *mode)
{
	SPAWN(libc.popen(command, mode));
}

int wrap_wordexp(const char *words, wordexp_t *result, int flags)
{
	SPAWN(libc.wordexp(words, result, flags));
}

/* --- exits ------------------------------------------------------------------------------------ */

#define EXIT(call)       \
	steer_exiting(); \
	call;            \
	__builtin_unreachable()

void wrap__exit(int status)
{
	EXIT(libc._exit(status));
}

void wrap__Exit(int status)
{
	EXIT(libc._Exit(status));
}

/* Its handlers may still use connections, as atexit()'s may at our destructor. */
void wrap_quick_exit(int status)
{
	EXIT(libc.quick_exit(status));
}

static __attribute__((constructor)) void loaded(void)
{
	libc_resolve();
	process_settings();
}

/* exit(): after the program's handlers, before stdio is flushed. */
static __attribute__((destructor)) void exiting(void)
{
	steer_exiting();
}
