/* SPDX-License-Identifier: MIT */
#include "daemon/tune_changes.h"

#include "daemon/follow.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/netns.h"
#include "daemon/note.h"
#include "daemon/relisten.h"

#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MS = 10000, PENDING = 64 };

/* What the guardian was asked for. */
struct pending {
	uint32_t serial; /* 0: free */
	uint64_t asked_ms;
	struct tune_change change; /* as asked */
	enum sysctl key;
	struct tune_wait *wait;
};

struct changes {
	struct loop *loop;
	struct tune_samples *samples;
	struct event answered;
	int setter;
	uint32_t serial;
	struct pending pending[PENDING];
	struct tune_wait *reverting;
	uint64_t reverting_ms;
};

/* --- asking ----------------------------------------------------------------------------------- */

static void tell(struct tune_wait *wait, const struct tune_change *change)
{
	if (!wait)
		return;
	if (wait->count)
		wait->count--;
	wait->changed(wait, change);
}

static struct pending *free_place(struct changes *changes)
{
	for (int i = 0; i < PENDING; i++)
		if (!changes->pending[i].serial)
			return &changes->pending[i];
	return NULL;
}

static uint32_t next_serial(struct changes *changes)
{
	if (++changes->serial == 0)
		changes->serial = 1;
	return changes->serial;
}

static pid_t pid_in(const struct changes *changes, unsigned int space)
{
	const struct netns *ns = follow_netns(changes->loop->follow, space);

	return ns ? ns->pid : 0;
}

/* Asks the guardian. false: it was told at once that it cannot be. */
static bool set_sysctl(struct changes *changes, struct tune_change *change, enum sysctl key,
		       struct tune_wait *wait)
{
	struct setter_request request = {
		.serial = next_serial(changes),
		.op = SETTER_WRITE,
		.key = (uint8_t)key,
		.netns = changes->samples->space[change->space].netns,
		.pid = pid_in(changes, change->space),
		.expected = change->from,
		.value = change->to,
	};
	struct pending *pending = free_place(changes);

	change->name = sysctls[key].name;
	if (changes->setter < 0)
		change->outcome = "a private daemon writes no sysctls";
	else if (changes->samples->key[change->space][key].serial || !pending)
		change->outcome = "another change is under way";
	else if (!setter_ask(changes->setter, &request))
		change->outcome = "the guardian cannot be asked now";
	else {
		*pending = (struct pending){request.serial, wire_now_ms(), *change, key, wait};
		changes->samples->key[change->space][key].serial = request.serial;
		return true;
	}
	tell(wait, change);
	return false;
}

static void listen_again(struct changes *changes, struct tune_change *change, uint64_t cookie,
			 struct tune_wait *wait)
{
	const struct probe_listener *listener = samples_listener(changes->samples, cookie);
	const struct conn *conn = conn_find(changes->loop->conns, cookie);
	pid_t pid = conn && conn->proc ? conn->proc->process.pid : 0;
	char place[ENDPOINT_TEXT_MAX];

	change->outcome = "done";
	if (!listener || !pid) {
		change->outcome = "whose listener it is, is not known";
	} else if (!relisten(pid, listener, (int)change->to.number[0])) {
		change->error = errno;
		change->outcome = "its process cannot be reached";
	} else {
		log_notice("%s[%d]: the accept queue at %s: %lld to %lld",
			   process_name(&conn->proc->process), (int)pid,
			   endpoint_format(&listener->local, place, sizeof(place)),
			   (long long)change->from.number[0], (long long)change->to.number[0]);
		note(NOTE_BACKLOG, "%s[%d]: the accept queue at %s: %lld to %lld",
		     process_name(&conn->proc->process), (int)pid, place,
		     (long long)change->from.number[0], (long long)change->to.number[0]);
		samples_relistened(changes->samples, cookie, (uint32_t)change->from.number[0],
				   wire_now_ms());
	}
	tell(wait, change);
}

void changes_apply(struct changes *changes, const struct balance_sheet *sheet,
		   const struct balance_advice *advice, struct tune_wait *wait)
{
	const struct balance_entry *entry = &sheet->entry[advice->entry];
	struct tune_change change = {.space = entry->space, .to = advice->best};

	snprintf(change.id, sizeof(change.id), "%s", advice->id);
	if (wait)
		wait->count++;
	if (*advice->why_not) {
		change.outcome = advice->why_not;
		tell(wait, &change);
	} else if (advice->kind == KIND_SYSCTL) {
		change.from = changes->samples->space[change.space].key[advice->key].now;
		set_sysctl(changes, &change, advice->key, wait);
	} else if (advice->kind == KIND_RELISTEN) {
		change.from = sysctl_number((int64_t)entry->capacity);
		listen_again(changes, &change, advice->cookie, wait);
	} else {
		change.outcome = "closeside does not do this itself: paste its lines";
		tell(wait, &change);
	}
}

void changes_move(struct changes *changes, const struct balance_move *move)
{
	struct tune_change change = {.space = move->space, .from = move->from, .to = move->to};

	snprintf(change.id, sizeof(change.id), "%s", move->id);
	if (move->kind == KIND_RELISTEN)
		listen_again(changes, &change, move->cookie, NULL);
	else if (!changes->samples->key[move->space][move->key].serial)
		set_sysctl(changes, &change, move->key, NULL);
}

void changes_leave(struct changes *changes, struct tune_wait *wait)
{
	for (int i = 0; i < PENDING; i++)
		if (changes->pending[i].wait == wait)
			changes->pending[i].wait = NULL;
	if (changes->reverting == wait)
		changes->reverting = NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

static unsigned int space_of(const struct changes *changes, uint64_t netns)
{
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++)
		if (changes->samples->space[i].netns == netns && (i == 0) == (netns == 0))
			return i;
	return LIMIT_NAMESPACES;
}

/* As the guardian says that it is now. */
static void take_state(struct changes *changes, unsigned int space,
		       const struct setter_answer *answer)
{
	struct samples_key *more = &changes->samples->key[space][answer->key];
	struct balance_key *key = &changes->samples->space[space].key[answer->key];

	if (answer->now.count)
		key->now = answer->now;
	more->wrote.count = 0;
	key->original.count = 0;
	if (answer->is_ours) {
		more->wrote = answer->now;
		key->original = answer->original;
	}
}

static void say_failed(const struct pending *pending, const struct setter_answer *answer)
{
	log_warning("%s: %s%s%s", sysctls[pending->key].name, setter_outcome_text(answer->outcome),
		    answer->error ? ": " : "", answer->error ? strerror(answer->error) : "");
}

static void note_sysctl(enum sysctl key, uint64_t netns, const char *what,
			const struct sysctl_value *from, const struct sysctl_value *to)
{
	char before[SYSCTL_TEXT], after[SYSCTL_TEXT];

	note(NOTE_SYSCTL, "%s: %s to %s%s%s", sysctls[key].name,
	     from->count ? sysctl_format(from, before, sizeof(before)) : "?",
	     to->count ? sysctl_format(to, after, sizeof(after)) : "?", what,
	     netns ? " (in another network namespace)" : "");
}

static void take_written(struct changes *changes, struct pending *pending,
			 const struct setter_answer *answer)
{
	struct samples_key *more = &changes->samples->key[pending->change.space][pending->key];
	struct balance_key *key = &changes->samples->space[pending->change.space].key[pending->key];

	take_state(changes, pending->change.space, answer);
	more->serial = 0;
	if (!sysctl_same(&answer->before, &answer->now))
		note_sysctl(pending->key, answer->netns, "", &answer->before, &answer->now);
	if (answer->outcome == SETTER_DONE || answer->outcome == SETTER_CLAMPED)
		key->changed_ms = wire_now_ms();
	else if (answer->outcome != SETTER_CHANGED && answer->outcome != more->outcome)
		say_failed(pending, answer);
	key->refused = answer->outcome != SETTER_DONE && answer->outcome != SETTER_CHANGED;
	more->outcome = answer->outcome;
	pending->change.to = answer->now;
	pending->change.outcome = setter_outcome_text(answer->outcome);
	pending->change.error = answer->error;
}

static void take_reverted(struct changes *changes, unsigned int space,
			  const struct setter_answer *answer)
{
	struct tune_change change = {
		.space = space,
		.name = answer->key < SYSCTL_COUNT ? sysctls[answer->key].name : NULL,
		.from = answer->before,
		.to = answer->now,
		.outcome = setter_outcome_text(answer->outcome),
		.error = answer->error,
	};
	struct tune_wait *wait = changes->reverting;

	if (answer->key == SETTER_ALL) { /* that was the last */
		changes->reverting = NULL;
		changes->samples->reverting = false;
		tell(wait, NULL);
		return;
	}
	if (space < LIMIT_NAMESPACES) {
		take_state(changes, space, answer);
		changes->samples->space[space].key[answer->key].changed_ms = wire_now_ms();
	}
	if (answer->key < SYSCTL_COUNT && answer->outcome == SETTER_DONE)
		note_sysctl(answer->key, answer->netns, ", put back", &answer->before,
			    &answer->now);
	if (wait)
		wait->changed(wait, &change);
}

static void take(struct changes *changes, const struct setter_answer *answer)
{
	unsigned int space = space_of(changes, answer->netns);

	if (answer->op == SETTER_REVERT) {
		take_reverted(changes, space, answer);
		return;
	}
	if (answer->op == SETTER_LIST) {
		if (answer->key < SYSCTL_COUNT && space < LIMIT_NAMESPACES)
			take_state(changes, space, answer);
		return;
	}
	for (int i = 0; i < PENDING; i++) {
		struct pending pending = changes->pending[i];

		if (pending.serial != answer->serial)
			continue;
		changes->pending[i].serial = 0;
		if (space == pending.change.space)
			take_written(changes, &pending, answer);
		tell(pending.wait, &pending.change);
	}
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct setter_answer answer;

	(void)what;
	while (setter_take(fd, &answer))
		take(arg, &answer);
}

/* A guardian that does not answer: it may have been asked for too much. */
static void give_up(struct changes *changes, uint64_t now_ms)
{
	for (int i = 0; i < PENDING; i++) {
		struct pending pending = changes->pending[i];

		if (!pending.serial || now_ms - pending.asked_ms < ANSWER_MS)
			continue;
		changes->pending[i].serial = 0;
		changes->samples->key[pending.change.space][pending.key].serial = 0;
		pending.change.outcome = "the guardian does not answer";
		tell(pending.wait, &pending.change);
	}
}

static void give_up_reverting(struct changes *changes, uint64_t now_ms)
{
	struct tune_wait *wait = changes->reverting;

	if (!changes->samples->reverting || now_ms - changes->reverting_ms < ANSWER_MS)
		return;
	changes->reverting = NULL;
	changes->samples->reverting = false;
	tell(wait, NULL);
}

static bool ask(struct changes *changes, enum setter_op op)
{
	struct setter_request request = {
		.serial = next_serial(changes), .op = (uint8_t)op, .key = SETTER_ALL};

	return changes->setter >= 0 && setter_ask(changes->setter, &request);
}

/* As the advice was called that made it listen again. */
static void name_listener(const struct changes *changes, const struct balance_listener *listener,
			  char id[BALANCE_ID])
{
	uint64_t netns = changes->samples->space[listener->space].netns;
	char at[ENDPOINT_TEXT_MAX], space[32] = "";

	if (netns)
		snprintf(space, sizeof(space), "@%llu", (unsigned long long)netns);
	snprintf(id, BALANCE_ID, "%s%s/%s/%s", balance_resource_word(BALANCE_ACCEPT_QUEUE), space,
		 endpoint_format(&listener->at, at, sizeof(at)),
		 balance_lever_word(LEVER_RELISTEN));
}

static void revert_listeners(struct changes *changes, struct tune_wait *wait)
{
	for (size_t i = 0; i < changes->samples->inputs.listener_count; i++) {
		const struct balance_listener *listener = &changes->samples->listener[i];
		struct tune_change change = {.space = listener->space,
					     .from = sysctl_number(listener->backlog),
					     .to = sysctl_number(listener->original)};

		if (!listener->original || listener->original == listener->backlog)
			continue;
		name_listener(changes, listener, change.id);
		if (wait)
			wait->count++;
		listen_again(changes, &change, listener->cookie, wait);
	}
}

void changes_revert(struct changes *changes, struct tune_wait *wait)
{
	wait->count++; /* for the end of the guardian's answers */
	revert_listeners(changes, wait);
	if (changes->samples->reverting || !ask(changes, SETTER_REVERT)) {
		tell(wait, NULL);
		return;
	}
	changes->samples->reverting = true;
	changes->reverting_ms = wire_now_ms();
	changes->reverting = wait;
}

void changes_list(struct changes *changes)
{
	ask(changes, SETTER_LIST);
}

void changes_tick(struct changes *changes, uint64_t now_ms)
{
	give_up(changes, now_ms);
	give_up_reverting(changes, now_ms);
}

/* --- life ------------------------------------------------------------------------------------- */

struct changes *changes_new(struct loop *loop, struct tune_samples *samples, int setter)
{
	struct changes *changes = calloc(1, sizeof(*changes));

	if (!changes)
		return NULL;
	changes->loop = loop;
	changes->samples = samples;
	changes->setter = setter;
	if (setter < 0)
		return changes;
	event_assign(&changes->answered, loop->base, setter, EV_READ | EV_PERSIST, on_answer,
		     changes);
	if (event_add(&changes->answered, NULL) == 0)
		return changes;
	free(changes);
	return NULL;
}

void changes_free(struct changes *changes)
{
	if (changes && changes->setter >= 0)
		event_del(&changes->answered);
	free(changes);
}
