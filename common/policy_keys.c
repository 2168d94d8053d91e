/* SPDX-License-Identifier: MIT */
/* The table of keys: how each is written, read and printed. A new key is a row here, a member of
 * struct policy_terms, and its meaning where it acts. */
#include "common/policy.h"

#include "common/near.h"

#include <stdio.h>
#include <string.h>

/* --- values that are one of a few words ------------------------------------------------------ */

static int word_index(const char *const words[], const char *text)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], text))
			return i;
	return -1;
}

static bool set_word(uint8_t *out, const char *const words[], const char *text)
{
	int i = word_index(words, text);

	if (i < 0)
		return false;
	*out = (uint8_t)i;
	return true;
}

static char *put(char *buf, size_t size, const char *text)
{
	snprintf(buf, size, "%s", text);
	return buf;
}

/* A key whose value is the index of its word. */
#define WORD_KEY(id, member, ...)                                                        \
	static const char *const id##_words[] = {__VA_ARGS__, NULL};                     \
	static bool set_##id(struct policy_rule *rule, const char *text)                 \
	{                                                                                \
		return set_word(&rule->member, id##_words, text);                        \
	}                                                                                \
	static char *format_##id(const struct policy_rule *rule, char *buf, size_t size) \
	{                                                                                \
		return put(buf, size, id##_words[rule->member]);                         \
	}

WORD_KEY(role, role, "any", "server", "client")
WORD_KEY(close_first, terms.close_first, "app", "peer", "self")
WORD_KEY(half_close, terms.half_close, "pass", "defer")
WORD_KEY(peer_time_wait, terms.peer_time_wait, "keep", "none")
WORD_KEY(grace_learn, terms.grace_learn, "no", "yes")
WORD_KEY(reuse_address, terms.reuse_address, "app", "yes")
WORD_KEY(reuse_port, terms.reuse_port, "app", "yes")
WORD_KEY(bind_late, terms.bind_late, "app", "yes")
WORD_KEY(allow_data_loss, terms.allow_data_loss, "no", "yes")

/* --- durations and numbers ------------------------------------------------------------------- */

static bool whole_duration(const char *text, uint32_t *out_ms)
{
	return parse_duration(&text, out_ms) && parse_end(text);
}

static bool set_grace(struct policy_rule *rule, const char *text)
{
	uint32_t ms;

	/* Ten minutes: a held socket is a descriptor and a peer that waits. */
	if (!whole_duration(text, &ms) || ms == 0 || ms > 600000)
		return false;
	rule->terms.grace_ms = ms;
	return true;
}

static char *format_grace(const struct policy_rule *rule, char *buf, size_t size)
{
	return format_duration(rule->terms.grace_ms, buf, size);
}

static bool set_drain_max(struct policy_rule *rule, const char *text)
{
	uint32_t ms;

	if (!whole_duration(text, &ms) || ms > 600000)
		return false;
	rule->terms.drain_max_ms = ms;
	return true;
}

static char *format_drain_max(const struct policy_rule *rule, char *buf, size_t size)
{
	return format_duration(rule->terms.drain_max_ms, buf, size);
}

static bool set_time_wait(struct policy_rule *rule, const char *text)
{
	uint32_t ms;

	if (!strcmp(text, "keep"))
		rule->terms.time_wait_ms = TIME_WAIT_KEEP;
	else if (!strcmp(text, "none"))
		rule->terms.time_wait_ms = TIME_WAIT_NONE;
	else if (whole_duration(text, &ms) && ms > 0 && ms <= 60000) /* TCP_TIMEWAIT_LEN */
		rule->terms.time_wait_ms = (int32_t)ms;
	else
		return false;
	return true;
}

static char *format_time_wait(const struct policy_rule *rule, char *buf, size_t size)
{
	if (rule->terms.time_wait_ms == TIME_WAIT_KEEP)
		return put(buf, size, "keep");
	if (rule->terms.time_wait_ms == TIME_WAIT_NONE)
		return put(buf, size, "none");
	return format_duration((uint32_t)rule->terms.time_wait_ms, buf, size);
}

static const char *const linger_words[] = {"app", "off", "abort", NULL};

static bool set_linger(struct policy_rule *rule, const char *text)
{
	uint32_t ms;

	if (set_word(&rule->terms.linger, linger_words, text))
		return true;
	/* The kernel counts whole seconds. */
	if (!whole_duration(text, &ms) || ms == 0 || ms % 1000 || ms > 600000)
		return false;
	rule->terms.linger = LINGER_TIME;
	rule->terms.linger_s = ms / 1000;
	return true;
}

static char *format_linger(const struct policy_rule *rule, char *buf, size_t size)
{
	if (rule->terms.linger == LINGER_TIME)
		return format_duration(rule->terms.linger_s * 1000, buf, size);
	return put(buf, size, linger_words[rule->terms.linger]);
}

/* Kept as what is not steered, so that 0 is all of them. */
static bool set_share(struct policy_rule *rule, const char *text)
{
	uint32_t share;

	if (!parse_u32(&text, &share) || !parse_literal(&text, "%") || !parse_end(text) ||
	    share > 100)
		return false;
	rule->terms.control = (uint8_t)(100 - share);
	return true;
}

static char *format_share(const struct policy_rule *rule, char *buf, size_t size)
{
	snprintf(buf, size, "%u%%", 100u - rule->terms.control);
	return buf;
}

static bool set_backlog(struct policy_rule *rule, const char *text)
{
	uint32_t number = 0;

	if (strcmp(text, "app") &&
	    !(parse_u32(&text, &number) && parse_end(text) && number > 0 && number <= 65535))
		return false;
	rule->terms.backlog = number;
	return true;
}

static char *format_backlog(const struct policy_rule *rule, char *buf, size_t size)
{
	if (rule->terms.backlog == 0)
		return put(buf, size, "app");
	snprintf(buf, size, "%u", rule->terms.backlog);
	return buf;
}

static bool set_user_timeout(struct policy_rule *rule, const char *text)
{
	uint32_t ms = 0;

	if (strcmp(text, "app") && !(whole_duration(text, &ms) && ms > 0))
		return false;
	rule->terms.user_timeout_ms = ms;
	return true;
}

static char *format_user_timeout(const struct policy_rule *rule, char *buf, size_t size)
{
	if (rule->terms.user_timeout_ms == 0)
		return put(buf, size, "app");
	return format_duration(rule->terms.user_timeout_ms, buf, size);
}

/* --- keepalive: idle/interval/probes; limits as in the kernel's tcp(7) ------------------------ */

static bool parse_seconds(const char **cursor, uint32_t *out_s)
{
	const char *p = *cursor;
	uint32_t ms;

	if (!parse_duration(&p, &ms) || ms == 0 || ms % 1000 || ms / 1000 > 32767)
		return false;
	*cursor = p;
	*out_s = ms / 1000;
	return true;
}

static bool set_keepalive(struct policy_rule *rule, const char *text)
{
	static const char *const words[] = {"app", "off", NULL};
	uint32_t idle, interval, probes;

	if (set_word(&rule->terms.keepalive, words, text))
		return true;
	if (!parse_seconds(&text, &idle) || !parse_literal(&text, "/") ||
	    !parse_seconds(&text, &interval) || !parse_literal(&text, "/") ||
	    !parse_u32(&text, &probes) || !parse_end(text) || probes == 0 || probes > 127)
		return false;
	rule->terms.keepalive = KEEPALIVE_SET;
	rule->terms.keepalive_idle_s = idle;
	rule->terms.keepalive_interval_s = interval;
	rule->terms.keepalive_probes = probes;
	return true;
}

static char *format_keepalive(const struct policy_rule *rule, char *buf, size_t size)
{
	char idle[DURATION_TEXT_MAX], interval[DURATION_TEXT_MAX];

	if (rule->terms.keepalive != KEEPALIVE_SET)
		return put(buf, size, rule->terms.keepalive == KEEPALIVE_OFF ? "off" : "app");
	snprintf(buf, size, "%s/%s/%u",
		 format_duration(rule->terms.keepalive_idle_s * 1000, idle, sizeof(idle)),
		 format_duration(rule->terms.keepalive_interval_s * 1000, interval,
				 sizeof(interval)),
		 rule->terms.keepalive_probes);
	return buf;
}

/* --- ports, networks, addresses, users, globs ------------------------------------------------- */

static char *format_range(const struct port_range *range, char *buf, size_t size)
{
	if (range->lo == range->hi)
		snprintf(buf, size, "%u", range->lo);
	else
		snprintf(buf, size, "%u-%u", range->lo, range->hi);
	return buf;
}

static bool set_local_ports(struct policy_rule *rule, const char *text)
{
	struct port_range range = {0, 0};

	if (strcmp(text, "app") && !(parse_port_range(&text, &range) && parse_end(text)))
		return false;
	rule->terms.local_ports = range;
	return true;
}

static char *format_local_ports(const struct policy_rule *rule, char *buf, size_t size)
{
	if (rule->terms.local_ports.lo == 0)
		return put(buf, size, "app");
	return format_range(&rule->terms.local_ports, buf, size);
}

/* Appends one element to "a, b, c" in buf. */
static void put_item(char *buf, size_t size, const char *item)
{
	size_t used = strlen(buf);

	snprintf(buf + used, size - used, "%s%s", used ? ", " : "", item);
}

static bool add_range(struct port_range *list, uint8_t *count, const char *text)
{
	struct port_range range;

	if (*count == POLICY_LIST_MAX || !parse_port_range(&text, &range) || !parse_end(text))
		return false;
	list[(*count)++] = range;
	return true;
}

static char *format_ranges(const struct port_range *list, unsigned int count, char *buf,
			   size_t size)
{
	char item[16];

	put(buf, size, "");
	for (unsigned int i = 0; i < count; i++)
		put_item(buf, size, format_range(&list[i], item, sizeof(item)));
	return buf;
}

static bool set_local_port(struct policy_rule *rule, const char *text)
{
	return add_range(rule->local_port, &rule->local_port_count, text);
}

static char *format_local_port(const struct policy_rule *rule, char *buf, size_t size)
{
	return format_ranges(rule->local_port, rule->local_port_count, buf, size);
}

static bool set_remote_port(struct policy_rule *rule, const char *text)
{
	return add_range(rule->remote_port, &rule->remote_port_count, text);
}

static char *format_remote_port(const struct policy_rule *rule, char *buf, size_t size)
{
	return format_ranges(rule->remote_port, rule->remote_port_count, buf, size);
}

static bool set_remote(struct policy_rule *rule, const char *text)
{
	struct cidr net;

	if (rule->remote_count == POLICY_LIST_MAX || !parse_cidr(&text, &net) || !parse_end(text))
		return false;
	rule->remote[rule->remote_count++] = net;
	return true;
}

static char *format_remote(const struct policy_rule *rule, char *buf, size_t size)
{
	char item[64];

	put(buf, size, "");
	for (unsigned int i = 0; i < rule->remote_count; i++)
		put_item(buf, size, cidr_format(&rule->remote[i], item, sizeof(item)));
	return buf;
}

static bool set_source(struct policy_rule *rule, const char *text)
{
	struct policy_terms *terms = &rule->terms;
	struct endpoint ep = {0};

	if (!strcmp(text, "app")) {
		terms->source_count = 0;
		return true;
	}
	if (terms->source_count == POLICY_LIST_MAX || !parse_address(&text, &ep) ||
	    !parse_end(text) || endpoint_is_any(&ep))
		return false;
	terms->source[terms->source_count++] = ep;
	return true;
}

static char *format_source(const struct policy_rule *rule, char *buf, size_t size)
{
	char item[ENDPOINT_TEXT_MAX];

	put(buf, size, rule->terms.source_count ? "" : "app");
	for (unsigned int i = 0; i < rule->terms.source_count; i++)
		put_item(buf, size,
			 endpoint_format_addr(&rule->terms.source[i], item, sizeof(item)));
	return buf;
}

/* Names are resolved before: this may run inside somebody's connect(). */
static bool set_user(struct policy_rule *rule, const char *text)
{
	uint32_t uid;

	if (rule->user_count == POLICY_LIST_MAX || !parse_u32(&text, &uid) || !parse_end(text))
		return false;
	rule->user[rule->user_count++] = uid;
	return true;
}

static char *format_user(const struct policy_rule *rule, char *buf, size_t size)
{
	char item[16];

	put(buf, size, "");
	for (unsigned int i = 0; i < rule->user_count; i++) {
		snprintf(item, sizeof(item), "%u", rule->user[i]);
		put_item(buf, size, item);
	}
	return buf;
}

static bool add_glob(char list[][POLICY_GLOB_MAX], uint8_t *count, const char *text)
{
	if (*count == POLICY_GLOBS_MAX || !*text || strlen(text) >= POLICY_GLOB_MAX)
		return false;
	strcpy(list[(*count)++], text);
	return true;
}

static char *format_globs(const char list[][POLICY_GLOB_MAX], unsigned int count, char *buf,
			  size_t size)
{
	put(buf, size, "");
	for (unsigned int i = 0; i < count; i++)
		put_item(buf, size, list[i]);
	return buf;
}

static bool set_program(struct policy_rule *rule, const char *text)
{
	return add_glob(rule->program, &rule->program_count, text);
}

static char *format_program(const struct policy_rule *rule, char *buf, size_t size)
{
	return format_globs(rule->program, rule->program_count, buf, size);
}

static bool set_unit(struct policy_rule *rule, const char *text)
{
	return add_glob(rule->unit, &rule->unit_count, text);
}

static char *format_unit(const struct policy_rule *rule, char *buf, size_t size)
{
	return format_globs(rule->unit, rule->unit_count, buf, size);
}

/* --- the table -------------------------------------------------------------------------------- */

#define SELECTOR(name, id, list, values)                            \
	{                                                           \
		name, values, "", list, true, set_##id, format_##id \
	}
#define KEY(name, id, list, values, acts)                              \
	{                                                              \
		name, values, acts, list, false, set_##id, format_##id \
	}

const struct policy_key policy_keys[] = {
	SELECTOR("role", role, false, "any, server, client"),
	SELECTOR("program", program, true, "a base name or a path, with * and ?"),
	SELECTOR("unit", unit, true, "a systemd unit or a cgroup path, with * and ?"),
	SELECTOR("user", user, true, "a user's name or number"),
	SELECTOR("local-port", local_port, true, "a port or a range: 80, 8000-8099"),
	SELECTOR("remote", remote, true, "an address or a network: 10.0.0.0/8"),
	SELECTOR("remote-port", remote_port, true, "a port or a range: 80, 8000-8099"),

	KEY("share", share, false, "a percentage: 5%", "connect, accept, shutdown, close"),
	KEY("close-first", close_first, false, "app, peer, self", "close, shutdown, exit"),
	KEY("grace", grace, false, "a duration from 1ms to 10m", "custody"),
	KEY("grace-learn", grace_learn, false, "yes, no", "custody"),
	KEY("half-close", half_close, false, "pass, defer", "shutdown"),
	KEY("time-wait", time_wait, false, "keep, none, a duration up to 60s", "close"),
	KEY("peer-time-wait", peer_time_wait, false, "keep, none", "close"),
	KEY("linger", linger, false, "app, off, abort, a duration in whole seconds", "close"),
	KEY("allow-data-loss", allow_data_loss, false, "no, yes", "close"),
	KEY("reuse-address", reuse_address, false, "app, yes", "bind"),
	KEY("reuse-port", reuse_port, false, "app, yes", "bind"),
	KEY("backlog", backlog, false, "app, a number from 1 to 65535", "listen"),
	KEY("bind-late", bind_late, false, "app, yes", "bind"),
	KEY("local-ports", local_ports, false, "app, a range: 20000-60999", "connect"),
	KEY("source", source, true, "app, addresses", "connect"),
	KEY("keepalive", keepalive, false, "app, off, idle/interval/probes: 60s/10s/5",
	    "connect, accept"),
	KEY("user-timeout", user_timeout, false, "app, a duration", "connect, accept"),
	KEY("drain-max", drain_max, false, "a duration up to 10m", "custody"),
};

const size_t policy_key_count = sizeof(policy_keys) / sizeof(policy_keys[0]);
_Static_assert(sizeof(policy_keys) / sizeof(policy_keys[0]) <= 32, "struct policy_rule.said");

const struct policy_key *policy_key_find(const char *name, size_t len)
{
	for (size_t i = 0; i < policy_key_count; i++)
		if (strlen(policy_keys[i].name) == len && !strncmp(policy_keys[i].name, name, len))
			return &policy_keys[i];
	return NULL;
}

const char *policy_key_near(const char *name, size_t len)
{
	unsigned int best = near_limit(len);
	const char *near = NULL;

	for (size_t i = 0; i < policy_key_count; i++)
		if (near_improves(&best, name, len, policy_keys[i].name))
			near = policy_keys[i].name;
	return near;
}

static uint32_t key_bit(const struct policy_key *key)
{
	return 1u << (key - policy_keys);
}

bool policy_set(struct policy_rule *rule, const struct policy_key *key, const char *text)
{
	if (!key->set(rule, text))
		return false;
	rule->said |= key_bit(key);
	return true;
}

bool policy_said(const struct policy_rule *rule, const struct policy_key *key)
{
	return rule->said & key_bit(key);
}

void policy_init(struct policy_rule *rule, const char *name)
{
	memset(rule, 0, sizeof(*rule));
	snprintf(rule->name, sizeof(rule->name), "%s", name);
	rule->id = policy_id(rule->name);
	rule->terms.grace_learn = 1;
	rule->terms.grace_ms = 500;
	rule->terms.time_wait_ms = TIME_WAIT_KEEP;
	rule->terms.drain_max_ms = 30000;
}

void policy_inherit(struct policy_rule *rule, const struct policy_rule *defaults)
{
	char text[POLICY_LIST_MAX * ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < policy_key_count; i++) {
		const struct policy_key *key = &policy_keys[i];

		if (key->selector || policy_said(rule, key) || !policy_said(defaults, key))
			continue;
		if (key->list) { /* source, the only key that is one */
			rule->terms.source_count = defaults->terms.source_count;
			memcpy(rule->terms.source, defaults->terms.source,
			       sizeof(rule->terms.source));
		} else {
			key->set(rule, key->format(defaults, text, sizeof(text)));
		}
	}
}

/* One "key=value" or "key=a+b+c" of len bytes. Returns NULL, or the start of what is wrong. */
static const char *parse_option(struct policy_rule *rule, const char *text, size_t len,
				size_t *error_len)
{
	const char *equals = memchr(text, '=', len);
	const struct policy_key *key =
		policy_key_find(text, equals ? (size_t)(equals - text) : len);
	const char *p = equals ? equals + 1 : text, *end = text + len;

	*error_len = equals ? (size_t)(equals - text) : len;
	if (!key || !equals)
		return text;
	while (p <= end) {
		const char *plus = key->list ? memchr(p, '+', (size_t)(end - p)) : NULL;
		size_t value_len = (size_t)((plus ? plus : end) - p);
		char value[POLICY_GLOB_MAX];

		*error_len = value_len;
		if (value_len >= sizeof(value))
			return p;
		memcpy(value, p, value_len);
		value[value_len] = '\0';
		if (!policy_set(rule, key, value))
			return p;
		p += value_len + 1;
	}
	return NULL;
}

bool policy_parse_options(struct policy_rule *rule, const char *text, const char **error,
			  size_t *error_len)
{
	while (*text) {
		size_t len = strcspn(text, ",");

		*error = parse_option(rule, text, len, error_len);
		if (*error)
			return false;
		text += len;
		text += *text == ',';
	}
	return true;
}
