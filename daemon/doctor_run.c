/* SPDX-License-Identifier: MIT */
#include "daemon/doctor_run.h"

#include "daemon/client.h"
#include "daemon/descriptors.h"
#include "daemon/doctor.h"
#include "daemon/enabled.h"
#include "daemon/faults.h"
#include "daemon/gather.h"
#include "daemon/loop.h"
#include "daemon/sysctl.h"
#include "daemon/vitals.h"

#include "common/wire.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

enum {
	CONNS_AT_ONCE = 2048,
	PROCESSES_AT_ONCE = 32, /* each a few system calls */
};

struct doctor_watch {
	struct probe *probe;
	struct vitals *vitals;
	struct descriptors *descriptors;
	struct cuts cuts;
};

/* One round. */
struct doctor_round {
	struct loop *loop;
	struct gather *gather;
	struct enabled *enabled; /* units; NULL until they are asked about */
	struct conn_walk walk;
	struct proc_walk procs;
	bool (*step)(struct doctor_round *round); /* true: once more */
	bool walking_conns, walking_procs;
	struct verdicts *verdicts; /* in the end; NULL: out of memory */
	doctor_answer *answer;	   /* of a client's */
};

/* --- from second to second -------------------------------------------------------------------- */

static bool are_few(uint64_t used, uint64_t limit)
{
	return doctor_descriptors_are_few(&doctor_usual, used, limit);
}

struct doctor_watch *doctor_watch_new(struct conns *conns, struct probe *probe,
				      struct vitals *vitals)
{
	struct doctor_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->probe = probe;
	watch->vitals = vitals;
	watch->descriptors = descriptors_new(conns_procs(conns), are_few);
	if (watch->descriptors)
		return watch;
	free(watch);
	return NULL;
}

void doctor_watch_free(struct doctor_watch *watch)
{
	if (!watch)
		return;
	descriptors_free(watch->descriptors);
	free(watch);
}

void doctor_watch_tick(struct doctor_watch *watch, uint64_t now_ms)
{
	vitals_tick(watch->vitals, now_ms);
	descriptors_tick(watch->descriptors, now_ms);
}

struct cuts *doctor_watch_cuts(struct doctor_watch *watch)
{
	return &watch->cuts;
}

/* --- the facts of the namespace --------------------------------------------------------------- */

/* Before, tcp_abort() did nothing to a socket that no program has (SOCK_DEAD). */
static bool kernel_destroys_orphans(void)
{
	struct utsname name;
	unsigned int major, minor;

	if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 11);
}

static uint64_t lately(const struct vitals *vitals, enum probe_counter counter,
		       const struct gather_parts *parts)
{
	return vitals_grown(vitals, counter, parts->patience_ms, parts->now_ms);
}

static void take_counters(struct doctor_facts *facts, const struct vitals *vitals,
			  const struct gather_parts *parts)
{
	facts->time_wait = vitals_now(vitals, PROBE_TIME_WAITS);
	facts->orphans = vitals_now(vitals, PROBE_ORPHANS);
	facts->time_wait_overflows = lately(vitals, PROBE_TIME_WAIT_OVERFLOWS, parts);
	facts->listen_overflows = lately(vitals, PROBE_LISTEN_OVERFLOWS, parts);
	facts->unread_closes = lately(vitals, PROBE_UNREAD_CLOSES, parts);
	facts->queue_full_drops = lately(vitals, PROBE_REQUEST_QUEUE_DROPS, parts);
	facts->queue_full_cookies = lately(vitals, PROBE_REQUEST_QUEUE_COOKIES, parts);
}

/* What it is; or, if it cannot be read, what it is in most systems. */
static uint64_t setting(const struct doctor_watch *watch, enum sysctl key, uint64_t fallback)
{
	struct sysctl_value value;

	return sysctl_read(probe_folders(watch->probe), key, &value) ? (uint64_t)value.number[0]
								     : fallback;
}

static void take_settings(struct doctor_facts *facts, const struct doctor_watch *watch,
			  uint64_t now_ms)
{
	const struct vitals *vitals = watch->vitals;
	uint64_t least;

	facts->time_wait_max = setting(watch, SYSCTL_TIME_WAITS_MAX, 0);
	facts->orphans_max = setting(watch, SYSCTL_ORPHANS_MAX, 0);
	facts->timestamps = setting(watch, SYSCTL_TIMESTAMPS, 1) != 0;
	facts->syncookies = setting(watch, SYSCTL_SYN_COOKIES, 1) != 0;
	facts->tw_reuse = (uint32_t)setting(watch, SYSCTL_TIME_WAIT_REUSE, 2);
	facts->somaxconn = (uint32_t)setting(watch, SYSCTL_SOMAXCONN, 4096);
	facts->synack_retries = (uint32_t)setting(watch, SYSCTL_SYN_ACK_RETRIES, 5);
	least = facts->time_wait_max * doctor_usual.time_wait_percent / 100;
	facts->time_wait_near_ms = vitals_at_least_since(vitals, PROBE_TIME_WAITS, least, now_ms);
	facts->destroys_orphans = kernel_destroys_orphans();
}

/* --- the answer ------------------------------------------------------------------------------- */

static json_t *lines_of(const char (*lines)[VERDICT_TEXT], unsigned int count)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(list, json_string(lines[i]));
	return list;
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *reply_verdict(const struct verdict *verdict)
{
	bool is_fault = verdict->kind->level == VERDICT_FAULT;
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("verdict"));
	json_object_set_new(row, "id", json_string(verdict->kind->id));
	json_object_set_new(row, "level", json_string(is_fault ? "fault" : "info"));
	json_object_set_new(row, "title", json_string(verdict->title));
	json_object_set_new(row, "pid", verdict->pid ? json_integer(verdict->pid) : json_null());
	json_object_set_new(row, "program", text_or_null(verdict->program));
	json_object_set_new(row, "unit", text_or_null(verdict->unit));
	json_object_set_new(row, "count", json_integer((json_int_t)verdict->count));
	json_object_set_new(row, "since_ms",
			    verdict->since_ms < 0 ? json_null() : json_integer(verdict->since_ms));
	json_object_set_new(row, "evidence", lines_of(verdict->evidence, verdict->evidence_count));
	json_object_set_new(row, "remedy", lines_of(verdict->remedy, verdict->remedy_count));
	return row;
}

static bool add_listener(const struct vitals_listener *listener, void *arg)
{
	gather_listener(arg, listener);
	return true;
}

static void judge(const struct doctor_round *round, struct verdicts *verdicts)
{
	const struct loop *loop = round->loop;
	struct gather *gather = round->gather;
	const struct vitals *vitals = loop->doctor->vitals;
	const struct gather_parts *parts = gather_parts(gather);
	struct doctor_thresholds thresholds = doctor_usual;
	const char *socket = loop->options->socket_path;
	struct doctor_facts facts = {
		.config_path = loop->options->config_path,
		.socket_path = strcmp(socket, WIRE_SOCKET_DEFAULT) ? socket : "",
	};

	if (round->enabled) {
		facts.units = enabled_units(round->enabled);
		facts.unit_count = enabled_count(round->enabled);
	}
	thresholds.patience_ms = parts->patience_ms;
	take_counters(&facts, vitals, parts);
	take_settings(&facts, loop->doctor, parts->now_ms);
	vitals_each_listener(vitals, add_listener, gather);
	if (gather_facts(gather, &facts))
		doctor_judge(&facts, &thresholds, verdicts);
}

/* --- the steps of a round --------------------------------------------------------------------- */

static bool step_judge(struct doctor_round *round)
{
	round->verdicts = calloc(1, sizeof(*round->verdicts));
	if (round->verdicts)
		judge(round, round->verdicts);
	return false;
}

/* Those that are enabled, which are mostly none. */
static bool step_units(struct doctor_round *round)
{
	if (!round->enabled)
		round->enabled = enabled_new();
	if (!round->enabled || !enabled_look(round->enabled, PROCESSES_AT_ONCE))
		round->step = step_judge;
	return true;
}

static bool step_look(struct doctor_round *round)
{
	if (!gather_look(round->gather, PROCESSES_AT_ONCE))
		round->step = step_units;
	return true;
}

static bool step_procs(struct doctor_round *round)
{
	struct loop *loop = round->loop;

	for (int looks = 0; looks < PROCESSES_AT_ONCE;) {
		const struct proc *proc = proc_walk_next(&round->procs);
		struct probe_descriptors found;
		int64_t since_ms;

		if (!proc) {
			proc_walk_end(conns_procs(loop->conns), &round->procs);
			round->walking_procs = false;
			gather_cuts(round->gather, &loop->doctor->cuts);
			round->step = step_look;
			return true;
		}
		if (!descriptors_is_live(proc))
			continue;
		looks++;
		if (descriptors_look(loop->doctor->descriptors, proc, wire_now_ms(), &found,
				     &since_ms))
			gather_descriptors(round->gather, proc, &found, since_ms);
	}
	return true;
}

static bool step_conns(struct doctor_round *round)
{
	struct loop *loop = round->loop;

	for (int i = 0; i < CONNS_AT_ONCE; i++) {
		const struct conn *conn = conn_walk_next(loop->conns, &round->walk);

		if (conn) {
			gather_conn(round->gather, conn);
			continue;
		}
		conn_walk_end(loop->conns, &round->walk);
		round->walking_conns = false;
		proc_walk_begin(conns_procs(loop->conns), &round->procs);
		round->walking_procs = true;
		round->step = step_procs;
		return true;
	}
	return true;
}

/* --- a round, whoever wants it ---------------------------------------------------------------- */

struct doctor_round *doctor_round_new(struct loop *loop)
{
	struct doctor_round *round = calloc(1, sizeof(*round));
	struct gather_parts parts = {
		.conns = loop->conns,
		.book = loop->book,
		.config = &loop->config,
		.now_ms = wire_now_ms(),
		.patience_ms = loop->config->doctor_patience_ms,
		.ports[CONN_NETNS_OWN] = probe_local_ports(loop->doctor->probe),
	};

	if (round)
		round->gather = gather_new(&parts);
	if (!round || !round->gather) {
		free(round);
		return NULL;
	}
	round->loop = loop;
	vitals_refresh(loop->doctor->vitals, parts.now_ms);
	conn_walk_begin(loop->conns, &round->walk);
	round->walking_conns = true;
	round->step = step_conns;
	return round;
}

bool doctor_round_step(struct doctor_round *round)
{
	return round->step(round);
}

const struct verdicts *doctor_round_verdicts(const struct doctor_round *round)
{
	return round->verdicts;
}

void doctor_round_free(struct doctor_round *round)
{
	if (!round)
		return;
	if (round->walking_conns)
		conn_walk_end(round->loop->conns, &round->walk);
	if (round->walking_procs)
		proc_walk_end(conns_procs(round->loop->conns), &round->procs);
	gather_free(round->gather);
	enabled_free(round->enabled);
	free(round->verdicts);
	free(round);
}

/* --- for a client ----------------------------------------------------------------------------- */

static void leave(struct client *client)
{
	doctor_round_free(client->work);
	client->work = NULL;
	client->leave = NULL;
}

static bool step(struct client *client)
{
	struct doctor_round *round = client->work;

	if (doctor_round_step(round))
		return true;
	client->work = NULL;
	client->leave = NULL;
	faults_take(client->loop->faults, round->verdicts, wire_now_ms());
	round->answer(client, round->verdicts);
	doctor_round_free(round);
	return false;
}

/* The model is fresh. */
static void begin(struct client *client)
{
	struct doctor_round *round = doctor_round_new(client->loop);

	if (!round) {
		client_end(client, "out of memory");
		return;
	}
	round->answer = client->answer;
	client->work = round;
	client->leave = leave;
	client_begin(client, step);
}

void doctor_begin_for(struct client *client, doctor_answer *answer)
{
	if (!client->loop->doctor) {
		client_end(client, "there is no doctor here");
		return;
	}
	client->answer = answer;
	client_when_fresh(client, begin);
}

static void send_verdicts(struct client *client, const struct verdicts *verdicts)
{
	for (unsigned int i = 0; verdicts && i < verdicts->count; i++)
		client_send(client, reply_verdict(&verdicts->verdict[i]));
	client_end(client, verdicts ? NULL : "out of memory");
}

void doctor_begin(struct client *client)
{
	doctor_begin_for(client, send_verdicts);
}
