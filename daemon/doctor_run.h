/* SPDX-License-Identifier: MIT */
/* The doctor at work: what it keeps an eye on from second to second, and a round over the model
 * when somebody asks. A round goes in steps, so that a million connections hold up nobody. */
#ifndef DAEMON_DOCTOR_RUN_H
#define DAEMON_DOCTOR_RUN_H

#include "daemon/cuts.h"

#include <stdbool.h>
#include <stdint.h>

struct client;
struct conns;
struct doctor_round;
struct doctor_watch;
struct loop;
struct probe;
struct verdicts;
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

/* A round for a client that wants something else of it. NULL: out of memory. */
typedef void doctor_answer(struct client *client, const struct verdicts *verdicts);
void doctor_begin_for(struct client *client, doctor_answer *answer);

/* A round for nobody in particular, over the model as it is: a step takes a fraction of a
 * millisecond, and says whether there are more. NULL: out of memory. */
struct doctor_round *doctor_round_new(struct loop *loop);
bool doctor_round_step(struct doctor_round *round);
/* After the last step, as long as the round. NULL: out of memory. */
const struct verdicts *doctor_round_verdicts(const struct doctor_round *round);
void doctor_round_free(struct doctor_round *round);

#endif
