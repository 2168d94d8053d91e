/* SPDX-License-Identifier: MIT */
/* A kernel for the tests of the balance sheet: the numbers that a quiet one has, and how to find
 * things in a sheet. */
#ifndef TESTS_UNIT_BALANCE_KERNEL_H
#define TESTS_UNIT_BALANCE_KERNEL_H

#include "daemon/balance.h"

struct balance_kernel {
	struct balance_inputs inputs;
	struct balance_space space;
	struct balance_ports ports;
	struct balance_listener listener;
	struct balance_process process;
	struct balance_sheet sheet;
};

/* Default settings of Linux, nothing in use, mode advise. */
void kernel_init(struct balance_kernel *kernel);
void kernel_set(struct balance_kernel *kernel, enum sysctl key, int64_t number);
int64_t kernel_get(const struct balance_kernel *kernel, enum sysctl key);
/* One address to one port: so many in TIME_WAIT, begun one after the other at this rate. */
void kernel_connect(struct balance_kernel *kernel, uint32_t time_wait, double rate_s);
void kernel_listen(struct balance_kernel *kernel, uint32_t backlog);

/* Assesses, and looks that nothing in it is untrue: what is never to be said is not said. */
void kernel_assess(struct balance_kernel *kernel);
/* The entry with this id; fails the test if there is none. */
const struct balance_entry *kernel_entry(const struct balance_kernel *kernel, const char *id);
/* NULL: there is none. */
const struct balance_advice *kernel_advice(const struct balance_kernel *kernel, const char *id);
/* Does what the moves of the sheet say, as mode apply would. Returns how many. */
unsigned int kernel_apply(struct balance_kernel *kernel);

#endif
