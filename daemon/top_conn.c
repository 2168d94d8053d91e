/* SPDX-License-Identifier: MIT */
#include "daemon/top_conn.h"

#include "daemon/cli_table.h"
#include "daemon/top_list.h"

#include "common/tcp_state.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct grid_column columns[TOP_CONN_COLUMN_COUNT] = {
#define X(name, title, right, least, rank) {title, right, least, rank},
	TOP_CONN_COLUMNS(X)
#undef X
};

/* --- from JSON -------------------------------------------------------------------------------- */

static int64_t number(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void take_text(char *out, size_t size, const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	snprintf(out, size, "%s", text ? text : "-");
}

void top_conn_take(struct top_conn *conn, const json_t *json)
{
	const char *state = json_string_value(json_object_get(json, "state"));

	*conn = (struct top_conn){.state = state ? tcp_state_parse(state) : 0};
	take_text(conn->cookie, sizeof(conn->cookie), json, "cookie");
	take_text(conn->local, sizeof(conn->local), json, "local");
	take_text(conn->remote, sizeof(conn->remote), json, "remote");
	take_text(conn->role, sizeof(conn->role), json, "role");
	take_text(conn->policy, sizeof(conn->policy), json, "policy");
	take_text(conn->side, sizeof(conn->side), json, "side");
	take_text(conn->held, sizeof(conn->held), json, "custody");
	conn->state_ms = number(json, "state_ms");
	conn->age_ms = number(json, "age_ms");
	conn->unread = number(json, "unread");
	conn->unacked = number(json, "unacked");
	conn->retrans = number(json, "retrans");
	conn->rtt_us = number(json, "rtt_us");
}

/* --- cells ------------------------------------------------------------------------------------ */

static const char *age_cell(int64_t ms, char *buf, size_t size)
{
	json_t *value = ms < 0 ? NULL : json_integer(ms);

	snprintf(buf, size, "-");
	if (value)
		table_age(value, buf, size);
	json_decref(value);
	return buf;
}

static const char *number_cell(int64_t number_, char *buf, size_t size)
{
	if (number_ < 0)
		return "-";
	snprintf(buf, size, "%lld", (long long)number_);
	return buf;
}

static const char *rtt_cell(int64_t us, char *buf, size_t size)
{
	if (us <= 0)
		return "-";
	if (us < 1000)
		snprintf(buf, size, "%dus", (int)us);
	else
		snprintf(buf, size, us < 10000 ? "%.1fms" : "%.0fms", (double)us / 1000);
	return buf;
}

static const char *cell(const void *row, unsigned int column, char *buf, size_t size)
{
	const struct top_conn *conn = row;

	switch (column) {
	case TOP_CONN_STATE:
		return tcp_state_ss(conn->state);
	case TOP_CONN_IN_STATE:
		return age_cell(conn->state_ms, buf, size);
	case TOP_CONN_LOCAL:
		return conn->local;
	case TOP_CONN_REMOTE:
		return conn->remote;
	case TOP_CONN_ROLE:
		return conn->role;
	case TOP_CONN_POLICY:
		return conn->policy;
	case TOP_CONN_SIDE:
		return conn->side;
	case TOP_CONN_HELD:
		return conn->held;
	case TOP_CONN_UNREAD:
		return number_cell(conn->unread, buf, size);
	case TOP_CONN_UNACKED:
		return number_cell(conn->unacked, buf, size);
	case TOP_CONN_RETRANS:
		return number_cell(conn->retrans, buf, size);
	case TOP_CONN_RTT:
		return rtt_cell(conn->rtt_us, buf, size);
	default:
		return age_cell(conn->age_ms, buf, size);
	}
}

/* --- order and choice ------------------------------------------------------------------------- */

/* The biggest first. */
static int by_number(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

static int by_column(const struct top_conn *a, const struct top_conn *b, unsigned int column)
{
	char text_a[GRID_CELL_MAX], text_b[GRID_CELL_MAX];

	switch (column) {
	case TOP_CONN_STATE:
		return (int)a->state - (int)b->state;
	case TOP_CONN_IN_STATE:
		return by_number(a->state_ms, b->state_ms);
	case TOP_CONN_UNREAD:
		return by_number(a->unread, b->unread);
	case TOP_CONN_UNACKED:
		return by_number(a->unacked, b->unacked);
	case TOP_CONN_RETRANS:
		return by_number(a->retrans, b->retrans);
	case TOP_CONN_RTT:
		return by_number(a->rtt_us, b->rtt_us);
	case TOP_CONN_AGE:
		return by_number(a->age_ms, b->age_ms);
	default:
		return strverscmp(cell(a, column, text_a, sizeof(text_a)),
				  cell(b, column, text_b, sizeof(text_b)));
	}
}

static int compare(const void *arg_a, const void *arg_b, unsigned int column)
{
	const struct top_conn *a = arg_a, *b = arg_b;
	int order = by_column(a, b, column);

	if (!order)
		order = by_number(a->state_ms, b->state_ms);
	return order ? order : strcmp(a->cookie, b->cookie);
}

static bool matches(const void *row, const char *text)
{
	const struct top_conn *conn = row;

	return strcasestr(tcp_state_ss(conn->state), text) || strstr(conn->local, text) ||
	       strstr(conn->remote, text) || strcasestr(conn->policy, text) ||
	       strcasestr(conn->side, text) || strcasestr(conn->held, text);
}

static bool same(const void *arg_a, const void *arg_b)
{
	const struct top_conn *a = arg_a, *b = arg_b;

	return !strcmp(a->cookie, b->cookie) && !strcmp(a->remote, b->remote) &&
	       !strcmp(a->local, b->local);
}

const struct top_kind top_conn_kind = {
	.size = sizeof(struct top_conn),
	.columns = columns,
	.column_count = TOP_CONN_COLUMN_COUNT,
	.sort = TOP_CONN_STATE,
	.cell = cell,
	.compare = compare,
	.matches = matches,
	.same = same,
};
