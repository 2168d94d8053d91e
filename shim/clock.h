/* SPDX-License-Identifier: MIT */
/* The clock of heartbeats, wire_now_ms(), past libc: other preloads (libfaketime) let programs read
 * another time, and take locks for it. */
#ifndef SHIM_CLOCK_H
#define SHIM_CLOCK_H

#include <stdint.h>

/* Finds the kernel's function in the vDSO; without it each question is a system call. */
void clock_init(void);

/* Coarse monotonic milliseconds. */
uint64_t clock_now_ms(void);

#endif
