/* SPDX-License-Identifier: MIT */
/* The part of the samples that is about processes: listeners and their last seconds, and what a
 * walk over the model says of ports and TIME_WAITs. */
#ifndef DAEMON_TUNE_LISTENERS_H
#define DAEMON_TUNE_LISTENERS_H

#include "daemon/tune_samples.h"

struct netns;

/* NULL: nobody that is known. */
void samples_who(struct balance_who *who, const struct proc *proc);

void listeners_look(struct tune_samples *samples, unsigned int space, const struct netns *ns,
		    uint64_t now_ms);
/* What was not seen in this round; or all. */
void listeners_forget(struct tune_samples *samples, bool all);

#endif
