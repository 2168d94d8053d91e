/* SPDX-License-Identifier: MIT */
#include "daemon/cli_color.h"

#include "common/tcp_state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

bool color_wanted(void)
{
	static int wanted = -1;
	const char *term = getenv("TERM");

	if (wanted < 0)
		wanted = isatty(STDOUT_FILENO) && !is_set("NO_COLOR") && term && *term &&
			 strcmp(term, "dumb");
	return wanted > 0;
}

const char *color_on(enum color color)
{
	static const char *const codes[COLOR_COUNT] = {
		[COLOR_NONE] = "",
		[COLOR_BAD] = "\033[1;31m",
		[COLOR_NOTABLE] = "\033[33m",
		[COLOR_PASSING] = "\033[36m",
	};

	return color_wanted() ? codes[color] : "";
}

const char *color_off(enum color color)
{
	return color != COLOR_NONE && color_wanted() ? "\033[0m" : "";
}

enum color color_of_state(const char *name)
{
	switch (name ? tcp_state_parse(name) : 0) {
	case STATE_CLOSE_WAIT:
		return COLOR_BAD;
	case STATE_TIME_WAIT:
		return COLOR_NOTABLE;
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
	case STATE_CLOSING:
	case STATE_LAST_ACK:
		return COLOR_PASSING;
	default:
		return COLOR_NONE;
	}
}
