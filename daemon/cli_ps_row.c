/* SPDX-License-Identifier: MIT */
#include "daemon/cli_ps_row.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct grid_column ps_columns[PS_COLUMN_COUNT] = {
#define X(name, title, key, right, least, rank, text) {title, right, least, rank},
	PS_COLUMNS(X)
#undef X
};

const char ps_column_keys[PS_COLUMN_COUNT + 1] = {
#define X(name, title, key, right, least, rank, text) key,
	PS_COLUMNS(X)
#undef X
};

const char *const ps_column_texts[PS_COLUMN_COUNT] = {
#define X(name, title, key, right, least, rank, text) text,
	PS_COLUMNS(X)
#undef X
};

/* The column that counts a state; none for what is no connection of a process (CLOSE). */
static const enum ps_column column_of[STATE_COUNT] = {
	[STATE_ESTABLISHED] = PS_ESTAB,	  [STATE_SYN_SENT] = PS_SYN,
	[STATE_SYN_RECV] = PS_SYN,	  [STATE_NEW_SYN_RECV] = PS_SYN,
	[STATE_FIN_WAIT1] = PS_FIN_WAIT,  [STATE_FIN_WAIT2] = PS_FIN_WAIT,
	[STATE_TIME_WAIT] = PS_TIME_WAIT, [STATE_CLOSE_WAIT] = PS_CLOSE_WAIT,
	[STATE_LAST_ACK] = PS_LAST_ACK,	  [STATE_CLOSING] = PS_LAST_ACK,
	[STATE_LISTEN] = PS_LISTEN,
};

/* --- from JSON -------------------------------------------------------------------------------- */

static uint64_t number(const json_t *json, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(json, name));

	return value > 0 ? (uint64_t)value : 0;
}

static void take_text(char *out, size_t size, const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	snprintf(out, size, "%s", text ? text : "-");
}

/* The name of a user, asked once of those that were asked last: top asks each second. */
static void take_user(char *out, size_t size, const json_t *uid)
{
	static struct {
		bool known;
		uid_t uid;
		char name[48];
	} cache[64];
	uid_t id = (uid_t)json_integer_value(uid);
	size_t slot = id % (sizeof(cache) / sizeof(cache[0]));

	if (!uid || !json_is_integer(uid)) {
		snprintf(out, size, "-");
		return;
	}
	if (!cache[slot].known || cache[slot].uid != id) {
		const struct passwd *user = getpwuid(id);

		cache[slot].known = true;
		cache[slot].uid = id;
		if (user)
			snprintf(cache[slot].name, sizeof(cache[slot].name), "%s", user->pw_name);
		else
			snprintf(cache[slot].name, sizeof(cache[slot].name), "%u", id);
	}
	snprintf(out, size, "%s", cache[slot].name);
}

static void take_counts(struct ps_row *row, const json_t *states)
{
	for (unsigned int i = 1; i < STATE_COUNT; i++)
		if (column_of[i])
			row->count[column_of[i]] += number(states, tcp_state_name(i));
}

void ps_row_take(struct ps_row *row, const json_t *json)
{
	const json_t *pid = json_object_get(json, "pid"), *share;

	*row = (struct ps_row){.kind = json_is_integer(pid) ? PS_PROCESS : PS_UNKNOWN};
	row->pid = json_integer_value(pid);
	row->start = number(json, "start");
	row->shim = json_is_true(json_object_get(json, "shim"));
	row->alive = !json_is_false(json_object_get(json, "alive"));
	take_text(row->program, sizeof(row->program), json, "program");
	if (row->kind == PS_UNKNOWN)
		snprintf(row->program, sizeof(row->program), "unknown");
	take_text(row->unit, sizeof(row->unit), json, "unit");
	take_user(row->user, sizeof(row->user),
		  row->kind == PS_PROCESS ? json_object_get(json, "uid") : NULL);
	row->conns = number(json, "conns");
	take_counts(row, json_object_get(json, "states"));
	row->opens_s = json_number_value(json_object_get(json, "opens_s"));
	row->closes_s = json_number_value(json_object_get(json, "closes_s"));
	share = json_object_get(json, "peer_share");
	row->peer_share = json_is_number(share) ? json_number_value(share) : -1;
}

void ps_total_take(struct ps_total *total, const json_t *json)
{
	const json_t *states = json_object_get(json, "states");

	*total = (struct ps_total){.attributed = number(json, "attributed"),
				   .lost = number(json, "lost"),
				   .as_of_ms = number(json, "as_of_ms")};
	for (unsigned int i = 1; i < STATE_COUNT; i++)
		total->state[i] = number(states, tcp_state_name(i));
	total->share = json_number_value(json_object_get(json, "attributed_share"));
	ps_row_take(&total->row, json);
	total->row.kind = PS_TOTAL;
	snprintf(total->row.program, sizeof(total->row.program), "total");
}

bool ps_row_is_empty(const struct ps_row *row)
{
	return row->kind == PS_UNKNOWN && row->conns == 0 && row->opens_s == 0 &&
	       row->closes_s == 0;
}

/* --- cells ------------------------------------------------------------------------------------ */

static const char *pid_cell(const struct ps_row *row, char *buf, size_t size)
{
	if (row->kind != PS_PROCESS)
		return "-";
	snprintf(buf, size, row->alive ? "%lld" : "(%lld)", (long long)row->pid);
	return buf;
}

static const char *rate_cell(double rate, char *buf, size_t size)
{
	snprintf(buf, size, rate < 99.95 ? "%.1f" : "%.0f", rate);
	return buf;
}

static const char *share_cell(double share, char *buf, size_t size)
{
	if (share < 0)
		return "-";
	snprintf(buf, size, "%.0f", 100 * share);
	return buf;
}

const char *ps_cell(const void *arg, unsigned int column, char *buf, size_t size)
{
	const struct ps_row *row = arg;

	switch (column) {
	case PS_PID:
		return pid_cell(row, buf, size);
	case PS_PROGRAM:
		return row->program;
	case PS_UNIT:
		return row->unit;
	case PS_USER:
		return row->user;
	case PS_SHIM:
		return row->kind != PS_PROCESS || !row->alive ? "-" : row->shim ? "yes" : "no";
	case PS_OPEN_S:
		return rate_cell(row->opens_s, buf, size);
	case PS_CLOSE_S:
		return rate_cell(row->closes_s, buf, size);
	case PS_PEER:
		return share_cell(row->peer_share, buf, size);
	case PS_CONNS:
		snprintf(buf, size, "%llu", (unsigned long long)row->conns);
		return buf;
	default:
		snprintf(buf, size, "%llu", (unsigned long long)row->count[column]);
		return buf;
	}
}

/* --- order and choice ------------------------------------------------------------------------- */

/* Numbers have their biggest first, texts go by the alphabet, what has no name comes last. */
static int by_number(double a, double b)
{
	return (a < b) - (a > b);
}

static int by_text(const char *a, const char *b)
{
	bool none_a = !strcmp(a, "-"), none_b = !strcmp(b, "-");

	return none_a || none_b ? none_a - none_b : strcasecmp(a, b);
}

static int by_column(const struct ps_row *a, const struct ps_row *b, unsigned int column)
{
	switch (column) {
	case PS_PID:
		return by_number((double)b->pid, (double)a->pid); /* as ps(1) has them */
	case PS_PROGRAM:
		return by_text(a->program, b->program);
	case PS_UNIT:
		return by_text(a->unit, b->unit);
	case PS_USER:
		return by_text(a->user, b->user);
	case PS_SHIM:
		return by_number(a->shim, b->shim);
	case PS_OPEN_S:
		return by_number(a->opens_s, b->opens_s);
	case PS_CLOSE_S:
		return by_number(a->closes_s, b->closes_s);
	case PS_PEER:
		return by_number(a->peer_share, b->peer_share);
	case PS_CONNS:
		return by_number((double)a->conns, (double)b->conns);
	default:
		return by_number((double)a->count[column], (double)b->count[column]);
	}
}

int ps_compare(const void *arg_a, const void *arg_b, unsigned int column)
{
	const struct ps_row *a = arg_a, *b = arg_b;
	int order = by_column(a, b, column);

	if (!order)
		order = by_number((double)a->conns, (double)b->conns);
	if (!order)
		order = by_number((double)b->pid, (double)a->pid);
	return order ? order : (a->start > b->start) - (a->start < b->start);
}

bool ps_matches(const void *arg, const char *text)
{
	const struct ps_row *row = arg;
	char pid[32];

	snprintf(pid, sizeof(pid), "%lld", (long long)row->pid);
	return strcasestr(row->program, text) || strcasestr(row->unit, text) ||
	       strcasestr(row->user, text) || (row->kind == PS_PROCESS && strstr(pid, text));
}

bool ps_same(const void *arg_a, const void *arg_b)
{
	const struct ps_row *a = arg_a, *b = arg_b;

	return a->kind == b->kind && a->pid == b->pid && a->start == b->start;
}
