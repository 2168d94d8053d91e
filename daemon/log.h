/* SPDX-License-Identifier: MIT */
/* The log: stderr, one line for what an operator should know; never one per connection. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdint.h>
#include <syslog.h>

/* Finds out who reads stderr: under systemd lines carry their priority as "<N>". */
void log_open(void);
/* LOG_INFO by default; LOG_DEBUG shows more. */
void log_set_level(int level);

void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* At most LOG_BURST lines in LOG_WINDOW_MS from one place; what was left out is counted in the
 * next line that goes out. For anything that a program or a peer can cause. */
enum { LOG_BURST = 5, LOG_WINDOW_MS = 10000 };

struct log_place {
	uint64_t window_ms;   /* when the window began */
	unsigned int written; /* lines in this window */
	unsigned int left_out;
};

void log_limited_line(struct log_place *place, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_limited(level, ...)                                    \
	do {                                                       \
		static struct log_place log_place_;                \
		log_limited_line(&log_place_, level, __VA_ARGS__); \
	} while (0)

#endif
