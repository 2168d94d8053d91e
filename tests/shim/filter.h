/* SPDX-License-Identifier: MIT */
/* Seccomp filters for case programs: each refuses one group of what a shim might call. */
#ifndef TESTS_SHIM_FILTER_H
#define TESTS_SHIM_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/* "kill", "trap" (SIGSYS) or "errno" (EPERM); 0 if it is none of them. */
uint32_t filter_action(const char *word);

enum filter_how { BY_PRCTL, BY_SYSCALL };

/* Refuses, in this thread from now on, the calls of a group by the action:
 *   "late"   what nothing in a case calls once its connections are open, but a shim might:
 *            OpenSSH's filter is of that kind
 *   "early"  the same, of what must go on working after an exec: all but what the loader does
 *   "socket" AF_UNIX sockets alone
 *   "map"    shared mappings alone
 *   "file"   files opened otherwise than the loader opens them
 *   "reboot" what neither does
 * False: there is no such group, or the kernel refused it. */
bool filter_install(const char *group, uint32_t action, enum filter_how how);

#endif
