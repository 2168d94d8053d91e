/* SPDX-License-Identifier: MIT */
/* policy list, show, check, reload. */
#include "daemon/cli_policy.h"

#include "daemon/cli_control.h"
#include "daemon/cli_page.h"
#include "daemon/cli_share.h"
#include "daemon/cli_table.h"
#include "daemon/config.h"
#include "daemon/policy_explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- where policies come from -------------------------------------------------------------------
 */

static int read_file(const char *path, struct policies *out)
{
	char error[CONFIG_ERROR_MAX];
	struct config *config = config_load(path, error, sizeof(error));

	if (!config)
		return cli_fail(CLI_FINDING, "%s", error);
	memcpy(out->rules, config->rules, sizeof(out->rules));
	out->count = config->rule_count;
	out->on = true;
	config_free(config);
	return 0;
}

int policies_read(const struct cli *cli, struct policies *out)
{
	static struct page_copy page;
	int error;

	if (cli->value[OPT_CONFIG])
		return read_file(cli->value[OPT_CONFIG], out);
	error = page_read(cli->socket, &page);
	if (error == EPROTO || error == EBUSY || error == EACCES)
		return cli_fail(CLI_FAILED, "%s" WIRE_POLICY_SUFFIX ": %s", cli->socket,
				strerror(error));
	if (error || !page.fresh)
		return cli_no_daemon(cli, error ? error : ESRCH);
	memcpy(out->rules, page.rules, sizeof(out->rules));
	out->count = page.count;
	out->on = page.on;
	return 0;
}

/* --- list ---------------------------------------------------------------------------------------
 */

/* {"role":"server","local-port":"80, 443"} as "role server, local-port 80 443". */
static const char *joined(const json_t *value, char *buf, size_t size)
{
	size_t used = 0;
	const char *name;
	json_t *member;

	snprintf(buf, size, "-");
	json_object_foreach((json_t *)value, name, member)
	{
		int n = snprintf(buf + used, size - used, "%s%s = %s", used ? "; " : "", name,
				 json_string_value(member));

		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	return buf;
}

static const struct table_column policy_columns[] = {
	{"NAME", "name", false, NULL},
	{"SELECTS", "selectors", false, joined},
	{"SAYS", "keys", false, joined},
	{NULL, NULL, false, NULL},
};

static json_t *policy_row(const struct policy_rule *rule)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "type", "policy", "name", rule->name, "selectors",
			 policy_as_json(rule, true), "keys", policy_as_json(rule, false));
}

int cli_policy_list(struct cli *cli)
{
	static struct policies policies;
	int code = policies_read(cli, &policies);
	struct table *table;

	if (code)
		return code;
	if (!policies.on && cli->format == FORMAT_PLAIN)
		puts("OFF: every connection is only watched; `closeside on` steers again");
	if (!policies.count && cli->format == FORMAT_PLAIN) {
		puts("no policies: every connection is only watched");
		return CLI_FINE;
	}
	table = table_new(cli->format, "policies", policy_columns);
	if (!table)
		return cli_fail(CLI_FAILED, "out of memory");
	for (unsigned int i = 0; i < policies.count; i++) {
		json_t *row = policy_row(&policies.rules[i]);

		table_row(table, row);
		json_decref(row);
	}
	table_end(table);
	return CLI_FINE;
}

/* --- show ---------------------------------------------------------------------------------------
 */

/* What the daemon counts and has learned, by the policy's name. Reading it needs more rights than
 * reading the page; without them only the policy is shown. */
static json_t *learned_by_name(const struct cli *cli)
{
	struct control *control;
	json_t *all = json_object(), *row;
	int more;

	if (cli->value[OPT_CONFIG] || control_open(&control, cli->socket) != 0)
		return all;
	more = control_request(control, "policies", NULL) ? 0 : 1;
	while (more > 0 && (more = control_next(control, &row)) == 1) {
		const char *name = json_string_value(json_object_get(row, "name"));

		if (name)
			json_object_set(all, name, row);
		json_decref(row);
	}
	control_close(control);
	return all;
}

static json_int_t number_at(const json_t *row, const char *name)
{
	return json_integer_value(json_object_get(row, name));
}

static void emit(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

static void print_learned(const json_t *row)
{
	const json_t *learned;
	char missed[256];
	size_t i;

	printf("# connections %" JSON_INTEGER_FORMAT ", closes %" JSON_INTEGER_FORMAT
	       ", handed over %" JSON_INTEGER_FORMAT ": peer closed %" JSON_INTEGER_FORMAT
	       ", grace ended %" JSON_INTEGER_FORMAT ", reset %" JSON_INTEGER_FORMAT
	       ", ended early %" JSON_INTEGER_FORMAT ", not waited %" JSON_INTEGER_FORMAT "\n",
	       number_at(row, "opens"), number_at(row, "closes"), number_at(row, "hand_overs"),
	       number_at(row, "peer"), number_at(row, "grace"), number_at(row, "reset"),
	       number_at(row, "early"), number_at(row, "not_waited"));
	if (*table_counts(json_object_get(row, "not_handed_over"), missed, sizeof(missed)))
		printf("# not handed over, though our FIN was the first: %s\n", missed);
	json_array_foreach(json_object_get(row, "learned"), i, learned)
	{
		const char *key = json_string_value(json_object_get(learned, "key"));

		printf("# learned of %s: the peer closes first in %.0f %% of its closes "
		       "(%" JSON_INTEGER_FORMAT " waits); waits for %" JSON_INTEGER_FORMAT " ms\n",
		       key ? key : "?",
		       100 * json_number_value(json_object_get(learned, "success")),
		       number_at(learned, "samples"), number_at(learned, "wait_ms"));
	}
}

/* The keys at their defaults, in one comment. */
static void print_unsaid(const struct policy_rule *rule)
{
	char value[POLICY_LIST_MAX * POLICY_GLOB_MAX];
	const json_t *said_keys;
	json_t *said = policy_as_json(rule, false);
	const char *comma = "\t# by default: ";

	for (size_t i = 0; i < policy_key_count; i++) {
		said_keys = json_object_get(said, policy_keys[i].name);
		if (policy_keys[i].selector || said_keys)
			continue;
		printf("%s%s = %s", comma, policy_keys[i].name,
		       policy_keys[i].format(rule, value, sizeof(value)));
		comma = ", ";
	}
	putchar('\n');
	json_decref(said);
}

static void show_plain(const struct policy_rule *rule, const json_t *learned)
{
	printf("policy %s {\n", rule->name);
	config_dump_rule(rule, emit, NULL);
	print_unsaid(rule);
	puts("}");
	if (!learned)
		return;
	print_learned(learned);
	share_print(100u - rule->terms.control, learned);
}

static void show_json(const struct policy_rule *rule, json_t *learned, struct table *table)
{
	json_t *row = policy_row(rule);

	if (learned)
		json_object_update_missing(row, learned);
	table_row(table, row);
	json_decref(row);
}

int cli_policy_show(struct cli *cli)
{
	static struct policies policies;
	int code = policies_read(cli, &policies);
	struct table *table = NULL;
	bool found = cli->argc == 0;
	json_t *learned;

	if (code)
		return code;
	if (cli->format != FORMAT_PLAIN)
		table = table_new(cli->format, "policies", policy_columns);
	learned = learned_by_name(cli);
	for (unsigned int i = 0; i < policies.count; i++) {
		const struct policy_rule *rule = &policies.rules[i];

		if (cli->argc && strcmp(rule->name, cli->argv[0]))
			continue;
		found = true;
		if (table)
			show_json(rule, json_object_get(learned, rule->name), table);
		else
			show_plain(rule, json_object_get(learned, rule->name));
	}
	json_decref(learned);
	if (table)
		table_end(table);
	if (!found)
		return cli_fail(CLI_FAILED, "there is no policy '%s'", cli->argv[0]);
	return CLI_FINE;
}

/* --- check, reload ------------------------------------------------------------------------------
 */

struct checking {
	const char *path;
	unsigned int warnings;
};

static void say_warning(void *arg, const char *text)
{
	struct checking *checking = arg;

	checking->warnings++;
	printf("%s: warning: %s\n", checking->path, text);
}

int cli_policy_check(struct cli *cli)
{
	struct checking checking = {
		cli->argc ? cli->argv[0] : SYSCONFDIR "/closeside/closeside.conf", 0};
	char error[CONFIG_ERROR_MAX];
	struct config *config = config_load(checking.path, error, sizeof(error));

	if (!config) {
		fprintf(stderr, "%s\n", error);
		return CLI_FINDING;
	}
	if (cli->value[OPT_VERBOSE])
		config_dump(config, emit, NULL);
	config_warnings(config, say_warning, &checking);
	printf("%s: sound, %u %s, %u %s\n", checking.path, config->rule_count,
	       config->rule_count == 1 ? "policy" : "policies", checking.warnings,
	       checking.warnings == 1 ? "warning" : "warnings");
	config_free(config);
	return CLI_FINE;
}

static void on_reload(void *arg, json_t *row)
{
	const char *text = json_string_value(json_object_get(row, "text"));

	(void)arg;
	if (text)
		puts(text);
}

int cli_policy_reload(struct cli *cli)
{
	int code = control_run(cli, "reload", NULL, on_reload, NULL);

	if (code == CLI_FINE)
		puts("reloaded: the policies are in force from the next call on");
	return code;
}
