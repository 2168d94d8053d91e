/* SPDX-License-Identifier: MIT */
/* The table of keys: what each takes and refuses, that what it prints reads back, options as
 * `run -o` carries them, and near names. */
#include "common/near.h"
#include "common/policy.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static const struct value_row {
	const char *key, *value;
	const char *printed; /* NULL: refused */
} value_rows[] = {
	{"role", "server", "server"},
	{"role", "any", "any"},
	{"role", "Server", NULL},
	{"program", "nginx", "nginx"},
	{"program", "/usr/sbin/*", "/usr/sbin/*"},
	{"program", "", NULL},
	{"unit", "nginx.service", "nginx.service"},
	{"user", "33", "33"},
	{"user", "www-data", NULL},
	{"local-port", "80", "80"},
	{"local-port", "8000-8099", "8000-8099"},
	{"local-port", "8000-8000", "8000"},
	{"local-port", "0", NULL},
	{"remote", "10.0.0.0/8", "10.0.0.0/8"},
	{"remote", "2001:db8::/32", "2001:db8::/32"},
	{"remote", "10.0.0.1", "10.0.0.1"},
	{"remote", "::ffff:10.0.0.1", "10.0.0.1"},
	{"remote", "example.org", NULL},
	{"remote", "10.0.0.0/33", NULL},
	{"remote-port", "443", "443"},
	{"remote-port", "https", NULL},

	{"share", "5%", "5%"},
	{"share", "100%", "100%"},
	{"share", "0%", "0%"},
	{"share", "101%", NULL},
	{"share", "5", NULL},
	{"share", "0.5%", NULL},
	{"share", "-1%", NULL},
	{"share", "5 %", NULL},
	{"close-first", "app", "app"},
	{"close-first", "peer", "peer"},
	{"close-first", "self", "self"},
	{"close-first", "us", NULL},
	{"grace", "500ms", "500ms"},
	{"grace", "2000ms", "2s"},
	{"grace", "10m", "10m"},
	{"grace", "11m", NULL},
	{"grace", "0", NULL},
	{"grace", "500", NULL},
	{"grace-learn", "no", "no"},
	{"grace-learn", "yes", "yes"},
	{"grace-learn", "maybe", NULL},
	{"half-close", "defer", "defer"},
	{"half-close", "pass", "pass"},
	{"half-close", "drop", NULL},
	{"time-wait", "keep", "keep"},
	{"time-wait", "none", "none"},
	{"time-wait", "5s", "5s"},
	{"time-wait", "60s", "1m"},
	{"time-wait", "61s", NULL},
	{"time-wait", "0", NULL},
	{"time-wait", "-1", NULL},
	{"peer-time-wait", "none", "none"},
	{"peer-time-wait", "keep", "keep"},
	{"peer-time-wait", "5s", NULL},
	{"linger", "app", "app"},
	{"linger", "off", "off"},
	{"linger", "abort", "abort"},
	{"linger", "5s", "5s"},
	{"linger", "120s", "2m"},
	{"linger", "1500ms", NULL},
	{"linger", "0", NULL},
	{"linger", "11m", NULL},
	{"allow-data-loss", "yes", "yes"},
	{"reuse-address", "yes", "yes"},
	{"reuse-address", "no", NULL},
	{"reuse-port", "yes", "yes"},
	{"backlog", "4096", "4096"},
	{"backlog", "app", "app"},
	{"backlog", "0", NULL},
	{"backlog", "65536", NULL},
	{"backlog", "12x", NULL},
	{"bind-late", "yes", "yes"},
	{"local-ports", "20000-60999", "20000-60999"},
	{"local-ports", "app", "app"},
	{"local-ports", "60999-20000", NULL},
	{"source", "10.0.0.2", "10.0.0.2"},
	{"source", "2001:db8::2", "2001:db8::2"},
	{"source", "app", "app"},
	{"source", "0.0.0.0", NULL},
	{"source", "10.0.0.2:80", NULL},
	{"keepalive", "60s/10s/5", "1m/10s/5"},
	{"keepalive", "app", "app"},
	{"keepalive", "off", "off"},
	{"keepalive", "60s/10s", NULL},
	{"keepalive", "60s/10s/0", NULL},
	{"keepalive", "60s/10s/128", NULL},
	{"keepalive", "500ms/10s/5", NULL},
	{"keepalive", "60s/10s/5/1", NULL},
	{"user-timeout", "30s", "30s"},
	{"user-timeout", "app", "app"},
	{"user-timeout", "0", NULL},
	{"drain-max", "30s", "30s"},
	{"drain-max", "0", "0ms"},
	{"drain-max", "1h", NULL},
};

static const struct policy_key *key_named(const char *name)
{
	const struct policy_key *key = policy_key_find(name, strlen(name));

	if (!key)
		fail_msg("there is no key %s", name);
	return key;
}

static void value_row(void **state)
{
	const struct value_row *row = *state;
	const struct policy_key *key = key_named(row->key);
	struct policy_rule rule, before, again;
	char text[256], second[256];

	policy_init(&rule, "row");
	before = rule;
	if (!row->printed) {
		assert_false(policy_set(&rule, key, row->value));
		assert_memory_equal(&rule, &before, sizeof(rule));
		return;
	}
	assert_true(policy_set(&rule, key, row->value));
	assert_true(policy_said(&rule, key));
	assert_string_equal(key->format(&rule, text, sizeof(text)), row->printed);
	policy_init(&again, "row");
	assert_true(policy_set(&again, key, text));
	assert_string_equal(key->format(&again, second, sizeof(second)), text);
}

/* "key = value": a name for each row, as long as the program lives. */
static char row_names[ARRAY_SIZE(value_rows)][64];

static void every_key_has_a_row_and_its_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < policy_key_count; i++) {
		bool found = false;

		assert_true(strlen(policy_keys[i].values) > 0);
		assert_true(policy_keys[i].selector || strlen(policy_keys[i].acts_at) > 0);
		for (size_t j = 0; j < ARRAY_SIZE(value_rows) && !found; j++)
			found = !strcmp(value_rows[j].key, policy_keys[i].name);
		if (!found)
			fail_msg("no row for %s", policy_keys[i].name);
	}
}

static void the_default_of_every_key_reads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < policy_key_count; i++) {
		struct policy_rule rule, again;
		char text[256];

		policy_init(&rule, "default");
		assert_false(policy_said(&rule, &policy_keys[i]));
		policy_keys[i].format(&rule, text, sizeof(text));
		if (policy_keys[i].selector && !*text)
			continue; /* matches everything: there is no word for it */
		policy_init(&again, "default");
		if (!policy_keys[i].set(&again, text))
			fail_msg("%s = %s is refused", policy_keys[i].name, text);
		assert_memory_equal(&again, &rule, sizeof(rule));
	}
}

static void defaults_are_those_of_the_manual(void **state)
{
	static const struct {
		const char *key, *value;
	} defaults[] = {
		{"close-first", "app"},	 {"grace", "500ms"},	{"grace-learn", "yes"},
		{"half-close", "pass"},	 {"time-wait", "keep"}, {"peer-time-wait", "keep"},
		{"linger", "app"},	 {"backlog", "app"},	{"keepalive", "app"},
		{"drain-max", "30s"},	 {"bind-late", "app"},	{"allow-data-loss", "no"},
		{"user-timeout", "app"}, {"role", "any"},
	};
	struct policy_rule rule;
	char text[64];

	(void)state;
	policy_init(&rule, "default");
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		assert_string_equal(key_named(defaults[i].key)->format(&rule, text, sizeof(text)),
				    defaults[i].value);
}

static void lists_are_bounded(void **state)
{
	static const char *const keys[] = {"local-port", "remote-port", "remote", "user",
					   "program",	 "unit",	"source"};
	static const char *const values[] = {"80", "80", "10.0.0.1", "5", "a", "b", "10.0.0.1"};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		const struct policy_key *key = key_named(keys[k]);
		struct policy_rule rule, full;
		unsigned int n = 0;

		assert_true(key->list);
		policy_init(&rule, "list");
		while (n < 100 && policy_set(&rule, key, values[k]))
			n++;
		assert_true(n == POLICY_LIST_MAX || n == POLICY_GLOBS_MAX);
		full = rule;
		assert_false(policy_set(&rule, key, values[k]));
		assert_memory_equal(&rule, &full, sizeof(rule));
	}
}

static void a_pattern_too_long_is_refused(void **state)
{
	struct policy_rule rule;
	char pattern[POLICY_GLOB_MAX + 1];

	(void)state;
	memset(pattern, 'x', sizeof(pattern));
	pattern[POLICY_GLOB_MAX] = '\0';
	policy_init(&rule, "long");
	assert_false(policy_set(&rule, key_named("program"), pattern));
	pattern[POLICY_GLOB_MAX - 1] = '\0';
	assert_true(policy_set(&rule, key_named("program"), pattern));
}

static void a_list_is_printed_as_a_list(void **state)
{
	struct policy_rule rule;
	char text[256];

	(void)state;
	policy_init(&rule, "list");
	assert_true(policy_set(&rule, key_named("local-port"), "80"));
	assert_true(policy_set(&rule, key_named("local-port"), "443"));
	assert_true(policy_set(&rule, key_named("local-port"), "8000-8099"));
	assert_string_equal(key_named("local-port")->format(&rule, text, sizeof(text)),
			    "80, 443, 8000-8099");
}

static const struct near_row {
	const char *name, *near;
} near_rows[] = {
	{"close-frist", "close-first"},
	{"close_first", "close-first"},
	{"closefirst", "close-first"},
	{"grase", "grace"},
	{"gracelearn", "grace-learn"},
	{"time-wiat", "time-wait"},
	{"lingr", "linger"},
	{"localport", "local-port"},
	{"keep-alive", "keepalive"},
	{"reuse-adress", "reuse-address"},
	{"rol", "role"},
	{"portal", NULL},
	{"xyzzy-plugh-frotz", NULL},
	{"", NULL},
};

/* Long words that differ in little, as ids do. */
static void near_long_words(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned int distance;
	} rows[] = {
		{"ports/10.77.0.2-10.77.0.1:8080/tw-resue",
		 "ports/10.77.0.2-10.77.0.1:8080/tw-reuse", 2},
		{"ports/10.77.0.2-10.77.0.1:8080/tw-reuse",
		 "ports/10.77.0.2-10.77.0.1:8080/tw-reuse", 0},
		{"ports/10.77.0.2-10.77.0.1:8080", "ports/10.77.0.2-10.77.0.1:80800", 1},
		{"aaaa", "aa", 2},
		{"aba", "a", 2},
		{"", "abc", 3},
		{"x0123456789012345678901234567890123y", "z", 32},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(near_distance(rows[i].a, strlen(rows[i].a), rows[i].b),
				 rows[i].distance);
		assert_int_equal(near_distance(rows[i].b, strlen(rows[i].b), rows[i].a),
				 rows[i].distance);
	}
}

static void near_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(near_rows); i++) {
		const struct near_row *row = &near_rows[i];
		const char *near = policy_key_near(row->name, strlen(row->name));

		if (!near || !row->near) {
			if (near != row->near)
				fail_msg("near \"%s\" is %s", row->name, near ? near : "nothing");
			continue;
		}
		assert_string_equal(near, row->near);
	}
}

static void names_are_found_whole(void **state)
{
	(void)state;
	assert_non_null(policy_key_find("grace=5s", 5));
	assert_null(policy_key_find("grac", 4));
	assert_null(policy_key_find("grace-", 6));
	assert_null(policy_key_find("", 0));
	assert_string_equal(policy_key_find("grace-learn", 11)->name, "grace-learn");
}

static void options_set_what_they_say(void **state)
{
	struct policy_rule rule;
	const char *error = NULL;
	size_t len = 0;

	(void)state;
	policy_init(&rule, "-o");
	assert_true(policy_parse_options(
		&rule, "close-first=peer,grace=2s,local-port=80+443+8000-8099,time-wait=none",
		&error, &len));
	assert_int_equal(rule.terms.close_first, FIRST_PEER);
	assert_int_equal(rule.terms.grace_ms, 2000);
	assert_int_equal(rule.terms.time_wait_ms, TIME_WAIT_NONE);
	assert_int_equal(rule.local_port_count, 3);
	assert_int_equal(rule.local_port[2].hi, 8099);
	assert_true(policy_said(&rule, key_named("grace")));
	assert_false(policy_said(&rule, key_named("linger")));
}

static void empty_options_are_fine(void **state)
{
	struct policy_rule rule, before;
	const char *error = NULL;
	size_t len = 0;

	(void)state;
	policy_init(&rule, "-o");
	before = rule;
	assert_true(policy_parse_options(&rule, "", &error, &len));
	assert_memory_equal(&rule, &before, sizeof(rule));
}

static const struct wrong_row {
	const char *options, *wrong;
} wrong_rows[] = {
	{"close-frist=peer", "close-frist"},
	{"grace=1s,close-frist=peer", "close-frist"},
	{"close-first=pear", "pear"},
	{"grace", "grace"},
	{"grace=", ""},
	{"=5s", ""},
	{"grace=1s,,time-wait=none", ""},
	{"local-port=80+x", "x"},
	{"local-port=80+", ""},
	{"close-first=peer+app", "peer+app"},
	{"grace=1s=2s", "1s=2s"},
	{"user=www-data", "www-data"},
};

static void what_is_wrong_in_options_is_shown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong_rows); i++) {
		const struct wrong_row *row = &wrong_rows[i];
		struct policy_rule rule;
		const char *error = NULL;
		size_t len = 0;

		policy_init(&rule, "-o");
		if (policy_parse_options(&rule, row->options, &error, &len))
			fail_msg("\"%s\" was taken", row->options);
		assert_in_range((uintptr_t)error, (uintptr_t)row->options,
				(uintptr_t)(row->options + strlen(row->options)));
		if (len != strlen(row->wrong) || strncmp(error, row->wrong, len))
			fail_msg("\"%s\": wrong is \"%.*s\", not \"%s\"", row->options, (int)len,
				 error, row->wrong);
	}
}

static void a_value_too_long_is_refused(void **state)
{
	struct policy_rule rule;
	const char *error = NULL;
	size_t len = 0;
	char options[300] = "program=";

	(void)state;
	memset(options + 8, 'x', 200);
	options[208] = '\0';
	policy_init(&rule, "-o");
	assert_false(policy_parse_options(&rule, options, &error, &len));
	assert_ptr_equal(error, options + 8);
	assert_int_equal(len, 200);
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(every_key_has_a_row_and_its_words),
		cmocka_unit_test(the_default_of_every_key_reads_back),
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(a_pattern_too_long_is_refused),
		cmocka_unit_test(a_list_is_printed_as_a_list),
		cmocka_unit_test(near_names),
		cmocka_unit_test(near_long_words),
		cmocka_unit_test(names_are_found_whole),
		cmocka_unit_test(options_set_what_they_say),
		cmocka_unit_test(empty_options_are_fine),
		cmocka_unit_test(what_is_wrong_in_options_is_shown),
		cmocka_unit_test(a_value_too_long_is_refused),
	};
	struct CMUnitTest tests[ARRAY_SIZE(fixed) + ARRAY_SIZE(value_rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < ARRAY_SIZE(value_rows); i++) {
		snprintf(row_names[i], sizeof(row_names[i]), "%s = %s%s", value_rows[i].key,
			 value_rows[i].value, value_rows[i].printed ? "" : " is refused");
		tests[ARRAY_SIZE(fixed) + i] = unit_row(row_names[i], value_row, &value_rows[i]);
	}
	return cmocka_run_group_tests_name("policy_keys", tests, NULL, NULL);
}
