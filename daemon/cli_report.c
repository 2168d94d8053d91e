/* SPDX-License-Identifier: MIT */
/* run --report: the parent that waits. It blocks the signals that it forwards and takes them one by
 * one; what the terminal sends reaches the whole process group, so only what somebody sent to us
 * alone is passed on. */
#include "daemon/cli_run.h"

#include "daemon/cli_control.h"
#include "daemon/cli_table.h"
#include "daemon/cli_text.h"
#include "daemon/cli_verify.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REPORT_WAIT_MS = 3000, REPORT_POLL_MS = 20 };

static const int forwarded[] = {SIGHUP,	 SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
				SIGUSR2, SIGCONT, SIGWINCH, SIGALRM};

/* --- the child ----------------------------------------------------------------------------------
 */

static void fill_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(set, forwarded[i]);
}

/* Ended: true, with its exit status as a shell has it. Stopped: we stop as well, and go on with it.
 */
static bool reap(pid_t child, int *exit_status)
{
	int status;

	while (waitpid(child, &status, WNOHANG | WUNTRACED) == child) {
		if (WIFSTOPPED(status)) {
			raise(SIGSTOP);
			kill(child, SIGCONT);
			continue;
		}
		*exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		return true;
	}
	return false;
}

/* Until there is a signal to be taken. */
static void work_until_signal(int ready, const struct run_meanwhile *meanwhile)
{
	for (;;) {
		struct pollfd fds[3] = {{.fd = ready, .events = POLLIN},
					{.fd = meanwhile->fds[0], .events = POLLIN},
					{.fd = meanwhile->fds[1], .events = POLLIN}};

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents)
			return;
		if (fds[1].revents || fds[2].revents)
			meanwhile->act(meanwhile->arg);
	}
}

static int wait_for(pid_t child, const sigset_t *signals, const struct run_meanwhile *meanwhile)
{
	int ready = meanwhile ? signalfd(-1, signals, SFD_CLOEXEC) : -1;
	siginfo_t info;
	int status = CLI_RUN_FAILED;

	while (!reap(child, &status)) {
		int number;

		if (ready >= 0)
			work_until_signal(ready, meanwhile);
		number = sigwaitinfo(signals, &info);
		if (number > 0 && number != SIGCHLD && info.si_code <= 0)
			kill(child, number);
	}
	if (ready >= 0)
		close(ready);
	return status;
}

static int run_child(char **argv, const struct run_meanwhile *meanwhile, bool *started)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL}, before;
	sigset_t signals, mask;
	pid_t child;

	fill_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, &mask);
	sigaction(SIGCHLD, &by_default, &before); /* ignored, it would take the status away */
	child = fork();
	if (child == 0) {
		sigaction(SIGCHLD, &before, NULL);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		_exit(run_exec(argv));
	}
	*started = child > 0;
	return child > 0 ? wait_for(child, &signals, meanwhile)
			 : cli_fail(CLI_RUN_FAILED, "fork: %s", strerror(errno));
}

/* --- what is said after -------------------------------------------------------------------------
 */

static json_int_t number_at(const json_t *row, const char *group, const char *name)
{
	const json_t *in = group ? json_object_get(row, group) : row;

	return json_integer_value(json_object_get(in, name));
}

static void say_closes(const json_t *row)
{
	fprintf(stderr, "closeside: %" JSON_INTEGER_FORMAT " connection%s; first closer:",
		number_at(row, NULL, "opens"), number_at(row, NULL, "opens") == 1 ? "" : "s");
	fprintf(stderr,
		" us %" JSON_INTEGER_FORMAT ", peer %" JSON_INTEGER_FORMAT
		", both %" JSON_INTEGER_FORMAT ", reset %" JSON_INTEGER_FORMAT
		", unknown %" JSON_INTEGER_FORMAT "\n",
		number_at(row, "closes", "us"), number_at(row, "closes", "peer"),
		number_at(row, "closes", "both"), number_at(row, "closes", "reset"),
		number_at(row, "closes", "unknown"));
	fprintf(stderr,
		"closeside: TIME_WAIT: %" JSON_INTEGER_FORMAT " left here, %" JSON_INTEGER_FORMAT
		" avoided\n",
		number_at(row, NULL, "time_wait_left"), number_at(row, NULL, "time_wait_avoided"));
}

static void say_custody(const json_t *row)
{
	json_int_t peer = number_at(row, "custody", "peer"),
		   grace = number_at(row, "custody", "grace"),
		   reset = number_at(row, "custody", "reset"),
		   early = number_at(row, "custody", "early"),
		   held = number_at(row, "custody", "held"),
		   unread = number_at(row, NULL, "unread_bytes");
	char missed[256];

	if (peer + grace + reset + early + held) {
		fprintf(stderr,
			"closeside: waited for the peer: it closed %" JSON_INTEGER_FORMAT
			", grace ended %" JSON_INTEGER_FORMAT ", reset %" JSON_INTEGER_FORMAT
			", ended early %" JSON_INTEGER_FORMAT,
			peer, grace, reset, early);
		if (held)
			fprintf(stderr, ", still held %" JSON_INTEGER_FORMAT, held);
		fprintf(stderr,
			"; median %" JSON_INTEGER_FORMAT " ms, longest %" JSON_INTEGER_FORMAT
			" ms\n",
			number_at(row, NULL, "waits_ms_p50"), number_at(row, NULL, "waits_ms_max"));
	}
	if (*table_counts(json_object_get(row, "not_handed_over"), missed, sizeof(missed)))
		fprintf(stderr, "closeside: closed first without waiting for the peer: %s\n",
			missed);
	if (unread)
		fprintf(stderr,
			"closeside: %" JSON_INTEGER_FORMAT
			" bytes were unread at close and discarded\n",
			unread);
}

/* What came near its limit meanwhile, of all that the balance sheet has. */
static void say_worst(const json_t *row)
{
	const char *worst = json_string_value(json_object_get(row, "worst"));
	char text[512];

	if (!worst)
		return;
	setlocale(LC_CTYPE, "");
	cli_text_clean(worst, text, sizeof(text), sizeof(text));
	fprintf(stderr, "closeside: near its limit, or over it: %s\n", text);
}

/* The report row of this tag, or NULL with *why. */
static json_t *ask(const char *socket_path, const char *tag, char *why, size_t size)
{
	struct control *control;
	json_t *row, *report = NULL;
	int error = control_open(&control, socket_path), more;

	if (error) {
		snprintf(why, size, "%s", strerror(error));
		return NULL;
	}
	error = control_request(control, "report", json_pack("{s:s}", "tag", tag));
	while (!error && (more = control_next(control, &row)) != 0) {
		if (more < 0)
			break;
		json_decref(report);
		report = row;
	}
	snprintf(why, size, "%s", error ? strerror(error) : control_error(control));
	control_close(control);
	return report;
}

/* A look at what is full now: a short run may have ended before the daemon's own next one. */
static void ask_sheet(const char *socket_path)
{
	struct control *control;
	json_t *row;

	if (control_open(&control, socket_path))
		return;
	if (!control_request(control, "tune", NULL))
		while (control_next(control, &row) == 1)
			json_decref(row);
	control_close(control);
}

/* The last records and held sockets may still be on their way to an end. */
static json_t *ask_until_settled(const char *socket_path, const char *tag, char *why, size_t size)
{
	const struct timespec pause = {.tv_nsec = REPORT_POLL_MS * 1000000L};
	json_t *report = NULL;

	for (int waited = 0; waited < REPORT_WAIT_MS; waited += REPORT_POLL_MS) {
		json_decref(report);
		nanosleep(&pause, NULL);
		report = ask(socket_path, tag, why, size);
		if (!report || !number_at(report, "custody", "held"))
			break;
	}
	return report;
}

static void say_report(const struct cli *cli, const char *tag)
{
	char why[256];
	json_t *report;

	ask_sheet(cli->socket);
	report = ask_until_settled(cli->socket, tag, why, sizeof(why));
	if (report) {
		say_closes(report);
		say_custody(report);
		say_worst(report);
		json_decref(report);
	} else {
		cli_fail(0, "no report: %s",
			 *why ? why : "the daemon has seen no connection of it");
	}
}

int run_with_report(const struct cli *cli, const char *tag, char **argv)
{
	struct verify *verify = NULL;
	bool started;
	int status;

	if ((cli->value[OPT_VERIFY] || cli->value[OPT_LADDER]) &&
	    (status = verify_begin(&verify, cli, tag)))
		return status;
	status = run_child(argv, verify ? verify_meanwhile(verify) : NULL, &started);
	if (started && cli->value[OPT_REPORT])
		say_report(cli, tag);
	/* The command's own failure says more. */
	if (verify && verify_end(verify, started) && !status)
		status = CLI_FINDING;
	return status;
}
