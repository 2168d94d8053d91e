/* SPDX-License-Identifier: MIT */
#include "daemon/tune.h"

#include "daemon/gather.h"
#include "daemon/follow.h"
#include "daemon/ignored.h"
#include "daemon/loop.h"
#include "daemon/netns.h"
#include "daemon/page.h"
#include "daemon/tally.h"
#include "daemon/tune_changes.h"
#include "daemon/vitals.h"

#include "common/wire.h"

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
};

struct tune {
	struct loop *loop;
	struct tune_samples samples;
	struct balance_sheet sheet;
	struct ignored *ignored;
	bool applies; /* no private daemon does */
	struct changes *changes;
	struct event step;
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

/* --- settings --------------------------------------------------------------------------------- */

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
		changes_list(tune->changes);
}

/* --- from second to second -------------------------------------------------------------------- */

/* How full, or how much too many are needed. */
static double share_of(const struct balance_entry *entry)
{
	double used = (double)entry->peak / (double)entry->capacity,
	       need = (double)entry->need / (double)entry->capacity;

	return (used > need ? used : need) + (entry->drops ? 1 : 0);
}

/* For the reports. Also of a command that has just ended: what it leaves is seen a little later. */
static void keep_worst(struct tune *tune)
{
	const struct balance_entry *worst = balance_worst(&tune->sheet);
	const struct book *book = tune->loop->book;

	for (unsigned int i = 1; worst && i < book->tag_count; i++) {
		const struct book_tag *tag = &book->tag[i];

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

const struct balance_sheet *tune_assess(struct tune *tune, uint64_t now_ms)
{
	const struct config *config = tune->loop->config;
	const char *socket = tune->loop->options->socket_path;
	struct balance_inputs *inputs = &tune->samples.inputs;

	inputs->now_ms = now_ms;
	inputs->apply =
		tune->applies && config->tune.mode == TUNE_APPLY && page_is_on(tune->loop->page);
	inputs->cooldown_ms = config->tune.cooldown_ms;
	inputs->memory_max = config->tune.memory_max;
	inputs->config_path = tune->loop->options->config_path;
	inputs->socket_path = strcmp(socket, WIRE_SOCKET_DEFAULT) != 0 ? socket : "";
	balance_assess(inputs, &tune->sheet);
	keep_worst(tune);
	return &tune->sheet;
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

	changes_tick(tune->changes, now_ms);
	if (tune->loop->config->tune.mode == TUNE_OFF)
		return;
	samples_look(&tune->samples, now_ms, settings);
	if (settings)
		tune_settings(tune, now_ms);
	consider_walk(tune, now_ms);
	samples_no_processes(&tune->samples); /* they are read for who asks */
	tune_assess(tune, now_ms);
	for (unsigned int i = 0; i < tune->sheet.move_count; i++)
		if (!ignored_has(tune->ignored, tune->sheet.move[i].id))
			changes_move(tune->changes, &tune->sheet.move[i]);
}

/* What could not be written may be tried again. */
void tune_reloaded(struct tune *tune)
{
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++)
		for (int key = 0; key < SYSCTL_COUNT; key++)
			tune->samples.space[i].key[key].refused = false;
	samples_forget_named(&tune->samples);
	tune->settings_ms = 0;
}

const struct balance_sheet *tune_sheet(const struct tune *tune)
{
	return &tune->sheet;
}

struct tune_samples *tune_samples(struct tune *tune)
{
	return &tune->samples;
}

struct ignored *tune_ignored(struct tune *tune)
{
	return tune->ignored;
}

struct changes *tune_changes(struct tune *tune)
{
	return tune->changes;
}

/* --- life ------------------------------------------------------------------------------------- */

struct tune *tune_new(struct loop *loop, int setter)
{
	struct tune *tune = calloc(1, sizeof(*tune));
	char path[WIRE_PATH_MAX + 16];

	if (!tune)
		return NULL;
	tune->loop = loop;
	samples_init(&tune->samples, loop);
	tune->applies = setter >= 0;
	tune->changes = changes_new(loop, &tune->samples, setter);
	snprintf(path, sizeof(path), "%s.ignored", loop->options->socket_path);
	tune->ignored = ignored_new(path);
	evtimer_assign(&tune->step, loop->base, on_step, tune);
	if (tune->ignored && tune->changes) {
		samples_settings(&tune->samples, wire_now_ms());
		changes_list(tune->changes); /* our own is not new */
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
	changes_free(tune->changes);
	samples_free(&tune->samples);
	ignored_free(tune->ignored);
	free(tune);
}
