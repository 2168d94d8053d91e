/* SPDX-License-Identifier: MIT */
/* The HTTP listener for Prometheus, as metrics {} of the config says: /metrics, and a page that
 * points to it. libevent's evhttp speaks HTTP; how many connections there are, and how long a
 * request may take, is seen to here. */
#ifndef DAEMON_METRICS_HTTP_H
#define DAEMON_METRICS_HTTP_H

#include "common/endpoint.h"

#include <stdint.h>

struct loop;
struct metrics_http;

/* Listens from metrics_http_reloaded() on. NULL: out of memory. */
struct metrics_http *metrics_http_new(struct loop *loop);
void metrics_http_free(struct metrics_http *http);
/* The config is another: listens elsewhere, not any more, or tries again. */
void metrics_http_reloaded(struct metrics_http *http);
/* Each second: ends what takes too long, and tries again if it could not listen. */
void metrics_http_tick(struct metrics_http *http, uint64_t now_ms);

/* Where it listens; NULL: nowhere. */
const struct endpoint *metrics_http_at(const struct metrics_http *http);
/* Why it does not, where it should: an errno; else 0. */
int metrics_http_error(const struct metrics_http *http);
/* Connections now; and those that were ended, too slow or too many. */
unsigned int metrics_http_count(const struct metrics_http *http);
uint64_t metrics_http_ended(const struct metrics_http *http);

#endif
