/* SPDX-License-Identifier: MIT */
/* What the files of wrappers share. */
#ifndef SHIM_WRAP_H
#define SHIM_WRAP_H

#include <stdbool.h>

/* syscall() of SYS_fork, and of SYS_clone or SYS_clone3. */
long wrap_fork_by_number(long nr, const long a[6]);
long wrap_clone_by_number(long nr, const long a[6]);

/* Has the program shut this down for writing, deferred? Then its error is set, and SIGPIPE sent
 * unless flags hold MSG_NOSIGNAL. */
bool write_refused(int fd, int flags);

#endif
