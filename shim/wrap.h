/* SPDX-License-Identifier: MIT */
/* What the files of wrappers share. */
#ifndef SHIM_WRAP_H
#define SHIM_WRAP_H

#include <stdbool.h>

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
