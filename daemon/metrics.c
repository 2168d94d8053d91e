/* SPDX-License-Identifier: MIT */
#include <config.h> /* of configure, not daemon/config.h */

#include "daemon/metrics.h"

#include "daemon/custody.h"
#include "daemon/faults.h"
#include "daemon/follow.h"
#include "daemon/loop.h"
#include "daemon/metrics_http.h"
#include "daemon/metrics_state.h"
#include "daemon/page.h"
#include "daemon/probe.h"
#include "daemon/retire.h"
#include "daemon/session.h"
#include "daemon/tune.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { RANK_MS = 1000, ZABBIX_PROGRAMS = 50 };

/* --- who has series of its own ---------------------------------------------------------------- */

const struct ranking *metrics_rank(struct metrics *metrics, enum group_kind kind)
{
	const struct groups *groups = procs_groups(conns_procs(metrics->loop->conns), kind);
	unsigned int most =
		kind == GROUP_UNIT ? metrics->loop->config->metrics.units : ZABBIX_PROGRAMS;
	struct ranking *ranking = &metrics->ranking[kind];
	uint64_t now_ms = wire_now_ms();
	const struct group *group;

	if (now_ms - metrics->ranked_ms[kind] < RANK_MS && ranking->count <= most)
		return ranking;
	metrics->ranked_ms[kind] = now_ms;
	ranking_begin(ranking, most);
	for (group = groups->by_name; group; group = group->hh.next)
		if (*group->name)
			ranking_offer(ranking, most, group->name,
				      group_conns(group) + group->state[STATE_LISTEN], now_ms);
	ranking_end(ranking, now_ms);
	return ranking;
}

/* --- connections ------------------------------------------------------------------------------ */

static void put_states(struct metrics_text *text, const char *unit, const uint32_t *state)
{
	for (unsigned int i = 1; i < STATE_COUNT; i++)
		metrics_count(text, state ? state[i] : 0, unit ? "unit" : "state",
			      unit ? unit : tcp_state_name(i), unit ? "state" : NULL,
			      tcp_state_name(i), METRICS_END);
}

static void put_units(struct metrics *metrics, struct metrics_text *text)
{
	struct conns *conns = metrics->loop->conns;
	const struct groups *groups = procs_groups(conns_procs(conns), GROUP_UNIT);
	const struct ranking *ranking = metrics_rank(metrics, GROUP_UNIT);
	const struct group *none = group_find(groups, "");
	uint32_t other[STATE_COUNT];

	memcpy(other, conns_census(conns)->state, sizeof(other));
	for (unsigned int i = 0; i < STATE_COUNT; i++)
		other[i] -= conns_unknown(conns)->state[i] + (none ? none->state[i] : 0);
	for (unsigned int n = 0; n < ranking->count; n++) {
		const struct group *group = group_find(groups, ranking->member[n].name);

		for (unsigned int i = 0; group && i < STATE_COUNT; i++)
			other[i] -= group->state[i];
		put_states(text, ranking->member[n].name, group ? group->state : NULL);
	}
	put_states(text, "none", none ? none->state : NULL);
	put_states(text, "unknown", conns_unknown(conns)->state);
	put_states(text, "other", other);
}

static void put_sides(struct metrics_text *text, const uint64_t closes[SIDE_COUNT],
		      const char *policy)
{
	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		metrics_count(text, closes[i], "side", close_side_word((enum close_side)i),
			      policy ? "policy" : NULL, policy, METRICS_END);
}

static void put_connections(struct metrics *metrics, struct metrics_text *text)
{
	struct loop *loop = metrics->loop;
	const struct census *all = conns_census(loop->conns);
	uint32_t conns = census_conns(all), unknown = census_conns(conns_unknown(loop->conns));

	metrics_family(text, METRIC_CONNECTIONS);
	put_states(text, NULL, all->state);
	metrics_family(text, METRIC_UNIT_CONNECTIONS);
	put_units(metrics, text);
	metrics_family(text, METRIC_ATTRIBUTED);
	metrics_number(text, conns ? (double)(conns - unknown) / conns : 1.0, METRICS_END);
	metrics_family(text, METRIC_MODEL_AGE);
	metrics_number(text, (double)follow_age_ms(loop->follow, wire_now_ms()) / 1000,
		       METRICS_END);
	metrics_family(text, METRIC_OPENS);
	metrics_count(text, all->opens, METRICS_END);
	metrics_family(text, METRIC_CLOSES);
	put_sides(text, all->closes, NULL);
}

/* --- what the shims tell ---------------------------------------------------------------------- */

static void put_one(struct metrics_text *text, enum metric metric, uint64_t value)
{
	metrics_family(text, metric);
	metrics_count(text, value, METRICS_END);
}

static void put_custody(const struct loop *loop, struct metrics_text *text)
{
	const struct tally *all = &loop->book->all;

	put_one(text, METRIC_HELD, custody_count(loop->custody));
	put_one(text, METRIC_HAND_OVERS, all->hand_overs);
	metrics_family(text, METRIC_CUSTODY_ENDED);
	for (unsigned int i = 0; i < OUTCOME_COUNT; i++)
		metrics_count(text, all->outcomes[i], "outcome",
			      custody_outcome_word((enum custody_outcome)i), METRICS_END);
	put_one(text, METRIC_CUSTODY_REFUSED, loop->book->refused);
	put_one(text, METRIC_DRAINED, all->drained_bytes);
	metrics_family(text, METRIC_NOT_HANDED_OVER);
	for (unsigned int i = 0; i < CLOSE_REASON_COUNT; i++)
		if (close_reason_missed((enum close_reason)i))
			metrics_count(text, all->missed[i], "reason",
				      close_reason_word((enum close_reason)i), METRICS_END);
}

bool metrics_has_policy(const struct loop *loop, uint32_t id)
{
	for (unsigned int i = 0; i < loop->config->rule_count; i++)
		if (loop->config->rules[i].id == id)
			return true;
	return id == policy_id("run");
}

static void put_records(const struct loop *loop, struct metrics_text *text)
{
	const struct book *book = loop->book;
	struct follow_costs costs = {0};

	follow_costs(loop->follow, &costs);
	put_one(text, METRIC_SESSIONS, sessions_count(loop->sessions));
	put_one(text, METRIC_SESSIONS_BEGUN, sessions_total(loop->sessions));
	metrics_family(text, METRIC_RECORDS);
	for (unsigned int i = WIRE_NONE + 1; i < WIRE_TYPE_COUNT; i++)
		metrics_count(text, book->records[i], "type", wire_type_word(i), METRICS_END);
	put_one(text, METRIC_LOST, sessions_lost(loop->sessions));
	put_one(text, METRIC_BAD_MESSAGES, book->bad_messages);
	put_one(text, METRIC_OVERRUNS, costs.overruns);
	put_one(text, METRIC_RETIRED, book->retired);
	put_one(text, METRIC_RETIRE_LEFT, book->retire_left);
	put_one(text, METRIC_RETIRE_PENDING, retire_pending(loop->retire));
	metrics_family(text, METRIC_POLICY_CLOSES);
	for (unsigned int i = 1; i < book->policy_count; i++)
		if (*book->policy[i].name && metrics_has_policy(loop, book->policy[i].id))
			put_sides(text, book->policy[i].tally.closes, book->policy[i].name);
}

/* --- the system ------------------------------------------------------------------------------- */

bool metrics_resource(const struct loop *loop, enum balance_resource resource,
		      struct metrics_resource *out)
{
	const struct balance_sheet *sheet = tune_sheet(loop->tune);

	*out = (struct metrics_resource){0};
	/* Descriptors are read for who asks for the sheet, and else not. */
	if (loop->config->tune.mode == TUNE_OFF || resource == BALANCE_DESCRIPTORS)
		return false;
	for (unsigned int i = 0; i < sheet->entry_count; i++) {
		const struct balance_entry *entry = &sheet->entry[i];
		double used, need;

		if (entry->resource != resource || !entry->capacity)
			continue;
		used = (double)entry->used / (double)entry->capacity;
		need = (double)entry->need / (double)entry->capacity;
		out->used = used > out->used ? used : out->used;
		out->need = need > out->need ? need : out->need;
	}
	return true;
}

static void put_resources(const struct loop *loop, struct metrics_text *text)
{
	struct metrics_resource found;

	metrics_family(text, METRIC_RESOURCE_USED);
	for (int i = 0; i < BALANCE_RESOURCE_COUNT; i++)
		if (metrics_resource(loop, (enum balance_resource)i, &found))
			metrics_number(text, found.used, "resource",
				       balance_resource_word((enum balance_resource)i),
				       METRICS_END);
	metrics_family(text, METRIC_RESOURCE_NEED);
	for (int i = 0; i < BALANCE_RESOURCE_COUNT; i++)
		if (metrics_resource(loop, (enum balance_resource)i, &found))
			metrics_number(text, found.need, "resource",
				       balance_resource_word((enum balance_resource)i),
				       METRICS_END);
}

static void put_sysctls(const struct loop *loop, struct metrics_text *text)
{
	static const char *const index[SYSCTL_NUMBERS] = {"0", "1", "2"};

	metrics_family(text, METRIC_SYSCTL);
	for (int key = 0; key < SYSCTL_COUNT; key++) {
		struct sysctl_value value;

		if (!sysctl_read(probe_folders(loop->probe), (enum sysctl)key, &value))
			continue;
		for (unsigned int i = 0; i < value.count; i++)
			metrics_number(text, (double)value.number[i], "key", sysctls[key].name,
				       value.count > 1 ? "index" : NULL, index[i], METRICS_END);
	}
}

static void put_faults(const struct loop *loop, struct metrics_text *text)
{
	const struct faults_found *found = faults_found(loop->faults);

	if (!found->judged_ms)
		return; /* it has not looked: 0 would be a lie */
	metrics_family(text, METRIC_FAULT_ACTIVE);
	for (int i = 0; i < VERDICT_COUNT; i++)
		if (verdict_kinds[i].level == VERDICT_FAULT)
			metrics_count(text, found->active[i], "verdict", verdict_kinds[i].id,
				      METRICS_END);
	metrics_family(text, METRIC_DOCTOR_AGE);
	metrics_number(text, (double)(wire_now_ms() - found->judged_ms) / 1000, METRICS_END);
}

/* --- the daemon itself ------------------------------------------------------------------------ */

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_process(const struct metrics *metrics, struct metrics_text *text)
{
	const struct metrics_http *http = metrics->loop->http;
	struct probe_descriptors fds = {0};
	struct rusage usage = {0};

	put_one(text, METRIC_SCRAPES, metrics->scrapes);
	metrics_family(text, METRIC_SCRAPE_SECONDS);
	metrics_number(text, (double)metrics->scrape_us / 1e6, METRICS_END);
	put_one(text, METRIC_SCRAPERS, metrics_http_count(http));
	put_one(text, METRIC_SCRAPERS_ENDED, metrics_http_ended(http));
	getrusage(RUSAGE_SELF, &usage);
	metrics_family(text, METRIC_CPU);
	metrics_number(text,
		       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
		       METRICS_END);
	put_one(text, METRIC_RESIDENT, resident_bytes());
	if (probe_descriptors(getpid(), &fds)) {
		put_one(text, METRIC_OPEN_FDS, fds.used);
		metrics_family(text, METRIC_MAX_FDS);
		metrics_number(text, (double)fds.limit, METRICS_END);
	}
	metrics_family(text, METRIC_START);
	metrics_number(text, metrics->started, METRICS_END);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void metrics_render(struct metrics *metrics, struct evbuffer *out, enum metrics_format format)
{
	struct loop *loop = metrics->loop;
	uint64_t began_us = now_us();
	struct metrics_text text;

	faults_want(loop->faults, wire_now_ms());
	metrics->scrapes++;
	metrics_text_begin(&text, out, format);
	metrics_family(&text, METRIC_BUILD_INFO);
	metrics_count(&text, 1, "version", VERSION, METRICS_END);
	put_one(&text, METRIC_ON, page_is_on(loop->page));
	put_connections(metrics, &text);
	put_custody(loop, &text);
	put_records(loop, &text);
	put_sysctls(loop, &text);
	put_resources(loop, &text);
	put_faults(loop, &text);
	put_process(metrics, &text);
	metrics_text_end(&text);
	metrics->scrape_us += now_us() - began_us;
}

/* --- life ------------------------------------------------------------------------------------- */

static double start_time(const struct loop *loop)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9 -
	       (double)(wire_now_ms() - loop->started_ms) / 1000;
}

struct metrics *metrics_new(struct loop *loop)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return NULL;
	metrics->loop = loop;
	metrics->started = start_time(loop);
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	free(metrics);
}
