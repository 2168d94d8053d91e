/* SPDX-License-Identifier: MIT */
/* conns: the connections that a filter lets through. */
#include "daemon/cli_conns.h"

#include "daemon/cli_control.h"
#include "daemon/cli_filter.h"
#include "daemon/cli_table.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct conns_arg {
	struct table *table;
	const struct cli *cli;
	unsigned long rows;
};

/* "812us", "3.4ms", "1.2s" */
static const char *round_trip(const json_t *value, char *buf, size_t size)
{
	double us = (double)json_integer_value(value);

	if (us < 1000)
		snprintf(buf, size, "%.0fus", us);
	else if (us < 1e6)
		snprintf(buf, size, "%.1fms", us / 1e3);
	else
		snprintf(buf, size, "%.1fs", us / 1e6);
	return buf;
}

/* What a narrow terminal has no room for comes last. */
static const struct table_column columns[] = {
	{"STATE", "state", false, NULL},    {"TIME", "state_ms", true, table_age},
	{"LOCAL", "local", false, NULL},    {"REMOTE", "remote", false, NULL},
	{"PID", "pid", true, NULL},	    {"PROGRAM", "program", false, NULL},
	{"POLICY", "policy", false, NULL},  {"FIRST", "side", false, NULL},
	{"HELD", "custody", false, NULL},   {"RTT", "rtt_us", true, round_trip},
	{"RETRANS", "retrans", true, NULL}, {"AGE", "age_ms", true, table_age},
	{"ROLE", "role", false, NULL},	    {NULL, NULL, false, NULL},
};

enum color conns_paint(const struct table_column *column, const json_t *row)
{
	static const char *const states[] = {"state", "from", "to"};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(column->member, states[i]))
			return color_of_state(json_string_value(json_object_get(row, states[i])));
	return COLOR_NONE;
}

void conns_show_unknown(json_t *row)
{
	static const char *const owner[] = {"pid", "program"};

	for (size_t i = 0; i < sizeof(owner) / sizeof(owner[0]); i++)
		if (!json_object_get(row, owner[i]) || json_is_null(json_object_get(row, owner[i])))
			json_object_set_new(row, owner[i], json_string("?"));
}

static void on_row(void *arg, json_t *row)
{
	struct conns_arg *conns = arg;

	conns->rows++;
	if (conns->cli->format == FORMAT_PLAIN)
		conns_show_unknown(row);
	table_row(conns->table, row);
}

/* Nothing of this process may be because there is no such process. */
static void note_no_process(pid_t pid)
{
	if (pid && kill(pid, 0) < 0 && errno == ESRCH)
		cli_fail(0, "conns: there is no process %d, and none is known to have been",
			 (int)pid);
}

int cli_conns(struct cli *cli)
{
	static struct filter filter;
	json_t *request = filter_take(cli, &filter);
	struct conns_arg conns = {.cli = cli};
	int code;

	if (!request)
		return CLI_USAGE;
	conns.table = table_new(cli->format, "conns", columns);
	if (!conns.table)
		return cli_fail(CLI_FAILED, "out of memory");
	table_fit(conns.table);
	table_paint(conns.table, conns_paint);
	code = control_run(cli, "conns", request, on_row, &conns);
	if (code != CLI_FINE) {
		table_drop(conns.table);
		return code;
	}
	table_end(conns.table);
	if (!conns.rows)
		note_no_process(filter_pid(&filter));
	return code;
}
