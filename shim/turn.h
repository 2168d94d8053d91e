/* SPDX-License-Identifier: MIT */
/* One thread does what others need as well, such as opening the channel: they wait for it, lest
 * their connections go by unsteered on a busy machine, but never for long. */
#ifndef SHIM_TURN_H
#define SHIM_TURN_H

#include <stdatomic.h>

/* A name of this thread, not 0; no system call, for a sandbox may know only the usual ones. */
int turn_self(void);
/* Until *word is no longer `value`; `by` is the thread that will change it, 0: not known. Returns
 * at once in a signal handler that interrupted it. */
void turn_await(_Atomic int *word, int value, int by);
/* *word has changed. */
void turn_done(_Atomic int *word);

#endif
