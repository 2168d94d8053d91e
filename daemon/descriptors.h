/* SPDX-License-Identifier: MIT */
/* Which processes of the model are near their limit of open files, and since when. A few are looked
 * at each second, one round after the other; a look costs two or three system calls. */
#ifndef DAEMON_DESCRIPTORS_H
#define DAEMON_DESCRIPTORS_H

#include "daemon/probe.h"
#include "daemon/proc.h"

#include <stdbool.h>
#include <stdint.h>

enum { DESCRIPTORS_A_TICK = 8 };

struct descriptors;

/* few() says whether that is near the limit. NULL: out of memory. */
struct descriptors *descriptors_new(struct procs *procs,
				    bool (*few)(uint64_t used, uint64_t limit));
void descriptors_free(struct descriptors *descriptors);

/* Does it have anything open that we know of? */
bool descriptors_is_live(const struct proc *proc);

void descriptors_tick(struct descriptors *descriptors, uint64_t now_ms);

/* Looks at it now; true: it is near its limit. *since_ms: for how long, as far as it was seen. */
bool descriptors_look(struct descriptors *descriptors, const struct proc *proc, uint64_t now_ms,
		      struct probe_descriptors *found, int64_t *since_ms);

#endif
