/* SPDX-License-Identifier: MIT */
#include "daemon/tune.h"

#include "daemon/doctor_gather.h"
#include "daemon/follow.h"
#include "daemon/ignored.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/netns.h"
#include "daemon/page.h"
#include "daemon/relisten.h"
#include "daemon/setter.h"
#include "daemon/tally.h"
#include "daemon/vitals.h"

#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SETTINGS_MS =
		5000,	/* between readings of sysctls; other namespaces are looked at then too */
	WALK_MS = 1000, /* between walks over the model, at the least, */
	WALK_MAX_MS = 30000,
	WALK_SHARE = 500, /* and so many times what one takes */
	WALK_PAUSE_US = 2000,
	CONNS_AT_ONCE = 2048,
	RANGE_PART = 4, /* with fewer sockets than this part of a range, no walk */
	ANSWER_MS = 10000,
	PENDING = 64,
};

/* What the guardian was asked for. */
struct pending {
	uint32_t serial; /* 0: free */
	uint64_t asked_ms;
	struct tune_change change; /* as asked */
	enum sysctl key;
	struct tune_wait *wait;
};

struct tune {
	struct loop *loop;
	struct tune_samples samples;
	struct balance_sheet sheet;
	struct ignored *ignored;
	struct event answered, step;
	int setter;
	uint32_t serial;
	struct pending pending[PENDING];
	struct tune_wait *reverting;
	uint64_t reverting_ms;
	uint64_t settings_ms, walked_ms, walk_us, step_us;
	struct gather *gather; /* of the walk under way; NULL: none */
	struct conn_walk walk;
	struct {
		char tag[BOOK_TAG_MAX]; /* slots are used again */
		char text[BALANCE_TEXT];
		double share;
	} worst[BOOK_TAGS];
};

/* --- walks ------------------------------------------------------------------------------------ */

struct gather *tune_gather_new(struct tune *tune, uint64_t now_ms)
{
	struct gather_parts parts = {
		.conns = tune->loop->conns,
		.book = tune->loop->book,
		.config = &tune->loop->config,
		.now_ms = now_ms,
		.patience_ms = tune->loop->config->doctor_patience_ms,
	};

	samples_ranges(&tune->samples, &parts);
	return gather_new(&parts);
}

void tune_gathered(struct tune *tune, struct gather *gather)
{
	samples_take(&tune->samples, gather);
	tune->walked_ms = wire_now_ms();
}

static void end_walk(struct tune *tune)
{
	if (!tune->gather)
		return;
	conn_walk_end(tune->loop->conns, &tune->walk);
	gather_free(tune->gather);
	tune->gather = NULL;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval pause = {.tv_usec = WALK_PAUSE_US};
	struct tune *tune = arg;
	uint64_t began_us = now_us();
	const struct conn *conn = NULL;

	(void)fd;
	(void)what;
	if (!tune->gather)
		return;
	for (int i = 0; i < CONNS_AT_ONCE; i++) {
		conn = conn_walk_next(tune->loop->conns, &tune->walk);
		if (!conn)
			break;
		gather_conn(tune->gather, conn);
	}
	if (!conn)
		tune_gathered(tune, tune->gather);
	tune->step_us += now_us() - began_us;
	if (conn) {
		event_add(&tune->step, &pause);
		return;
	}
	tune->walk_us = tune->step_us;
	end_walk(tune);
}

/* How many of them are in FIN_WAIT2, only the model knows. */
static bool are_orphans_many(const struct tune *tune)
{
	const struct balance_inputs *inputs = &tune->samples.inputs;
	const struct balance_key *keys = tune->samples.space[0].key;
	const struct sysctl_value *max = &keys[SYSCTL_ORPHANS_MAX].now;

	return inputs->orphan_drops || keys[SYSCTL_FIN_TIMEOUT_S].original.count ||
	       (max->count && inputs->orphans * RANGE_PART >= (uint64_t)max->number[0]);
}

static bool is_full_enough(const struct tune *tune)
{
	if (are_orphans_many(tune))
		return true;
	for (unsigned int i = 0; i < tune->samples.inputs.space_count; i++) {
		const struct balance_space *space = &tune->samples.space[i];
		const struct sysctl_value *range = &space->key[SYSCTL_PORT_RANGE].now;
		const struct netns *ns = follow_netns(tune->loop->follow, i);
		uint64_t sockets;

		if (!ns || range->count != 2)
			continue;
		sockets = space->time_waits + vitals_now(ns->vitals, PROBE_SOCKETS_IN_USE) +
			  vitals_now(ns->vitals, PROBE_SOCKETS6_IN_USE);
		if (sockets * RANGE_PART >= (uint64_t)(range->number[1] - range->number[0] + 1) ||
		    space->time_wait_drops || space->syn_drops || space->syn_cookies)
			return true;
	}
	return false;
}

static void consider_walk(struct tune *tune, uint64_t now_ms)
{
	uint64_t pause_ms = tune->walk_us * WALK_SHARE / 1000;

	if (pause_ms < WALK_MS)
		pause_ms = WALK_MS;
	if (pause_ms > WALK_MAX_MS)
		pause_ms = WALK_MAX_MS;
	if (tune->gather || now_ms - tune->walked_ms + WALK_MS / 10 < pause_ms)
		return;
	if (!is_full_enough(tune)) {
		tune->samples.inputs.ports_count = 0;
		return;
	}
	tune->gather = tune_gather_new(tune, now_ms);
	if (!tune->gather)
		return;
	tune->step_us = 0;
	conn_walk_begin(tune->loop->conns, &tune->walk);
	on_step(-1, 0, tune);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void tell(struct tune_wait *wait, const struct tune_change *change)
{
	if (!wait)
		return;
	if (wait->count)
		wait->count--;
	wait->changed(wait, change);
}

static struct pending *free_place(struct tune *tune)
{
	for (int i = 0; i < PENDING; i++)
		if (!tune->pending[i].serial)
			return &tune->pending[i];
	return NULL;
}

static uint32_t next_serial(struct tune *tune)
{
	if (++tune->serial == 0)
		tune->serial = 1;
	return tune->serial;
}

static pid_t pid_in(const struct tune *tune, unsigned int space)
{
	const struct netns *ns = follow_netns(tune->loop->follow, space);

	return ns ? ns->pid : 0;
}

/* Asks the guardian. false: it was told at once that it cannot be. */
static bool set_sysctl(struct tune *tune, struct tune_change *change, enum sysctl key,
		       struct tune_wait *wait)
{
	struct setter_request request = {
		.serial = next_serial(tune),
		.op = SETTER_WRITE,
		.key = (uint8_t)key,
		.netns = tune->samples.space[change->space].netns,
		.pid = pid_in(tune, change->space),
		.expected = change->from,
		.value = change->to,
	};
	struct pending *pending = free_place(tune);

	change->name = sysctls[key].name;
	if (tune->setter < 0)
		change->outcome = "a private daemon writes no sysctls";
	else if (tune->samples.key[change->space][key].serial || !pending)
		change->outcome = "another change is under way";
	else if (!setter_ask(tune->setter, &request))
		change->outcome = "the guardian cannot be asked now";
	else {
		*pending = (struct pending){request.serial, wire_now_ms(), *change, key, wait};
		tune->samples.key[change->space][key].serial = request.serial;
		return true;
	}
	tell(wait, change);
	return false;
}

static void listen_again(struct tune *tune, struct tune_change *change, uint64_t cookie,
			 struct tune_wait *wait)
{
	const struct probe_listener *listener = samples_listener(&tune->samples, cookie);
	const struct conn *conn = conn_find(tune->loop->conns, cookie);
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
		samples_relistened(&tune->samples, cookie, (uint32_t)change->from.number[0],
				   wire_now_ms());
	}
	tell(wait, change);
}

void tune_apply(struct tune *tune, const struct balance_advice *advice, struct tune_wait *wait)
{
	struct tune_change change = {.space = tune->sheet.entry[advice->entry].space,
				     .to = advice->best};

	snprintf(change.id, sizeof(change.id), "%s", advice->id);
	if (wait)
		wait->count++;
	if (*advice->why_not) {
		change.outcome = advice->why_not;
		tell(wait, &change);
	} else if (advice->kind == KIND_SYSCTL) {
		change.from = tune->samples.space[change.space].key[advice->key].now;
		set_sysctl(tune, &change, advice->key, wait);
	} else if (advice->kind == KIND_RELISTEN) {
		change.from = sysctl_number((int64_t)tune->sheet.entry[advice->entry].capacity);
		listen_again(tune, &change, advice->cookie, wait);
	} else {
		change.outcome = "closeside does not do this itself: paste its lines";
		tell(wait, &change);
	}
}

static void move(struct tune *tune, const struct balance_move *move)
{
	struct tune_change change = {.space = move->space, .from = move->from, .to = move->to};

	snprintf(change.id, sizeof(change.id), "%s", move->id);
	if (move->kind == KIND_RELISTEN)
		listen_again(tune, &change, move->cookie, NULL);
	else if (!tune->samples.key[move->space][move->key].serial)
		set_sysctl(tune, &change, move->key, NULL);
}

void tune_leave(struct tune *tune, struct tune_wait *wait)
{
	for (int i = 0; i < PENDING; i++)
		if (tune->pending[i].wait == wait)
			tune->pending[i].wait = NULL;
	if (tune->reverting == wait)
		tune->reverting = NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

static unsigned int space_of(const struct tune *tune, uint64_t netns)
{
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++)
		if (tune->samples.space[i].netns == netns && (i == 0) == (netns == 0))
			return i;
	return LIMIT_NAMESPACES;
}

/* As the guardian says that it is now. */
static void take_state(struct tune *tune, unsigned int space, const struct setter_answer *answer)
{
	struct samples_key *more = &tune->samples.key[space][answer->key];
	struct balance_key *key = &tune->samples.space[space].key[answer->key];

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

static void take_written(struct tune *tune, struct pending *pending,
			 const struct setter_answer *answer)
{
	struct samples_key *more = &tune->samples.key[pending->change.space][pending->key];
	struct balance_key *key = &tune->samples.space[pending->change.space].key[pending->key];

	take_state(tune, pending->change.space, answer);
	more->serial = 0;
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

static void take_reverted(struct tune *tune, unsigned int space, const struct setter_answer *answer)
{
	struct tune_change change = {
		.space = space,
		.name = answer->key < SYSCTL_COUNT ? sysctls[answer->key].name : NULL,
		.from = answer->before,
		.to = answer->now,
		.outcome = setter_outcome_text(answer->outcome),
		.error = answer->error,
	};
	struct tune_wait *wait = tune->reverting;

	if (answer->key == SETTER_ALL) { /* that was the last */
		tune->reverting = NULL;
		tune->samples.reverting = false;
		tell(wait, NULL);
		return;
	}
	if (space < LIMIT_NAMESPACES) {
		take_state(tune, space, answer);
		tune->samples.space[space].key[answer->key].changed_ms = wire_now_ms();
	}
	if (wait)
		wait->changed(wait, &change);
}

static void take(struct tune *tune, const struct setter_answer *answer)
{
	unsigned int space = space_of(tune, answer->netns);

	if (answer->op == SETTER_REVERT) {
		take_reverted(tune, space, answer);
		return;
	}
	if (answer->op == SETTER_LIST) {
		if (answer->key < SYSCTL_COUNT && space < LIMIT_NAMESPACES)
			take_state(tune, space, answer);
		return;
	}
	for (int i = 0; i < PENDING; i++) {
		struct pending pending = tune->pending[i];

		if (pending.serial != answer->serial)
			continue;
		tune->pending[i].serial = 0;
		if (space == pending.change.space)
			take_written(tune, &pending, answer);
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
static void give_up(struct tune *tune, uint64_t now_ms)
{
	for (int i = 0; i < PENDING; i++) {
		struct pending pending = tune->pending[i];

		if (!pending.serial || now_ms - pending.asked_ms < ANSWER_MS)
			continue;
		tune->pending[i].serial = 0;
		tune->samples.key[pending.change.space][pending.key].serial = 0;
		pending.change.outcome = "the guardian does not answer";
		tell(pending.wait, &pending.change);
	}
}

static void give_up_reverting(struct tune *tune, uint64_t now_ms)
{
	struct tune_wait *wait = tune->reverting;

	if (!tune->samples.reverting || now_ms - tune->reverting_ms < ANSWER_MS)
		return;
	tune->reverting = NULL;
	tune->samples.reverting = false;
	tell(wait, NULL);
}

static bool ask(struct tune *tune, enum setter_op op)
{
	struct setter_request request = {
		.serial = next_serial(tune), .op = (uint8_t)op, .key = SETTER_ALL};

	return tune->setter >= 0 && setter_ask(tune->setter, &request);
}

static void revert_listeners(struct tune *tune, struct tune_wait *wait)
{
	for (size_t i = 0; i < tune->samples.inputs.listener_count; i++) {
		const struct balance_listener *listener = &tune->samples.listener[i];
		struct tune_change change = {.space = listener->space,
					     .from = sysctl_number(listener->backlog),
					     .to = sysctl_number(listener->original)};

		if (!listener->original || listener->original == listener->backlog)
			continue;
		if (wait)
			wait->count++;
		listen_again(tune, &change, listener->cookie, wait);
	}
}

void tune_revert(struct tune *tune, struct tune_wait *wait)
{
	wait->count++; /* for the end of the guardian's answers */
	revert_listeners(tune, wait);
	if (tune->samples.reverting || !ask(tune, SETTER_REVERT)) {
		tell(wait, NULL);
		return;
	}
	tune->samples.reverting = true;
	tune->reverting_ms = wire_now_ms();
	tune->reverting = wait;
}

void tune_resume(struct tune *tune, enum sysctl key)
{
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++) {
		tune->samples.key[i][key].foreign = false;
		tune->samples.key[i][key].outcome = SETTER_DONE;
		tune->samples.space[i].key[key].refused = false;
		tune->samples.space[i].key[key].yielded = tune->samples.key[i][key].named;
	}
}

void tune_settings(struct tune *tune, uint64_t now_ms)
{
	tune->settings_ms = now_ms;
	if (samples_settings(&tune->samples, now_ms))
		ask(tune, SETTER_LIST);
}

/* --- from second to second -------------------------------------------------------------------- */

const struct balance_sheet *tune_assess(struct tune *tune, uint64_t now_ms)
{
	const struct config *config = tune->loop->config;
	const char *socket = tune->loop->options->socket_path;
	struct balance_inputs *inputs = &tune->samples.inputs;

	inputs->now_ms = now_ms;
	inputs->apply = config->tune.mode == TUNE_APPLY && page_is_on(tune->loop->page);
	inputs->cooldown_ms = config->tune.cooldown_ms;
	inputs->memory_max = config->tune.memory_max;
	inputs->config_path = tune->loop->options->config_path;
	inputs->socket_path = strcmp(socket, WIRE_SOCKET_DEFAULT) != 0 ? socket : "";
	balance_assess(inputs, &tune->sheet);
	return &tune->sheet;
}

/* How full, or how much too many are needed. */
static double share_of(const struct balance_entry *entry)
{
	double used = (double)entry->peak / (double)entry->capacity,
	       need = (double)entry->need / (double)entry->capacity;

	return (used > need ? used : need) + (entry->drops ? 1 : 0);
}

static void keep_worst(struct tune *tune)
{
	const struct balance_entry *worst = balance_worst(&tune->sheet);
	const struct book *book = tune->loop->book;

	for (unsigned int i = 1; worst && i < book->tag_count; i++) {
		const struct book_tag *tag = &book->tag[i];

		if (!tag->sessions)
			continue;
		if (strcmp(tune->worst[i].tag, tag->tag) != 0) {
			snprintf(tune->worst[i].tag, BOOK_TAG_MAX, "%s", tag->tag);
			tune->worst[i].share = 0;
		}
		if (share_of(worst) <= tune->worst[i].share)
			continue;
		snprintf(tune->worst[i].text, BALANCE_TEXT, "%s", worst->title);
		tune->worst[i].share = share_of(worst);
	}
}

const char *tune_worst(const struct tune *tune, uint16_t tag)
{
	const struct book *book = tune ? tune->loop->book : NULL;
	bool known = book && tag < book->tag_count && tune->worst[tag].share > 0 &&
		     !strcmp(tune->worst[tag].tag, book->tag[tag].tag);

	return known ? tune->worst[tag].text : NULL;
}

void tune_tick(struct tune *tune, uint64_t now_ms)
{
	bool settings = now_ms - tune->settings_ms >= SETTINGS_MS;

	give_up(tune, now_ms);
	give_up_reverting(tune, now_ms);
	if (tune->loop->config->tune.mode == TUNE_OFF)
		return;
	samples_look(&tune->samples, now_ms, settings);
	if (settings)
		tune_settings(tune, now_ms);
	consider_walk(tune, now_ms);
	samples_no_processes(&tune->samples); /* they are read for who asks */
	tune_assess(tune, now_ms);
	keep_worst(tune);
	for (unsigned int i = 0; i < tune->sheet.move_count; i++)
		if (!ignored_has(tune->ignored, tune->sheet.move[i].id))
			move(tune, &tune->sheet.move[i]);
}

void tune_reloaded(struct tune *tune)
{
	samples_forget_named(&tune->samples);
	tune->settings_ms = 0;
}

struct tune_samples *tune_samples(struct tune *tune)
{
	return &tune->samples;
}

struct ignored *tune_ignored(struct tune *tune)
{
	return tune->ignored;
}

/* --- life ------------------------------------------------------------------------------------- */

struct tune *tune_new(struct loop *loop, int setter)
{
	struct tune *tune = calloc(1, sizeof(*tune));
	char path[WIRE_PATH_MAX + 16];

	if (!tune)
		return NULL;
	tune->loop = loop;
	tune->setter = setter;
	samples_init(&tune->samples, loop);
	snprintf(path, sizeof(path), "%s.ignored", loop->options->socket_path);
	tune->ignored = ignored_new(path);
	evtimer_assign(&tune->step, loop->base, on_step, tune);
	if (setter >= 0)
		event_assign(&tune->answered, loop->base, setter, EV_READ | EV_PERSIST, on_answer,
			     tune);
	if (tune->ignored && (setter < 0 || event_add(&tune->answered, NULL) == 0)) {
		samples_settings(&tune->samples, wire_now_ms());
		ask(tune, SETTER_LIST); /* our own is not new */
		return tune;
	}
	tune_free(tune);
	return NULL;
}

void tune_free(struct tune *tune)
{
	if (!tune)
		return;
	end_walk(tune);
	event_del(&tune->step);
	if (tune->setter >= 0)
		event_del(&tune->answered);
	samples_free(&tune->samples);
	ignored_free(tune->ignored);
	free(tune);
}
