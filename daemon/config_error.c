/* SPDX-License-Identifier: MIT */
/* What is wrong with a config: where, and what was expected. */
#include "daemon/config_load.h"

#include "daemon/config_scan.h"

#include <stdio.h>
#include <string.h>

struct config_loading config_loading;

static void vfail(unsigned int line, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void vfail(unsigned int line, const char *format, va_list ap)
{
	char *error = config_loading.error;
	size_t size = config_loading.error_size;
	int used = 0;

	if (*error)
		return;
	if (line)
		used = snprintf(error, size, "%s:%u: ", config_loading.path, line);
	else
		used = snprintf(error, size, "%s: ", config_loading.path);
	if (used > 0 && (size_t)used < size)
		vsnprintf(error + used, size - (size_t)used, format, ap);
}

int config_fail(unsigned int line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfail(line, format, ap);
	va_end(ap);
	return -1;
}

unsigned int config_line(const cfg_t *cfg)
{
	return cfg->line > 0 ? (unsigned int)cfg->line : 1;
}

unsigned int config_title_line(const cfg_t *cfg, const char *title)
{
	return config_scan_back(config_loading.text, config_line(cfg), title);
}

/* --- what libconfuse finds ---------------------------------------------------------------------
 */

/* The sections, and what is said of a word that is none of theirs; of policy {} and defaults {}
 * there is more to say. */
static const struct section {
	const char *name, *unknown, *expected;
} sections[] = {
	{"policy", NULL, NULL},
	{"defaults", NULL, NULL},
	{"limits", "unknown limit",
	 "custody, custody-per-process, sessions, sessions-per-user or namespaces"},
	{"doctor", "unknown key", "patience"},
	{"tune", "unknown key", "mode, cooldown, memory or bound NAME { ... }"},
	{"bound", "unknown key", "min or max"},
	{"metrics", "unknown key", "listen or units"},
};

static const struct section *find_section(const char *name)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (!strcmp(sections[i].name, name))
			return &sections[i];
	return NULL;
}

static void fail_unknown_key(cfg_t *cfg, const char *name)
{
	const char *near = policy_key_near(name, strlen(name));
	unsigned int line = config_line(cfg);

	if (!strcmp(cfg_name(cfg), "defaults") && policy_key_find(name, strlen(name)))
		config_fail(line, "'%s' selects, expected only keys in defaults", name);
	else if (near)
		config_fail(line, "unknown key '%s', expected a key of closeside.conf(5): '%s'?",
			    name, near);
	else
		config_fail(line, "unknown key '%s', expected a key of closeside.conf(5)", name);
}

static void fail_unknown(cfg_t *cfg, const char *name)
{
	const struct section *in = find_section(cfg_name(cfg));
	unsigned int line = config_line(cfg);

	if (!in)
		config_fail(line,
			    "'%s' is not known here, expected policy, defaults, limits, tune, "
			    "metrics, doctor or group",
			    name);
	else if (find_section(name))
		config_fail(line, "'%s' inside another section, expected a '}' before it", name);
	else if (in->expected)
		config_fail(line, "%s '%s', expected %s", in->unknown, name, in->expected);
	else
		fail_unknown_key(cfg, name);
}

void config_on_error(cfg_t *cfg, const char *format, va_list ap)
{
	unsigned int line = config_line(cfg);
	bool bound = !strcmp(cfg_name(cfg), "tune"), duplicate = strstr(format, "duplicate title");

	if (strstr(format, "no such option"))
		fail_unknown(cfg, va_arg(ap, const char *));
	else if (duplicate && bound)
		config_fail(line, "a second bound of %s, expected one", va_arg(ap, const char *));
	else if (duplicate)
		config_fail(line, "a second policy '%s', expected another name",
			    va_arg(ap, const char *));
	else if (strstr(format, "unexpected token"))
		config_fail(line, "unexpected '%s', expected a name or a value",
			    va_arg(ap, const char *));
	else if (strstr(format, "missing equal sign"))
		config_fail(line, "'%s' without a value, expected '='", va_arg(ap, const char *));
	else if (strstr(format, "missing opening brace"))
		config_fail(line, "section '%s' does not begin, expected '{'",
			    va_arg(ap, const char *));
	else if (strstr(format, "missing title"))
		config_fail(line, bound ? "a bound without a name, expected bound SYSCTL { ... }"
					: "a policy without a name, expected policy NAME { ... }");
	else
		vfail(line, format, ap);
}
