/* SPDX-License-Identifier: MIT */
/* Questions to the daemon that don't wait for their answers: keys are obeyed meanwhile. */
#ifndef DAEMON_TOP_FEED_H
#define DAEMON_TOP_FEED_H

#include <jansson.h>

#include <stdbool.h>

struct feed;

enum feed_result { FEED_MORE, FEED_DONE, FEED_FAILED };

/* socket: the daemon's, without suffix; outlives the feed. NULL: no memory. */
struct feed *feed_new(const char *socket);
void feed_free(struct feed *feed);

/* Sends so many requests, one a line; opens the connection if there is none. false: see
 * feed_error(). Not while an answer is awaited. */
bool feed_ask(struct feed *feed, const char *requests, unsigned int count);

/* Until all is answered. */
bool feed_is_waiting(const struct feed *feed);

/* To be polled for reading, while it is waiting; -1: nothing is. */
int feed_fd(const struct feed *feed);

/* Takes what has come. on_row: false: enough, the answer is as good as whole. */
enum feed_result feed_read(struct feed *feed, bool (*on_row)(void *arg, json_t *row), void *arg);

const char *feed_error(const struct feed *feed);

#endif
