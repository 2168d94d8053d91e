/* SPDX-License-Identifier: MIT */
/* closeside: runs programs under the shim, and shows and controls what the daemon does.
 *
 *   closeside.c        the subcommands' table, help
 *   cli_args.c         their options
 *   cli_run.c          run: options, environment, exec
 *   cli_command.c        what the command is, and why the shim may not get into it
 *   cli_private.c        a daemon of one's own when none answers
 *   cli_report.c         --report: waiting for the command, and what is said after
 *     cli_verify.c         --verify, --ladder: what a capture says of the same closes
 *       capture.c            segments, from the kernel
 *       segment.c            one of them: headers of IP and TCP
 *       flow.c               those of a connection, and who closed first
 *       claims.c             what the daemon says
 *       agree.c              both beside each other, pure
 *       ladder.c             segments beside the states that they imply
 *   cli_policy.c       policy list, show, check, reload
 *   cli_share.c          what is steered beside the control
 *   cli_test.c         policy test: the explanation
 *   cli_status.c       status, on, off
 *   cli_enable.c       enable, disable
 *   cli_enable_plan.c    what the drop-in is to say
 *   cli_dropin.c         the drop-in
 *   cli_unit.c           what systemd says of a unit
 *   cli_unit_name.c        its name
 *   cli_unit_words.c       systemd's words and quotes
 *   cli_unit_check.c     what would keep the shim out
 *   cli_unit_sandbox.c     of the unit's settings
 *   cli_enabled.c        of the enabled units, for status
 *   cli_ps.c           ps
 *   cli_ps_row.c         a process: its cells, their order
 *   cli_grid.c           columns in a given width
 *   cli_text.c           text from elsewhere in the cells of a terminal
 *   cli_top.c          top: the map is in top.h
 *   cli_conns.c        conns
 *   cli_watch.c        watch
 *   cli_history.c      history
 *   cli_history_time.c   times as people say them
 *   cli_history_values.c the numbers in the daemon's rows
 *   cli_history_table.c  a row for each step of time
 *   cli_history_spark.c  a line for each quantity
 *   cli_filter.c         the filter of both, and where it is wrong
 *   cli_doctor.c       doctor
 *   cli_tune.c         tune show, apply, ignore, resume, revert
 *   cli_tune_sheet.c     the balance sheet as a table
 *   cli_tune_words.c     what it means, and what would mend it
 *   cli_bar.c            how full something is
 *   cli_explain.c      explain
 *   cli_completion.c   completion: a script for a shell
 *   cli_completion_shell.c  what is the shell's own in it
 *   cli_control.c      one request to the daemon's control socket
 *   cli_page.c         the daemon's policies, from its page
 *   cli_table.c        rows for people, or as JSON
 *   cli_color.c        colour, where it is wanted
 *   cli_output.c       standard output that fails */
#include "daemon/cli_args.h"
#include "daemon/cli_output.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <config.h> /* of configure, not daemon/config.h */

static const struct cli_command commands[] = {
	{"run",
	 "[-p POLICY | -o KEY=VALUE...] [--report] [--verify] [--ladder[=FILTER]] [--] COMMAND "
	 "[ARGUMENT...]",
	 "run a command with its connections steered", 1, -1,
	 OPT(OPT_POLICY) | OPT(OPT_OPTION) | OPT(OPT_REPORT) | OPT(OPT_VERIFY) | OPT(OPT_VERDICTS) |
		 OPT(OPT_LADDER) | OPT(OPT_CONFIG),
	 cli_run},
	{"status", "[-f plain|json|jsonl|prometheus|openmetrics|zabbix]",
	 "what the daemon does now", 0, 0, OPT(OPT_FORMAT), cli_status},
	{"ps", "[-f FORMAT] [PID | PROGRAM]", "the processes, and their connections by state", 0, 1,
	 OPT(OPT_FORMAT), cli_ps},
	{"top", "[-d SECONDS] [-n COUNT]", "the same, live, on the whole screen", 0, 0,
	 OPT(OPT_DELAY) | OPT(OPT_ROUNDS), cli_top},
	{"conns", "[-f FORMAT] [FILTER]", "the connections it follows", 0, -1, OPT(OPT_FORMAT),
	 cli_conns},
	{"watch", "[-f plain|jsonl] [FILTER]", "a line for each change of a connection's state", 0,
	 -1, OPT(OPT_FORMAT), cli_watch},
	{"history",
	 "[--since TIME] [--until TIME] [--step DURATION] [--spark | --programs] [-f FORMAT] "
	 "[PROGRAM]",
	 "what was in the last 24 hours: states, opens and closes", 0, 1,
	 OPT(OPT_SINCE) | OPT(OPT_UNTIL) | OPT(OPT_STEP) | OPT(OPT_SPARK) | OPT(OPT_PROGRAMS) |
		 OPT(OPT_FORMAT),
	 cli_history},
	{"doctor", "[-f FORMAT]", "what is wrong, since when, and what to paste against it", 0, 0,
	 OPT(OPT_FORMAT), cli_doctor},
	{"explain", "[-f FORMAT] [WORD...]",
	 "what a state, an error or a verdict means, and what to do", 0, 8, OPT(OPT_FORMAT),
	 cli_explain},
	{"completion", "bash|zsh", "a script for the shell that completes all of this", 1, 1, 0,
	 cli_completion},
	{"enable", "[--runtime] [--force] UNIT",
	 "the shim in a systemd service, from its next start", 1, 1,
	 OPT(OPT_RUNTIME) | OPT(OPT_FORCE), cli_enable},
	{"disable", "[--force] UNIT", "not any more, from its next start", 1, 1, OPT(OPT_FORCE),
	 cli_disable},
	{"on", "", "steer", 0, 0, 0, cli_on},
	{"off", "", "only watch, everywhere, within a second", 0, 0, 0, cli_off},
	{"policy list", "[-c FILE] [-f FORMAT]", "the policies in force, in their order", 0, 0,
	 OPT(OPT_FORMAT) | OPT(OPT_CONFIG), cli_policy_list},
	{"policy show", "[-c FILE] [-f FORMAT] [NAME]",
	 "all that a policy says, and what it has learned", 0, 1, OPT(OPT_FORMAT) | OPT(OPT_CONFIG),
	 cli_policy_show},
	{"policy check", "[-v] [FILE]", "is this config sound?", 0, 1, OPT(OPT_VERBOSE),
	 cli_policy_check},
	{"policy test",
	 "[-c FILE] --role ROLE [--local A:P] [--remote A:P] [--program PROGRAM] [--user USER] "
	 "[--unit UNIT]",
	 "which policy matches, what close() would do, and why", 0, 0,
	 OPT(OPT_CONFIG) | OPT(OPT_FORMAT) | OPT(OPT_ROLE) | OPT(OPT_LOCAL) | OPT(OPT_REMOTE) |
		 OPT(OPT_PROGRAM) | OPT(OPT_USER) | OPT(OPT_UNIT),
	 cli_policy_test},
	{"policy reload", "", "read the config again", 0, 0, 0, cli_policy_reload},
	{"tune show", "[-f FORMAT] [-a]", "what TCP can run out of, when, and what would mend it",
	 0, 0, OPT(OPT_FORMAT) | OPT(OPT_ALL), cli_tune_show},
	{"tune apply", "[-f FORMAT] [ID]", "carry out an advice, or all that are open", 0, 1,
	 OPT(OPT_FORMAT), cli_tune_apply},
	{"tune ignore", "[-f FORMAT] ID", "propose this no more", 1, 1, OPT(OPT_FORMAT),
	 cli_tune_ignore},
	{"tune resume", "[-f FORMAT] KEY", "take up a sysctl, or an advice, that was left alone", 1,
	 1, OPT(OPT_FORMAT), cli_tune_resume},
	{"tune revert", "[-f FORMAT]", "put back every sysctl that is closeside's", 0, 0,
	 OPT(OPT_FORMAT), cli_tune_revert},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

const struct cli_command *cli_commands(size_t *count)
{
	*count = COMMAND_COUNT;
	return commands;
}

/* --- messages --------------------------------------------------------------------------------- */

static void say(const char *kind, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void say(const char *kind, const char *format, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "closeside: %s", kind);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
}

int cli_fail(int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("", format, ap);
	va_end(ap);
	return code;
}

void cli_warn(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("warning: ", format, ap);
	va_end(ap);
}

int cli_no_daemon(const struct cli *cli, int error)
{
	return cli_fail(CLI_NO_DAEMON,
			"no daemon answers at %s: %s\n"
			"closeside: start one with `systemctl start closeside`, or by hand with "
			"`closesided -s %s`",
			cli->socket, strerror(error), cli->socket);
}

/* --- help ------------------------------------------------------------------------------------- */

unsigned int cli_options_of(const struct cli_command *command)
{
	return command->options | OPT(OPT_HELP) | OPT(OPT_SOCKET);
}

static void print_usage(FILE *out, const struct cli_command *command)
{
	fprintf(out, "usage: closeside %s%s%s\n", command->name, *command->usage ? " " : "",
		command->usage);
}

static void print_command_help(const struct cli_command *command)
{
	print_usage(stdout, command);
	printf("%s: %s\n\n", command->name, command->summary);
	for (int i = 0; i < OPT_COUNT; i++)
		if (cli_options_of(command) & OPT(i))
			option_print(stdout, &option_rows[i]);
}

/* All commands, or those that begin with this word. */
static void print_family(FILE *out, const char *word)
{
	size_t len = word ? strlen(word) : 0;

	fprintf(out, "usage: closeside %s%sCOMMAND [OPTION...]\n\n", word ? word : "",
		word ? " " : "");
	for (int i = 0; i < COMMAND_COUNT; i++)
		if (!word || !strncmp(commands[i].name, word, len))
			fprintf(out, "  %-15s %s\n", commands[i].name, commands[i].summary);
	fputs("\n`closeside help COMMAND` says more; so does closeside(1).\n", out);
}

int cli_usage(const struct cli *cli)
{
	print_usage(stderr, cli->command);
	return CLI_USAGE;
}

/* --- which subcommand ------------------------------------------------------------------------- */

/* How many words of argv name the command; 0: they don't. */
static int words_matched(const struct cli_command *command, int argc, char **argv)
{
	const char *space = strchr(command->name, ' ');
	size_t len = space ? (size_t)(space - command->name) : strlen(command->name);

	if (argc < 1 || strlen(argv[0]) != len || strncmp(argv[0], command->name, len))
		return 0;
	if (!space)
		return 1;
	return argc > 1 && !strcmp(argv[1], space + 1) ? 2 : 0;
}

static const struct cli_command *find_command(int argc, char **argv, int *words)
{
	for (int i = 0; i < COMMAND_COUNT; i++) {
		*words = words_matched(&commands[i], argc, argv);
		if (*words)
			return &commands[i];
	}
	return NULL;
}

static const char *near_command(int argc, char **argv)
{
	char typed[64];

	snprintf(typed, sizeof(typed), "%s %s", argv[0], argc > 1 ? argv[1] : "");
	for (int i = 0; i < COMMAND_COUNT; i++)
		if (word_is_near(argv[0], commands[i].name) ||
		    word_is_near(typed, commands[i].name))
			return commands[i].name;
	return NULL;
}

/* Is this the first word of commands that have two? */
static bool is_family(const char *word)
{
	size_t len = strlen(word);

	for (int i = 0; i < COMMAND_COUNT; i++)
		if (!strncmp(commands[i].name, word, len) && commands[i].name[len] == ' ')
			return true;
	return false;
}

static int unknown_command(int argc, char **argv)
{
	const char *near = near_command(argc, argv);
	bool family = is_family(argv[0]), two = family && argc > 1;

	if (family && !two) {
		cli_fail(CLI_USAGE, "%s what?", argv[0]);
		print_family(stderr, argv[0]);
		return CLI_USAGE;
	}
	cli_fail(CLI_USAGE, "there is no command '%s%s%s'%s%s%s", argv[0], two ? " " : "",
		 two ? argv[1] : "", near ? ": did you mean '" : "", near ? near : "",
		 near ? "'?" : "");
	if (!near)
		print_family(stderr, family ? argv[0] : NULL);
	return CLI_USAGE;
}

/* help, or -h, about what the words name; about all if they name nothing. */
static int help(int argc, char **argv)
{
	int words;
	const struct cli_command *command = find_command(argc, argv, &words);

	if (command)
		print_command_help(command);
	else if (!argc || (is_family(argv[0]) && (argc == 1 || argv[1][0] == '-')))
		print_family(stdout, argc ? argv[0] : NULL);
	else
		return unknown_command(argc, argv);
	return CLI_FINE;
}

static int usage_error(const struct cli *cli)
{
	cli_usage(cli);
	return cli->command->run == cli_run ? CLI_RUN_FAILED : CLI_USAGE;
}

static int run_command(struct cli *cli, int argc, char **argv)
{
	const struct cli_command *command = cli->command;

	if (!options_parse(cli, cli_options_of(command), argc, argv))
		return usage_error(cli);
	if (cli->value[OPT_HELP]) {
		print_command_help(command);
		return CLI_FINE;
	}
	if (cli->argc < command->min)
		cli_fail(0, "%s what?", command->name);
	else if (command->max >= 0 && cli->argc > command->max)
		cli_fail(0, "%s: too much: '%s'", command->name, cli->argv[command->max]);
	if (cli->argc < command->min || (command->max >= 0 && cli->argc > command->max))
		return usage_error(cli);
	if (!options_take_format(cli) || !options_take_socket(cli))
		return command->run == cli_run ? CLI_RUN_FAILED : CLI_USAGE;
	if (command->run == cli_run) /* its command has SIGPIPE as we had it */
		return command->run(cli);
	signal(SIGPIPE, SIG_IGN);
	return output_finish(command->run(cli));
}

static bool is_help(const char *word)
{
	return !strcmp(word, "-h") || !strcmp(word, "--help");
}

int main(int argc, char **argv)
{
	struct cli cli = {0};
	int words;

	if (!options_parse(&cli,
			   OPT(OPT_HELP) | OPT(OPT_VERSION) | OPT(OPT_SOCKET) | OPT(OPT_FORMAT),
			   argc, argv))
		return CLI_USAGE;
	if (cli.value[OPT_VERSION]) {
		puts("closeside " PACKAGE_VERSION);
		return CLI_FINE;
	}
	if (cli.value[OPT_HELP])
		return help(cli.argc, cli.argv);
	if (cli.argc && !strcmp(cli.argv[0], "help"))
		return help(cli.argc - 1, cli.argv + 1);
	if (!cli.argc) {
		print_family(stderr, NULL);
		return CLI_USAGE;
	}
	cli.command = find_command(cli.argc, cli.argv, &words);
	if (!cli.command && cli.argc > 1 && is_help(cli.argv[1]))
		return help(cli.argc, cli.argv);
	if (!cli.command)
		return unknown_command(cli.argc, cli.argv);
	/* The last word of the command stands where getopt expects a program's name. */
	return run_command(&cli, cli.argc - words + 1, cli.argv + words - 1);
}
