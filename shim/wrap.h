/* SPDX-License-Identifier: MIT */
/* What the files of wrappers share. */
#ifndef SHIM_WRAP_H
#define SHIM_WRAP_H

/* syscall() of SYS_fork, and of SYS_clone or SYS_clone3. */
long wrap_fork_by_number(long nr, const long a[6]);
long wrap_clone_by_number(long nr, const long a[6]);

#endif
