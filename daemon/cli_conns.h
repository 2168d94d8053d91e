/* SPDX-License-Identifier: MIT */
/* How conns and watch show connections. */
#ifndef DAEMON_CLI_CONNS_H
#define DAEMON_CLI_CONNS_H

#include "daemon/cli_table.h"

#include <jansson.h>

/* The states of a row in colour. */
enum color conns_paint(const struct table_column *column, const json_t *row);

/* For people: a process that is not known is a "?". */
void conns_show_unknown(json_t *row);

#endif
