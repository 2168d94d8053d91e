/* SPDX-License-Identifier: MIT */
#include "daemon/tune_command.h"

#include "daemon/client.h"
#include "daemon/descriptors.h"
#include "daemon/gather.h"
#include "daemon/follow.h"
#include "daemon/ignored.h"
#include "daemon/loop.h"
#include "daemon/netns.h"
#include "daemon/tune.h"
#include "daemon/tune_changes.h"
#include "daemon/tune_reply.h"
#include "daemon/vitals.h"

#include "common/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONNS_AT_ONCE = 2048, PROCESSES_AT_ONCE = 32 };

/* One request: a walk, then what is done with the sheet, then maybe answers from the guardian. */
struct round {
	struct client *client;
	struct gather *gather;
	bool walking_conns, walking_procs;
	void (*then)(struct client *client, struct round *round, const struct balance_sheet *sheet);
	char id[BALANCE_ID]; /* "": all */
	struct tune_wait wait;
};

static void leave(struct client *client)
{
	struct round *round = client->work;
	struct loop *loop = client->loop;

	if (round->walking_conns)
		conn_walk_end(loop->conns, &client->walk);
	if (round->walking_procs)
		proc_walk_end(conns_procs(loop->conns), &client->procs);
	gather_free(round->gather);
	changes_leave(tune_changes(loop->tune), &round->wait);
	free(round);
	client->work = NULL;
	client->leave = NULL;
}

static void finish(struct client *client, const char *error)
{
	leave(client);
	client_end(client, error);
}

/* --- the sheet -------------------------------------------------------------------------------- */

static void show(struct client *client, struct round *round, const struct balance_sheet *sheet)
{
	struct tune *tune = client->loop->tune;
	const struct tune_samples *samples = tune_samples(tune);

	(void)round;
	client_send(client, reply_tune(client->loop));
	for (unsigned int i = 0; i < sheet->entry_count; i++) {
		client_send(client, reply_resource(&sheet->entry[i], samples));
		for (unsigned int j = 0; j < sheet->advice_count; j++)
			if (sheet->advice[j].entry == i)
				client_send(client, reply_advice(sheet, &sheet->advice[j], samples,
								 tune_ignored(tune)));
	}
	for (unsigned int i = 0; i < samples->inputs.space_count; i++)
		for (int key = 0; key < SYSCTL_COUNT; key++)
			client_send(client, reply_key(samples, i, (enum sysctl)key));
	finish(client, NULL);
}

static void assess(struct client *client, struct round *round)
{
	struct loop *loop = client->loop;

	tune_gathered(loop->tune, round->gather);
	gather_free(round->gather);
	round->gather = NULL;
	round->then(client, round, tune_assess(loop->tune, wire_now_ms()));
}

/* --- the walk --------------------------------------------------------------------------------- */

static bool step_procs(struct client *client)
{
	struct round *round = client->work;
	struct loop *loop = client->loop;

	for (int looks = 0; looks < PROCESSES_AT_ONCE;) {
		const struct proc *proc = proc_walk_next(&client->procs);

		if (!proc) {
			proc_walk_end(conns_procs(loop->conns), &client->procs);
			round->walking_procs = false;
			assess(client, round);
			return false;
		}
		if (!descriptors_is_live(proc))
			continue;
		looks++;
		samples_process(tune_samples(loop->tune), proc);
	}
	return true;
}

static bool step_conns(struct client *client)
{
	struct round *round = client->work;
	struct loop *loop = client->loop;

	for (int i = 0; i < CONNS_AT_ONCE; i++) {
		const struct conn *conn = conn_walk_next(loop->conns, &client->walk);

		if (conn) {
			gather_conn(round->gather, conn);
			continue;
		}
		conn_walk_end(loop->conns, &client->walk);
		round->walking_conns = false;
		proc_walk_begin(conns_procs(loop->conns), &client->procs);
		round->walking_procs = true;
		client->step = step_procs;
		break;
	}
	return true;
}

static void refresh_vitals(const struct loop *loop, uint64_t now_ms)
{
	for (unsigned int i = 0; i < LIMIT_NAMESPACES; i++) {
		const struct netns *ns = follow_netns(loop->follow, i);

		if (ns)
			vitals_refresh(ns->vitals, now_ms);
	}
}

/* The model is fresh. */
static void walk(struct client *client)
{
	struct round *round = client->work;
	struct loop *loop = client->loop;
	struct tune_samples *samples = tune_samples(loop->tune);
	uint64_t now_ms = wire_now_ms();

	refresh_vitals(loop, now_ms);
	samples_look(samples, now_ms, false);
	tune_settings(loop->tune, now_ms);
	samples_no_processes(samples);
	round->gather = tune_gather_new(loop->tune, now_ms);
	if (!round->gather) {
		finish(client, "out of memory");
		return;
	}
	conn_walk_begin(loop->conns, &client->walk);
	round->walking_conns = true;
	client_begin(client, step_conns);
}

static struct round *begin(struct client *client, void (*then)(struct client *, struct round *,
							       const struct balance_sheet *))
{
	struct round *round = client->loop->tune ? calloc(1, sizeof(*round)) : NULL;

	if (!round) {
		client_end(client, client->loop->tune ? "out of memory" : "there is no tuner here");
		return NULL;
	}
	round->client = client;
	round->then = then;
	client->work = round;
	client->leave = leave;
	return round;
}

void tune_show_begin(struct client *client, const json_t *request)
{
	(void)request;
	if (begin(client, show))
		client_when_fresh(client, walk);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void end_if_all(struct round *round)
{
	if (!round->wait.count)
		finish(round->client, NULL);
}

static void on_changed(struct tune_wait *wait, const struct tune_change *change)
{
	struct round *round = wait->arg;

	if (change)
		client_send(round->client,
			    reply_change(change, tune_samples(round->client->loop->tune)));
	end_if_all(round);
}

static void expect_changes(struct round *round)
{
	round->wait.changed = on_changed;
	round->wait.arg = round;
	round->wait.count = 1; /* until all are asked for */
}

static bool can_apply(const struct balance_advice *advice)
{
	return advice->enough && !*advice->why_not &&
	       (advice->kind == KIND_SYSCTL || advice->kind == KIND_RELISTEN);
}

/* Of all, none that another completes which is not ours to carry out. */
static bool is_wanted(struct client *client, const struct round *round,
		      const struct balance_sheet *sheet, const struct balance_advice *advice)
{
	if (*round->id)
		return !strcmp(round->id, advice->id);
	return sheet->entry[advice->entry].level != BALANCE_FINE && can_apply(advice) &&
	       (advice->with < 0 || can_apply(&sheet->advice[advice->with])) &&
	       !ignored_has(tune_ignored(client->loop->tune), advice->id);
}

static void apply(struct client *client, struct round *round, const struct balance_sheet *sheet)
{
	bool found = false;

	expect_changes(round);
	for (unsigned int i = 0; i < sheet->advice_count; i++) {
		if (!is_wanted(client, round, sheet, &sheet->advice[i]))
			continue;
		found = true;
		changes_apply(tune_changes(client->loop->tune), sheet, &sheet->advice[i],
			      &round->wait);
	}
	round->wait.count--;
	if (!found && *round->id)
		finish(client, "there is no such advice now");
	else
		end_if_all(round);
}

/* The member as text of a request; NULL: it has none. */
static const char *text_of(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(request, name));
}

void tune_apply_begin(struct client *client, const json_t *request)
{
	const char *id = text_of(request, "id");
	struct round *round = begin(client, apply);

	if (!round)
		return;
	if (id)
		snprintf(round->id, sizeof(round->id), "%s", id);
	client_when_fresh(client, walk);
}

void tune_revert_begin(struct client *client, const json_t *request)
{
	struct round *round = begin(client, NULL);

	(void)request;
	if (!round)
		return;
	expect_changes(round);
	changes_revert(tune_changes(client->loop->tune), &round->wait);
	round->wait.count--;
	end_if_all(round);
}

/* --- ignore, resume --------------------------------------------------------------------------- */

static bool is_advice(const struct balance_sheet *sheet, const char *id)
{
	for (unsigned int i = 0; i < sheet->advice_count; i++)
		if (!strcmp(sheet->advice[i].id, id))
			return true;
	return false;
}

static void ignore(struct client *client, struct round *round, const struct balance_sheet *sheet)
{
	struct tune_change change = {.outcome = "ignored"};
	struct ignored *ignored = tune_ignored(client->loop->tune);

	snprintf(change.id, sizeof(change.id), "%s", round->id);
	if (!is_advice(sheet, round->id))
		finish(client, "there is no such advice now");
	else if (!ignored_set(ignored, round->id, true))
		finish(client, strerror(errno));
	else {
		client_send(client, reply_change(&change, tune_samples(client->loop->tune)));
		finish(client, NULL);
	}
}

void tune_ignore_begin(struct client *client, const json_t *request)
{
	const char *id = text_of(request, "id");
	struct round *round;

	if (!id) {
		client_end(client, "tune-ignore needs \"id\"");
		return;
	}
	round = begin(client, ignore);
	if (!round)
		return;
	snprintf(round->id, sizeof(round->id), "%s", id);
	client_when_fresh(client, walk);
}

void tune_resume_begin(struct client *client, const json_t *request)
{
	const char *name = text_of(request, "key");
	struct tune *tune = client->loop->tune;
	enum sysctl key = name ? sysctl_find(name) : SYSCTL_COUNT;
	struct tune_change change = {.outcome = "resumed"};

	if (!tune || !name) {
		client_end(client, tune ? "tune-resume needs \"key\"" : "there is no tuner here");
		return;
	}
	if (key < SYSCTL_COUNT) {
		change.name = sysctls[key].name;
		if (sysctls[key].lever == SYSCTL_READ) {
			client_end(client, "closeside never writes it");
			return;
		}
		if (tune_samples(tune)->key[0][key].named)
			change.outcome = setter_outcome_text(SETTER_NAMED);
		tune_resume(tune, key);
	} else if (ignored_has(tune_ignored(tune), name)) {
		snprintf(change.id, sizeof(change.id), "%s", name);
		if (!ignored_set(tune_ignored(tune), name, false)) {
			client_end(client, strerror(errno));
			return;
		}
	} else {
		client_end(client, "neither a sysctl that closeside writes nor advice that is "
				   "ignored");
		return;
	}
	client_send(client, reply_change(&change, tune_samples(tune)));
	client_end(client, NULL);
}
