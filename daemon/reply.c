/* SPDX-License-Identifier: MIT */
#include <config.h> /* of configure, not daemon/config.h */

#include "daemon/reply.h"

#include "daemon/caps.h"
#include "daemon/custody.h"
#include "daemon/page.h"
#include "daemon/patience.h"
#include "daemon/retire.h"
#include "daemon/session.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <stdio.h>
#include <unistd.h>

static void set_count(json_t *object, const char *name, uint64_t count)
{
	json_object_set_new(object, name, json_integer((json_int_t)count));
}

static json_t *closes_of(const struct tally *tally)
{
	json_t *closes = json_object();

	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		set_count(closes, close_side_word((enum close_side)i), tally->closes[i]);
	return closes;
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

static json_t *missing(void)
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

json_t *reply_status(const struct loop *loop)
{
	json_t *row = json_object(), *custody = custody_of(&loop->book->all);

	json_object_set_new(row, "type", json_string("status"));
	set_count(row, "schema", 1);
	json_object_set_new(row, "version", json_string(VERSION));
	set_count(row, "pid", (uint64_t)getpid());
	set_count(row, "uptime_ms", wire_now_ms() - loop->started_ms);
	json_object_set_new(row, "on", json_boolean(page_is_on(loop->page)));
	json_object_set_new(row, "missing", missing());
	json_object_set_new(row, "config", json_string(loop->options->config_path));
	set_count(row, "policies", loop->config->rule_count);
	set_count(row, "sessions", sessions_count(loop->sessions));
	set_count(row, "sessions_total", sessions_total(loop->sessions));
	set_count(row, "connections", conns_count(loop->conns));
	json_object_set_new(row, "records", records_of(loop->book));
	json_object_set_new(row, "closes", closes_of(&loop->book->all));
	set_count(custody, "refused", loop->book->refused);
	json_object_set_new(row, "custody", custody);
	json_object_set_new(row, "not_handed_over", missed_of(&loop->book->all));
	json_object_set_new(row, "retire", retire_of(loop));
	set_count(row, "lost", sessions_lost(loop->sessions));
	set_count(row, "bad_messages", loop->book->bad_messages);
	return row;
}

static json_t *endpoint_text(const struct endpoint *ep)
{
	char text[ENDPOINT_TEXT_MAX];

	return json_string(endpoint_format(ep, text, sizeof(text)));
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

json_t *reply_conn(const struct loop *loop, const struct conn *conn)
{
	static const char *const roles[] = {"any", "server", "client"};
	const char *policy = loop->book->policy[conn->account.policy].name;
	json_t *row = json_object();
	char cookie[20];

	snprintf(cookie, sizeof(cookie), "%llx", (unsigned long long)conn->cookie);
	json_object_set_new(row, "type", json_string("conn"));
	json_object_set_new(row, "cookie", json_string(cookie));
	set_count(row, "pid", (uint64_t)conn->pid);
	json_object_set_new(row, "program", text_of(conn->program));
	json_object_set_new(row, "role", json_string(roles[conn->role]));
	json_object_set_new(row, "local", endpoint_text(&conn->local));
	json_object_set_new(row, "remote", endpoint_text(&conn->remote));
	json_object_set_new(row, "state", json_string(tcp_state_name(conn->state)));
	json_object_set_new(row, "policy", *policy ? json_string(policy) : json_null());
	json_object_set_new(row, "side", json_string(close_side_word(conn->side)));
	json_object_set_new(row, "custody", custody_text(conn));
	set_count(row, "age_ms", wire_now_ms() - conn->opened_ms);
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

json_t *reply_policy(const struct loop *loop, unsigned int slot)
{
	const struct book_policy *policy = &loop->book->policy[slot];
	const struct tally *tally = &policy->tally;
	struct learned learned = {json_array(), grace_of(loop, policy->id)};
	json_t *row = json_object();
	uint64_t closes = 0;

	for (unsigned int i = 0; i < SIDE_COUNT; i++)
		closes += tally->closes[i];
	json_object_set_new(row, "type", json_string("policy"));
	json_object_set_new(row, "name", json_string(policy->name));
	set_count(row, "opens", tally->opens);
	set_count(row, "closes", closes);
	set_count(row, "hand_overs", tally->hand_overs);
	for (unsigned int i = 0; i < OUTCOME_COUNT; i++)
		set_count(row, custody_outcome_word((enum custody_outcome)i), tally->outcomes[i]);
	json_object_set_new(row, "not_handed_over", missed_of(tally));
	patience_each(loop->patience, policy->id, add_learned, &learned);
	json_object_set_new(row, "learned", learned.list);
	return row;
}

json_t *reply_report(const char *tag, const struct tally *tally)
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
	return row;
}

json_t *reply_end(const char *error)
{
	if (!error)
		return json_pack("{s:s, s:b}", "type", "end", "ok", 1);
	return json_pack("{s:s, s:b, s:o}", "type", "end", "ok", 0, "error", text_of(error));
}
