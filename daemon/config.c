/* SPDX-License-Identifier: MIT */
/* The config file. libconfuse knows the grammar; every key of a policy is a string to it, and what
 * the string means is policy_set()'s matter, as it is for `closeside run -o`.
 *
 * The rules are filled by libconfuse's callbacks while it parses, since only then is the line
 * known; its own tree is thrown away. */
#include "daemon/config.h"

#include "daemon/config_load.h"
#include "daemon/config_scan.h"
#include "daemon/limits.h"

#include "common/parse.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CONFIG_FILE_MAX = 1 << 20,
	LINES_MAX = 32, /* one for each key */
	DOCTOR_PATIENCE_MS = 30000,
	DOCTOR_PATIENCE_LEAST_MS = 100,
	DOCTOR_PATIENCE_MOST_MS = 3600000,
};

static struct {
	struct policy_rule rule; /* of the section that is being read */
	unsigned int key_line[LINES_MAX];
	unsigned int default_line[LINES_MAX];
	unsigned int rule_line[WIRE_RULES_MAX];
	unsigned int rule_key_line[WIRE_RULES_MAX][LINES_MAX];
} reading;

/* The numbers of limits {}. */
const struct config_limit config_limits[CONFIG_LIMITS] = {
	{"custody", offsetof(struct config, custody_max), LIMIT_HELD, 1, 1000000},
	{"custody-per-process", offsetof(struct config, custody_per_process), LIMIT_HELD_PROCESS, 1,
	 1000000},
	{"sessions", offsetof(struct config, sessions_max), LIMIT_SESSIONS, 1, 1000000},
	{"sessions-per-user", offsetof(struct config, sessions_per_user), LIMIT_SESSIONS_USER, 1,
	 1000000},
	{"namespaces", offsetof(struct config, namespaces), LIMIT_NAMESPACES, 1, LIMIT_NAMESPACES},
};

static unsigned int *limit_value(const struct config_limit *limit, struct config *config)
{
	return (unsigned int *)((char *)config + limit->offset);
}

/* --- keys ------------------------------------------------------------------------------------- */

/* user = alice: the page and the shim know numbers only. Returns text, or a number in buf. */
static const char *user_number(const char *text, char *buf, size_t size)
{
	const struct passwd *user = getpwnam(text);

	if (!user)
		return text;
	snprintf(buf, size, "%u", user->pw_uid);
	return buf;
}

static unsigned int list_length(const struct policy_rule *rule, const struct policy_key *key)
{
	char text[POLICY_LIST_MAX * POLICY_GLOB_MAX];
	unsigned int n = 1;

	for (const char *p = key->format(rule, text, sizeof(text)); (p = strchr(p, ',')); p++)
		n++;
	return n;
}

static int fail_value(unsigned int line, const struct policy_key *key, const char *text)
{
	bool user = !strcmp(key->name, "user");

	if (key->list && policy_said(&reading.rule, key)) {
		unsigned int length = list_length(&reading.rule, key);

		if (length >= POLICY_GLOBS_MAX)
			return config_fail(
				line, "%s: '%s' is wrong, or one too many after %u, expected %s",
				key->name, text, length, key->values);
	}
	return config_fail(line, "%s: '%s' %s, expected %s", key->name, text,
			   user ? "is nobody here" : "is not a value of it", key->values);
}

/* A value of a key in policy {} or defaults {}: once for each element of a list. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct policy_key *key = policy_key_find(opt->name, strlen(opt->name));
	unsigned int line = config_line(cfg);
	const char *text = value;
	char number[16];

	if (!key)
		return -1;
	/* libconfuse takes back the old values before the first of a new `=`. */
	if (opt->nvalues <= 1 && policy_said(&reading.rule, key))
		return config_fail(line, "%s is said twice, expected it once (first on line %u)",
				   key->name, reading.key_line[key - policy_keys]);
	if (!strcmp(key->name, "user"))
		text = user_number(value, number, sizeof(number));
	if ((key->list && strchr(value, ',')) || !policy_set(&reading.rule, key, text))
		return fail_value(line, key, value);
	reading.key_line[key - policy_keys] = line;
	*(const char **)result = value;
	return 0;
}

/* --- sections --------------------------------------------------------------------------------- */

static void rule_begin(void)
{
	policy_init(&reading.rule, "");
	memset(reading.key_line, 0, sizeof(reading.key_line));
}

static bool name_is_sound(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._-";
	size_t len = strlen(name);

	return len > 0 && len < POLICY_NAME_MAX && strspn(name, allowed) == len;
}

static int on_policy_end(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));
	struct config *config = config_loading.config;
	unsigned int line = config_title_line(cfg, name);

	if (!name_is_sound(name))
		return config_fail(
			line,
			"policy '%s': expected a name of at most %d letters, digits, '.', '_' "
			"and '-'",
			name, POLICY_NAME_MAX - 1);
	if (config->rule_count == WIRE_RULES_MAX)
		return config_fail(line, "policy '%s' is one too many, expected at most %d", name,
				   WIRE_RULES_MAX);
	snprintf(reading.rule.name, sizeof(reading.rule.name), "%s", name);
	reading.rule.id = policy_id(name);
	for (unsigned int i = 0; i < config->rule_count; i++)
		if (config->rules[i].id == reading.rule.id)
			return config_fail(
				line, "policy '%s' has the number of '%s', expected another name",
				name, config->rules[i].name);
	reading.rule_line[config->rule_count] = line;
	memcpy(reading.rule_key_line[config->rule_count], reading.key_line,
	       sizeof(reading.key_line));
	config->rules[config->rule_count++] = reading.rule;
	rule_begin();
	return 0;
}

static int on_defaults_end(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)opt;
	if (config_loading.config->defaults.said)
		return config_fail(config_line(cfg), "a second defaults section, expected one");
	config_loading.config->defaults = reading.rule;
	memcpy(reading.default_line, reading.key_line, sizeof(reading.default_line));
	rule_begin();
	return 0;
}

static int on_limit(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	for (size_t i = 0; i < CONFIG_LIMITS; i++) {
		const char *p = value;
		uint32_t number;

		if (strcmp(config_limits[i].name, opt->name))
			continue;
		if (!parse_u32(&p, &number) || !parse_end(p) || number < config_limits[i].min ||
		    number > config_limits[i].max)
			return config_fail(config_line(cfg),
					   "%s: '%s' is not a value of it, expected a number "
					   "from %u to %u",
					   opt->name, value, config_limits[i].min,
					   config_limits[i].max);
		*limit_value(&config_limits[i], config_loading.config) = number;
	}
	*(const char **)result = value;
	return 0;
}

static int on_patience(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const char *p = value;
	uint32_t ms;

	(void)opt;
	if (!parse_duration(&p, &ms) || !parse_end(p) || ms < DOCTOR_PATIENCE_LEAST_MS ||
	    ms > DOCTOR_PATIENCE_MOST_MS)
		return config_fail(
			config_line(cfg),
			"patience: '%s' is not a value of it, expected a duration from 100ms "
			"to 1h",
			value);
	config_loading.config->doctor_patience_ms = ms;
	*(const char **)result = value;
	return 0;
}

static int on_group(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	(void)opt;
	if (!*value || strlen(value) >= CONFIG_GROUP_MAX)
		return config_fail(config_line(cfg),
				   "group: '%s' is not a value of it, expected a group's name",
				   value);
	snprintf(config_loading.config->group, CONFIG_GROUP_MAX, "%s", value);
	*(const char **)result = value;
	return 0;
}

/* The rules as a whole, once defaults {} is known wherever it stood. */
static bool finish_rules(struct config *config)
{
	for (unsigned int i = 0; i < config->rule_count; i++) {
		struct policy_rule *rule = &config->rules[i];
		const struct policy_key *key;
		const char *problem;
		unsigned int line = 0;

		policy_inherit(rule, &config->defaults);
		problem = policy_problem(rule);
		if (!problem)
			continue;
		/* A problem begins with the key that has it. */
		key = policy_key_find(problem, strcspn(problem, " ="));
		if (key)
			line = policy_said(rule, key) ? reading.rule_key_line[i][key - policy_keys]
						      : reading.default_line[key - policy_keys];
		config_fail(line ? line : reading.rule_line[i], "policy '%s': %s", rule->name,
			    problem);
		return false;
	}
	return true;
}

/* --- the file --------------------------------------------------------------------------------- */

/* The file's text with a final NUL, or NULL with the error said. A directory would make libconfuse
 * end the process; a FIFO would block. */
static char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *text = NULL;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		config_fail(0, "cannot be read: %s", strerror(errno));
	else if (S_ISDIR(st.st_mode))
		config_fail(0, "is a directory, expected a file");
	else if (!S_ISREG(st.st_mode))
		config_fail(0, "is not a file, expected one");
	else if (st.st_size > CONFIG_FILE_MAX)
		config_fail(0, "is larger than a config can be, expected at most 1 MiB");
	else if (!(text = malloc(CONFIG_FILE_MAX + 1)))
		config_fail(0, "%s", strerror(ENOMEM));

	for (*len = 0; text && *len < CONFIG_FILE_MAX; *len += (size_t)n) {
		n = read(fd, text + *len, CONFIG_FILE_MAX - *len);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0) {
			config_fail(0, "cannot be read: %s", strerror(errno));
			free(text);
			text = NULL;
		}
	}
	if (text)
		text[*len] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

/* libconfuse's options for the keys of policy {} (with selectors) or defaults {} (without). */
static void fill_key_options(cfg_opt_t *options, bool selectors)
{
	for (size_t i = 0; i < policy_key_count; i++) {
		cfg_opt_t single = CFG_STR_CB(policy_keys[i].name, NULL, CFGF_NODEFAULT, on_value);
		cfg_opt_t list =
			CFG_STR_LIST_CB(policy_keys[i].name, NULL, CFGF_NODEFAULT, on_value);

		if (!selectors && policy_keys[i].selector)
			continue;
		*options++ = policy_keys[i].list ? list : single;
	}
	*options = (cfg_opt_t)CFG_END();
}

static void fill_limit_options(cfg_opt_t *options)
{
	for (size_t i = 0; i < CONFIG_LIMITS; i++)
		*options++ = (cfg_opt_t)CFG_STR_CB(config_limits[i].name, NULL, CFGF_NODEFAULT,
						   on_limit);
	*options = (cfg_opt_t)CFG_END();
}

static bool parse_text(char *text, size_t len)
{
	cfg_opt_t keys[LINES_MAX + 1], default_keys[LINES_MAX + 1],
		limit_options[CONFIG_LIMITS + 1];
	cfg_opt_t doctor[] = {
		CFG_STR_CB("patience", NULL, CFGF_NODEFAULT, on_patience),
		CFG_END(),
	};
	cfg_opt_t top[] = {
		CFG_SEC("policy", keys, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SEC("defaults", default_keys, CFGF_NONE),
		CFG_SEC("limits", limit_options, CFGF_NONE),
		CFG_SEC("doctor", doctor, CFGF_NONE),
		CFG_SEC("tune", config_tune_options(), CFGF_NONE),
		CFG_SEC("metrics", config_metrics_options(), CFGF_NONE),
		CFG_STR_CB("group", NULL, CFGF_NODEFAULT, on_group),
		CFG_END(),
	};
	FILE *stream = fmemopen(text, len, "r");
	cfg_t *cfg;
	bool sound;

	fill_key_options(keys, true);
	fill_key_options(default_keys, false);
	fill_limit_options(limit_options);
	cfg = cfg_init(top, CFGF_NONE);
	if (!cfg || !stream) {
		config_fail(0, "%s", strerror(ENOMEM));
		if (stream)
			fclose(stream);
		cfg_free(cfg);
		return false;
	}
	cfg_set_error_function(cfg, config_on_error);
	cfg_set_validate_func(cfg, "policy", on_policy_end);
	cfg_set_validate_func(cfg, "defaults", on_defaults_end);
	config_tune_attach(cfg);
	config_metrics_attach(cfg);
	rule_begin();
	sound = cfg_parse_fp(cfg, stream) == CFG_SUCCESS && !*config_loading.error;
	if (!sound)
		config_fail(0, "cannot be understood, expected closeside.conf(5)");
	fclose(stream);
	cfg_free(cfg);
	return sound;
}

static bool load_text(void)
{
	size_t len;
	unsigned int line;
	const char *wrong;
	char *text = read_file(config_loading.path, &len);
	bool sound;

	if (!text)
		return false;
	config_loading.text = text;
	sound = config_scan(text, len, &line, &wrong);
	if (!sound)
		config_fail(line, "%s", wrong);
	else
		sound = parse_text(text, len) && finish_rules(config_loading.config);
	free(text);
	return sound;
}

struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	policy_init(&config->defaults, "defaults");
	for (size_t i = 0; i < CONFIG_LIMITS; i++)
		*limit_value(&config_limits[i], config) = config_limits[i].initial;
	config->doctor_patience_ms = DOCTOR_PATIENCE_MS;
	config_tune_begin(&config->tune);
	config_metrics_begin(&config->metrics);
	return config;
}

struct config *config_load(const char *path, char *error, size_t size)
{
	struct config *config = config_new();

	memset(&reading, 0, sizeof(reading));
	config_loading.path = path;
	config_loading.config = config;
	config_loading.error = error;
	config_loading.error_size = size;
	*error = '\0';
	if (!config)
		config_fail(0, "%s", strerror(ENOMEM));
	else if (load_text())
		return config;
	config_free(config);
	return NULL;
}

void config_free(struct config *config)
{
	free(config);
}
