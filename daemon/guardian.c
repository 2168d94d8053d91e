/* SPDX-License-Identifier: MIT */
#include "daemon/guardian.h"

#include "daemon/caps.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/notify.h"
#include "daemon/opener.h"
#include "daemon/pulse.h"
#include "daemon/setter.h"

#include "common/wire.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	TICK_MS = 400,
	/* In ticks of our own, so that a pause of ours (a suspended machine) is not the loop's. */
	STALE_TICKS = 3,
	START_TICKS = 13, /* before its first beat */
	STOP_MS = 4000,	  /* for ending custody, before SIGKILL */
	GOOD_LIFE_MS = 5000,
	ABANDONED_MAX = 8,
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 10000,
};

struct guardian {
	const struct guardian_options *options;
	struct listeners listeners;
	int opener, opener_loop; /* our end, and the loop's */
	struct setter *setter;	 /* NULL: none */
	struct pulse *pulse;
	sigset_t signals, old_mask;
	pid_t loop; /* 0: none now */
	uint64_t started_ms, restart_ms, stop_ms, petted_ms, look_ms;
	uint64_t seen_beats;
	uint32_t seen_reloads;
	unsigned int quiet_ticks;
	bool killed; /* it has not moved: SIGKILL is on its way */
	unsigned int abandoned;
	unsigned int backoff_ms;
	bool was_ready; /* some loop has served */
	bool said_ready, stopping;
};

static void raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("limit of open files: %m");
}

/* --- the loop --------------------------------------------------------------------------------- */

/* In the child. The death signal is set last: changing credentials clears it. */
static void be_loop(const struct guardian *guardian, pid_t parent, int setter_loop)
{
	const struct guardian_options *options = guardian->options;
	struct loop_options loop = {
		.socket_path = options->socket_path,
		.config_path = options->config_path,
		.config = options->config,
		.session_fd = guardian->listeners.session,
		.control_fd = guardian->listeners.control,
		/* One of somebody's own looks at his own. */
		.opener_fd = options->private_pid ? -1 : guardian->opener_loop,
		.setter_fd = setter_loop,
		.pulse = guardian->pulse,
		.private_pid = options->private_pid,
	};

	prctl(PR_SET_NAME, "closesided");
	setter_free(guardian->setter, false);
	if (caps_drop() < 0)
		log_warning("cannot give up capabilities: %m");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(LOOP_FAILED);
	sigprocmask(SIG_SETMASK, &guardian->old_mask, NULL);
	_exit(loop_run(&loop));
}

static void start_loop(struct guardian *guardian)
{
	pid_t self = getpid(), child;
	int setter_loop = setter_connect(guardian->setter);

	atomic_store(&guardian->pulse->ready, 0);
	guardian->quiet_ticks = 0;
	guardian->killed = false;
	guardian->seen_beats = atomic_load(&guardian->pulse->beats);
	guardian->started_ms = wire_now_ms();
	child = fork();
	if (child == 0)
		be_loop(guardian, self, setter_loop);
	if (setter_loop >= 0)
		close(setter_loop);
	if (child < 0) {
		log_error("fork: %m");
		guardian->restart_ms = wire_now_ms() + BACKOFF_MAX_MS;
		return;
	}
	guardian->loop = child;
}

/* For the next one, which keeps the history. */
static void tell_next(const struct guardian *guardian, int status)
{
	atomic_store(&guardian->pulse->signal, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	atomic_store(&guardian->pulse->end, guardian->killed ? PULSE_STALLED : PULSE_DIED);
}

static void log_death(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_error("the loop (pid %d) was ended by signal %d (%s); starting another",
			  (int)pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error("the loop (pid %d) ended with status %d; starting another", (int)pid,
			  WEXITSTATUS(status));
}

/* Sooner after a long life than after a short one. */
static void plan_restart(struct guardian *guardian)
{
	uint64_t now = wire_now_ms();

	if (now - guardian->started_ms >= GOOD_LIFE_MS)
		guardian->backoff_ms = 0;
	guardian->restart_ms = now + guardian->backoff_ms;
	guardian->backoff_ms = guardian->backoff_ms ? guardian->backoff_ms * 2 : BACKOFF_MIN_MS;
	if (guardian->backoff_ms > BACKOFF_MAX_MS)
		guardian->backoff_ms = BACKOFF_MAX_MS;
}

/* Returns the exit status for us, or -1 to go on. */
static int reap(struct guardian *guardian)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid <= 0)
		return -1;
	if (pid != guardian->loop) {
		guardian->abandoned--;
		return -1;
	}
	guardian->loop = 0;
	if (guardian->stopping)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == LOOP_PRIVATE_DONE)
		return 0;
	if (!guardian->was_ready && WIFEXITED(status))
		return 1; /* it has said why */
	log_death(pid, status);
	tell_next(guardian, status);
	plan_restart(guardian);
	return -1;
}

/* --- watching --------------------------------------------------------------------------------- */

/* Not even SIGKILL ends what waits for the lock of a socket, and who shares the socket can keep the
 * lock: by sending from memory that does not come. It runs no more of our code, come what may, so
 * another may take its place; what it holds waits with it. */
static void abandon(struct guardian *guardian)
{
	if (guardian->abandoned >= ABANDONED_MAX)
		return;
	log_error("the loop (pid %d) cannot be killed: somebody keeps a socket that it holds "
		  "locked; starting another",
		  (int)guardian->loop);
	guardian->abandoned++;
	guardian->loop = 0;
	tell_next(guardian, SIGKILL);
	plan_restart(guardian);
}

static void watch_pulse(struct guardian *guardian)
{
	uint64_t beats = atomic_load(&guardian->pulse->beats);
	bool ready = atomic_load(&guardian->pulse->ready) != 0;

	if (!guardian->loop)
		return;
	if (beats != guardian->seen_beats) {
		guardian->seen_beats = beats;
		guardian->quiet_ticks = 0;
		return;
	}
	if (guardian->stopping || ++guardian->quiet_ticks < (ready ? STALE_TICKS : START_TICKS))
		return;
	guardian->quiet_ticks = 0;
	if (guardian->killed) {
		abandon(guardian);
		return;
	}
	log_error("the loop (pid %d) has not moved for a second: killing it", (int)guardian->loop);
	kill(guardian->loop, SIGKILL);
	guardian->killed = true;
}

static void tell_manager(struct guardian *guardian)
{
	uint64_t every = notify_watchdog_ms(), now = wire_now_ms();
	uint32_t reloads = atomic_load(&guardian->pulse->reloads);

	if (atomic_load(&guardian->pulse->ready))
		guardian->was_ready = true;
	if (guardian->was_ready && !guardian->said_ready) {
		notify_send("READY=1");
		guardian->said_ready = true;
	}
	if (reloads != guardian->seen_reloads) {
		guardian->seen_reloads = reloads;
		notify_send("READY=1");
	}
	if (guardian->said_ready && every && now - guardian->petted_ms >= every / 3) {
		notify_send("WATCHDOG=1");
		guardian->petted_ms = now;
	}
}

static void stop(struct guardian *guardian)
{
	if (!guardian->stopping)
		notify_send("STOPPING=1");
	guardian->stopping = true;
	guardian->stop_ms = wire_now_ms();
	if (guardian->loop)
		kill(guardian->loop, SIGTERM);
}

static void take_signal(struct guardian *guardian, int number)
{
	switch (number) {
	case SIGTERM:
	case SIGINT:
		stop(guardian);
		break;
	case SIGHUP:
		notify_reloading();
		if (guardian->loop)
			kill(guardian->loop, SIGHUP);
		else /* the next one reads the file anyway */
			notify_send("READY=1");
		break;
	default: /* SIGCHLD: reap(); SIGIO: setter_serve() */
		break;
	}
}

/* A loop that was told to stop and does not, or that can't hear it (stopped). */
static void enforce_stop(struct guardian *guardian)
{
	if (guardian->stopping && guardian->loop && wire_now_ms() - guardian->stop_ms >= STOP_MS) {
		log_error("the loop does not end: killing it");
		kill(guardian->loop, SIGKILL);
		guardian->stop_ms = wire_now_ms();
	}
}

/* 0: a whole tick has passed since the last look, however often we were woken. -1: neither. */
static int next_signal(struct guardian *guardian)
{
	uint64_t now = wire_now_ms();
	struct timespec timeout = {.tv_nsec = 0};
	int number = -1;

	if (now < guardian->look_ms) {
		timeout.tv_nsec = (long)(guardian->look_ms - now) * 1000000;
		number = sigtimedwait(&guardian->signals, NULL, &timeout);
		if (number >= 0 || errno != EAGAIN)
			return number;
	}
	guardian->look_ms = wire_now_ms() + TICK_MS;
	return 0;
}

/* Returns the exit status for us, or -1 to go on. */
static int tick(struct guardian *guardian)
{
	int number = next_signal(guardian), status;

	if (number > 0)
		take_signal(guardian, number);
	tell_manager(guardian);
	opener_serve(guardian->opener);
	setter_serve(guardian->setter);
	status = reap(guardian);
	if (status >= 0)
		return status;
	if (number == 0)
		watch_pulse(guardian);
	enforce_stop(guardian);
	if (guardian->loop)
		return -1;
	if (guardian->stopping)
		return 0;
	if (wire_now_ms() >= guardian->restart_ms)
		start_loop(guardian);
	return -1;
}

static void block_signals(struct guardian *guardian)
{
	sigemptyset(&guardian->signals);
	sigaddset(&guardian->signals, SIGTERM);
	sigaddset(&guardian->signals, SIGINT);
	sigaddset(&guardian->signals, SIGHUP);
	sigaddset(&guardian->signals, SIGCHLD);
	sigaddset(&guardian->signals, SIGIO);
	sigprocmask(SIG_BLOCK, &guardian->signals, &guardian->old_mask);
	/* Not by inheritance: we wait for our child, and a loop unblocked is a loop that hears. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigdelset(&guardian->old_mask, SIGTERM);
	sigdelset(&guardian->old_mask, SIGINT);
	sigdelset(&guardian->old_mask, SIGHUP);
}

/* Not for one of somebody's own: he is no admin, or sets his sysctls himself. */
static void open_setter(struct guardian *guardian)
{
	char path[PATH_MAX];

	if (guardian->options->private_pid)
		return;
	snprintf(path, sizeof(path), "%s.journal", guardian->options->socket_path);
	guardian->setter = setter_new(path);
}

int guardian_run(const struct guardian_options *options)
{
	struct guardian guardian = {.options = options};
	int status;

	prctl(PR_SET_NAME, "closesided-grd");
	block_signals(&guardian);
	raise_nofile();
	guardian.pulse = mmap(NULL, sizeof(*guardian.pulse), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (guardian.pulse == MAP_FAILED) {
		log_error("memory: %m");
		return 1;
	}
	if (!listeners_open(&guardian.listeners, options->socket_path, options->config->group))
		return 1;
	if (!opener_pair(&guardian.opener, &guardian.opener_loop)) {
		log_error("socketpair: %m");
		return 1;
	}
	open_setter(&guardian);
	guardian.look_ms = wire_now_ms() + TICK_MS;
	start_loop(&guardian);
	while ((status = tick(&guardian)) < 0)
		;
	/* What is ours stays ours over a loop that cannot run; it is put back when we are told to
	 * stop, once nobody asks for more. */
	setter_free(guardian.setter, guardian.stopping);
	listeners_close(&guardian.listeners, options->socket_path);
	munmap(guardian.pulse, sizeof(*guardian.pulse));
	return status;
}
