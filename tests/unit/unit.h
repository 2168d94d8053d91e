/* SPDX-License-Identifier: MIT */
/* cmocka.h with the headers that it needs before it, and tests made from a table. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* One test for each row of a table: run() finds its row by *state. */
static inline struct CMUnitTest unit_row(const char *name, CMUnitTestFunction run, const void *row)
{
	return (struct CMUnitTest){name, run, NULL, NULL, (void *)(uintptr_t)row};
}

/* Leaves the test that calls it; the reason is shown with its name. */
#define unit_skip(reason)                        \
	do {                                     \
		print_message("# %s\n", reason); \
		skip();                          \
	} while (0)

#endif
