/* SPDX-License-Identifier: MIT */
/* tune {} of the config: what the tuner may do by itself, and how far. */
#include "daemon/config_load.h"

#include "common/parse.h"

#include <stdio.h>
#include <string.h>

enum {
	COOLDOWN_MS = 60000,
	COOLDOWN_LEAST_MS = 1000,
	COOLDOWN_MOST_MS = 3600000,
};

static const uint64_t memory_usual = 64ULL << 20, memory_least = 1ULL << 20,
		      memory_most = 1ULL << 40;

static const char *const mode_words[] = {
#define X(name, word) [TUNE_##name] = word,
	TUNE_MODES(X)
#undef X
};

/* Lines on which something has been said; 0: not yet. */
static struct {
	unsigned int mode, cooldown, memory;
	unsigned int min, max; /* of the bound that is being read */
	unsigned int end;
} said;

const char *tune_mode_word(enum tune_mode mode)
{
	return mode_words[mode];
}

/* False, with the error, if it has been said. */
static bool say_once(const cfg_t *cfg, const cfg_opt_t *opt, unsigned int *line)
{
	if (*line) {
		config_fail(config_line(cfg),
			    "%s is said twice, expected it once (first on line %u)", opt->name,
			    *line);
		return false;
	}
	*line = config_line(cfg);
	return true;
}

static int on_mode(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	if (!say_once(cfg, opt, &said.mode))
		return -1;
	for (size_t i = 0; i < sizeof(mode_words) / sizeof(mode_words[0]); i++)
		if (!strcmp(value, mode_words[i])) {
			config_loading.config->tune.mode = (enum tune_mode)i;
			*(const char **)result = value;
			return 0;
		}
	return config_fail(config_line(cfg),
			   "mode: '%s' is not a value of it, expected off, advise or apply", value);
}

static int on_cooldown(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const char *p = value;
	uint32_t ms;

	if (!say_once(cfg, opt, &said.cooldown))
		return -1;
	if (!parse_duration(&p, &ms) || !parse_end(p) || ms < COOLDOWN_LEAST_MS ||
	    ms > COOLDOWN_MOST_MS)
		return config_fail(config_line(cfg),
				   "cooldown: '%s' is not a value of it, expected a duration from "
				   "1s to 1h",
				   value);
	config_loading.config->tune.cooldown_ms = ms;
	*(const char **)result = value;
	return 0;
}

static int on_memory(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const char *p = value;
	uint64_t bytes;

	if (!say_once(cfg, opt, &said.memory))
		return -1;
	if (!parse_size(&p, &bytes) || !parse_end(p) || bytes < memory_least || bytes > memory_most)
		return config_fail(config_line(cfg),
				   "memory: '%s' is not a value of it, expected a size from 1M to "
				   "1024G",
				   value);
	config_loading.config->tune.memory_max = bytes;
	*(const char **)result = value;
	return 0;
}

/* --- bounds ----------------------------------------------------------------------------------- */

/* A switch has one value to go to. */
static bool can_be_bound(const struct sysctl_row *row)
{
	return row->lever == SYSCTL_RISE || row->lever == SYSCTL_FALL || row->lever == SYSCTL_WIDEN;
}

/* "a, b or c" */
static const char *bound_names(char *buf, size_t size)
{
	const char *last = NULL;
	size_t len = 0;

	*buf = '\0';
	for (size_t i = 0; i < SYSCTL_COUNT && len < size; i++) {
		if (!can_be_bound(&sysctls[i]))
			continue;
		if (last)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "",
						last);
		last = sysctls[i].name;
	}
	if (last && len < size)
		snprintf(buf + len, size - len, "%s%s", len ? " or " : "", last);
	return buf;
}

/* The row of a bound, or NULL with the error said. */
static const struct sysctl_row *find_row(const cfg_t *cfg, const char *title)
{
	enum sysctl key = sysctl_find(title);
	char names[512];
	const char *problem = "no sysctl that closeside knows";

	if (key < SYSCTL_COUNT) {
		if (can_be_bound(&sysctls[key]))
			return &sysctls[key];
		problem =
			sysctls[key].lever == SYSCTL_READ ? "is only read" : "is only switched on";
	}
	config_fail(config_title_line(cfg, title), "bound %s: %s, expected one of %s", title,
		    problem, bound_names(names, sizeof(names)));
	return NULL;
}

static int on_limit(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct sysctl_row *row = find_row(cfg, cfg_title(cfg));
	bool is_min = !strcmp(opt->name, "min");
	const char *p = value;
	uint32_t number;

	if (!row || !say_once(cfg, opt, is_min ? &said.min : &said.max))
		return -1;
	if (!parse_u32(&p, &number) || !parse_end(p) || number < row->least || number > row->most)
		return config_fail(config_line(cfg),
				   "bound %s: %s: '%s' is not a value of it, expected a number "
				   "from %lld to %lld",
				   row->name, opt->name, value, (long long)row->least,
				   (long long)row->most);
	if (is_min)
		config_loading.config->tune.bound[row - sysctls].min = number;
	else
		config_loading.config->tune.bound[row - sysctls].max = number;
	*(const char **)result = value;
	return 0;
}

static int on_bound_end(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *title = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));
	struct tune_config *tune = &config_loading.config->tune;
	unsigned int line = config_title_line(cfg, title);
	const struct sysctl_row *row = find_row(cfg, title);
	enum sysctl key;

	if (!row)
		return -1;
	key = (enum sysctl)(row - sysctls);
	if (tune->bound[key].said) /* with slashes, now */
		return config_fail(line, "a second bound of %s, expected one", row->name);
	if (!said.min && !said.max)
		return config_fail(line, "bound %s: nothing is said, expected min or max",
				   row->name);
	if (!said.min)
		tune->bound[key].min = row->least;
	if (!said.max)
		tune->bound[key].max = row->most;
	if (tune->bound[key].min > tune->bound[key].max)
		return config_fail(line,
				   "bound %s: min %lld is over max %lld, expected the reverse",
				   row->name, (long long)tune->bound[key].min,
				   (long long)tune->bound[key].max);
	tune->bound[key].said = true;
	said.min = said.max = 0;
	return 0;
}

/* --- the section ------------------------------------------------------------------------------ */

static int on_tune_end(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)opt;
	if (said.end)
		return config_fail(config_title_line(cfg, "tune"),
				   "a second tune section, expected one");
	said.end = config_line(cfg);
	return 0;
}

cfg_opt_t *config_tune_options(void)
{
	static cfg_opt_t bound[] = {
		CFG_STR_CB("min", NULL, CFGF_NODEFAULT, on_limit),
		CFG_STR_CB("max", NULL, CFGF_NODEFAULT, on_limit),
		CFG_END(),
	};
	static cfg_opt_t tune[] = {
		CFG_STR_CB("mode", NULL, CFGF_NODEFAULT, on_mode),
		CFG_STR_CB("cooldown", NULL, CFGF_NODEFAULT, on_cooldown),
		CFG_STR_CB("memory", NULL, CFGF_NODEFAULT, on_memory),
		CFG_SEC("bound", bound, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};

	return tune;
}

/* libconfuse has copied the options of a section by now. */
void config_tune_attach(cfg_t *cfg)
{
	cfg_set_validate_func(cfg, "tune", on_tune_end);
	cfg_set_validate_func(cfg_getsec(cfg, "tune"), "bound", on_bound_end);
}

void config_tune_begin(struct tune_config *tune)
{
	memset(&said, 0, sizeof(said));
	tune->mode = TUNE_ADVISE;
	tune->cooldown_ms = COOLDOWN_MS;
	tune->memory_max = memory_usual;
}
