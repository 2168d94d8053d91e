/* SPDX-License-Identifier: MIT */
/* What the subcommands of closeside share: their table, the options, exit codes. */
#ifndef DAEMON_CLI_H
#define DAEMON_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum cli_exit {
	CLI_FINE = 0,
	CLI_FINDING = 1, /* `policy check`, `doctor`, `tune show`: something is wrong; `ps`: no such
			    process; `tune apply`...: not done, or not all;
			    `enable`, `disable`: refused */
	CLI_USAGE = 2,
	CLI_NO_DAEMON = 3,
	CLI_FAILED = 4,
	/* of `run`, as env(1) has them */
	CLI_RUN_FAILED = 125,
	CLI_RUN_NOT_EXECUTABLE = 126,
	CLI_RUN_NOT_FOUND = 127,
};

/* X(enum, letter or 0, long name, argument or NULL, what it does) */
#define CLI_OPTIONS(X)                                                                           \
	X(OPT_HELP, 'h', "help", NULL, "say how this is used")                                   \
	X(OPT_VERSION, 'V', "version", NULL, "say which version this is")                        \
	X(OPT_SOCKET, 's', "socket", "PATH", "the daemon's socket, /run/closeside/socket")       \
	X(OPT_FORMAT, 'f', "format", "FORMAT", "plain, json or jsonl")                           \
	X(OPT_CONFIG, 'c', "config", "FILE", "policies from this file")                          \
	X(OPT_POLICY, 'p', "policy", "NAME", "only this policy of those in force")               \
	X(OPT_OPTION, 'o', "option", "KEY=VALUE", "a policy for this command: may be repeated")  \
	X(OPT_REPORT, 'r', "report", NULL, "say at the end how the connections were closed")     \
	X(OPT_VERIFY, 0, "verify", NULL, "hold that against the segments on the wire")           \
	X(OPT_VERDICTS, 0, "verdicts", "FILE", "of --verify, each connection as a line of JSON") \
	X(OPT_LADDER, 0, "ladder", "[=FILTER]", "the segments of one, beside its states")        \
	X(OPT_VERBOSE, 'v', "verbose", NULL, "say also what was understood")                     \
	X(OPT_ALL, 'a', "all", NULL, "also what is fine")                                        \
	X(OPT_DELAY, 'd', "delay", "SECONDS", "look so often, every second otherwise")           \
	X(OPT_ROUNDS, 'n', "iterations", "COUNT", "look so many times, and end")                 \
	X(OPT_ROLE, 0, "role", "ROLE", "server or client")                                       \
	X(OPT_LOCAL, 0, "local", "ADDRESS:PORT", "our end")                                      \
	X(OPT_REMOTE, 0, "remote", "ADDRESS:PORT", "the peer's end")                             \
	X(OPT_PROGRAM, 0, "program", "PROGRAM", "the program's name or path")                    \
	X(OPT_USER, 0, "user", "USER", "the effective user, by name or number")                  \
	X(OPT_UNIT, 0, "unit", "UNIT", "the systemd unit, or a cgroup path")                     \
	X(OPT_RUNTIME, 0, "runtime", NULL, "only until the next boot")                           \
	X(OPT_FORCE, 0, "force", NULL, "also where it cannot work, or was edited by hand")       \
	X(OPT_SINCE, 0, "since", "TIME", "from then on: 2h, 14:30, \"2026-11-22 14:30\"")        \
	X(OPT_UNTIL, 0, "until", "TIME", "up to then")                                           \
	X(OPT_STEP, 0, "step", "DURATION", "a row for each so long, from 10s on")                \
	X(OPT_SPARK, 0, "spark", NULL, "a line for each quantity, drawn over time")              \
	X(OPT_PROGRAMS, 0, "programs", NULL, "each program by itself")

enum cli_option_index {
#define X(name, letter, word, argument, text) name,
	CLI_OPTIONS(X)
#undef X
		OPT_COUNT
};

#define OPT(name) (1u << (name))
_Static_assert(OPT_COUNT <= 32, "OPT() bits");

enum cli_format {
	FORMAT_PLAIN,
	FORMAT_JSON,
	FORMAT_JSONL,
	FORMAT_PROMETHEUS, /* these: of `status` only */
	FORMAT_OPENMETRICS,
	FORMAT_ZABBIX,
};

struct cli {
	const struct cli_command *command;
	char **argv; /* of the subcommand, after its options; ends with NULL */
	int argc;
	const char *value[OPT_COUNT]; /* "" for one that takes none; NULL: not given */
	char *socket;		      /* of the daemon, without what follows a '?' */
	enum cli_format format;
};

struct cli_command {
	const char *name; /* one or two words */
	const char *usage;
	const char *summary;
	int min, max;	      /* arguments; max -1: any number */
	unsigned int options; /* OPT() bits; help and socket are always there */
	int (*run)(struct cli *cli);
};

/* All subcommands; those with the same first word are beside each other. */
const struct cli_command *cli_commands(size_t *count);
/* OPT() bits, with those that are always there. */
unsigned int cli_options_of(const struct cli_command *command);

int cli_run(struct cli *cli);
int cli_status(struct cli *cli);
int cli_ps(struct cli *cli);
int cli_top(struct cli *cli);
int cli_conns(struct cli *cli);
int cli_history(struct cli *cli);
int cli_doctor(struct cli *cli);
int cli_watch(struct cli *cli);
int cli_explain(struct cli *cli);
int cli_completion(struct cli *cli);
int cli_enable(struct cli *cli);
int cli_disable(struct cli *cli);
int cli_on(struct cli *cli);
int cli_off(struct cli *cli);
int cli_policy_list(struct cli *cli);
int cli_policy_show(struct cli *cli);
int cli_policy_check(struct cli *cli);
int cli_policy_test(struct cli *cli);
int cli_policy_reload(struct cli *cli);
int cli_tune_show(struct cli *cli);
int cli_tune_apply(struct cli *cli);
int cli_tune_ignore(struct cli *cli);
int cli_tune_resume(struct cli *cli);
int cli_tune_revert(struct cli *cli);

/* "closeside: ..." on stderr. Returns code. */
int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How the subcommand is used, on stderr; returns CLI_USAGE. */
int cli_usage(const struct cli *cli);

/* Exit CLI_NO_DAEMON and how to start one. */
int cli_no_daemon(const struct cli *cli, int error);

#endif
