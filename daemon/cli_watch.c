/* SPDX-License-Identifier: MIT */
/* watch: a line for each transition, until somebody ends it. It waits for the daemon, for a signal,
 * and for the end of who reads what it prints, whichever comes first. */
#include "daemon/cli_conns.h"
#include "daemon/cli_control.h"
#include "daemon/cli_filter.h"
#include "daemon/cli_output.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- rows ------------------------------------------------------------------------------------- */

static const char *clock_time(const json_t *value, char *buf, size_t size)
{
	json_int_t ms = json_integer_value(value);
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[16];

	if (!localtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%H:%M:%S", &tm))
		snprintf(text, sizeof(text), "?");
	snprintf(buf, size, "%s.%03d", text, (int)(ms % 1000));
	return buf;
}

static const struct table_column columns[] = {
	{"TIME", "time_ms", false, clock_time},
	{"PID", "pid", true, NULL},
	{"PROGRAM", "program", false, NULL},
	{"LOCAL", "local", false, NULL},
	{"REMOTE", "remote", false, NULL},
	{"FROM", "from", false, NULL},
	{"TO", "to", false, NULL},
	{"AFTER", "state_ms", true, table_age},
	{"FIRST", "side", false, NULL},
	{"POLICY", "policy", false, NULL},
	{NULL, NULL, false, NULL},
};
static const unsigned char widths[] = {12, 7, 10, 18, 18, 11, 11, 5, 7, 0};

static void say_lost(struct table *table, const json_t *row)
{
	table_flush(table);
	cli_fail(0,
		 "watch: %" JSON_INTEGER_FORMAT " transitions are missing here: they came faster "
		 "than they were read",
		 json_integer_value(json_object_get(row, "count")));
}

static void show(const struct cli *cli, struct table *table, json_t *row)
{
	bool lost = !strcmp(json_string_value(json_object_get(row, "type")), "lost");

	if (lost)
		say_lost(table, row);
	if (cli->format == FORMAT_PLAIN) {
		if (lost)
			return;
		conns_show_unknown(row);
		if (json_is_null(json_object_get(row, "to")))
			json_object_set_new(row, "to", json_string("gone"));
	}
	table_row(table, row);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

/* Blocks the signals that end us, except while we wait: *waiting. What is ignored, as by nohup,
 * stays so. */
static void catch_signals(sigset_t *waiting)
{
	static const int numbers[] = {SIGINT, SIGTERM};
	struct sigaction action = {.sa_handler = on_signal}, before;
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], NULL, &before);
		if (before.sa_handler == SIG_IGN)
			continue;
		sigaction(numbers[i], &action, NULL);
		sigaddset(&blocked, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, waiting);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigdelset(waiting, numbers[i]);
}

/* True: something has come from the daemon. False: it is over. */
static bool wait_for_more(const struct control *control, const sigset_t *waiting)
{
	struct pollfd fds[] = {{.fd = control_fd(control), .events = POLLIN},
			       {.fd = STDOUT_FILENO}};

	while (!ended) {
		int n = ppoll(fds, 2, NULL, waiting);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0 && fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
			return false;
		if (n > 0 && fds[0].revents)
			return true;
	}
	return false;
}

/* An exit code, with everything said. */
static int follow(const struct cli *cli, struct control *control, struct table *table)
{
	json_t *row;
	sigset_t waiting;
	int more = 1;

	catch_signals(&waiting);
	while (!ended && !output_failed()) {
		if (control_has_row(control)) {
			more = control_next(control, &row);
			if (more != 1)
				break;
			show(cli, table, row);
			json_decref(row);
			continue;
		}
		table_flush(table);
		if (!wait_for_more(control, &waiting))
			break;
		if (control_read(control) < 0)
			return cli_fail(CLI_NO_DAEMON, "watch: the daemon has gone");
	}
	if (more < 0)
		return cli_fail(CLI_FAILED, "watch: %s", control_error(control));
	return CLI_FINE;
}

int cli_watch(struct cli *cli)
{
	static struct filter filter;
	struct control *control;
	struct table *table;
	json_t *request;
	int code;

	if (cli->format == FORMAT_JSON)
		return cli_fail(CLI_USAGE, "watch -f json: a document without end: use -f jsonl");
	request = filter_take(cli, &filter);
	if (!request)
		return CLI_USAGE;
	code = control_begin(cli, &control, "watch", request);
	if (code)
		return code;
	table = table_new(cli->format, "watch", columns);
	if (!table) {
		control_close(control);
		return cli_fail(CLI_FAILED, "out of memory");
	}
	table_stream(table, widths);
	table_paint(table, conns_paint);
	code = follow(cli, control, table);
	if (code == CLI_FAILED)
		table_drop(table);
	else
		table_end(table);
	control_close(control);
	return code;
}
