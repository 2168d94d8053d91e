/* SPDX-License-Identifier: MIT */
/* What the files that load a config share. libconfuse has no argument for callbacks, and its lexer
 * is global anyway: so is the file that is being read. */
#ifndef DAEMON_CONFIG_LOAD_H
#define DAEMON_CONFIG_LOAD_H

#include "daemon/config.h"

#include <confuse.h>
#include <stdarg.h>
#include <stddef.h>

extern struct config_loading {
	const char *path, *text;
	struct config *config;
	char *error; /* the first one wins */
	size_t error_size;
} config_loading;

/* Line 0: the file as a whole. Returns -1, as libconfuse wants it of a callback that refuses. */
int config_fail(unsigned int line, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* libconfuse's own complaints, in our words where those say more. */
void config_on_error(cfg_t *cfg, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));
/* The line that is being read. */
unsigned int config_line(const cfg_t *cfg);
/* At the end of a section: the line with its title. libconfuse knows only that of the '}'. */
unsigned int config_title_line(const cfg_t *cfg, const char *title);

/* tune {}: its options, for libconfuse; its checks, once that has them; before each file. */
cfg_opt_t *config_tune_options(void);
void config_tune_attach(cfg_t *cfg);
void config_tune_begin(struct tune_config *tune);
/* metrics {}, the same; and its lines of the dump. */
cfg_opt_t *config_metrics_options(void);
void config_metrics_attach(cfg_t *cfg);
void config_metrics_begin(struct metrics_config *metrics);
void config_metrics_dump(const struct metrics_config *metrics,
			 void (*emit)(void *arg, const char *line), void *arg);

#endif
