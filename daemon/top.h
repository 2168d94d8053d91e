/* SPDX-License-Identifier: MIT */
/* What top knows and shows, without a terminal: what each key does, and which text stands where.
 *
 *   cli_top.c    the loop: asks the daemon, waits for keys, signals and answers
 *   top.c        the state, and what a key does to it
 *   top_view.c   the state as lines of text in a given size
 *   top_list.c   rows: sorted, filtered, scrolled
 *   top_conn.c   a row of the second table
 *   top_feed.c   questions to the daemon that don't wait for their answers
 *   top_term.c   ncurses and the signals */
#ifndef DAEMON_TOP_H
#define DAEMON_TOP_H

#include "daemon/cli_ps_row.h"
#include "daemon/top_list.h"

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

/* Keys that are no character of Unicode. */
enum {
	TOP_UP = 0x110000,
	TOP_DOWN,
	TOP_LEFT,
	TOP_RIGHT,
	TOP_PGUP,
	TOP_PGDN,
	TOP_HOME,
	TOP_END,
	TOP_ENTER,
	TOP_ESC,
	TOP_BACKSPACE,
};

/* X(name, key, another or 0, as it is shown, what it does). Capitals but R are those of PS_COLUMNS.
 */
#define TOP_KEYS(X)                                                                  \
	X(QUIT, 'q', 0, "q", "quit")                                                 \
	X(UP, TOP_UP, 'k', "Up, k", "to the row above")                              \
	X(DOWN, TOP_DOWN, 'j', "Down, j", "to the row below")                        \
	X(PGUP, TOP_PGUP, 0, "PgUp", "a page up")                                    \
	X(PGDN, TOP_PGDN, 0, "PgDn", "a page down")                                  \
	X(HOME, TOP_HOME, 'g', "Home, g", "to the first row, and stay there")        \
	X(END, TOP_END, 'G', "End, G", "to the last row")                            \
	X(ENTER, TOP_ENTER, 0, "Enter", "the connections of this process; back")     \
	X(SORT_LEFT, '<', TOP_LEFT, "<, Left", "sort by the column to the left")     \
	X(SORT_RIGHT, '>', TOP_RIGHT, ">, Right", "sort by the column to the right") \
	X(REVERSE, 'R', 0, "R", "the other way round")                               \
	X(FILTER, '/', 0, "/", "show only rows that contain a text")                 \
	X(PAUSE, ' ', 0, "Space", "stand still; go on")                              \
	X(DELAY, 'd', 0, "d", "change the seconds between two looks")                \
	X(BACK, TOP_ESC, TOP_BACKSPACE, "Esc", "show all rows again; back")          \
	X(HELP, 'h', '?', "h, ?", "this page")

enum top_action {
#define X(name, key, another, shown, text) TOP_DO_##name,
	TOP_KEYS(X)
#undef X
		TOP_ACTION_COUNT
};

enum top_mode { TOP_TABLE, TOP_HELP, TOP_ASK_FILTER, TOP_ASK_DELAY };

enum { TOP_DELAY_LEAST_MS = 100, TOP_DELAY_MOST_MS = 3600000, TOP_CONNS_MAX = 5000 };

struct top {
	struct top_list processes, connections;
	enum top_mode mode;
	bool inside; /* the connections of `subject` are shown */
	bool paused, quit;
	bool hurry; /* ask now: what is to be shown has not been asked for */
	struct ps_row subject;
	size_t page;		 /* rows of the table on the screen */
	unsigned int help_first; /* the first line of the help that is on the screen */
	unsigned int delay_ms;
	char input[TOP_FILTER_MAX]; /* what is being typed */
	char notice[128];	    /* until the next key */
	char trouble[256];	    /* why there is nothing new; "": there is */
	/* as the daemon said it */
	bool known, on, cut; /* cut: more connections than TOP_CONNS_MAX */
	uint64_t uptime_ms;
	struct ps_total total;
	char missing[128]; /* the names of what it lacks */
	char clock[16];	   /* when it said so */
};

void top_init(struct top *top, unsigned int delay_ms);
void top_free(struct top *top);

/* The list that is on the screen. */
struct top_list *top_current(struct top *top);

void top_key(struct top *top, uint32_t key);

/* A row of an answer; false: no more of them are of use. */
bool top_row(struct top *top, const json_t *json);
/* The answer is whole; or it broke off. */
void top_take(struct top *top);
void top_discard(struct top *top);

/* Seconds as they are typed, "0.5": false if they are none, or out of bounds. */
bool top_parse_delay(const char *text, unsigned int *ms);

/* --- the view --- */

enum top_style { TOP_PLAIN, TOP_BOLD, TOP_INVERSE };

/* text is fit for a terminal, and fits between x and the width. */
typedef void top_put_fn(void *arg, unsigned int y, unsigned int x, const char *text,
			enum top_style style);

enum { TOP_LEAST_WIDTH = 32, TOP_LEAST_HEIGHT = 7 };

void top_view(struct top *top, unsigned int width, unsigned int height, top_put_fn *put, void *arg);

#endif
