/* SPDX-License-Identifier: MIT */
/* The command "history": rows of the history, as they are asked for. */
#ifndef DAEMON_HISTORY_REPLY_H
#define DAEMON_HISTORY_REPLY_H

#include <jansson.h>

struct client;

/* {"cmd":"history", "since_ms":..., "until_ms":..., "step_ms" or "rows":..., "fine":true,
 *  "offset_ms":..., "program":"nginx" or "programs":true}; all may be left out. */
void history_begin(struct client *client, const json_t *request);

#endif
