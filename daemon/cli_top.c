/* SPDX-License-Identifier: MIT */
/* top: asks, waits for keys, signals and answers, and draws. The map is in top.h. */
#include "daemon/cli_control.h"
#include "daemon/top.h"
#include "daemon/top_feed.h"
#include "daemon/top_term.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	DELAY_MS = 1000,
	QUIET_MS = 3000, /* without an answer: it is said */
	EFFORT = 3,	 /* a pause is at least so many times as long as the answer took */
	EFFORT_MOST_MS = 5000,
};

struct session {
	const struct cli *cli;
	struct feed *feed;
	struct top top;
	long rounds; /* still to go, below 0: for ever */
	uint64_t asked_ms, next_ms;
	int signal; /* that ends it, or 0 */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static void set_clock(struct top *top)
{
	time_t now = time(NULL);
	struct tm local;

	if (localtime_r(&now, &local))
		strftime(top->clock, sizeof(top->clock), "%H:%M:%S", &local);
}

/* However it went. */
static void round_ends(struct session *session)
{
	uint64_t now = now_ms(), took = now - session->asked_ms, pause = took * EFFORT;
	uint64_t next = session->asked_ms + session->top.delay_ms;

	if (pause > EFFORT_MOST_MS)
		pause = EFFORT_MOST_MS;
	session->next_ms = now + pause > next ? now + pause : next;
	if (session->rounds > 0)
		session->rounds--;
}

static void round_fails(struct session *session, const char *why)
{
	top_discard(&session->top);
	snprintf(session->top.trouble, sizeof(session->top.trouble), "%s: %s; trying again",
		 session->cli->socket, why);
	round_ends(session);
}

static void round_begins(struct session *session)
{
	struct top *top = &session->top;
	char text[256], conns[128] = "";
	unsigned int count = 0;

	top->hurry = false;
	session->asked_ms = now_ms();
	if (top->inside) {
		snprintf(conns, sizeof(conns),
			 "{\"v\":1,\"cmd\":\"conns\",\"filter\":[\"pid\",\"%lld\"]}\n",
			 (long long)top->subject.pid);
		count++;
	}
	/* paused: only what was not asked for before */
	if (top->paused) {
		snprintf(text, sizeof(text), "%s", conns);
	} else {
		snprintf(text, sizeof(text), "%s%s%s", "{\"v\":1,\"cmd\":\"status\"}\n",
			 "{\"v\":1,\"cmd\":\"ps\"}\n", conns);
		count += 2;
	}
	if (count && !feed_ask(session->feed, text, count))
		round_fails(session, feed_error(session->feed));
}

static bool on_row(void *arg, json_t *row)
{
	return top_row(arg, row);
}

static void take_answer(struct session *session)
{
	switch (feed_read(session->feed, on_row, &session->top)) {
	case FEED_MORE:
		return;
	case FEED_DONE:
		top_take(&session->top);
		session->top.trouble[0] = '\0';
		set_clock(&session->top);
		round_ends(session);
		return;
	case FEED_FAILED:
		round_fails(session, feed_error(session->feed));
		return;
	}
}

/* --- the loop --------------------------------------------------------------------------------- */

static bool is_due(const struct session *session, uint64_t now)
{
	if (feed_is_waiting(session->feed))
		return false;
	return session->top.hurry || (!session->top.paused && now >= session->next_ms);
}

static void check_quiet(struct session *session, uint64_t now)
{
	uint64_t waited = now - session->asked_ms;

	if (feed_is_waiting(session->feed) && waited >= QUIET_MS)
		snprintf(session->top.trouble, sizeof(session->top.trouble),
			 "%s: no answer for %llu s; waiting", session->cli->socket,
			 (unsigned long long)(waited / 1000));
}

/* Milliseconds until something is to be done though nothing comes. */
static int idle_ms(const struct session *session, uint64_t now)
{
	if (feed_is_waiting(session->feed))
		return 1000;
	if (session->top.paused)
		return -1;
	return session->next_ms > now ? (int)(session->next_ms - now) : 0;
}

static void take_keys(struct session *session)
{
	enum term_key got;
	uint32_t key;

	while (!session->top.quit && (got = term_key(&key)) != TERM_NO_KEY) {
		if (got == TERM_GONE)
			session->signal = SIGHUP;
		if (got == TERM_GONE)
			return;
		top_key(&session->top, key);
	}
}

static void wait_once(struct session *session)
{
	struct pollfd fds[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = term_signal_fd(), .events = POLLIN},
		{.fd = feed_fd(session->feed), .events = POLLIN},
	};

	if (poll(fds, 3, idle_ms(session, now_ms())) < 0)
		return;
	if (fds[1].revents)
		session->signal = term_signal();
	if (fds[2].revents)
		take_answer(session);
	if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		session->signal = SIGHUP;
	else if (fds[0].revents)
		take_keys(session);
}

static bool goes_on(const struct session *session)
{
	return !session->top.quit && !session->signal &&
	       (session->rounds != 0 || now_ms() < session->next_ms);
}

static void run(struct session *session)
{
	term_draw(&session->top);
	while (goes_on(session)) {
		uint64_t now = now_ms();

		if (is_due(session, now))
			round_begins(session);
		check_quiet(session, now);
		wait_once(session);
		if (!session->signal)
			term_draw(&session->top);
	}
}

/* --- the command ------------------------------------------------------------------------------ */

static bool take_options(const struct cli *cli, unsigned int *delay_ms, long *rounds)
{
	const char *delay = cli->value[OPT_DELAY], *count = cli->value[OPT_ROUNDS];
	char *end;

	if (delay && !top_parse_delay(delay, delay_ms)) {
		cli_fail(CLI_USAGE, "top -d %s: expected 0.1 to 3600 seconds", delay);
		return false;
	}
	if (!count)
		return true;
	errno = 0;
	*rounds = strtol(count, &end, 10);
	if (!errno && *count >= '0' && *count <= '9' && !*end && *rounds > 0)
		return true;
	cli_fail(CLI_USAGE, "top -n %s: expected a number above 0", count);
	return false;
}

static int show(struct session *session)
{
	if (!term_open())
		return cli_fail(CLI_FAILED, "top: the terminal: %s", strerror(errno));
	run(session);
	term_close();
	return CLI_FINE;
}

int cli_top(struct cli *cli)
{
	struct session session = {.cli = cli, .rounds = -1};
	unsigned int delay_ms = DELAY_MS;
	const char *problem;
	char buf[128];
	int code;

	if (!take_options(cli, &delay_ms, &session.rounds))
		return cli_usage(cli);
	setlocale(LC_CTYPE, "");
	/* Who may not ask, or finds no daemon, is told so before the screen is taken. */
	code = control_run(cli, "ps", NULL, NULL, NULL);
	if (code != CLI_FINE)
		return code;
	problem = term_problem(buf, sizeof(buf));
	if (problem)
		return cli_fail(CLI_FAILED, "top: %s; `closeside ps` prints once", problem);
	session.feed = feed_new(cli->socket);
	if (!session.feed)
		return cli_fail(CLI_FAILED, "out of memory");
	top_init(&session.top, delay_ms);
	code = show(&session);
	top_free(&session.top);
	feed_free(session.feed);
	if (session.signal)
		term_die(session.signal);
	return code;
}
