/* SPDX-License-Identifier: MIT */
/* The parts of `closeside tune`. */
#ifndef DAEMON_CLI_TUNE_H
#define DAEMON_CLI_TUNE_H

#include <jansson.h>

#include <stdbool.h>

/* The daemon's rows: as they came, and by their types. */
struct tune_sheet {
	json_t *rows;
	json_t *tune; /* the one of this type; NULL: none came */
	json_t *resources, *advice, *keys;
	const char *socket; /* that was asked, if it is not the usual one; NULL */
};

/* "": fine or not there; else "near" or "over". */
const char *tune_finding(const json_t *resource);

/* --- cli_tune_sheet.c: what there is, and how much of it is taken --- */

/* The table: all, or what is not fine; and a sentence about the rest. */
void tune_print_sheet(const struct tune_sheet *sheet, bool all, unsigned int columns);

/* --- cli_tune_words.c: what that means --- */

/* Of each that is not fine the evidence, and what would mend it. */
void tune_print_findings(const struct tune_sheet *sheet, unsigned int columns);
/* A paragraph, as wide as the terminal is, within reason. */
void tune_print_prose(const char *text, unsigned int columns);
/* The sysctls that are ours, or that we leave alone. */
void tune_print_keys(const struct tune_sheet *sheet, unsigned int columns);

#endif
