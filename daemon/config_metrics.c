/* SPDX-License-Identifier: MIT */
/* metrics {} of the config: where Prometheus may ask. */
#include "daemon/config_load.h"

#include "common/parse.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { UNITS = 20 };

/* Lines on which something has been said; 0: not yet. */
static struct {
	unsigned int listen, units, end;
} said;

static int on_listen(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct endpoint *listen = &config_loading.config->metrics.listen;
	const char *p = value;

	(void)opt;
	if (said.listen)
		return config_fail(config_line(cfg),
				   "listen is said twice, expected it once (first on line %u)",
				   said.listen);
	said.listen = config_line(cfg);
	*(const char **)result = value;
	if (!strcmp(value, "off"))
		return 0;
	if (!parse_endpoint(&p, listen) || !parse_end(p) || !listen->port) {
		listen->family = 0;
		return config_fail(config_line(cfg),
				   "listen: '%s' is not a value of it, expected an address and a "
				   "port, as \"127.0.0.1:16117\" or \"[::1]:16117\", or off",
				   value);
	}
	return 0;
}

static int on_units(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const char *p = value;
	uint32_t units;

	(void)opt;
	if (said.units)
		return config_fail(config_line(cfg),
				   "units is said twice, expected it once (first on line %u)",
				   said.units);
	said.units = config_line(cfg);
	if (!parse_u32(&p, &units) || !parse_end(p) || units > METRICS_UNITS_MOST)
		return config_fail(config_line(cfg),
				   "units: '%s' is not a value of it, expected a number from 0 to "
				   "%d",
				   value, METRICS_UNITS_MOST);
	config_loading.config->metrics.units = units;
	*(const char **)result = value;
	return 0;
}

static int on_metrics_end(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)opt;
	if (said.end)
		return config_fail(config_title_line(cfg, "metrics"),
				   "a second metrics section, expected one");
	said.end = config_line(cfg);
	return 0;
}

cfg_opt_t *config_metrics_options(void)
{
	static cfg_opt_t metrics[] = {
		CFG_STR_CB("listen", NULL, CFGF_NODEFAULT, on_listen),
		CFG_STR_CB("units", NULL, CFGF_NODEFAULT, on_units),
		CFG_END(),
	};

	return metrics;
}

void config_metrics_attach(cfg_t *cfg)
{
	cfg_set_validate_func(cfg, "metrics", on_metrics_end);
}

void config_metrics_begin(struct metrics_config *metrics)
{
	memset(&said, 0, sizeof(said));
	metrics->units = UNITS;
}

void config_metrics_dump(const struct metrics_config *metrics,
			 void (*emit)(void *arg, const char *line), void *arg)
{
	char line[ENDPOINT_TEXT_MAX + 32], listen[ENDPOINT_TEXT_MAX];

	emit(arg, "metrics {");
	if (metrics->listen.family)
		snprintf(line, sizeof(line), "\tlisten = \"%s\"",
			 endpoint_format(&metrics->listen, listen, sizeof(listen)));
	else
		snprintf(line, sizeof(line), "\tlisten = off");
	emit(arg, line);
	snprintf(line, sizeof(line), "\tunits = %u", metrics->units);
	emit(arg, line);
	emit(arg, "}");
}

bool config_metrics_is_private(const struct metrics_config *metrics)
{
	static const uint8_t six[16] = {[15] = 1};
	const struct endpoint *listen = &metrics->listen;

	return listen->family == AF_INET ? listen->addr[12] == 127
					 : memcmp(listen->addr, six, sizeof(six)) == 0;
}
