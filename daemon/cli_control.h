/* SPDX-License-Identifier: MIT */
/* One request to the daemon's control socket, and the rows of its reply. */
#ifndef DAEMON_CLI_CONTROL_H
#define DAEMON_CLI_CONTROL_H

#include "daemon/cli.h"

#include <jansson.h>

struct control;

/* 0, or errno. socket: the daemon's, without suffix. */
int control_open(struct control **out, const char *socket);
void control_close(struct control *control);

/* Sends {"v":1,"cmd":...} with the members of more (stolen; may be NULL). 0, or errno. */
int control_request(struct control *control, const char *command, json_t *more);

/* The next row: 1 with *row owned by the caller; 0 at an end that is ok; -1 at one that is not, or
 * when the reply breaks off: control_error() says why. */
int control_next(struct control *control, json_t **row);
const char *control_error(const struct control *control);

/* Opens, requests, calls on_row for each row. Returns an exit code, with everything said. */
int control_run(const struct cli *cli, const char *command, json_t *more,
		void (*on_row)(void *arg, json_t *row), void *arg);

#endif
