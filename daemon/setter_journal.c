/* SPDX-License-Identifier: MIT */
/* What the setter does with its journal, and what it says in the log. */
#include "daemon/setter_state.h"

#include "daemon/log.h"
#include "daemon/setter_seam.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* --- words ------------------------------------------------------------------------------------ */

struct place {
	char text[48];
};

/* " in network namespace 4026532" where it is not our own. */
static struct place place_of(const struct setter *setter, const struct space *space)
{
	struct place place = {""};

	if (space != &setter->spaces.own)
		snprintf(place.text, sizeof(place.text), " in network namespace %" PRIu64,
			 space->netns);
	return place;
}

void setter_log_change(const struct setter *setter, const struct space *space, enum sysctl key,
		       const struct sysctl_value *from, const struct sysctl_value *to,
		       const char *why)
{
	char before[SYSCTL_TEXT], after[SYSCTL_TEXT];

	log_notice("%s: %s to %s%s%s", sysctls[key].name,
		   sysctl_format(from, before, sizeof(before)),
		   sysctl_format(to, after, sizeof(after)), place_of(setter, space).text, why);
}

/* --- the journal ------------------------------------------------------------------------------ */

bool setter_keep(struct setter *setter)
{
	if (!setter->usable)
		return false;
	if (journal_save(setter->path, setter->boot, &setter->journal)) {
		setter->behind = false;
		return true;
	}
	if (!setter->behind) {
		int error = errno;

		log_warning("%s: %m: no sysctl is written", setter->path);
		errno = error;
	}
	setter->behind = true;
	return false;
}

void setter_yield(struct setter *setter, const struct space *space, struct journal_entry *entry,
		  const struct sysctl_value *now)
{
	char is[SYSCTL_TEXT], was[SYSCTL_TEXT];

	log_notice("%s: somebody else has set it to %s%s; it stays so (%s before closeside set it)",
		   sysctls[entry->key].name, sysctl_format(now, is, sizeof(is)),
		   place_of(setter, space).text, sysctl_format(&entry->original, was, sizeof(was)));
	journal_remove(&setter->journal, entry);
}

void setter_forget(struct setter *setter, const struct space *space)
{
	unsigned int count = 0;

	for (size_t i = setter->journal.count; i-- > 0;) {
		struct journal_entry *entry = &setter->journal.entry[i];

		if (entry->netns != space->netns || entry->cookie != space->cookie)
			continue;
		journal_remove(&setter->journal, entry);
		count++;
	}
	if (!count)
		return;
	log_line(LOG_INFO, "network namespace %" PRIu64 " has gone, and with it %u sysctls of ours",
		 space->netns, count);
	setter_keep(setter);
}

/* True if the entry stays. */
static bool settle_entry(struct setter *setter, const struct space *space,
			 struct journal_entry *entry)
{
	struct sysctl_value now;

	if (entry->cookie != space->cookie) { /* the number is another's now */
		journal_remove(&setter->journal, entry);
		return false;
	}
	if (!setter_seam.read(space->folders, entry->key, &now))
		return true;
	if (sysctl_same(&now, &entry->original)) { /* not written yet, or put back already */
		journal_remove(&setter->journal, entry);
		return false;
	}
	if (!sysctl_same(&now, &entry->written) && !sysctl_same(&now, &entry->intended)) {
		setter_yield(setter, space, entry, &now);
		return false;
	}
	entry->written = entry->intended = now;
	return true;
}

void setter_settle(struct setter *setter, const struct space *space)
{
	unsigned int count = 0, seen = 0;

	for (size_t i = setter->journal.count; i-- > 0;) {
		struct journal_entry *entry = &setter->journal.entry[i];

		if (entry->netns != space->netns)
			continue;
		seen++;
		count += settle_entry(setter, space, entry);
	}
	if (!seen)
		return;
	log_line(LOG_INFO, "of the sysctls that the journal has%s, %u are still ours",
		 place_of(setter, space).text, count);
	setter_keep(setter);
	setter_at(STEP_SETTLED);
}
