/* SPDX-License-Identifier: MIT */
/* The filter that a person typed. */
#ifndef DAEMON_CLI_FILTER_H
#define DAEMON_CLI_FILTER_H

#include "daemon/cli.h"
#include "daemon/filter.h"

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

/* The arguments of the subcommand as a filter, and what to ask the daemon for: {"filter":TEXT},
 * with users by number. NULL with everything said, the place of the error pointed at. */
json_t *filter_take(const struct cli *cli, struct filter *filter);

/* For filter_parse(): asks the system's databases. */
bool filter_find_user(const char *name, uid_t *uid);

/* The typed text, or the part of it around the error if it is long, as one line for a terminal;
 * returns the column, from 0, that the error is at. */
size_t filter_excerpt(const char *text, size_t at, char *out, size_t size);

#endif
