/* SPDX-License-Identifier: MIT */
#include "daemon/tune_reply.h"

#include "daemon/follow.h"
#include "daemon/ignored.h"
#include "daemon/loop.h"
#include "daemon/reply.h"

#include "common/wire.h"

#include <math.h>
#include <string.h>

static void set_count(json_t *row, const char *name, uint64_t count)
{
	json_object_set_new(row, name, json_integer((json_int_t)count));
}

static void set_text(json_t *row, const char *name, const char *text)
{
	json_t *string = text && *text ? json_string(text) : json_null();

	/* A program's name is bytes of somebody's choice. */
	json_object_set_new(row, name, string ? string : json_string("?"));
}

static void set_ms(json_t *row, const char *name, int64_t ms)
{
	json_object_set_new(row, name, ms < 0 ? json_null() : json_integer(ms));
}

static void set_value(json_t *row, const char *name, const struct sysctl_value *value)
{
	char text[SYSCTL_TEXT];

	set_text(row, name, value->count ? sysctl_format(value, text, sizeof(text)) : NULL);
}

static void set_netns(json_t *row, const struct tune_samples *samples, unsigned int space)
{
	uint64_t netns = space < LIMIT_NAMESPACES ? samples->space[space].netns : 0;

	json_object_set_new(row, "netns", netns ? json_integer((json_int_t)netns) : json_null());
}

static json_t *lines_of(const char (*lines)[BALANCE_TEXT], unsigned int count)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < count; i++) {
		json_t *line = json_string(lines[i]);

		json_array_append_new(list, line ? line : json_string("?"));
	}
	return list;
}

json_t *reply_tune(const struct loop *loop)
{
	static const char *const modes[] = {"off", "advise", "apply"};
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("tune"));
	set_count(row, "schema", 1);
	json_object_set_new(row, "mode", json_string(modes[loop->config->tune.mode]));
	set_count(row, "as_of_ms", follow_age_ms(loop->follow, wire_now_ms()));
	set_count(row, "cooldown_ms", loop->config->tune.cooldown_ms);
	json_object_set_new(row, "missing", reply_missing());
	set_count(row, "namespaces", tune_samples(loop->tune)->inputs.space_count);
	return row;
}

json_t *reply_resource(const struct balance_entry *entry, const struct tune_samples *samples)
{
	static const char *const levels[] = {"fine", "near", "over"};
	json_t *row = json_object();
	double capacity = entry->capacity ? (double)entry->capacity : 1;

	json_object_set_new(row, "type", json_string("resource"));
	set_text(row, "id", entry->id);
	set_text(row, "resource", balance_resource_word(entry->resource));
	set_text(row, "title", entry->title);
	set_netns(row, samples, entry->space);
	json_object_set_new(row, "pid",
			    entry->who.pid ? json_integer(entry->who.pid) : json_null());
	set_text(row, "program", entry->who.program);
	set_text(row, "unit", entry->who.unit);
	set_count(row, "capacity", entry->capacity);
	set_count(row, "used", entry->used);
	set_count(row, "peak", entry->peak);
	set_count(row, "need", entry->need);
	json_object_set_new(row, "target", json_real(entry->target));
	json_object_set_new(row, "share", json_real((double)entry->used / capacity));
	json_object_set_new(row, "rate_s", json_real(entry->rate_s));
	json_object_set_new(row, "hold_s", json_real(entry->hold_s));
	set_count(row, "drops", entry->drops);
	set_ms(row, "slow_ms", entry->slow_ms);
	set_ms(row, "exhausted_ms", entry->exhausted_ms);
	json_object_set_new(row, "level", json_string(levels[entry->level]));
	json_object_set_new(row, "evidence", lines_of(entry->evidence, entry->evidence_count));
	return row;
}

static const char *state_of(const struct balance_sheet *sheet, const struct balance_advice *advice,
			    const struct tune_samples *samples, const struct ignored *ignored)
{
	unsigned int space = sheet->entry[advice->entry].space;

	if (ignored_has(ignored, advice->id))
		return "ignored";
	if (advice->kind == KIND_SYSCTL &&
	    sysctl_same(&samples->space[space].key[advice->key].now, &advice->best))
		return "applied";
	return "open";
}

json_t *reply_advice(const struct balance_sheet *sheet, const struct balance_advice *advice,
		     const struct tune_samples *samples, const struct ignored *ignored)
{
	static const char *const kinds[] = {"policy", "sysctl", "relisten", "line"};
	bool has_value = advice->kind == KIND_SYSCTL || advice->kind == KIND_RELISTEN;
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("advice"));
	set_text(row, "id", advice->id);
	set_text(row, "resource", sheet->entry[advice->entry].id);
	set_text(row, "lever", balance_lever_word(advice->lever));
	json_object_set_new(row, "kind", json_string(kinds[advice->kind]));
	set_text(row, "title", advice->title);
	set_text(row, "effect", advice->effect);
	set_text(row, "cost", advice->cost);
	json_object_set_new(row, "sustains_s",
			    advice->sustains_s > 0 && !isinf(advice->sustains_s)
				    ? json_real(advice->sustains_s)
				    : json_null());
	json_object_set_new(row, "unlimited", json_boolean(isinf(advice->sustains_s)));
	json_object_set_new(row, "enough", json_boolean(advice->enough));
	set_text(row, "with", advice->with >= 0 ? sheet->advice[advice->with].id : NULL);
	set_text(row, "key", advice->kind == KIND_SYSCTL ? sysctls[advice->key].name : NULL);
	if (has_value)
		set_value(row, "value", &advice->best);
	else
		json_object_set_new(row, "value", json_null());
	set_text(row, "state", state_of(sheet, advice, samples, ignored));
	set_text(row, "why_not", advice->why_not);
	json_object_set_new(row, "lines", lines_of(advice->line, advice->line_count));
	return row;
}

static const char *key_state(const struct samples_key *more, const struct balance_key *key)
{
	if (more->named)
		return "named";
	if (more->foreign)
		return "yielded";
	if (key->original.count)
		return "ours";
	return key->refused ? "refused" : "free";
}

json_t *reply_key(const struct tune_samples *samples, unsigned int space, enum sysctl key)
{
	const struct samples_key *more = &samples->key[space][key];
	const struct balance_key *state = &samples->space[space].key[key];
	uint64_t now_ms = wire_now_ms();
	json_t *row;

	if (sysctls[key].lever == SYSCTL_READ || !state->now.count)
		return NULL;
	row = json_object();
	json_object_set_new(row, "type", json_string("key"));
	set_text(row, "key", sysctls[key].name);
	set_netns(row, samples, space);
	set_value(row, "value", &state->now);
	set_value(row, "original", &state->original);
	set_text(row, "state", key_state(more, state));
	set_text(row, "by", more->named ? more->by : NULL);
	json_object_set_new(row, "min", state->max ? json_integer(state->min) : json_null());
	json_object_set_new(row, "max", state->max ? json_integer(state->max) : json_null());
	set_ms(row, "changed_ms", state->changed_ms ? (int64_t)(now_ms - state->changed_ms) : -1);
	return row;
}

/* What a change came to is no error if it is what was asked for. */
static bool is_well(const char *outcome)
{
	return !strcmp(outcome, "done") || !strcmp(outcome, "ignored") ||
	       !strcmp(outcome, "resumed");
}

json_t *reply_change(const struct tune_change *change, const struct tune_samples *samples)
{
	const char *behind = change->error ? strerror(change->error) : NULL;
	json_t *row = json_object();

	json_object_set_new(row, "type", json_string("change"));
	set_text(row, "id", change->id);
	set_text(row, "key", change->name);
	set_netns(row, samples, change->space);
	set_value(row, "from", &change->from);
	set_value(row, "to", &change->to);
	set_text(row, "outcome", change->outcome);
	if (is_well(change->outcome))
		json_object_set_new(row, "error", json_null());
	else if (behind)
		json_object_set_new(row, "error", json_sprintf("%s: %s", change->outcome, behind));
	else
		set_text(row, "error", change->outcome);
	return row;
}
