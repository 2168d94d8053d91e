/* SPDX-License-Identifier: MIT */
/* policy test: one connection, described by options, explained for people. */
#include "daemon/cli_policy.h"

#include "daemon/policy_explain.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct question {
	struct policy_process process;
	struct policy_subject subject;
	char comm[16]; /* as the kernel cuts it */
};

/* --- the question -------------------------------------------------------------------------------
 */

static bool take_role(const char *text, struct question *question)
{
	if (text && !strcmp(text, "server"))
		question->subject.role = ROLE_SERVER;
	else if (text && !strcmp(text, "client"))
		question->subject.role = ROLE_CLIENT;
	else
		cli_fail(CLI_USAGE, "--role %s: expected server or client",
			 text ? text : "is not given");
	return question->subject.role != ROLE_ANY;
}

static bool take_endpoint(const char *option, const char *text, struct endpoint *out)
{
	const char *p = text;

	if (!text || (parse_endpoint(&p, out) && parse_end(p)))
		return true;
	cli_fail(CLI_USAGE, "--%s %s: expected ADDRESS:PORT, as in 10.0.0.1:80 or [2001:db8::1]:80",
		 option, text);
	return false;
}

static bool take_user(const char *text, uint32_t *out)
{
	const struct passwd *user = text ? getpwnam(text) : NULL;
	const char *p = text;

	*out = geteuid();
	if (user)
		*out = user->pw_uid;
	else if (text && !(parse_u32(&p, out) && parse_end(p))) {
		cli_fail(CLI_USAGE, "--user %s: there is no such user", text);
		return false;
	}
	return true;
}

static void take_process(const char *program, const char *unit, struct question *question)
{
	const char *slash = program ? strrchr(program, '/') : NULL;

	snprintf(question->comm, sizeof(question->comm), "%s",
		 slash ? slash + 1 : (program ? program : ""));
	question->process.exe = program ? program : "";
	question->process.comm = question->comm;
	question->process.unit = unit && !strchr(unit, '/') ? unit : "";
	question->process.cgroup = unit && strchr(unit, '/') ? unit : "";
}

static bool take_question(const struct cli *cli, struct question *question)
{
	const char *const *value = cli->value;

	memset(question, 0, sizeof(*question));
	take_process(value[OPT_PROGRAM], value[OPT_UNIT], question);
	return take_role(value[OPT_ROLE], question) &&
	       take_endpoint("local", value[OPT_LOCAL], &question->subject.local) &&
	       take_endpoint("remote", value[OPT_REMOTE], &question->subject.remote) &&
	       take_user(value[OPT_USER], &question->subject.uid);
}

/* --- the answer ---------------------------------------------------------------------------------
 */

static const char *text_at(const json_t *row, const char *name)
{
	return json_string_value(json_object_get(row, name));
}

static void print_policies(const json_t *answer)
{
	const json_t *row;
	size_t i;

	puts("Policies, in their order:");
	json_array_foreach(json_object_get(answer, "policies"), i, row)
		printf("  %-20s %s%s\n", text_at(row, "name"),
		       json_is_true(json_object_get(row, "matches")) ? "" : "no: it wants ",
		       text_at(row, "because"));
	if (json_is_null(json_object_get(answer, "policy")))
		puts("  none matches: the connection is only watched, close and shutdown are "
		     "the program's");
}

static void print_keys(json_t *answer)
{
	json_t *keys = json_object_get(answer, "keys"), *value;
	const char *name;

	printf("\nPolicy %s says:\n", text_at(answer, "policy"));
	json_object_foreach(keys, name, value)
		printf("  %s = %s\n", name, json_string_value(value));
	if (!json_object_size(keys))
		puts("  nothing but the defaults");
}

static void print_decisions(const char *title, const json_t *list, const char *label, int width)
{
	const json_t *row;
	size_t i;

	printf("\n%s\n", title);
	json_array_foreach(list, i, row)
	{
		printf("  %-*s  %-9s  %s", width, text_at(row, label), text_at(row, "action"),
		       text_at(row, "why"));
		/* "as the program does" needs no words. */
		if (strcmp(text_at(row, "action"), "pass"))
			printf("; %s", text_at(row, "text"));
		putchar('\n');
	}
}

static void print_options(const json_t *answer)
{
	const json_t *list = json_object_get(answer, "options"), *row;
	size_t i;

	if (!json_array_size(list))
		return;
	puts("\nSocket options:");
	json_array_foreach(list, i, row) printf("  %s = %s, at %s\n", text_at(row, "key"),
						text_at(row, "value"), text_at(row, "at"));
}

static void print_share(json_int_t share)
{
	if (share < 100)
		printf("\nThis is so for %" JSON_INTEGER_FORMAT
		       " %% of the connections, by a hash of the "
		       "socket's cookie; the others are only watched.\n",
		       share);
}

static void print_answer(json_t *answer)
{
	print_policies(answer);
	if (!text_at(answer, "policy"))
		return;
	print_keys(answer);
	print_share(json_integer_value(json_object_get(answer, "share")));
	print_decisions("close(), by the only holder and with the daemon there:",
			json_object_get(answer, "close"), "state", 11);
	print_decisions("close(), when things are otherwise:", json_object_get(answer, "cases"),
			"case", 40);
	print_decisions("shutdown(SHUT_WR) and shutdown(SHUT_RDWR):",
			json_object_get(answer, "shutdown"), "state", 11);
	print_options(answer);
}

int cli_policy_test(struct cli *cli)
{
	static struct policies set;
	struct question question;
	json_t *answer;
	int code;

	if (!take_question(cli, &question))
		return cli_usage(cli);
	code = policies_read(cli, &set);
	if (code)
		return code;
	answer = policy_explain(set.rules, set.count, &question.process, &question.subject);
	if (!set.on && cli->format == FORMAT_PLAIN)
		puts("closeside is OFF: nothing of this happens until `closeside on`\n");
	if (cli->format == FORMAT_PLAIN) {
		print_answer(answer);
	} else {
		json_object_set_new(answer, "schema", json_integer(1));
		json_object_set_new(answer, "on", json_boolean(set.on));
		json_dumpf(answer, stdout,
			   cli->format == FORMAT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
		putchar('\n');
	}
	json_decref(answer);
	return CLI_FINE;
}
