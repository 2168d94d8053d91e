/* SPDX-License-Identifier: MIT */
/* What a config says, said again: the dump, which config_load() reads back to the same, and the
 * warnings. */
#include "daemon/config_load.h"

#include "common/parse.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3, and 6.1 stable from 6.1.31 on */
#endif

struct text {
	char *buf;
	size_t size, len;
};

static void put(struct text *text, const char *piece)
{
	while (*piece && text->len + 1 < text->size)
		text->buf[text->len++] = *piece++;
	text->buf[text->len] = '\0';
}

/* In quotes if libconfuse needs them. */
static void put_value(struct text *text, const char *value)
{
	char one[2] = "";

	if (*value && !strpbrk(value, " \t\r\n#\"'\\{}()=+,*$/")) {
		put(text, value);
		return;
	}
	put(text, "\"");
	for (; *value; value++) {
		if (strchr("\"\\$", *value))
			put(text, "\\");
		one[0] = *value;
		put(text, one);
	}
	put(text, "\"");
}

/* "a, b" as {a, b}, each in quotes if need be. */
static void put_list(struct text *text, char *items)
{
	char *item = items, *end;

	put(text, "{");
	do {
		end = strstr(item, ", ");
		if (end)
			*end = '\0';
		put_value(text, item);
		if (!end)
			break;
		put(text, ", ");
		item = end + 2;
	} while (true);
	put(text, "}");
}

static void emit_key(const struct policy_rule *rule, const struct policy_key *key,
		     void (*emit)(void *arg, const char *line), void *arg)
{
	char value[POLICY_LIST_MAX * POLICY_GLOB_MAX], line[2 * sizeof(value)];
	struct text text = {line, sizeof(line), 0};

	key->format(rule, value, sizeof(value));
	put(&text, "\t");
	put(&text, key->name);
	put(&text, " = ");
	if (key->list && strstr(value, ", "))
		put_list(&text, value);
	else
		put_value(&text, value);
	emit(arg, line);
}

/* What the rule says itself or has from defaults {}: all that is not as policy_init() leaves it. */
void config_dump_rule(const struct policy_rule *rule, void (*emit)(void *arg, const char *line),
		      void *arg)
{
	struct policy_rule fresh;

	policy_init(&fresh, "");
	for (size_t i = 0; i < policy_key_count; i++) {
		const struct policy_key *key = &policy_keys[i];
		char a[POLICY_LIST_MAX * POLICY_GLOB_MAX], b[sizeof(a)];

		if (policy_said(rule, key) ||
		    strcmp(key->format(rule, a, sizeof(a)), key->format(&fresh, b, sizeof(b))))
			emit_key(rule, key, emit, arg);
	}
}

static void dump_bounds(const struct tune_config *tune, void (*emit)(void *arg, const char *line),
			void *arg)
{
	char line[128];

	for (size_t i = 0; i < SYSCTL_COUNT; i++) {
		if (!tune->bound[i].said)
			continue;
		snprintf(line, sizeof(line), "\tbound %s {", sysctls[i].name);
		emit(arg, line);
		snprintf(line, sizeof(line), "\t\tmin = %lld", (long long)tune->bound[i].min);
		emit(arg, line);
		snprintf(line, sizeof(line), "\t\tmax = %lld", (long long)tune->bound[i].max);
		emit(arg, line);
		emit(arg, "\t}");
	}
}

static void dump_tune(const struct tune_config *tune, void (*emit)(void *arg, const char *line),
		      void *arg)
{
	char line[64], cooldown[DURATION_TEXT_MAX], memory[SIZE_TEXT_MAX];

	emit(arg, "tune {");
	snprintf(line, sizeof(line), "\tmode = %s", tune_mode_word(tune->mode));
	emit(arg, line);
	snprintf(line, sizeof(line), "\tcooldown = %s",
		 format_duration(tune->cooldown_ms, cooldown, sizeof(cooldown)));
	emit(arg, line);
	snprintf(line, sizeof(line), "\tmemory = %s",
		 format_size(tune->memory_max, memory, sizeof(memory)));
	emit(arg, line);
	dump_bounds(tune, emit, arg);
	emit(arg, "}");
}

void config_dump(const struct config *config, void (*emit)(void *arg, const char *line), void *arg)
{
	char line[CONFIG_GROUP_MAX + 64], patience[DURATION_TEXT_MAX];

	emit(arg, "limits {");
	for (size_t i = 0; i < CONFIG_LIMITS; i++) {
		const unsigned int *value =
			(const unsigned int *)((const char *)config + config_limits[i].offset);

		snprintf(line, sizeof(line), "\t%s = %u", config_limits[i].name, *value);
		emit(arg, line);
	}
	emit(arg, "}");
	emit(arg, "doctor {");
	snprintf(line, sizeof(line), "\tpatience = %s",
		 format_duration(config->doctor_patience_ms, patience, sizeof(patience)));
	emit(arg, line);
	emit(arg, "}");
	dump_tune(&config->tune, emit, arg);
	config_metrics_dump(&config->metrics, emit, arg);
	if (*config->group) {
		snprintf(line, sizeof(line), "group = \"%s\"", config->group);
		emit(arg, line);
	}
	if (config->defaults.said) {
		emit(arg, "defaults {");
		config_dump_rule(&config->defaults, emit, arg);
		emit(arg, "}");
	}
	for (unsigned int i = 0; i < config->rule_count; i++) {
		snprintf(line, sizeof(line), "policy %s {", config->rules[i].name);
		emit(arg, line);
		config_dump_rule(&config->rules[i], emit, arg);
		emit(arg, "}");
	}
}

/* --- warnings --------------------------------------------------------------------------------- */

static bool probe_local_ports(void)
{
	uint32_t any_range = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool works = true; /* no socket at all: not ours to judge */

	if (fd < 0)
		return works;
	if (setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &any_range, sizeof(any_range)) < 0)
		works = errno != ENOPROTOOPT;
	close(fd);
	return works;
}

bool (*config_probe_local_ports)(void) = probe_local_ports;

static bool wants_local_ports(const struct config *config)
{
	for (unsigned int i = 0; i < config->rule_count; i++)
		if (config->rules[i].terms.local_ports.lo)
			return true;
	return false;
}

void config_warnings(const struct config *config, void (*say)(void *arg, const char *text),
		     void *arg)
{
	char line[POLICY_NAME_MAX + 256];
	const char *warning;

	for (unsigned int i = 0; i < config->rule_count; i++)
		for (unsigned int n = 0; (warning = policy_warning(&config->rules[i], n)); n++) {
			snprintf(line, sizeof(line), "policy %s: %s", config->rules[i].name,
				 warning);
			say(arg, line);
		}
	if (wants_local_ports(config) && !config_probe_local_ports())
		say(arg, "local-ports: this kernel has no IP_LOCAL_PORT_RANGE (Linux 6.3, 6.1.31): "
			 "it is ignored");
	if (config->metrics.listen.family && !config_metrics_is_private(&config->metrics))
		say(arg, "metrics: listen: other machines can reach this address: whoever does "
			 "reads the metrics, unasked and in the clear");
	if (*config->group && !getgrnam(config->group)) {
		snprintf(line, sizeof(line),
			 "group: there is no group '%s' here: the control socket "
			 "stays with the daemon's own",
			 config->group);
		say(arg, line);
	}
}
