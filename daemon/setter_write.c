/* SPDX-License-Identifier: MIT */
/* One sysctl: set, or put back. */
#include "daemon/setter_state.h"

#include "daemon/setter_seam.h"
#include "daemon/sysctld.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct setter_seam setter_seam = {.read = sysctl_read, .write = sysctl_write};

static struct journal_entry *find(struct setter *setter, const struct space *space, enum sysctl key)
{
	return journal_find(&setter->journal, space->netns, space->cookie, key);
}

static bool lies_between(const struct sysctl_value *a, const struct sysctl_value *b,
			 const struct sysctl_value *value)
{
	if (a->count != b->count || a->count != value->count || value->count > SYSCTL_NUMBERS)
		return false;
	for (uint32_t i = 0; i < value->count; i++) {
		bool rises = a->number[i] <= b->number[i];
		int64_t least = rises ? a->number[i] : b->number[i];
		int64_t most = rises ? b->number[i] : a->number[i];

		if (value->number[i] < least || value->number[i] > most)
			return false;
	}
	return true;
}

static bool has_no_write_mode(const struct space *space, enum sysctl key)
{
	struct stat st;

	return fstatat(space->folders[sysctls[key].folder], sysctls[key].file, &st,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       !(st.st_mode & 0222);
}

static enum setter_outcome outcome_of(const struct setter *setter, const struct space *space,
				      enum sysctl key, int error)
{
	switch (error) {
	case ENOENT:
		return space != &setter->spaces.own && space_has_gone(space) ? SETTER_GONE
									     : SETTER_NO_SUCH;
	case EACCES:
	case EPERM:
		return has_no_write_mode(space, key) ? SETTER_READ_ONLY : SETTER_NOT_PERMITTED;
	case EROFS:
		return SETTER_READ_ONLY;
	default:
		return SETTER_REFUSED;
	}
}

static enum setter_outcome failed(const struct setter *setter, const struct space *space,
				  enum sysctl key, struct setter_answer *answer)
{
	answer->error = errno;
	return outcome_of(setter, space, key, answer->error);
}

/* What is there now; an entry that does not fit to it is none any more. */
static bool look(struct setter *setter, const struct space *space, enum sysctl key,
		 struct sysctl_value *now)
{
	struct journal_entry *entry = find(setter, space, key);

	if (!setter_seam.read(space->folders, key, now))
		return false;
	if (!entry)
		return true;
	if (sysctl_same(now, &entry->original))
		journal_remove(&setter->journal, entry);
	else if (sysctl_same(now, &entry->written) || sysctl_same(now, &entry->intended))
		return true;
	else
		setter_yield(setter, space, entry, now);
	setter_keep(setter);
	return true;
}

static void describe(struct setter *setter, const struct space *space, enum sysctl key,
		     struct setter_answer *answer)
{
	const struct journal_entry *entry = key < SYSCTL_COUNT ? find(setter, space, key) : NULL;

	answer->is_ours = entry != NULL;
	if (entry)
		answer->original = entry->original;
}

/* --- setting ---------------------------------------------------------------------------------- */

static bool is_permitted(struct setter *setter, const struct space *space,
			 const struct setter_request *request)
{
	const struct journal_entry *entry = find(setter, space, request->key);

	return sysctl_may_go(request->key, &request->expected, &request->value) ||
	       (entry && lies_between(&entry->original, &request->expected, &request->value));
}

/* To the journal, before it is written. NULL with errno. */
static struct journal_entry *intend(struct setter *setter, const struct space *space,
				    const struct setter_request *request)
{
	struct journal_entry *entry = find(setter, space, request->key),
			     new = {
				     .netns = space->netns,
				     .cookie = space->cookie,
				     .key = request->key,
				     .original = request->expected,
			     };

	errno = setter->usable ? ENOSPC : EPERM;
	if (!entry && setter->usable)
		entry = journal_add(&setter->journal, &new);
	if (!entry || !setter->usable)
		return NULL;
	entry->written = request->expected;
	entry->intended = request->value;
	return entry;
}

/* It has not been written after all. */
static void retract(struct setter *setter, struct journal_entry *entry)
{
	entry->intended = entry->written;
	if (sysctl_same(&entry->written, &entry->original))
		journal_remove(&setter->journal, entry);
}

/* It is what after says, whatever was wanted. */
static enum setter_outcome judge(struct setter *setter, const struct space *space,
				 struct journal_entry *entry, const struct sysctl_value *after,
				 enum setter_outcome failure)
{
	struct sysctl_value before = entry->written, wanted = entry->intended;
	enum sysctl key = entry->key;

	if (sysctl_same(after, &before)) {
		retract(setter, entry);
		return failure == SETTER_DONE ? SETTER_CLAMPED : failure;
	}
	if (!lies_between(&before, &wanted, after)) {
		setter_yield(setter, space, entry, after);
		return SETTER_CHANGED;
	}
	entry->written = entry->intended = *after;
	if (sysctl_same(after, &entry->original))
		journal_remove(&setter->journal, entry);
	setter_log_change(setter, space, key, &before, after, "");
	return sysctl_same(after, &wanted) ? SETTER_DONE : SETTER_CLAMPED;
}

/* From the intent in the journal to its result. */
static enum setter_outcome carry_out(struct setter *setter, const struct space *space,
				     struct journal_entry *entry, struct setter_answer *answer)
{
	enum setter_outcome outcome = SETTER_DONE;
	enum sysctl key = entry->key;

	/* The disk may have taken its time. */
	if (setter_seam.read(space->folders, key, &answer->now) &&
	    !sysctl_same(&answer->now, &entry->written)) {
		bool is_new = sysctl_same(&entry->original, &entry->written);

		if (is_new)
			journal_remove(&setter->journal, entry);
		else
			setter_yield(setter, space, entry, &answer->now);
		return SETTER_CHANGED;
	}
	if (!setter_seam.write(space->folders, key, &entry->intended))
		outcome = failed(setter, space, key, answer);
	setter_at(STEP_SET);
	if (!setter_seam.read(space->folders, key, &answer->now)) {
		/* Not known; the journal has both. */
		if (outcome == SETTER_DONE)
			outcome = failed(setter, space, key, answer);
		answer->now.count = 0;
		return outcome;
	}
	setter_at(STEP_READ_BACK);
	return judge(setter, space, entry, &answer->now, outcome);
}

static enum setter_outcome set(struct setter *setter, const struct space *space,
			       const struct setter_request *request, struct setter_answer *answer)
{
	enum sysctl key = request->key;
	struct journal_entry *entry;
	enum setter_outcome outcome;

	if (!look(setter, space, key, &answer->before))
		return failed(setter, space, key, answer);
	answer->now = answer->before;
	if (sysctl_same(&answer->now, &request->value) &&
	    sysctl_same(&answer->now, &request->expected))
		return SETTER_DONE;
	if (!is_permitted(setter, space, request))
		return SETTER_FORBIDDEN;
	if (sysctld_names(key, NULL, 0))
		return SETTER_NAMED;
	if (!sysctl_same(&answer->now, &request->expected))
		return SETTER_CHANGED;
	setter_at(STEP_CHECKED);
	entry = intend(setter, space, request);
	if (!entry || !setter_keep(setter)) {
		answer->error = errno;
		if (entry)
			retract(setter, entry);
		return SETTER_NO_JOURNAL;
	}
	setter_at(STEP_INTENDED);
	outcome = carry_out(setter, space, entry, answer);
	if (outcome == SETTER_DONE)
		answer->error = 0;
	setter_keep(setter);
	setter_at(STEP_CONFIRMED);
	return outcome;
}

enum setter_outcome setter_set(struct setter *setter, const struct space *space,
			       const struct setter_request *request, struct setter_answer *answer)
{
	enum setter_outcome outcome = SETTER_FORBIDDEN;

	if (request->key < SYSCTL_COUNT && sysctls[request->key].lever != SYSCTL_READ)
		outcome = set(setter, space, request, answer);
	describe(setter, space, request->key, answer);
	return outcome;
}

/* --- putting back ----------------------------------------------------------------------------- */

static enum setter_outcome put_back(struct setter *setter, const struct space *space,
				    enum sysctl key, struct setter_answer *answer)
{
	enum setter_outcome outcome = SETTER_DONE;
	struct journal_entry *entry;
	struct sysctl_value original;

	if (!look(setter, space, key, &answer->before))
		return failed(setter, space, key, answer);
	answer->now = answer->before;
	entry = find(setter, space, key);
	if (!entry)
		return SETTER_CHANGED;
	original = entry->original;
	if (!setter_seam.write(space->folders, key, &original))
		outcome = failed(setter, space, key, answer);
	setter_at(STEP_PUT_BACK);
	if (!setter_seam.read(space->folders, key, &answer->now)) {
		answer->now.count = 0;
		return outcome == SETTER_DONE ? failed(setter, space, key, answer) : outcome;
	}
	if (sysctl_same(&answer->now, &answer->before))
		return outcome == SETTER_DONE ? SETTER_CLAMPED : outcome;
	if (sysctl_same(&answer->now, &original)) {
		setter_log_change(setter, space, key, &answer->before, &original, ", as it was");
		journal_remove(&setter->journal, entry);
		outcome = SETTER_DONE;
		answer->error = 0;
	} else {
		setter_yield(setter, space, entry, &answer->now);
		outcome = SETTER_CHANGED;
	}
	setter_keep(setter);
	return outcome;
}

enum setter_outcome setter_put_back(struct setter *setter, const struct space *space,
				    enum sysctl key, struct setter_answer *answer)
{
	enum setter_outcome outcome =
		key < SYSCTL_COUNT ? put_back(setter, space, key, answer) : SETTER_FORBIDDEN;

	describe(setter, space, key, answer);
	return outcome;
}

enum setter_outcome setter_look(struct setter *setter, const struct space *space, enum sysctl key,
				struct setter_answer *answer)
{
	enum setter_outcome outcome = SETTER_DONE;

	if (!look(setter, space, key, &answer->before))
		outcome = failed(setter, space, key, answer);
	answer->now = answer->before;
	describe(setter, space, key, answer);
	return outcome == SETTER_DONE && !answer->is_ours ? SETTER_CHANGED : outcome;
}
