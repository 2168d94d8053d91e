/* SPDX-License-Identifier: MIT */
#include "daemon/cuts.h"

#include "common/close_decide.h"
#include "common/tcp_state.h"

/* A client that closes has what it wants; RST by SO_LINGER is meant. */
static bool is_cut(const struct wire_record *record)
{
	return record->unread && record->role == ROLE_SERVER &&
	       (record->state == STATE_ESTABLISHED || record->state == STATE_CLOSE_WAIT) &&
	       (record->action == CLOSE_PASS || record->action == CLOSE_QUIET ||
		record->action == CLOSE_RETIRE) &&
	       record->why != WHY_APP_LINGER;
}

static struct cut *place_of(struct cuts *cuts, const struct process *process)
{
	struct cut *oldest = &cuts->cut[0];

	for (int i = 0; i < CUTS_PROCESSES; i++) {
		struct cut *cut = &cuts->cut[i];

		if (cut->process.pid == process->pid && cut->process.start == process->start)
			return cut;
		if (cut->last_ms < oldest->last_ms)
			oldest = cut;
	}
	*oldest = (struct cut){.process = *process};
	return oldest;
}

void cuts_note(struct cuts *cuts, const struct process *process, const struct wire_record *record,
	       const char *policy, uint64_t now_ms)
{
	struct cut *cut;

	if (!is_cut(record))
		return;
	cut = place_of(cuts, process);
	if (!cut->count || now_ms - cut->last_ms > CUTS_RUN_GAP_MS)
		*cut = (struct cut){.process = *process, .first_ms = now_ms};
	cut->count++;
	cut->last_ms = now_ms;
	cut->unread += record->unread;
	cut->unsent += record->unacked;
	cut->local = record->local;
	cut->remote = record->remote;
	cut->role = record->role;
	cut->policy = *policy ? policy : NULL;
}
