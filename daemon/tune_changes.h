/* SPDX-License-Identifier: MIT */
/* What the tuner changes: sysctls, by the guardian (setter.h), and listeners' backlogs
 * (relisten.h). The guardian answers later; who waits for it is told. */
#ifndef DAEMON_TUNE_CHANGES_H
#define DAEMON_TUNE_CHANGES_H

#include "daemon/balance.h"
#include "daemon/tune_samples.h"

#include <stdint.h>

struct changes;
struct loop;

/* What is told of a change: outcome, and what the value was and is. */
struct tune_change {
	char id[BALANCE_ID];
	unsigned int space;
	const char *name; /* the sysctl's, or NULL: a listener's backlog */
	struct sysctl_value from, to;
	const char *outcome; /* "done"; or why not */
	int error;	     /* errno behind it */
};

/* Who waits for changes that he has asked for; count is how many are still to come. */
struct tune_wait {
	void (*changed)(struct tune_wait *wait, const struct tune_change *change);
	void *arg;
	unsigned int count;
};

/* setter: the loop's end of the setter's channel; -1: none. The samples are told of what is ours.
 * NULL: no memory. */
struct changes *changes_new(struct loop *loop, struct tune_samples *samples, int setter);
void changes_free(struct changes *changes);
/* Each second. */
void changes_tick(struct changes *changes, uint64_t now_ms);
/* Asks what is ours. */
void changes_list(struct changes *changes);

/* Begins a change, whole at once; wait may be NULL. Told at once if it cannot be. */
void changes_apply(struct changes *changes, const struct balance_sheet *sheet,
		   const struct balance_advice *advice, struct tune_wait *wait);
/* A step of mode apply. */
void changes_move(struct changes *changes, const struct balance_move *move);
/* Puts back all that is ours. */
void changes_revert(struct changes *changes, struct tune_wait *wait);
/* The waiter has gone. */
void changes_leave(struct changes *changes, struct tune_wait *wait);

#endif
