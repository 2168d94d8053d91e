/* SPDX-License-Identifier: MIT */
/* The terminal: ncurses, and the signals of one who holds it. However top ends but by SIGKILL, the
 * terminal is left as it was. There is one. */
#ifndef DAEMON_TOP_TERM_H
#define DAEMON_TOP_TERM_H

#include "daemon/top.h"

/* NULL, or why this is no terminal for a full screen. */
const char *term_problem(char *buf, size_t size);

/* false: errno. From here on signals come by term_signal(). */
bool term_open(void);
void term_close(void);

/* To be polled for reading. */
int term_signal_fd(void);

/* The next signal that asks to end, or 0. Stopping, going on and resizing are done here. */
int term_signal(void);

/* Ends the process as this signal does, the terminal being closed. */
void term_die(int sig);

enum term_key { TERM_KEY, TERM_NO_KEY, TERM_GONE };

/* The next key that was pressed: a character, or one of TOP_UP and so on. */
enum term_key term_key(uint32_t *key);

void term_draw(struct top *top);

#endif
