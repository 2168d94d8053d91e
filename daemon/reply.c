/* SPDX-License-Identifier: MIT */
#include <config.h> /* of configure, not daemon/config.h */

#include "daemon/reply.h"

#include "daemon/caps.h"
#include "daemon/custody.h"
#include "daemon/follow.h"
#include "daemon/metrics_http.h"
#include "daemon/page.h"
#include "daemon/patience.h"
#include "daemon/retire.h"
#include "daemon/session.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void set_count(json_t *object, const char *name, uint64_t count)
{
	json_object_set_new(object, name, json_integer((json_int_t)count));
}

static json_t *closes_by_side(const uint64_t closes[SIDE_COUNT])
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		set_count(object, close_side_word((enum close_side)i), closes[i]);
	return object;
}

static json_t *closes_of(const struct tally *tally)
{
	return closes_by_side(tally->closes);
}

static json_t *custody_of(const struct tally *tally)
{
	json_t *custody = json_object();

	set_count(custody, "held", tally->held);
	for (unsigned int i = 0; i < OUTCOME_COUNT; i++)
		set_count(custody, custody_outcome_word((enum custody_outcome)i),
			  tally->outcomes[i]);
	set_count(custody, "drained_bytes", tally->drained_bytes);
	return custody;
}

/* Closes that were not handed over, by the reason's word. */
static json_t *missed_of(const struct tally *tally)
{
	json_t *missed = json_object();

	for (unsigned int i = 0; i < CLOSE_REASON_COUNT; i++)
		if (close_reason_missed((enum close_reason)i))
			set_count(missed, close_reason_word((enum close_reason)i),
				  tally->missed[i]);
	return missed;
}

json_t *reply_missing(void)
{
	unsigned int bits = caps_missing();
	json_t *list = json_array();

	for (unsigned int i = 0; i < CAP_NEEDS; i++)
		if (bits & (1u << i))
			json_array_append_new(
				list, json_sprintf("%s: %s", cap_needs[i].name, cap_needs[i].lost));
	return list;
}

static json_t *records_of(const struct book *book)
{
	json_t *records = json_object();

	for (unsigned int i = WIRE_NONE + 1; i < WIRE_TYPE_COUNT; i++)
		set_count(records, wire_type_word(i), book->records[i]);
	return records;
}

static json_t *retire_of(const struct loop *loop)
{
	json_t *retire = json_object();

	set_count(retire, "pending", retire_pending(loop->retire));
	set_count(retire, "retired", loop->book->retired);
	set_count(retire, "left", loop->book->retire_left);
	return retire;
}

static uint64_t cpu_us(int who)
{
	struct rusage usage;

	if (getrusage(who, &usage) < 0)
		return 0;
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* What following connections costs this process; loop_us: custody and all else as well. */
static json_t *costs_of(const struct loop *loop)
{
	json_t *object = json_object();
	struct follow_costs costs;

	follow_costs(loop->follow, &costs);
	set_count(object, "cpu_us", cpu_us(RUSAGE_SELF));
	set_count(object, "loop_us", cpu_us(RUSAGE_THREAD));
	set_count(object, "surveys", costs.surveys);
	set_count(object, "survey_us", costs.survey_us);
	set_count(object, "destroyed", costs.destroyed);
	set_count(object, "overruns", costs.overruns);
	set_count(object, "lookups", costs.lookups);
	json_object_set_new(object, "multicast", json_boolean(costs.multicast));
	return object;
}

static json_t *endpoint_text(const struct endpoint *ep)
{
	char text[ENDPOINT_TEXT_MAX];

	return json_string(endpoint_format(ep, text, sizeof(text)));
}

/* Where metrics are to be had by HTTP, or why not where they should. */
static json_t *metrics_of(const struct loop *loop)
{
	const struct endpoint *wanted = &loop->config->metrics.listen;
	int error = loop->http ? metrics_http_error(loop->http) : 0;

	if (!wanted->family)
		return json_null();
	return json_pack("{s:o, s:o}", "listen", endpoint_text(wanted), "error",
			 error ? json_string(strerror(error)) : json_null());
}

json_t *reply_status(const struct loop *loop)
{
	json_t *row = json_object(), *custody = custody_of(&loop->book->all);

	json_object_set_new(row, "type", json_string("status"));
	set_count(row, "schema", 1);
	json_object_set_new(row, "version", json_string(VERSION));
	set_count(row, "pid", (uint64_t)getpid());
	set_count(row, "uptime_ms", wire_now_ms() - loop->started_ms);
	json_object_set_new(row, "on", json_boolean(page_is_on(loop->page)));
	json_object_set_new(row, "missing", reply_missing());
	json_object_set_new(row, "config", json_string(loop->options->config_path));
	set_count(row, "policies", loop->config->rule_count);
	set_count(row, "sessions", sessions_count(loop->sessions));
	set_count(row, "sessions_total", sessions_total(loop->sessions));
	set_count(row, "connections", conns_open(loop->conns));
	set_count(row, "tracked", conns_count(loop->conns));
	json_object_set_new(row, "records", records_of(loop->book));
	json_object_set_new(row, "closes", closes_of(&loop->book->all));
	set_count(custody, "refused", loop->book->refused);
	json_object_set_new(row, "custody", custody);
	json_object_set_new(row, "not_handed_over", missed_of(&loop->book->all));
	json_object_set_new(row, "retire", retire_of(loop));
	if (loop->follow)
		json_object_set_new(row, "costs", costs_of(loop));
	set_count(row, "lost", sessions_lost(loop->sessions));
	set_count(row, "bad_messages", loop->book->bad_messages);
	json_object_set_new(row, "metrics", metrics_of(loop));
	return row;
}

static json_t *custody_text(const struct conn *conn)
{
	switch (conn->custody) {
	case CUSTODY_WAITING:
		return json_string("waiting");
	case CUSTODY_DRAINING:
		return json_string("draining");
	default:
		return json_null();
	}
}

/* Program names are bytes of somebody's choice: what is no UTF-8 is not shown. */
static json_t *text_of(const char *text)
{
	json_t *string = json_string(text);

	return string ? string : json_string("?");
}

static void set_text(json_t *row, const char *name, const char *text)
{
	json_object_set_new(row, name, text && *text ? text_of(text) : json_null());
}

/* NULL: whose it is, is not known. */
static void set_process(json_t *row, const struct proc *proc)
{
	const struct process *process = proc ? &proc->process : NULL;

	json_object_set_new(row, "pid", proc ? json_integer(process->pid) : json_null());
	set_text(row, "program", proc ? process_name(process) : NULL);
	set_text(row, "unit", proc ? process->unit : NULL);
	json_object_set_new(row, "uid", proc ? json_integer(process->uid) : json_null());
	json_object_set_new(row, "netns",
			    proc && process->other_netns ? json_integer((json_int_t)process->netns)
							 : json_null());
	json_object_set_new(row, "shim", json_boolean(proc && proc->sessions));
}

static const char *const roles[] = {"any", "server", "client"};

json_t *reply_conn(const struct loop *loop, const struct conn *conn)
{
	uint64_t now = wire_now_ms();
	json_t *row = json_object();
	char cookie[20];

	snprintf(cookie, sizeof(cookie), "%llx", (unsigned long long)conn->cookie);
	json_object_set_new(row, "type", json_string("conn"));
	json_object_set_new(row, "cookie", json_string(cookie));
	set_process(row, conn->proc);
	json_object_set_new(row, "role", json_string(roles[conn->role]));
	json_object_set_new(row, "local", endpoint_text(&conn->local));
	json_object_set_new(row, "remote", endpoint_text(&conn->remote));
	json_object_set_new(row, "state", json_string(tcp_state_name(conn->state)));
	set_count(row, "state_ms", now - conn->since_ms);
	set_count(row, "age_ms", now - conn->opened_ms);
	set_text(row, "policy", loop->book->policy[conn->account.policy].name);
	json_object_set_new(row, "control", json_boolean(conn->account.control));
	json_object_set_new(row, "side", json_string(close_side_word(conn->side)));
	json_object_set_new(row, "custody", custody_text(conn));
	set_text(row, "outcome", conn->outcome ? custody_outcome_word(conn->outcome - 1u) : NULL);
	json_object_set_new(row, "accepted", json_boolean(!conn_is_unaccepted(conn)));
	set_count(row, "unread", conn->unread);
	set_count(row, "unacked", conn->unacked);
	set_count(row, "retrans", conn->retrans);
	set_count(row, "rtt_us", conn->rtt_us);
	return row;
}

char *reply_transition(const struct loop *loop, const struct conn *conn, unsigned int from,
		       unsigned int to, uint64_t in_from_ms)
{
	json_t *row = json_object();
	struct timespec now;
	char cookie[20], *text;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	snprintf(cookie, sizeof(cookie), "%llx", (unsigned long long)conn->cookie);
	json_object_set_new(row, "type", json_string("transition"));
	set_count(row, "time_ms", (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
	json_object_set_new(row, "cookie", json_string(cookie));
	set_process(row, conn->proc);
	json_object_set_new(row, "local", endpoint_text(&conn->local));
	json_object_set_new(row, "remote", endpoint_text(&conn->remote));
	set_text(row, "from", from ? tcp_state_name(from) : NULL);
	set_text(row, "to", to ? tcp_state_name(to) : NULL);
	json_object_set_new(row, "side", json_string(close_side_word(conn->side)));
	set_text(row, "policy", loop->book->policy[conn->account.policy].name);
	json_object_set_new(row, "control", json_boolean(conn->account.control));
	set_count(row, "state_ms", in_from_ms);
	json_object_set_new(row, "role", json_string(roles[conn->role]));
	set_text(row, "outcome", conn->outcome ? custody_outcome_word(conn->outcome - 1u) : NULL);
	set_count(row, "unacked", conn->unacked);
	text = json_dumps(row, JSON_COMPACT);
	json_decref(row);
	return text;
}

json_t *reply_lost(uint64_t count)
{
	return json_pack("{s:s, s:I}", "type", "lost", "count", (json_int_t)count);
}

static void set_states(json_t *row, const struct census *census)
{
	json_t *states = json_object();

	for (unsigned int i = 1; i < STATE_COUNT; i++)
		set_count(states, tcp_state_name(i), census->state[i]);
	json_object_set_new(row, "states", states);
	set_count(row, "conns", census_conns(census));
}

static void set_rates(json_t *row, const struct census *census)
{
	json_object_set_new(row, "opens_s", json_real((double)census->opens_s));
	json_object_set_new(row, "closes_s", json_real((double)census->closes_s));
}

static json_t *reply_census(const struct proc *proc, const struct census *census)
{
	uint64_t known = census_closes(census) - census->closes[SIDE_UNKNOWN];
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("process"));
	set_process(row, proc);
	set_count(row, "start", proc ? proc->key.start : 0);
	set_states(row, census);
	set_count(row, "time_wait", census->state[STATE_TIME_WAIT]);
	set_count(row, "opens", census->opens);
	json_object_set_new(row, "closes", closes_by_side(census->closes));
	set_rates(row, census);
	json_object_set_new(row, "peer_share",
			    known ? json_real((double)census->closes[SIDE_PEER] / (double)known)
				  : json_null());
	json_object_set_new(row, "alive",
			    json_boolean(proc && process_is(proc->process.pid, proc->key.start)));
	return row;
}

json_t *reply_proc(const struct proc *proc)
{
	return reply_census(proc, &proc->census);
}

json_t *reply_unknown(const struct loop *loop)
{
	return reply_census(NULL, conns_unknown(loop->conns));
}

json_t *reply_total(const struct loop *loop)
{
	const struct census *all = conns_census(loop->conns);
	uint32_t conns = census_conns(all), unknown = census_conns(conns_unknown(loop->conns));
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("total"));
	set_count(row, "schema", 1);
	set_states(row, all);
	set_count(row, "attributed", conns - unknown);
	json_object_set_new(row, "attributed_share",
			    json_real(conns ? (double)(conns - unknown) / conns : 1.0));
	set_count(row, "as_of_ms", loop->follow ? follow_age_ms(loop->follow, wire_now_ms()) : 0);
	set_rates(row, all);
	json_object_set_new(row, "on", json_boolean(page_is_on(loop->page)));
	set_count(row, "lost", sessions_lost(loop->sessions));
	json_object_set_new(row, "missing", reply_missing());
	return row;
}

struct learned {
	json_t *list;
	uint32_t grace_ms;
};

static void add_learned(const struct patience_entry *entry, void *arg)
{
	const struct learned *learned = arg;
	const char *late = entry->late ? ", late closes" : "";
	char addr[ENDPOINT_TEXT_MAX];
	json_t *row = json_object();

	if (entry->addr.family)
		json_object_set_new(
			row, "key",
			json_sprintf("peer %s%s",
				     endpoint_format_addr(&entry->addr, addr, sizeof(addr)), late));
	else
		json_object_set_new(row, "key",
				    json_sprintf("port %u%s", (unsigned)entry->port, late));
	set_count(row, "samples", entry->samples);
	json_object_set_new(row, "success", json_real((double)entry->share));
	set_count(row, "wait_ms", patience_entry_wait(entry, learned->grace_ms, 0));
	json_array_append_new(learned->list, row);
}

static uint32_t grace_of(const struct loop *loop, uint32_t policy)
{
	for (unsigned int i = 0; i < loop->config->rule_count; i++)
		if (loop->config->rules[i].id == policy)
			return loop->config->rules[i].terms.grace_ms;
	return loop->config->defaults.terms.grace_ms;
}

static uint64_t closes_in(const struct tally *tally)
{
	uint64_t closes = 0;

	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		closes += tally->closes[i];
	return closes;
}

/* How much later than the program's close() its FIN went out, over all closes. */
static json_t *delay_of(const struct tally *tally)
{
	struct waits waits = tally->waits;
	uint64_t closes = closes_in(tally),
		 at_once = closes > waits.count ? closes - waits.count : 0;
	json_t *delay = json_object();

	waits.count += at_once;
	waits.bucket[0] += (uint32_t)at_once;
	set_count(delay, "p50", waits_percentile(&waits, 50));
	set_count(delay, "p99", waits_percentile(&waits, 99));
	set_count(delay, "max", waits.max_ms);
	return delay;
}

/* One arm of a policy with a share: what is steered, or the control. */
static json_t *reply_arm(const struct tally *tally)
{
	json_t *arm = json_object();

	set_count(arm, "opens", tally->opens);
	json_object_set_new(arm, "closes", closes_of(tally));
	set_count(arm, "time_wait_left", tally->time_wait_left);
	set_count(arm, "time_wait_avoided", tally->time_wait_avoided);
	json_object_set_new(arm, "delay_ms", delay_of(tally));
	set_count(arm, "unread_bytes", tally->unread_bytes);
	set_count(arm, "hand_overs", tally->hand_overs);
	return arm;
}

json_t *reply_policy(const struct loop *loop, unsigned int slot)
{
	const struct book_policy *policy = &loop->book->policy[slot];
	const struct tally *tally = &policy->tally;
	struct learned learned = {json_array(), grace_of(loop, policy->id)};
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("policy"));
	json_object_set_new(row, "name", json_string(policy->name));
	set_count(row, "opens", tally->opens);
	set_count(row, "closes", closes_in(tally));
	set_count(row, "hand_overs", tally->hand_overs);
	for (unsigned int i = 0; i < OUTCOME_COUNT; i++)
		set_count(row, custody_outcome_word((enum custody_outcome)i), tally->outcomes[i]);
	json_object_set_new(row, "not_handed_over", missed_of(tally));
	patience_each(loop->patience, policy->id, add_learned, &learned);
	json_object_set_new(row, "learned", learned.list);
	json_object_set_new(row, "treated", reply_arm(tally));
	json_object_set_new(row, "control", reply_arm(&policy->control));
	return row;
}

json_t *reply_report(const char *tag, const struct tally *tally, const char *worst)
{
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("report"));
	json_object_set_new(row, "tag", text_of(tag));
	set_count(row, "opens", tally->opens);
	json_object_set_new(row, "closes", closes_of(tally));
	json_object_set_new(row, "custody", custody_of(tally));
	json_object_set_new(row, "not_handed_over", missed_of(tally));
	set_count(row, "time_wait_left", tally->time_wait_left);
	set_count(row, "time_wait_avoided", tally->time_wait_avoided);
	set_count(row, "waits_ms_p50", waits_percentile(&tally->waits, 50));
	set_count(row, "waits_ms_max", tally->waits.max_ms);
	set_count(row, "unread_bytes", tally->unread_bytes);
	set_text(row, "worst", worst);
	return row;
}

json_t *reply_end(const char *error)
{
	if (!error)
		return json_pack("{s:s, s:b}", "type", "end", "ok", 1);
	return json_pack("{s:s, s:b, s:o}", "type", "end", "ok", 0, "error", text_of(error));
}
