/* SPDX-License-Identifier: MIT */
/* What the files of wrappers share. */
#ifndef SHIM_WRAP_H
#define SHIM_WRAP_H

#include <stdbool.h>
#include <sys/socket.h>

struct libc_calls;
struct timespec;

/* The wrappers of calls that may block or end the thread, for both ways in which they are made:
 * next is &libc, or &libc_by_number for syscall(). */
int connect_by(const struct libc_calls *next, int fd, const struct sockaddr *addr, socklen_t len);
int accept_by(const struct libc_calls *next, int fd, struct sockaddr *addr, socklen_t *len);
int accept4_by(const struct libc_calls *next, int fd, struct sockaddr *addr, socklen_t *len,
	       int flags);
ssize_t sendmsg_by(const struct libc_calls *next, int fd, const struct msghdr *msg, int flags);
int sendmmsg_by(const struct libc_calls *next, int fd, struct mmsghdr *msgs, unsigned int count,
		int flags);
ssize_t recvmsg_by(const struct libc_calls *next, int fd, struct msghdr *msg, int flags);
int recvmmsg_by(const struct libc_calls *next, int fd, struct mmsghdr *msgs, unsigned int count,
		int flags, struct timespec *limit);
int close_by(const struct libc_calls *next, int fd);

/* syscall() of SYS_fork, and of SYS_clone or SYS_clone3 where it is a fork. */
long wrap_fork_by_number(long nr, const long a[6]);

/* A child that runs in our memory is about to be made, with these flags: what must be done before.
 * Afterwards process_vfork_end() once it has gone, and fork_end(FORK_COPY) once it has its own
 * copies; who cannot tell leaves them out. */
void wrap_memory_shared(unsigned long flags);

/* Has the program shut this down for writing, deferred? Then its error is set, and SIGPIPE sent
 * unless flags hold MSG_NOSIGNAL. */
bool write_refused(int fd, int flags);

#endif
