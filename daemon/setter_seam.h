/* SPDX-License-Identifier: MIT */
/* The seam for tests: what they put in the place of reading and writing a sysctl, and where they
 * are told how far a write has come, to end the process there. The daemon leaves it as it is. */
#ifndef DAEMON_SETTER_SEAM_H
#define DAEMON_SETTER_SEAM_H

#include "daemon/sysctl.h"

#include <stdbool.h>

/* X(step): between any two of them something has been done that lasts. */
#define SETTER_STEPS(X)                                                \
	X(ASKED)	   /* the request is here */                   \
	X(CHECKED)	   /* it may be written, and is what it was */ \
	X(JOURNAL_OPENED)  /* the new file is there, empty */          \
	X(JOURNAL_LINE)	   /* it has its header, or one more line */   \
	X(JOURNAL_WRITTEN) /* ... all, and they are not synced */      \
	X(JOURNAL_SYNCED)                                              \
	X(JOURNAL_RENAMED) /* the folder is not synced */              \
	X(JOURNAL_REMOVED)                                             \
	X(INTENDED) /* the journal has it; about to be written */      \
	X(SET)	    /* it is written */                                \
	X(READ_BACK)                                                   \
	X(CONFIRMED) /* and so the journal says */                     \
	X(PUT_BACK)  /* the original is, the journal has it yet */     \
	X(SETTLED)   /* what was found in the journal is judged */

enum setter_step {
#define X(name) STEP_##name,
	SETTER_STEPS(X)
#undef X
		SETTER_STEP_COUNT
};

struct setter_seam {
	bool (*read)(const int folders[SYSCTL_FOLDERS], enum sysctl key,
		     struct sysctl_value *value);
	bool (*write)(const int folders[SYSCTL_FOLDERS], enum sysctl key,
		      const struct sysctl_value *value);
	void (*step)(enum setter_step step); /* NULL */
};

extern struct setter_seam setter_seam;

static inline void setter_at(enum setter_step step)
{
	if (setter_seam.step)
		setter_seam.step(step);
}

#endif
