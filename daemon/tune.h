/* SPDX-License-Identifier: MIT */
/* The tuner at work: samples the system each second, keeps the balance sheet, and in mode apply
 * restores balance: it asks the guardian to write (setter.h), and calls listen() for listeners
 * (relisten.h). What is pure is balance.h's.
 *
 * A walk over the model costs as much as there are connections: it is done when somebody asks, and
 * besides so seldom that it takes no more than a few thousandths of a processor; and not at all
 * while there are too few connections for any range of ports to matter. */
#ifndef DAEMON_TUNE_H
#define DAEMON_TUNE_H

#include "daemon/balance.h"
#include "daemon/tune_samples.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct changes;
struct gather;
struct ignored;
struct loop;
struct tune;

/* After follow_new(). setter: the loop's end of the setter's channel; -1: none. NULL: no memory. */
struct tune *tune_new(struct loop *loop, int setter);
void tune_free(struct tune *tune);
/* Each second. */
void tune_tick(struct tune *tune, uint64_t now_ms);
/* The config is another. */
void tune_reloaded(struct tune *tune);

/* Reads the sysctls, and asks the guardian what is ours in namespaces that are new. */
void tune_settings(struct tune *tune, uint64_t now_ms);
/* The sheet of this moment, but for what a walk over the model says. */
const struct balance_sheet *tune_assess(struct tune *tune, uint64_t now_ms);
/* The sheet as it was last made. */
const struct balance_sheet *tune_sheet(const struct tune *tune);
struct tune_samples *tune_samples(struct tune *tune);
struct ignored *tune_ignored(struct tune *tune);
/* The worst that was near a limit since a `run --report` began: one line, or NULL. tune: NULL,
 * nothing is known. */
const char *tune_worst(const struct tune *tune, uint16_t tag);

/* A walk's rows are in gather: NULL, out of memory. */
struct gather *tune_gather_new(struct tune *tune, uint64_t now_ms);
void tune_gathered(struct tune *tune, struct gather *gather);

/* It is nobody else's any more. */
void tune_resume(struct tune *tune, enum sysctl key);
/* What is under way. */
struct changes *tune_changes(struct tune *tune);

#endif
