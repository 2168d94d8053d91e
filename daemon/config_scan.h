/* SPDX-License-Identifier: MIT */
/* A look at the config's text before libconfuse sees it. libconfuse takes the end of the file for
 * a closing brace, and an unclosed string or comment leaves its lexer inside it for the next file.
 */
#ifndef DAEMON_CONFIG_SCAN_H
#define DAEMON_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* False, with the line and what is wrong there, if a brace, string or comment is unbalanced, if the
 * text is not text, or if it says nothing at all. */
bool config_scan(const char *text, size_t len, unsigned int *line, const char **wrong);

/* The nearest line from this one back that has the word; if none has it, this one. */
unsigned int config_scan_back(const char *text, unsigned int line, const char *word);

#endif
