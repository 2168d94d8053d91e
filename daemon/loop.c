/* SPDX-License-Identifier: MIT */
#include "daemon/loop.h"

#include "daemon/caps.h"
#include "daemon/closer.h"
#include "daemon/conn.h"
#include "daemon/control.h"
#include "daemon/custody.h"
#include "daemon/deadman.h"
#include "daemon/doctor_run.h"
#include "daemon/faults.h"
#include "daemon/follow.h"
#include "daemon/history_loop.h"
#include "daemon/kernel.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/metrics_http.h"
#include "daemon/note.h"
#include "daemon/page.h"
#include "daemon/patience.h"
#include "daemon/probe.h"
#include "daemon/retire.h"
#include "daemon/session.h"
#include "daemon/tally.h"
#include "daemon/tune.h"
#include "daemon/user.h"
#include "daemon/vitals.h"

#include "common/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	CLOSER_PATIENCE_MS = 2000,
	GATHER_NS = 500000,
	TICK_MS = 1000,
};

struct loop_events {
	struct event term, interrupt, hangup, heartbeat, private_gone;
	bool is_private_gone;
	unsigned int beats;
	uint64_t ticked_ms;
};

static void path_with(const struct loop *loop, const char *suffix, char *path, size_t size)
{
	snprintf(path, size, "%s%s", loop->options->socket_path, suffix);
}

/* --- config ----------------------------------------------------------------------------------- */

/* A limit that nobody asked for need not be talked about. */
static bool is_default(const char *name, unsigned int value)
{
	for (int i = 0; i < CONFIG_LIMITS; i++)
		if (!strcmp(config_limits[i].name, name))
			return config_limits[i].initial == value;
	return false;
}

/* Held sockets and sessions (two descriptors each) must fit into what we may open. */
static unsigned int fit(const char *name, unsigned int wanted, unsigned int share)
{
	struct rlimit limit;
	unsigned int most = wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur / share < most)
		most = (unsigned int)(limit.rlim_cur / share);
	if (most < wanted)
		log_line(is_default(name, wanted) ? LOG_DEBUG : LOG_NOTICE,
			 "%s %u does not fit into the limit of open files: %u is used", name,
			 wanted, most);
	return most ? most : 1;
}

/* What one user may have: never all. */
static unsigned int share_of(unsigned int all, unsigned int part, unsigned int most)
{
	unsigned int share = (all + part - 1) / part;

	return share < most ? share : most;
}

static void apply_limits(struct loop *loop)
{
	const struct config *config = loop->config;

	unsigned int held = fit("custody", config->custody_max, LIMIT_HELD_NOFILE);
	unsigned int sessions = fit("sessions", config->sessions_max, LIMIT_SESSIONS_NOFILE);

	custody_set_limits(loop->custody, held, config->custody_per_process);
	sessions_set_limits(loop->sessions, sessions);
	users_set_limit(loop->users, USER_HELD, share_of(held, LIMIT_HELD_PART, held));
	users_set_limit(loop->users, USER_SESSIONS,
			share_of(sessions, LIMIT_SESSIONS_PART, config->sessions_per_user));
	users_set_limit(loop->users, USER_CONNS, LIMIT_CONNS / LIMIT_CONNS_PART);
	users_set_limit(loop->users, USER_RETIRES, LIMIT_RETIRES / LIMIT_RETIRES_PART);
	users_set_limit(loop->users, USER_CONTROL, LIMIT_CONTROL_USER);
}

static void warn(void *arg, const char *text)
{
	const struct loop *loop = arg;

	log_warning("%s: %s", loop->options->config_path, text);
}

static void name_policies(struct loop *loop)
{
	for (unsigned int i = 0; i < loop->config->rule_count; i++)
		book_name_policy(loop->book, loop->config->rules[i].id,
				 loop->config->rules[i].name);
	book_name_policy(loop->book, policy_id("run"), "run"); /* what `run -o` says */
}

/* At a restart after a crash the file may be broken by now: then what the first one read. */
static bool first_config(struct loop *loop)
{
	char error[CONFIG_ERROR_MAX];

	loop->config = config_load(loop->options->config_path, error, sizeof(error));
	if (loop->config)
		return true;
	log_error("%s; going on with what was read at the start", error);
	loop->config = malloc(sizeof(*loop->config));
	if (loop->config)
		*loop->config = *loop->options->config;
	return loop->config != NULL;
}

bool loop_reload(struct loop *loop, char *error, size_t size)
{
	struct config *config = config_load(loop->options->config_path, error, size);

	if (!config) {
		log_error("%s; the old policies stay in force", error);
		note(NOTE_RELOAD, "failed: %s", error);
		return false;
	}
	if (strcmp(config->group, loop->config->group) != 0)
		log_warning("group: takes effect when the daemon is restarted");
	config_free(loop->config);
	loop->config = config;
	page_set_rules(loop->page, config->rules, config->rule_count);
	name_policies(loop);
	apply_limits(loop);
	tune_reloaded(loop->tune);
	metrics_http_reloaded(loop->http);
	config_warnings(config, warn, loop);
	log_notice("reloaded: %u %s from %s", config->rule_count,
		   config->rule_count == 1 ? "policy" : "policies", loop->options->config_path);
	note(NOTE_RELOAD, "%u %s from %s", config->rule_count,
	     config->rule_count == 1 ? "policy" : "policies", loop->options->config_path);
	return true;
}

static void steer(struct loop *loop, bool on)
{
	retire_switch(loop->retire, on);
	custody_switch(loop->custody, on);
}

bool loop_switch(struct loop *loop, bool on)
{
	char path[WIRE_PATH_MAX + 16];
	int fd;

	path_with(loop, ".off", path, sizeof(path));
	if (on) {
		if (unlink(path) < 0 && errno != ENOENT)
			return false;
	} else {
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0)
			return false;
		close(fd);
	}
	if (page_is_on(loop->page) != on) {
		log_notice("switched %s", on ? "on" : "off: connections are watched, not steered");
		note(on ? NOTE_ON : NOTE_OFF, "steering was switched %s", on ? "on" : "off");
	}
	page_set_on(loop->page, on);
	steer(loop, on);
	return true;
}

static bool is_switched_on(const struct loop *loop)
{
	char path[WIRE_PATH_MAX + 16];

	path_with(loop, ".off", path, sizeof(path));
	return access(path, F_OK) != 0;
}

/* --- events ----------------------------------------------------------------------------------- */

static void on_stop(evutil_socket_t number, short what, void *arg)
{
	struct loop *loop = arg;

	(void)number;
	(void)what;
	event_base_loopbreak(loop->base);
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
	struct loop *loop = arg;
	char error[CONFIG_ERROR_MAX];

	(void)number;
	(void)what;
	loop_reload(loop, error, sizeof(error));
	atomic_fetch_add(&loop->options->pulse->reloads, 1);
}

static void end_if_not_needed(struct loop *loop)
{
	if (!loop->events->is_private_gone || sessions_count(loop->sessions) ||
	    custody_count(loop->custody))
		return;
	loop->exit_status = LOOP_PRIVATE_DONE;
	event_base_loopbreak(loop->base);
}

static void blame_linger(void *arg, uid_t uid)
{
	const struct loop *loop = arg;
	struct user *user = user_get(loop->users, uid);

	if (user)
		user_blame(user, FAULT_LINGER, NULL,
			   "a close() has blocked: it sets SO_LINGER on a socket handed over");
	user_put(user);
}

static void tick(struct loop *loop, uint64_t now_ms)
{
	unsigned int elapsed = (unsigned int)(now_ms - loop->events->ticked_ms);

	users_tick(loop->users, now_ms);
	follow_tick(loop->follow, now_ms);
	doctor_watch_tick(loop->doctor, now_ms);
	tune_tick(loop->tune, now_ms);
	faults_tick(loop->faults, now_ms);
	metrics_http_tick(loop->http, now_ms);
	patience_tick(loop->patience, now_ms);
	census_tick(conns_census(loop->conns), elapsed);
	census_tick(conns_unknown(loop->conns), elapsed);
	procs_tick(conns_procs(loop->conns), elapsed);
	history_loop_tick(loop, now_ms);
	loop->events->ticked_ms = now_ms;
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd;
	(void)what;
	page_beat(loop->page);
	deadman_wind();
	atomic_fetch_add(&loop->options->pulse->beats, 1);
	closer_check(loop->closer, wire_now_ms(), blame_linger, loop);
	if (++loop->events->beats % (TICK_MS / WIRE_HEARTBEAT_MS) == 0)
		tick(loop, wire_now_ms());
	end_if_not_needed(loop);
}

static void on_private_gone(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd;
	(void)what;
	loop->events->is_private_gone = true;
}

/* Where the pid has gone already, so be it. */
static bool watch_private(struct loop *loop)
{
	pid_t pid = loop->options->private_pid;
	int fd;

	if (!pid)
		return true;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		loop->events->is_private_gone = errno == ESRCH;
		return errno == ESRCH;
	}
	event_assign(&loop->events->private_gone, loop->base, fd, EV_READ, on_private_gone, loop);
	return event_add(&loop->events->private_gone, NULL) == 0;
}

static bool add_events(struct loop *loop)
{
	static const struct timeval every = {.tv_usec = WIRE_HEARTBEAT_MS * 1000};
	struct loop_events *events = loop->events;

	evsignal_assign(&events->term, loop->base, SIGTERM, on_stop, loop);
	evsignal_assign(&events->interrupt, loop->base, SIGINT, on_stop, loop);
	evsignal_assign(&events->hangup, loop->base, SIGHUP, on_hangup, loop);
	event_assign(&events->heartbeat, loop->base, -1, EV_PERSIST, on_heartbeat, loop);
	return evsignal_add(&events->term, NULL) == 0 &&
	       evsignal_add(&events->interrupt, NULL) == 0 &&
	       evsignal_add(&events->hangup, NULL) == 0 &&
	       event_add(&events->heartbeat, &every) == 0 && watch_private(loop);
}

/* --- life ------------------------------------------------------------------------------------- */

static void say_missing(void)
{
	unsigned int missing = caps_missing();

	for (unsigned int i = 0; i < CAP_NEEDS; i++)
		if (missing & (1u << i))
			log_notice("without %s: %s", cap_needs[i].name, cap_needs[i].lost);
}

static bool make_stores(struct loop *loop)
{
	loop->events = calloc(1, sizeof(*loop->events));
	loop->base = event_base_new();
	loop->book = book_new();
	loop->users = users_new();
	loop->closer = closer_new();
	loop->conns = conns_new(LIMIT_CONNS, LIMIT_CONNS_PROCESS, loop->closer);
	loop->patience = patience_new();
	if (!loop->users || !loop->events || !loop->base || !loop->book || !loop->conns ||
	    !loop->patience || !loop->closer)
		return false;
	loop->kernel = kernel_open(-1);
	if (!loop->kernel) {
		log_error("sock_diag: %m");
		return false;
	}
	loop->retire = retire_new(loop->base, loop->book, loop->kernel);
	loop->probe = probe_new(NULL);
	if (loop->probe)
		loop->vitals = vitals_new(loop->probe, wire_now_ms());
	if (loop->vitals)
		loop->doctor = doctor_watch_new(loop->conns, loop->probe, loop->vitals);
	return loop->retire && loop->doctor;
}

static bool follow(struct loop *loop)
{
	struct follow_parts parts = {
		.base = loop->base,
		.book = loop->book,
		.conns = loop->conns,
		.retire = loop->retire,
		.sessions = loop->sessions,
		.opener = loop->options->opener_fd,
		.config = &loop->config,
		.probe = loop->probe,
		.vitals = loop->vitals,
	};

	loop->follow = follow_new(&parts);
	return loop->follow;
}

static bool make_services(struct loop *loop)
{
	const struct loop_options *options = loop->options;
	struct custody_parts custody = {
		.base = loop->base,
		.book = loop->book,
		.conns = loop->conns,
		.patience = loop->patience,
		.retire = loop->retire,
		.users = loop->users,
		.closer = loop->closer,
	};
	struct session_parts session = {
		.base = loop->base,
		.book = loop->book,
		.conns = loop->conns,
		.retire = loop->retire,
		.users = loop->users,
		.closer = loop->closer,
		.cuts = doctor_watch_cuts(loop->doctor),
	};

	loop->custody =
		custody_new(&custody, loop->config->custody_max, loop->config->custody_per_process);
	session.custody = loop->custody;
	loop->sessions = sessions_new(&session, options->session_fd, loop->config->sessions_max);
	loop->control = control_new(loop, options->control_fd);
	if (!loop->custody || !loop->sessions || !loop->control || !follow(loop))
		return false;
	loop->tune = tune_new(loop, options->setter_fd);
	loop->faults = faults_new(loop);
	loop->metrics = metrics_new(loop);
	loop->http = metrics_http_new(loop);
	return loop->tune && loop->faults && loop->metrics && loop->http &&
	       history_loop_begin(loop);
}

/* The page comes last: with it, shims begin to hand over. */
static bool publish(struct loop *loop)
{
	char path[WIRE_PATH_MAX + 16];

	path_with(loop, WIRE_POLICY_SUFFIX, path, sizeof(path));
	loop->page =
		page_new(path, loop->config->rules, loop->config->rule_count, is_switched_on(loop));
	if (!loop->page) {
		log_error("%s: %m", path);
		return false;
	}
	patience_publish(loop->patience, page_hints(loop->page));
	steer(loop, page_is_on(loop->page));
	return true;
}

static bool start(struct loop *loop)
{
	loop->started_ms = wire_now_ms();
	if (!first_config(loop) || !make_stores(loop) || !make_services(loop)) {
		log_error("cannot start: %m");
		return false;
	}
	name_policies(loop);
	apply_limits(loop);
	if (!publish(loop) || !add_events(loop))
		return false;
	if (deadman_start() < 0)
		log_warning("no deadman's switch: %m");
	config_warnings(loop->config, warn, loop);
	say_missing();
	metrics_http_reloaded(loop->http);
	log_notice("serving %s: %u %s from %s%s", loop->options->socket_path,
		   loop->config->rule_count, loop->config->rule_count == 1 ? "policy" : "policies",
		   loop->options->config_path, page_is_on(loop->page) ? "" : "; switched off");
	history_loop_started(loop);
	atomic_store(&loop->options->pulse->ready, 1);
	return true;
}

/* The page first, so that nothing more is handed over; then each of what is held ends as its policy
 * says. */
static void stop(struct loop *loop)
{
	unsigned int held = custody_count(loop->custody);

	deadman_stop(); /* from here on the guardian counts the time */
	history_loop_stop(loop, wire_now_ms());
	patience_publish(loop->patience, NULL);
	page_free(loop->page);
	metrics_http_free(loop->http);
	faults_free(loop->faults);
	tune_free(loop->tune);
	follow_free(loop->follow);
	control_free(loop->control);
	metrics_free(loop->metrics);
	sessions_free(loop->sessions);
	custody_free(loop->custody);
	closer_free(loop->closer, CLOSER_PATIENCE_MS);
	history_loop_end(loop);
	retire_free(loop->retire);
	kernel_close(loop->kernel);
	doctor_watch_free(loop->doctor);
	vitals_free(loop->vitals);
	probe_free(loop->probe);
	conns_free(loop->conns);
	users_free(loop->users);
	patience_free(loop->patience);
	book_free(loop->book);
	config_free(loop->config);
	event_del(&loop->events->term);
	event_del(&loop->events->interrupt);
	event_del(&loop->events->hangup);
	event_del(&loop->events->heartbeat);
	event_base_free(loop->base);
	free(loop->events);
	log_notice("stopped; %u held sockets ended", held);
}

/* Records come one by one, and to wake up for each would cost the programs' processors more than
 * all the rest: after some have been read, the next are left to gather for a moment. No peer waits
 * for them; those that wait for a FIN in vain do so half a millisecond longer. */
static void serve(struct loop *loop)
{
	static const struct timespec moment = {.tv_nsec = GATHER_NS};

	while (!event_base_got_break(loop->base) && event_base_loop(loop->base, EVLOOP_ONCE) == 0) {
		closer_flush(loop->closer);
		if (sessions_have_read(loop->sessions))
			nanosleep(&moment, NULL);
	}
}

int loop_run(const struct loop_options *options)
{
	struct loop loop = {.options = options};

	signal(SIGPIPE, SIG_IGN);
	if (!start(&loop))
		return LOOP_FAILED;
	serve(&loop);
	stop(&loop);
	return loop.exit_status;
}
