/* SPDX-License-Identifier: MIT */
/* What the setter's files share: setter.c has requests and namespaces, setter_write.c one sysctl,
 * setter_journal.c what is kept of them. */
#ifndef DAEMON_SETTER_STATE_H
#define DAEMON_SETTER_STATE_H

#include "daemon/journal.h"
#include "daemon/setter.h"
#include "daemon/spaces.h"

#include <limits.h>

struct setter {
	int fd; /* our end of the channel; -1: none */
	char path[PATH_MAX];
	char boot[JOURNAL_BOOT];
	bool usable; /* the journal is; else nothing is written */
	bool behind; /* the file says of something that it is ours, or still may become so, and it
			is not: to be saved again */
	struct journal journal;
	struct spaces spaces;
	uint32_t walk; /* the number of the one that runs, or was the last */
	bool is_walking;
	struct setter_request walk_request;
	bool is_unsent;
	struct setter_answer unsent; /* there was no room in the channel */
};

/* The journal, as it is, to the disk. false with errno; logged once. */
bool setter_keep(struct setter *setter);
/* Somebody else has set it: it is his from now on. The original is in the log for whoever wants it
 * back. */
void setter_yield(struct setter *setter, const struct space *space, struct journal_entry *entry,
		  const struct sysctl_value *now);
void setter_log_change(const struct setter *setter, const struct space *space, enum sysctl key,
		       const struct sysctl_value *from, const struct sysctl_value *to,
		       const char *why);
/* Judges what the journal has of a namespace that has just been opened. */
void setter_settle(struct setter *setter, const struct space *space);
/* All that is of this namespace is not there any more. */
void setter_forget(struct setter *setter, const struct space *space);
/* Both fill before, now, original, is_ours and error. */
enum setter_outcome setter_set(struct setter *setter, const struct space *space,
			       const struct setter_request *request, struct setter_answer *answer);
enum setter_outcome setter_put_back(struct setter *setter, const struct space *space,
				    enum sysctl key, struct setter_answer *answer);
/* Is it ours still? Looks. */
enum setter_outcome setter_look(struct setter *setter, const struct space *space, enum sysctl key,
				struct setter_answer *answer);

#endif
