/* SPDX-License-Identifier: MIT */
/* Wrappers: forks, spawns and exits.
 *
 * A fork copies every connection, so each gets one more holder first; the child starts anew at its
 * next TCP call. A spawned program keeps what is not close-on-exec; the short time between its
 * fork and its exec does not count, since nothing but exec or _exit can happen in it. What is
 * opened or closed at the same moment in another thread, see forks.h. */
#include "shim/libc.h"

#include "shim/forks.h"
#include "shim/process.h"
#include "shim/raw.h"
#include "shim/share.h"
#include "shim/slots.h"
#include "shim/steer.h"
#include "shim/user.h"
#include "shim/wrap.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>

/* --- fork ------------------------------------------------------------------------------------- */

/* A vfork child that forks: its parent's connections get a holder that nobody counts. */
static bool fork_from_passive(void)
{
	if (!process_is_passive())
		return false;
	if (process_is_on())
		share_pin_all();
	return true;
}

/* True: the connections were counted. */
static bool fork_prepare(void)
{
	bool on = process_enter();

	fork_begin(FORK_COPY);
	if (on) {
		fork_announce(process_pid());
		share_forking();
	}
	return on;
}

static void fork_done(bool counted, bool failed)
{
	if (counted) {
		fork_announce_over();
		if (failed)
			share_fork_failed();
	}
	fork_end(FORK_COPY);
}

static void fork_in_child(bool counted)
{
	fork_reset(); /* or what it opens first would count as opened while its own fork went on */
	if (counted)
		share_forked();
	else
		process_forked();
}

#define FORK(call)                           \
	pid_t pid;                           \
	int saved = errno;                   \
	bool counted;                        \
                                             \
	if (fork_from_passive()) {           \
		errno = saved;               \
		return call;                 \
	}                                    \
	counted = fork_prepare();            \
	errno = saved;                       \
	pid = call;                          \
	saved = errno;                       \
	if (pid == 0)                        \
		fork_in_child(counted);      \
	else                                 \
		fork_done(counted, pid < 0); \
	errno = saved;                       \
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
	bool on;

	if (process_is_passive())
		return libc.daemon(nochdir, noclose);
	on = process_enter();
	fork_begin(FORK_COPY);
	if (on)
		fork_announce((int)parent);
	result = libc.daemon(nochdir, noclose);
	saved = errno;
	if (raw(SYS_getpid) == parent)
		fork_done(false, false);
	else
		fork_in_child(on);
	errno = saved;
	return result;
}

/* --- clone ------------------------------------------------------------------------------------ */

struct clone_start {
	int (*fn)(void *);
	void *arg;
	bool counted;
	bool one_table;
};

/* In a child with memory of its own, where the parent's frame is copied. */
static int clone_child(void *p)
{
	struct clone_start start = *(struct clone_start *)p;

	if (start.one_table)
		process_inert(); /* to forget the channel would close its parent's */
	else
		fork_in_child(start.counted);
	return start.fn(start.arg);
}

static int clone_forking(int (*fn)(void *), void *stack, int flags, void *arg, const long more[3])
{
	struct clone_start start = {fn, arg, false, flags & CLONE_FILES};
	int pid, saved = errno;

	if (!fn || !stack || fork_from_passive()) {
		errno = saved;
		return libc.clone(fn, stack, flags, arg, more[0], more[1], more[2]);
	}
	start.counted = fork_prepare();
	errno = saved;
	pid = libc.clone(clone_child, stack, flags, &start, more[0], more[1], more[2]);
	saved = errno;
	fork_done(start.counted, pid < 0);
	errno = saved;
	return pid;
}

void wrap_memory_shared(unsigned long flags)
{
	bool waits = flags & CLONE_VFORK;
	bool on;

	if (flags & CLONE_FILES)
		share_table_shared();
	if (process_is_passive())
		return;
	on = process_enter();
	fork_begin(FORK_COPY);
	process_vfork_begin();
	if (on && waits)
		share_spawning(false);
	else if (on && !(flags & CLONE_FILES))
		share_pin_all();
}

int wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	long more[3];
	va_list ap;
	int pid, saved = errno;

	va_start(ap, arg);
	for (int i = 0; i < 3; i++)
		more[i] = va_arg(ap, long);
	va_end(ap);
	if (flags & CLONE_FILES && !(flags & CLONE_THREAD))
		share_table_shared();
	if (!(flags & CLONE_VM))
		return clone_forking(fn, stack, flags, arg, more);
	if (flags & CLONE_THREAD || process_is_passive())
		return libc.clone(fn, stack, flags, arg, more[0], more[1], more[2]);
	wrap_memory_shared((unsigned long)flags);
	errno = saved;
	pid = libc.clone(fn, stack, flags, arg, more[0], more[1], more[2]);
	if (flags & CLONE_VFORK || pid < 0)
		process_vfork_end();
	fork_end(FORK_COPY);
	return pid;
}

int wrap_unshare(int flags)
{
	bool copies = flags & CLONE_FILES, begun = false;
	int result, saved = errno;

	if (copies && !process_is_on())
		share_unshares();
	else if (copies && process_enter())
		begun = share_begin_unshare();
	else if (copies)
		fork_from_passive();
	errno = saved;
	result = libc.unshare(flags);
	if (begun)
		fork_end(FORK_COPY);
	return result;
}

/* --- spawns ----------------------------------------------------------------------------------- */

static void spawn_begin(bool actions)
{
	fork_begin(FORK_EXEC);
	if (process_enter())
		share_spawning(actions);
}

/* While the shim is off it only says that a spawn is under way: another thread may start it. */
#define SPAWN(type, actions, call)  \
	int saved = errno;          \
	type made;                  \
                                    \
	if (process_is_passive()) { \
		errno = saved;      \
		return call;        \
	}                           \
	spawn_begin(actions);       \
	errno = saved;              \
	made = call;                \
	fork_end(FORK_EXEC);        \
	return made

int wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	SPAWN(int, actions != NULL, libc.posix_spawn(pid, path, actions, attr, argv, envp));
}

int wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		      const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	SPAWN(int, actions != NULL, libc.posix_spawnp(pid, file, actions, attr, argv, envp));
}

int wrap_pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	SPAWN(int, actions != NULL, libc.pidfd_spawn(pidfd, path, actions, attr, argv, envp));
}

int wrap_pidfd_spawnp(int *pidfd, const char *file, const posix_spawn_file_actions_t *actions,
		      const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	SPAWN(int, actions != NULL, libc.pidfd_spawnp(pidfd, file, actions, attr, argv, envp));
}

/* The actions are done inside libc, where no wrapper sees them. */
int wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from, int to)
{
	share_spawn_source(from);
	return libc.posix_spawn_file_actions_adddup2(actions, from, to);
}

int wrap_system(const char *command)
{
	SPAWN(int, false, libc.system(command));
}

FILE *wrap_popen(const char *command, const char *mode)
{
	SPAWN(FILE *, false, libc.popen(command, mode));
}

int wrap_wordexp(const char *words, wordexp_t *result, int flags)
{
	SPAWN(int, false, libc.wordexp(words, result, flags));
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
