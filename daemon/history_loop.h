/* SPDX-License-Identifier: MIT */
/* The loop's side of the history: what it is begun with, when samples are taken, what the loop says
 * of itself. */
#ifndef DAEMON_HISTORY_LOOP_H
#define DAEMON_HISTORY_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* Once there is a model; false: no memory. */
bool history_loop_begin(struct loop *loop);
/* It serves: how it came to. */
void history_loop_started(const struct loop *loop);
/* Each second. */
void history_loop_tick(struct loop *loop, uint64_t now_ms);
/* The last sample, while connections are as they were. */
void history_loop_stop(struct loop *loop, uint64_t now_ms);
/* Before the model goes. */
void history_loop_end(struct loop *loop);

#endif
