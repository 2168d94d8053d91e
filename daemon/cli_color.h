/* SPDX-License-Identifier: MIT */
/* Colour, for a terminal that has some and a person who wants it (https://no-color.org). */
#ifndef DAEMON_CLI_COLOR_H
#define DAEMON_CLI_COLOR_H

#include <stdbool.h>

enum color {
	COLOR_NONE,
	COLOR_BAD,     /* somebody should do something */
	COLOR_NOTABLE, /* what is often asked about */
	COLOR_PASSING, /* on its way to an end */
	COLOR_COUNT
};

/* Is standard output a terminal with colours, and NO_COLOR not set? Asked once. */
bool color_wanted(void);

/* What switches it on, and off again; "" if it is not wanted. */
const char *color_on(enum color color);
const char *color_off(enum color color);

/* Of a TCP state, by its kernel name; NULL is none. */
enum color color_of_state(const char *name);

#endif
