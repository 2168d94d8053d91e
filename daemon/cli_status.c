/* SPDX-License-Identifier: MIT */
/* status, on, off: what the daemon says of itself. */
#include "daemon/cli_color.h"
#include "daemon/cli_control.h"
#include "daemon/cli_enabled.h"
#include "daemon/cli_table.h"

#include <stdio.h>
#include <string.h>

/* --- status -------------------------------------------------------------------------------------
 */

static const char *text_at(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	return text ? text : "?";
}

static json_int_t number_at(const json_t *row, const char *name)
{
	return json_integer_value(json_object_get(row, name));
}

static void print_list(const char *title, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		printf("  %-12s %s\n", i ? "" : title, json_string_value(item));
}

/* {"us":1,"peer":2} as "us 1, peer 2". */
static void print_counts(const char *title, json_t *counts)
{
	const char *name, *comma = " ";
	json_t *value;

	printf("  %-12s", title);
	json_object_foreach(counts, name, value)
	{
		printf("%s%s %" JSON_INTEGER_FORMAT, comma, name, json_integer_value(value));
		comma = ", ";
	}
	putchar('\n');
}

static void print_held(const json_t *custody)
{
	printf("  %-12s %" JSON_INTEGER_FORMAT " now; peer closed %" JSON_INTEGER_FORMAT
	       ", grace ended %" JSON_INTEGER_FORMAT ", reset %" JSON_INTEGER_FORMAT
	       ", ended early %" JSON_INTEGER_FORMAT ", not waited %" JSON_INTEGER_FORMAT "\n",
	       "held sockets", number_at(custody, "held"), number_at(custody, "peer"),
	       number_at(custody, "grace"), number_at(custody, "reset"),
	       number_at(custody, "early"), number_at(custody, "not_waited"));
	if (number_at(custody, "drained_bytes") || number_at(custody, "refused"))
		printf("  %-12s drained %" JSON_INTEGER_FORMAT
		       " bytes; refused %" JSON_INTEGER_FORMAT "\n",
		       "", number_at(custody, "drained_bytes"), number_at(custody, "refused"));
}

static void print_missed(const json_t *missed)
{
	char text[256];

	if (*table_counts(missed, text, sizeof(text)))
		printf("  %-12s not handed over: %s\n", "", text);
}

static void print_listener(const json_t *metrics)
{
	const char *error = json_string_value(json_object_get(metrics, "error"));

	if (json_is_object(metrics))
		printf("  %-12s http://%s/metrics%s%s\n", "metrics", text_at(metrics, "listen"),
		       error ? ": it does not listen: " : "", error ? error : "");
}

static void print_status(const json_t *row)
{
	bool on = json_is_true(json_object_get(row, "on"));
	char age[32];

	if (!on)
		printf("%sOFF%s: every connection is only watched; `closeside on` steers again\n",
		       color_on(COLOR_BAD), color_off(COLOR_BAD));
	printf("closeside %s, pid %" JSON_INTEGER_FORMAT ", up %s: %s\n", text_at(row, "version"),
	       number_at(row, "pid"),
	       table_age(json_object_get(row, "uptime_ms"), age, sizeof(age)), on ? "on" : "off");
	printf("  %-12s %s, %" JSON_INTEGER_FORMAT " %s\n", "config", text_at(row, "config"),
	       number_at(row, "policies"), number_at(row, "policies") == 1 ? "policy" : "policies");
	print_list("missing", json_object_get(row, "missing"));
	printf("  %-12s %" JSON_INTEGER_FORMAT " now, %" JSON_INTEGER_FORMAT " in all\n",
	       "sessions", number_at(row, "sessions"), number_at(row, "sessions_total"));
	printf("  %-12s %" JSON_INTEGER_FORMAT " spoken for, %" JSON_INTEGER_FORMAT " followed\n",
	       "connections", number_at(row, "connections"), number_at(row, "tracked"));
	print_counts("records", json_object_get(row, "records"));
	print_counts("first closer", json_object_get(row, "closes"));
	print_held(json_object_get(row, "custody"));
	print_missed(json_object_get(row, "not_handed_over"));
	print_counts("TIME_WAIT", json_object_get(row, "retire"));
	printf("  %-12s %" JSON_INTEGER_FORMAT " records lost, %" JSON_INTEGER_FORMAT
	       " not understood\n",
	       "messages", number_at(row, "lost"), number_at(row, "bad_messages"));
	print_listener(json_object_get(row, "metrics"));
	enabled_print(json_object_get(row, "enabled"));
}

/* The daemon makes the text, for it and its HTTP listener alike. */
static void on_metrics(void *arg, json_t *row)
{
	json_t *zabbix = json_object_get(row, "zabbix");
	const char *text = json_string_value(json_object_get(row, "text"));

	(void)arg;
	if (zabbix) {
		json_dumpf(zabbix, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (text) {
		fputs(text, stdout);
	}
}

/* Zabbix is to learn from the same item that nobody answers. */
static int print_metrics(struct cli *cli)
{
	static const char *const words[] = {[FORMAT_PROMETHEUS] = "prometheus",
					    [FORMAT_OPENMETRICS] = "openmetrics",
					    [FORMAT_ZABBIX] = "zabbix"};
	int code = control_run(cli, "metrics", json_pack("{s:s}", "format", words[cli->format]),
			       on_metrics, cli);

	if (code == CLI_NO_DAEMON && cli->format == FORMAT_ZABBIX)
		puts("{\"schema\":1,\"up\":0}");
	return code;
}

static void on_status(void *arg, json_t *row)
{
	const struct cli *cli = arg;

	json_object_set_new(row, "enabled", enabled_json());
	if (cli->format == FORMAT_PLAIN) {
		print_status(row);
		return;
	}
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
}

int cli_status(struct cli *cli)
{
	if (cli->format > FORMAT_JSONL)
		return print_metrics(cli);
	return control_run(cli, "status", NULL, on_status, cli);
}

/* --- on, off ------------------------------------------------------------------------------------
 */

int cli_on(struct cli *cli)
{
	int code = control_run(cli, "on", NULL, NULL, NULL);

	if (code == CLI_FINE)
		puts("on: connections are steered as the policies say");
	return code;
}

int cli_off(struct cli *cli)
{
	int code = control_run(cli, "off", NULL, NULL, NULL);

	if (code == CLI_FINE)
		puts("off: connections are only watched, until `closeside on`");
	return code;
}
