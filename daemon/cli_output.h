/* SPDX-License-Identifier: MIT */
/* Standard output that fails. A reader that has gone, as head does, wants no more: that is no
 * error, and nothing is said. A full disk is one. */
#ifndef DAEMON_CLI_OUTPUT_H
#define DAEMON_CLI_OUTPUT_H

#include <stdbool.h>

/* Has anything that was written failed? Ask often: the reason is that of the last failed call. */
bool output_failed(void);

/* Is there nobody who reads it any more? */
bool output_gone(void);

/* Writes what is buffered. Returns code if all went out, CLI_FINE if the reader has gone, else
 * CLI_FAILED with everything said. */
int output_finish(int code);

/* The cells of a line: as COLUMNS or the terminal says; a file or a pipe takes everything,
 * GRID_UNLIMITED. */
unsigned int output_width(void);

#endif
