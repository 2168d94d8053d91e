/* SPDX-License-Identifier: MIT */
/* One request to the daemon's control socket, and the rows of its reply. */
#ifndef DAEMON_CLI_CONTROL_H
#define DAEMON_CLI_CONTROL_H

#include "daemon/cli.h"

#include <jansson.h>

#include <stdbool.h>

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

/* For who waits for more than rows: the descriptor to poll; is a row here, so that control_next()
 * does not wait; and reading what has come: 0, or -1 as control_next(). */
int control_fd(const struct control *control);
bool control_has_row(const struct control *control);
int control_read(struct control *control);

/* control_open() and control_request(). Returns CLI_FINE with *out, or an exit code with everything
 * said; more is stolen either way. */
int control_begin(const struct cli *cli, struct control **out, const char *command, json_t *more);

/* Opens, requests, calls on_row for each row, as long as standard output takes them. Returns an
 * exit code, with everything said. */
int control_run(const struct cli *cli, const char *command, json_t *more,
		void (*on_row)(void *arg, json_t *row), void *arg);

#endif
