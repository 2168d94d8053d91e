/* SPDX-License-Identifier: MIT */
/* The functions that libcloseside.so interposes: one table for their declarations, the pointers to
 * the next definition, and the test that compares it with what the library exports.
 *
 *   SYS(type, name, parameters, arguments)   works before the constructor, as a raw system call
 *   LIB(type, name, parameters, arguments)   found by dlsym() when first needed
 *   OPT(type, name, parameters, arguments)   the same; an older libc may lack it (ENOSYS)
 *   ODD(name)                                variadic, or returns twice: written out by hand */
#ifndef SHIM_CALLS_H
#define SHIM_CALLS_H

#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <wordexp.h>

struct termios;
struct winsize;

#define SHIM_CALLS(SYS, LIB, OPT, ODD)                                                             \
	SYS(int, socket, (int domain, int type, int protocol), (domain, type, protocol))           \
	SYS(int, bind, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))      \
	SYS(int, listen, (int fd, int backlog), (fd, backlog))                                     \
	SYS(int, connect, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))   \
	SYS(int, accept, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len))         \
	SYS(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags),              \
	    (fd, addr, len, flags))                                                                \
	SYS(int, shutdown, (int fd, int how), (fd, how))                                           \
	SYS(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),      \
	    (fd, level, name, value, len))                                                         \
	SYS(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len))    \
	SYS(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))     \
	SYS(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))           \
	SYS(int, sendmmsg, (int fd, struct mmsghdr *msgs, unsigned int count, int flags),          \
	    (fd, msgs, count, flags))                                                              \
	SYS(int, recvmmsg,                                                                         \
	    (int fd, struct mmsghdr *msgs, unsigned int count, int flags, struct timespec *limit), \
	    (fd, msgs, count, flags, limit))                                                       \
	SYS(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len))               \
	SYS(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))   \
	LIB(ssize_t, send, (int fd, const void *data, size_t len, int flags),                      \
	    (fd, data, len, flags))                                                                \
	SYS(ssize_t, sendto,                                                                       \
	    (int fd, const void *data, size_t len, int flags, const struct sockaddr *to,           \
	     socklen_t to_len),                                                                    \
	    (fd, data, len, flags, to, to_len))                                                    \
	SYS(ssize_t, sendfile, (int fd, int from, off_t *offset, size_t count),                    \
	    (fd, from, offset, count))                                                             \
	LIB(ssize_t, sendfile64, (int fd, int from, off64_t *offset, size_t count),                \
	    (fd, from, offset, count))                                                             \
	SYS(ssize_t, splice,                                                                       \
	    (int from, off64_t *from_at, int fd, off64_t *at, size_t len, unsigned int flags),     \
	    (from, from_at, fd, at, len, flags))                                                   \
	SYS(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *event),                 \
	    (epfd, op, fd, event))                                                                 \
	SYS(int, unshare, (int flags), (flags))                                                    \
	SYS(int, close, (int fd), (fd))                                                            \
	SYS(int, dup, (int fd), (fd))                                                              \
	SYS(int, dup3, (int from, int to, int flags), (from, to, flags))                           \
	LIB(int, dup2, (int from, int to), (from, to))                                             \
	OPT(int, close_range, (unsigned int first, unsigned int last, int flags),                  \
	    (first, last, flags))                                                                  \
	OPT(void, closefrom, (int first), (first))                                                 \
	LIB(int, fclose, (FILE * file), (file))                                                    \
	LIB(int, fcloseall, (void), ())                                                            \
	LIB(FILE *, freopen, (const char *path, const char *mode, FILE *file), (path, mode, file)) \
	LIB(FILE *, freopen64, (const char *path, const char *mode, FILE *file),                   \
	    (path, mode, file))                                                                    \
	LIB(pid_t, fork, (void), ())                                                               \
	OPT(pid_t, _Fork, (void), ())                                                              \
	LIB(int, posix_spawn,                                                                      \
	    (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,             \
	     const posix_spawnattr_t *attr, char *const argv[], char *const envp[]),               \
	    (pid, path, actions, attr, argv, envp))                                                \
	LIB(int, posix_spawnp,                                                                     \
	    (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,             \
	     const posix_spawnattr_t *attr, char *const argv[], char *const envp[]),               \
	    (pid, file, actions, attr, argv, envp))                                                \
	OPT(int, pidfd_spawn,                                                                      \
	    (int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,              \
	     const posix_spawnattr_t *attr, char *const argv[], char *const envp[]),               \
	    (pidfd, path, actions, attr, argv, envp))                                              \
	OPT(int, pidfd_spawnp,                                                                     \
	    (int *pidfd, const char *file, const posix_spawn_file_actions_t *actions,              \
	     const posix_spawnattr_t *attr, char *const argv[], char *const envp[]),               \
	    (pidfd, file, actions, attr, argv, envp))                                              \
	LIB(int, posix_spawn_file_actions_adddup2,                                                 \
	    (posix_spawn_file_actions_t * actions, int from, int to), (actions, from, to))         \
	LIB(int, system, (const char *command), (command))                                         \
	LIB(FILE *, popen, (const char *command, const char *mode), (command, mode))               \
	LIB(int, forkpty,                                                                          \
	    (int *master, char *name, const struct termios *termp, const struct winsize *winp),    \
	    (master, name, termp, winp))                                                           \
	LIB(int, wordexp, (const char *words, wordexp_t *result, int flags),                       \
	    (words, result, flags))                                                                \
	LIB(int, daemon, (int nochdir, int noclose), (nochdir, noclose))                           \
	LIB(void, _exit, (int status), (status))                                                   \
	LIB(void, _Exit, (int status), (status))                                                   \
	LIB(void, quick_exit, (int status), (status))                                              \
	ODD(fcntl)                                                                                 \
	ODD(fcntl64)                                                                               \
	ODD(prctl)                                                                                 \
	ODD(syscall)                                                                               \
	ODD(clone)                                                                                 \
	ODD(vfork)

#endif
