/* SPDX-License-Identifier: MIT */
/* `metrics` of the control socket: what `closeside status -f prometheus`, openmetrics and zabbix
 * print. */
#include <config.h> /* of configure, not daemon/config.h */

#include "daemon/metrics.h"

#include "daemon/client.h"
#include "daemon/custody.h"
#include "daemon/doctor_run.h"
#include "daemon/faults.h"
#include "daemon/loop.h"
#include "daemon/metrics_state.h"
#include "daemon/page.h"
#include "daemon/session.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <event2/buffer.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { FRESH_MS = 10000 }; /* what the doctor found no longer ago is answered with */

enum { FORMAT_ZABBIX = METRICS_OPENMETRICS + 1, FORMAT_NONE };

static void set_count(json_t *object, const char *name, uint64_t count)
{
	json_object_set_new(object, name, json_integer((json_int_t)count));
}

/* --- zabbix ----------------------------------------------------------------------------------- */

/* Zabbix puts it into a JSONPath and into keys of items: nothing that either could take for its
 * own. */
static void plain_name(const char *name, char *out, size_t size)
{
	size_t len = 0;

	for (; *name && len + 1 < size; name++)
		out[len++] = isalnum((unsigned char)*name) || strchr("._+:@-", *name) ? *name : '_';
	out[len] = '\0';
}

static json_t *states_of(const uint32_t *state)
{
	json_t *object = json_object();

	for (unsigned int i = 1; i < STATE_COUNT; i++)
		set_count(object, tcp_state_name(i), state ? state[i] : 0);
	return object;
}

static json_t *programs_of(struct metrics *metrics)
{
	const struct groups *groups =
		procs_groups(conns_procs(metrics->loop->conns), GROUP_PROGRAM);
	const struct ranking *ranking = metrics_rank(metrics, GROUP_PROGRAM);
	json_t *list = json_array();

	for (unsigned int i = 0; i < ranking->count; i++) {
		const struct group *group = group_find(groups, ranking->member[i].name);
		char name[GROUP_NAME_MAX];
		json_t *row = json_object();

		plain_name(ranking->member[i].name, name, sizeof(name));
		json_object_set_new(row, "program", json_string(name));
		set_count(row, "processes", group ? group->members : 0);
		set_count(row, "connections", group_conns(group));
		json_object_set_new(row, "states", states_of(group ? group->state : NULL));
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *faults_of(const struct loop *loop)
{
	const struct faults_found *found = faults_found(loop->faults);
	json_t *faults = json_object();

	for (int i = 0; i < VERDICT_COUNT; i++)
		if (verdict_kinds[i].level == VERDICT_FAULT)
			set_count(faults, verdict_kinds[i].id, found->active[i]);
	return faults;
}

static json_t *percents_of(const struct loop *loop)
{
	json_t *used = json_object();
	struct metrics_resource found;

	for (int i = 0; i < BALANCE_RESOURCE_COUNT; i++)
		if (metrics_resource(loop, (enum balance_resource)i, &found))
			json_object_set_new(used, balance_resource_word((enum balance_resource)i),
					    json_real(found.used * 100));
	return used;
}

static json_t *closes_of(const struct census *all)
{
	json_t *closes = json_object();

	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		set_count(closes, close_side_word((enum close_side)i), all->closes[i]);
	return closes;
}

static json_t *custody_of(const struct loop *loop)
{
	json_t *custody = json_object();

	set_count(custody, "held", custody_count(loop->custody));
	for (unsigned int i = 0; i < OUTCOME_COUNT; i++)
		set_count(custody, custody_outcome_word((enum custody_outcome)i),
			  loop->book->all.outcomes[i]);
	return custody;
}

json_t *metrics_zabbix(struct metrics *metrics)
{
	struct loop *loop = metrics->loop;
	const struct census *all = conns_census(loop->conns);
	json_t *row = json_object();
	/* What fits a title is bytes of somebody's choice in part. */
	json_t *worst = json_string(faults_found(loop->faults)->worst);

	faults_want(loop->faults, wire_now_ms());
	metrics->scrapes++;
	set_count(row, "schema", 1);
	set_count(row, "up", 1);
	json_object_set_new(row, "version", json_string(VERSION));
	set_count(row, "uptime", (wire_now_ms() - loop->started_ms) / 1000);
	set_count(row, "on", page_is_on(loop->page));
	set_count(row, "connections", census_conns(all));
	json_object_set_new(row, "states", states_of(all->state));
	set_count(row, "opens", all->opens);
	json_object_set_new(row, "closes", closes_of(all));
	json_object_set_new(row, "custody", custody_of(loop));
	set_count(row, "sessions", sessions_count(loop->sessions));
	set_count(row, "lost", sessions_lost(loop->sessions));
	set_count(row, "retired", loop->book->retired);
	json_object_set_new(row, "faults", faults_of(loop));
	json_object_set_new(row, "worst", worst ? worst : json_string("?"));
	json_object_set_new(row, "used", percents_of(loop));
	json_object_set_new(row, "programs", programs_of(metrics));
	return row;
}

/* --- the command ------------------------------------------------------------------------------ */

static json_t *text_row(struct metrics *metrics, enum metrics_format format)
{
	struct evbuffer *out = evbuffer_new();
	json_t *row = NULL;
	size_t len;

	if (!out)
		return NULL;
	metrics_render(metrics, out, format);
	len = evbuffer_get_length(out);
	row = json_pack("{s:s, s:s#}", "type", "metrics", "text", evbuffer_pullup(out, -1), len);
	evbuffer_free(out);
	return row;
}

static void answer(struct client *client, const struct verdicts *verdicts)
{
	struct metrics *metrics = client->loop->metrics;

	(void)verdicts; /* they are in faults */
	if (client->format == FORMAT_ZABBIX)
		client_send(client, json_pack("{s:s, s:o}", "type", "metrics", "zabbix",
					      metrics_zabbix(metrics)));
	else
		client_send(client, text_row(metrics, (enum metrics_format)client->format));
	client_end(client, NULL);
}

void metrics_begin(struct client *client, const json_t *request)
{
	static const char *const words[] = {"prometheus", "openmetrics", "zabbix"};
	const char *word = json_string_value(json_object_get(request, "format"));
	uint64_t judged_ms;

	if (!client->loop->metrics) {
		client_end(client, "there are no metrics here");
		return;
	}
	judged_ms = faults_found(client->loop->faults)->judged_ms;
	client->format = word ? METRICS_PROMETHEUS : FORMAT_NONE;
	while (client->format < FORMAT_NONE && strcmp(words[client->format], word) != 0)
		client->format++;
	if (client->format == FORMAT_NONE)
		client_end(client, "metrics needs \"format\": prometheus, openmetrics or zabbix");
	else if (judged_ms && wire_now_ms() - judged_ms < FRESH_MS)
		answer(client, NULL);
	else
		doctor_begin_for(client, answer);
}
