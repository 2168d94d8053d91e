/* SPDX-License-Identifier: MIT */
/* The life of the shim in a process: off until the first TCP call, on after it, inert for good
 * where it could do harm. It prints nothing and ends nothing. */
#ifndef SHIM_PROCESS_H
#define SHIM_PROCESS_H

#include "common/policy.h"

#include <stdbool.h>

/* From the constructor (or the first call before it): reads the environment once. */
void process_settings(void);

/* Before a first question to the kernel about a descriptor, which a seccomp filter could punish.
 * False: pass through. Keeps errno. */
bool process_may_ask(void);

/* Before a TCP call: starts the shim if need be. False: pass through. Keeps errno. */
bool process_start(void);

/* At the head of every slow path. False: pass through, for the shim is off or inert, or this is a
 * vfork child, which runs in its parent's memory. In a new fork child it starts anew first. */
bool process_enter(void);

bool process_is_on(void);

/* A fork child that has not started anew yet. */
bool process_is_new(void);

/* No further side effect in this process: a seccomp filter is coming. In a vfork child: in it. What
 * the process has open is shared for good, for nobody counts any more what becomes of it. */
void process_inert(void);
bool process_is_inert(void);
bool process_is_sealed(void); /* inert, or such a child: a system call of ours may be the last */

/* A child that runs in our memory is about to be made; it has gone. Between the two
 * process_enter() compares pids. */
void process_vfork_begin(void);
void process_vfork_end(void);

/* Inert, or a child that runs in its parent's memory. */
bool process_is_passive(void);

/* In a fork child, while the shim is off: no vfork is under way here. */
void process_forked(void);

int process_pid(void);

/* PATH of the daemon's socket, and the options after '?'. Valid after process_start(). */
const char *process_socket(void);
const char *process_options(void);

/* What selectors see of this process; read at the first TCP call. */
const struct policy_process *process_facts(void);

#endif
