/* SPDX-License-Identifier: MIT */
/* Capabilities: the loop keeps three and gives up the rest; what it lacks it can name. */
#ifndef DAEMON_CAPS_H
#define DAEMON_CAPS_H

#include <stddef.h>

struct cap_need {
	int cap;
	const char *name;
	const char *lost; /* what does not work without it */
};

enum { CAP_NEEDS = 3 };
extern const struct cap_need cap_needs[CAP_NEEDS];

/* Drops all but cap_needs from this process. 0 or -1 with errno. */
int caps_drop(void);
/* Bit i: cap_needs[i] is missing. */
unsigned int caps_missing(void);

#endif
