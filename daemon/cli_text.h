/* SPDX-License-Identifier: MIT */
/* Text from elsewhere in the cells of a terminal. A program's name may hold anything, and a
 * terminal obeys some of it: what is no printable character of the locale becomes a '?'. */
#ifndef DAEMON_CLI_TEXT_H
#define DAEMON_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* text is UTF-8, or not; out gets at most `cells` cells of it and never more than size - 1 bytes.
 * What is cut off shows as a '+' at the end. Returns the cells taken. setlocale() says what is
 * printable. */
unsigned int cli_text_clean(const char *text, char *out, size_t size, unsigned int cells);

/* The next words of *text that fit, one at least, made fit as above; *text goes past them. False:
 * there are no more. */
bool cli_text_line(const char **text, char *out, size_t size, unsigned int cells);

/* The cells that the whole of it would take. */
unsigned int cli_text_width(const char *text);

#endif
