/* SPDX-License-Identifier: MIT */
/* The doctor at work: what it keeps an eye on from second to second, and a round over the model
 * when somebody asks. A round goes in steps, so that a million connections hold up nobody. */
#ifndef DAEMON_DOCTOR_RUN_H
#define DAEMON_DOCTOR_RUN_H

#include "daemon/cuts.h"

#include <stdint.h>

struct client;
struct conns;
struct doctor_watch;
struct probe;
struct vitals;

/* Probe and vitals of our own namespace stay the caller's. NULL: out of memory. */
struct doctor_watch *doctor_watch_new(struct conns *conns, struct probe *probe,
				      struct vitals *vitals);
void doctor_watch_free(struct doctor_watch *watch);
/* Each second. */
void doctor_watch_tick(struct doctor_watch *watch, uint64_t now_ms);
/* Where closes with data unread are noted. */
struct cuts *doctor_watch_cuts(struct doctor_watch *watch);

/* The command of the control socket. */
void doctor_begin(struct client *client);

#endif
