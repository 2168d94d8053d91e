/* SPDX-License-Identifier: MIT */
/* closeside run: everything is settled and said here, before the command starts; the shim inside it
 * stays silent whatever happens. */
#include "daemon/cli_run.h"

#include "daemon/cli_page.h"
#include "daemon/cli_unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* --- what to say to the shim ------------------------------------------------------------------ */

static int check_policy(const char *socket_path, const char *name)
{
	static struct page_copy page;
	int error = page_read(socket_path, &page);
	char names[256] = "";

	if (error)
		return cli_fail(CLI_RUN_FAILED, "-p %s: the daemon's policies cannot be read: %s",
				name, strerror(error));
	for (unsigned int i = 0; i < page.count; i++) {
		size_t used = strlen(names);

		if (!strcmp(page.rules[i].name, name))
			return 0;
		snprintf(names + used, sizeof(names) - used, " %s", page.rules[i].name);
	}
	return cli_fail(CLI_RUN_FAILED, "-p %s: there is no such policy; there %s%s", name,
			page.count ? "are" : "are none", names);
}

static int take_options(const struct cli *cli, char out[WIRE_OPTIONS_MAX])
{
	struct policy_rule rule;
	char error[512];
	const char *warning;

	if (!run_options(cli->value[OPT_OPTION], out, &rule, error, sizeof(error)))
		return cli_fail(CLI_RUN_FAILED, "%s", error);
	for (unsigned int n = 0; (warning = policy_warning(&rule, n)); n++)
		cli_warn("%s", warning);
	return 0;
}

static void make_tag(char *out, size_t size)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		number = wire_now_ms();
	snprintf(out, size, "%d-%08x", (int)getpid(), (unsigned int)number);
}

/* "PATH?OPTIONS" for CLOSESIDE_SOCKET. */
static bool set_socket(const char *path, const char *options, const char *policy, const char *tag)
{
	char text[WIRE_PATH_MAX + WIRE_OPTIONS_MAX + 64], *absolute = NULL;
	int used;

	if (*path != '/') /* the command may change its directory */
		path = absolute = realpath(path, NULL);
	used = snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", path ? path : "",
			*options || policy || tag ? "?" : "", options, policy ? "policy=" : "",
			policy ? policy : "", (*options || policy) && tag ? "," : "",
			tag ? "tag=" : "");
	if (tag && used > 0 && used < (int)sizeof(text))
		used += snprintf(text + used, sizeof(text) - (size_t)used, "%s", tag);
	free(absolute);
	/* All after the '?' has room for WIRE_OPTIONS_MAX with its final NUL. */
	return used > 0 && used < (int)sizeof(text) && path &&
	       (!strchr(text, '?') || strlen(strchr(text, '?') + 1) < WIRE_OPTIONS_MAX) &&
	       setenv("CLOSESIDE_SOCKET", text, 1) == 0;
}

/* --- getting the shim in ------------------------------------------------------------------------
 */

/* Ours comes first, what was there stays. */
static int set_preload(void)
{
	const char *before = getenv("LD_PRELOAD");
	char library[4096], *text = NULL;
	int failed;

	if (!find_own_file("libcloseside.so", LIBDIR, library, sizeof(library)))
		return cli_fail(CLI_RUN_FAILED, "libcloseside.so is neither here nor in " LIBDIR);
	if (strpbrk(library, " :"))
		return cli_fail(CLI_RUN_FAILED,
				"%s: the loader takes no path with a blank or a colon", library);
	if (before && preload_has(before, library))
		return 0;
	/* not preload_add(): what is there may be longer than any buffer */
	if (asprintf(&text, "%s%s%s", library, before && *before ? ":" : "", before ? before : "") <
	    0)
		return cli_fail(CLI_RUN_FAILED, "%s", strerror(ENOMEM));
	failed = setenv("LD_PRELOAD", text, 1);
	free(text);
	return failed ? cli_fail(CLI_RUN_FAILED, "%s", strerror(errno)) : 0;
}

/* 0, or the exit code for a command that cannot run. */
static int check_command(const char *name, struct command_verdict *verdict)
{
	command_inspect(name, getenv("PATH"), verdict);
	switch (verdict->kind) {
	case COMMAND_NOT_FOUND:
		return cli_fail(CLI_RUN_NOT_FOUND, "%s", verdict->why);
	case COMMAND_NOT_EXECUTABLE:
		return cli_fail(CLI_RUN_NOT_EXECUTABLE, "%s", verdict->why);
	case COMMAND_UNREACHABLE:
		cli_warn("%s; it runs as if without closeside", verdict->why);
		break;
	case COMMAND_FINE:
		break;
	}
	return 0;
}

/* gcc's address sanitizer ends a program in which another library comes before it, unless told that
 * it is meant so. What the user says comes last, and wins. */
static bool set_asan(void)
{
	const char *before = getenv("ASAN_OPTIONS");
	char *text;
	bool set;

	if (asprintf(&text, "verify_asan_link_order=0%s%s", before ? ":" : "",
		     before ? before : "") < 0)
		return false;
	set = setenv("ASAN_OPTIONS", text, 1) == 0;
	free(text);
	return set;
}

/* To the options: so many seccomp filters let the shim work. */
static bool add_filters(void)
{
	int filters = run_filters();
	const char *before = getenv("CLOSESIDE_SOCKET");
	char text[WIRE_PATH_MAX + WIRE_OPTIONS_MAX + 64];

	if (filters < 0)
		cli_warn("a seccomp filter is in force here that does not let the shim work; the "
			 "command "
			 "runs as if without closeside");
	if (filters <= 0)
		return true;
	snprintf(text, sizeof(text), "%s%cfilters=%d", before, strchr(before, '?') ? ',' : '?',
		 filters);
	return setenv("CLOSESIDE_SOCKET", text, 1) == 0;
}

int run_exec(char **argv)
{
	execvp(argv[0], argv);
	if (errno == ENOENT)
		return cli_fail(CLI_RUN_NOT_FOUND, "%s: %s", argv[0], strerror(errno));
	return cli_fail(CLI_RUN_NOT_EXECUTABLE, "%s: %s", argv[0], strerror(errno));
}

/* --- all of it ----------------------------------------------------------------------------------
 */

/* A daemon that answers, or a private one, whose socket then takes the place of cli's. */
static int settle_daemon(struct cli *cli)
{
	static char private_socket[WIRE_PATH_MAX];
	int error = daemon_probe(cli->socket), code;

	if (!error && cli->value[OPT_CONFIG])
		return cli_fail(CLI_RUN_FAILED,
				"-c is for a private daemon, but one answers at %s: use -p or -o",
				cli->socket);
	if (!error)
		return 0;
	code = private_daemon(private_socket, cli->value[OPT_CONFIG]);
	cli->socket = private_socket;
	return code;
}

int cli_run(struct cli *cli)
{
	const char *policy = cli->value[OPT_POLICY];
	char options[WIRE_OPTIONS_MAX] = "", tag[32];
	bool report = cli->value[OPT_REPORT] || cli->value[OPT_VERIFY] || cli->value[OPT_LADDER];
	static struct command_verdict verdict;
	int code;

	if (policy && cli->value[OPT_OPTION])
		return cli_fail(CLI_RUN_FAILED,
				"-p names a policy, -o makes one: only one of them");
	if (cli->value[OPT_VERDICTS] && !cli->value[OPT_VERIFY])
		return cli_fail(CLI_RUN_FAILED, "--verdicts goes with --verify");
	if (cli->value[OPT_OPTION] && (code = take_options(cli, options)))
		return code;
	if ((code = check_command(cli->argv[0], &verdict)) || (code = settle_daemon(cli)) ||
	    (policy && (code = check_policy(cli->socket, policy))) ||
	    (!verdict.foreign && (code = set_preload())))
		return code;
	if (getenv("CLOSESIDE_DISABLE"))
		cli_warn("CLOSESIDE_DISABLE is set: the shim will do nothing");
	make_tag(tag, sizeof(tag));
	if (verdict.asan && !set_asan())
		return cli_fail(CLI_RUN_FAILED, "%s", strerror(errno));
	if (!set_socket(cli->socket, options, policy, report ? tag : NULL) || !add_filters())
		return cli_fail(CLI_RUN_FAILED, "the options are longer than %d bytes",
				WIRE_OPTIONS_MAX - 1);
	return report ? run_with_report(cli, tag, cli->argv) : run_exec(cli->argv);
}
