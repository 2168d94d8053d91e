/* SPDX-License-Identifier: MIT */
/* The metrics of the daemon: what metrics_text.h's table says, from what is counted anyway. Making
 * them walks over no connection, no process and no socket, so it takes the same few hundred
 * microseconds however many there are. */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "daemon/metrics_text.h"

#include <jansson.h>

#include <stdint.h>

struct client;
struct evbuffer;
struct loop;
struct metrics;

/* NULL: out of memory. */
struct metrics *metrics_new(struct loop *loop);
void metrics_free(struct metrics *metrics);

/* The text; also the doctor goes on looking for a while. */
void metrics_render(struct metrics *metrics, struct evbuffer *out, enum metrics_format format);
/* The row of `status -f zabbix`: the caller's. */
json_t *metrics_zabbix(struct metrics *metrics);

/* The command of the control socket. "format": "prometheus", "openmetrics" or "zabbix". */
void metrics_begin(struct client *client, const json_t *request);

#endif
