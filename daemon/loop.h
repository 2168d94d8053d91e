/* SPDX-License-Identifier: MIT */
/* The loop: the process that does the work, a libevent base and the modules on it. */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include "daemon/config.h"
#include "daemon/pulse.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop_options {
	const char *socket_path;
	const char *config_path;
	const struct config *config; /* what the guardian read: for when the file is broken now */
	int session_fd, control_fd;  /* listening */
	int opener_fd;		     /* -1: none */
	int setter_fd;		     /* of the setter's channel; -1: none */
	struct pulse *pulse;
	pid_t private_pid; /* 0: not private */
};

enum { LOOP_FAILED = 1, LOOP_PRIVATE_DONE = 10 };

/* Runs until it is told to stop. Returns the exit status of the process: 0 after SIGTERM,
 * LOOP_PRIVATE_DONE when the private daemon is not needed any more. */
int loop_run(const struct loop_options *options);

/* What the control socket sees and does. */
struct loop {
	const struct loop_options *options;
	struct event_base *base;
	struct config *config;
	struct book *book;
	struct users *users;
	struct page *page;
	struct conns *conns;
	struct patience *patience;
	struct closer *closer;
	struct kernel *kernel;
	struct retire *retire;
	struct custody *custody;
	struct sessions *sessions;
	struct control *control;
	struct follow *follow;
	struct probe *probe; /* of our own network namespace */
	struct vitals *vitals;
	struct doctor_watch *doctor;
	struct tune *tune;
	struct history *history;
	struct faults *faults;
	struct metrics *metrics;
	struct metrics_http *http;
	unsigned int watchers; /* clients of the control socket that watch */
	struct loop_events *events;
	uint64_t started_ms;
	int exit_status;
};

/* Whole or nothing. On failure the message is in error, and what was in force still is. */
bool loop_reload(struct loop *loop, char *error, size_t size);
/* Steering on or off; kept in SOCKET.off over restarts. false with errno. */
bool loop_switch(struct loop *loop, bool on);

#endif
