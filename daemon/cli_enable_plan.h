/* SPDX-License-Identifier: MIT */
/* What the drop-in of a unit is to say, so that all that the unit has stays. */
#ifndef DAEMON_CLI_ENABLE_PLAN_H
#define DAEMON_CLI_ENABLE_PLAN_H

#include "daemon/cli_dropin.h"
#include "daemon/cli_unit.h"

enum { VALUE_MAX = 8192 };

struct enable_plan {
	char preload[VALUE_MAX], socket[VALUE_MAX]; /* socket "": the default one */
	char beside[VALUE_MAX];			    /* what LD_PRELOAD has without us */
	char source[512];			    /* which sets it, for people */
	bool by_file;
};

/* The installed library, as a file, and as LD_PRELOAD has it: with the loader's $LIB if it is where
 * the loader of each word size looks for its own. False with errno: it is not there. */
bool plan_library(char *file, char *token, size_t size);

/* given: the socket of -s, or NULL; own: our own drop-in's file of environment, which does not
 * count. False with why in error. */
bool plan_make(const struct unit *unit, const char *given, const char *own, const char *token,
	       struct enable_plan *plan, char *error, size_t size);

#endif
