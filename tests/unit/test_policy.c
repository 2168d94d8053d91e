/* SPDX-License-Identifier: MIT */
/* Whom a policy selects, what it inherits, and what is wrong with it. */
#include "common/policy.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static struct policy_rule rule_of(const char *options)
{
	struct policy_rule rule;
	const char *error = NULL;
	size_t len;

	policy_init(&rule, "rule");
	if (!policy_parse_options(&rule, options, &error, &len))
		fail_msg("options wrong at %s", error);
	return rule;
}

/* "*": not known */
static struct endpoint endpoint_of(const char *text)
{
	struct endpoint ep = {0};

	if (strcmp(text, "*") && !(parse_endpoint(&text, &ep) && parse_end(text)))
		fail_msg("not an endpoint: %s", text);
	return ep;
}

static const struct subject_row {
	const char *name, *selectors;
	enum role role;
	uint32_t uid;
	const char *local, *remote;
	bool admitted;
} subject_rows[] = {
	{"no selector, all known", "", ROLE_SERVER, 0, "10.0.0.1:80", "10.0.0.2:5000", true},
	{"no selector, nothing known", "", ROLE_ANY, 0, "*", "*", true},

	{"role server", "role=server", ROLE_SERVER, 0, "*", "*", true},
	{"role server, a client", "role=server", ROLE_CLIENT, 0, "*", "*", false},
	{"role server, not known", "role=server", ROLE_ANY, 0, "*", "*", false},
	{"role any, not known", "role=any", ROLE_ANY, 0, "*", "*", true},

	{"user", "user=33", ROLE_SERVER, 33, "*", "*", true},
	{"another user", "user=33", ROLE_SERVER, 0, "*", "*", false},
	{"one of two users", "user=0+33", ROLE_SERVER, 33, "*", "*", true},

	{"local port", "local-port=80", ROLE_SERVER, 0, "10.0.0.1:80", "*", true},
	{"another local port", "local-port=80", ROLE_SERVER, 0, "10.0.0.1:81", "*", false},
	{"local port in a range", "local-port=80+8000-8099", ROLE_SERVER, 0, "10.0.0.1:8099", "*",
	 true},
	{"local port past the range", "local-port=80+8000-8099", ROLE_SERVER, 0, "10.0.0.1:8100",
	 "*", false},
	{"local port not known", "local-port=1-65535", ROLE_CLIENT, 0, "*", "10.0.0.2:80", false},

	{"remote port", "remote-port=443", ROLE_CLIENT, 0, "*", "10.0.0.2:443", true},
	{"another remote port", "remote-port=443", ROLE_CLIENT, 0, "*", "10.0.0.2:80", false},
	{"remote port of a listener", "remote-port=443", ROLE_SERVER, 0, "10.0.0.1:443", "*",
	 false},

	{"remote", "remote=10.0.0.0/8", ROLE_CLIENT, 0, "*", "10.9.9.9:80", true},
	{"another remote", "remote=10.0.0.0/8", ROLE_CLIENT, 0, "*", "11.9.9.9:80", false},
	{"remote as IPv6", "remote=2001:db8::/32", ROLE_CLIENT, 0, "*", "[2001:db8::9]:80", true},
	{"remote v4-mapped", "remote=10.0.0.0/8", ROLE_SERVER, 0, "[::ffff:10.0.0.1]:80",
	 "[::ffff:10.9.9.9]:5000", true},
	{"remote not known", "remote=0.0.0.0/0", ROLE_SERVER, 0, "10.0.0.1:80", "*", false},
	{"remote not known, any network", "remote=::/0", ROLE_SERVER, 0, "10.0.0.1:80", "*", false},

	{"all selectors", "role=server,local-port=80,remote=10.0.0.0/8", ROLE_SERVER, 0,
	 "10.0.0.1:80", "10.9.9.9:5000", true},
	{"all but one", "role=server,local-port=80,remote=10.0.0.0/8", ROLE_SERVER, 0,
	 "10.0.0.1:81", "10.9.9.9:5000", false},
};

static void subject_row(void **state)
{
	const struct subject_row *row = *state;
	struct policy_rule rule = rule_of(row->selectors);
	struct policy_subject subject = {
		.role = (uint8_t)row->role,
		.uid = row->uid,
		.local = endpoint_of(row->local),
		.remote = endpoint_of(row->remote),
	};

	assert_int_equal(policy_admits(&rule, &subject), row->admitted);
}

#define NGINX                                                                              \
	{                                                                                  \
		"/usr/sbin/nginx", "nginx", "nginx.service", "/system.slice/nginx.service" \
	}
#define REDIS                                                                         \
	{                                                                             \
		"/usr/bin/redis-check-rdb", "redis-server", "", "/user.slice/x.scope" \
	}
#define UNKNOWN                \
	{                      \
		"", "", "", "" \
	}

static const struct process_row {
	const char *name, *selectors;
	struct policy_process process;
	bool admitted;
} process_rows[] = {
	{"no selector", "", NGINX, true},
	{"no selector, nothing known", "", UNKNOWN, true},
	{"base name", "program=nginx", NGINX, true},
	{"part of the base name", "program=ngin", NGINX, false},
	{"glob", "program=ngin*", NGINX, true},
	{"whole path", "program=/usr/sbin/nginx", NGINX, true},
	{"glob of a path", "program=/opt/*", NGINX, false},
	{"a directory alone", "program=sbin", NGINX, false},
	{"by comm, the file is another", "program=redis-server", REDIS, true},
	{"by the file, comm is another", "program=redis-check-rdb", REDIS, true},
	{"comm with a slash pattern", "program=*/redis-server", REDIS, false},
	{"one of two programs", "program=apache2+nginx", NGINX, true},
	{"program not known", "program=nginx", UNKNOWN, false},
	{"unit", "unit=nginx.service", NGINX, true},
	{"unit glob", "unit=nginx*", NGINX, true},
	{"another unit", "unit=apache2.service", NGINX, false},
	{"cgroup path", "unit=/system.slice/*", NGINX, true},
	{"cgroup of another slice", "unit=/system.slice/*", REDIS, false},
	{"no unit", "unit=nginx.service", REDIS, false},
	{"program and unit", "program=nginx,unit=nginx.service", NGINX, true},
	{"program but not unit", "program=nginx,unit=web.service", NGINX, false},
};

static void process_row(void **state)
{
	const struct process_row *row = *state;
	struct policy_rule rule = rule_of(row->selectors);

	assert_int_equal(policy_admits_process(&rule, &row->process), row->admitted);
}

static void ids_are_stable_and_never_zero(void **state)
{
	(void)state;
	assert_int_not_equal(policy_id(""), 0);
	assert_int_not_equal(policy_id("web"), policy_id("wep"));
	assert_int_equal(policy_id("web"), policy_id("web"));
	/* FNV-1a of "a", as published */
	assert_int_equal(policy_id("a"), 0xe40c292cu);
}

static void a_long_name_is_cut(void **state)
{
	struct policy_rule rule;

	(void)state;
	policy_init(&rule, "0123456789012345678901234567890123456789");
	assert_int_equal(strlen(rule.name), POLICY_NAME_MAX - 1);
	assert_int_equal(rule.id, policy_id(rule.name));
}

static void inherits_what_it_does_not_say(void **state)
{
	struct policy_rule defaults =
		rule_of("keepalive=60s/10s/5,grace=2s,source=10.0.0.1+10.0.0.2");
	struct policy_rule rule = rule_of("grace=1s,role=server");

	(void)state;
	policy_inherit(&rule, &defaults);
	assert_int_equal(rule.terms.keepalive, KEEPALIVE_SET);
	assert_int_equal(rule.terms.keepalive_idle_s, 60);
	assert_int_equal(rule.terms.grace_ms, 1000);
	assert_int_equal(rule.terms.source_count, 2);
	assert_int_equal(rule.role, ROLE_SERVER);
	/* what defaults does not say stays as it is */
	assert_int_equal(rule.terms.time_wait_ms, TIME_WAIT_KEEP);
}

static void says_its_own_default_against_defaults(void **state)
{
	struct policy_rule defaults = rule_of("time-wait=none,close-first=peer");
	struct policy_rule rule = rule_of("time-wait=keep");

	(void)state;
	policy_inherit(&rule, &defaults);
	assert_int_equal(rule.terms.time_wait_ms, TIME_WAIT_KEEP);
	assert_int_equal(rule.terms.close_first, FIRST_PEER);
}

static void selectors_are_never_inherited(void **state)
{
	struct policy_rule defaults = rule_of("role=client,program=curl,grace=2s");
	struct policy_rule rule = rule_of("");

	(void)state;
	policy_inherit(&rule, &defaults);
	assert_int_equal(rule.role, ROLE_ANY);
	assert_int_equal(rule.program_count, 0);
	assert_int_equal(rule.terms.grace_ms, 2000);
}

static const struct whole_row {
	const char *options, *says; /* says NULL: nothing */
} problem_rows[] =
	{
		{"", NULL},
		{"linger=abort", "allow-data-loss"},
		{"linger=abort,allow-data-loss=yes", NULL},
		{"linger=5s", NULL},
		{"bind-late=yes", "role = client"},
		{"bind-late=yes,role=server", "role = client"},
		{"bind-late=yes,role=client", NULL},
		{"half-close=defer", "close-first = peer"},
		{"half-close=defer,close-first=peer", NULL},
},
  warning_rows[] = {
	  {"", NULL},
	  {"close-first=peer,grace=1s,time-wait=none", NULL},
	  {"linger=abort,allow-data-loss=yes", "lost"},
	  {"user-timeout=30s", "given up"},
	  {"peer-time-wait=none", "ECONNRESET"},
	  {"backlog=100,remote=10.0.0.0/8", "no remote"},
	  {"reuse-address=yes,remote-port=80", "no remote"},
	  {"reuse-port=yes,role=client", "does not listen"},
	  {"local-ports=20000-30000,role=server", "does not connect"},
	  {"source=10.0.0.1,local-port=80", "no local port"},
	  {"linger=5s,close-first=peer", "linger comes first"},
	  {"backlog=100,user=33", "workers"},
};

static void check_says(const struct whole_row *row, const char *said)
{
	if (!row->says != !said || (said && !strstr(said, row->says)))
		fail_msg("\"%s\" says: %s", row->options, said ? said : "nothing");
}

static void problems(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(problem_rows); i++) {
		struct policy_rule rule = rule_of(problem_rows[i].options);

		check_says(&problem_rows[i], policy_problem(&rule));
	}
}

static void warnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(warning_rows); i++) {
		struct policy_rule rule = rule_of(warning_rows[i].options);

		check_says(&warning_rows[i], policy_warning(&rule, 0));
		assert_null(policy_warning(&rule, 1));
	}
}

static void warnings_are_counted(void **state)
{
	struct policy_rule rule =
		rule_of("linger=abort,allow-data-loss=yes,user-timeout=5s,peer-time-wait=none");

	(void)state;
	assert_non_null(policy_warning(&rule, 0));
	assert_non_null(policy_warning(&rule, 1));
	assert_non_null(policy_warning(&rule, 2));
	assert_null(policy_warning(&rule, 3));
	assert_string_not_equal(policy_warning(&rule, 0), policy_warning(&rule, 1));
}

/* --- share ------------------------------------------------------------------------------------ */

enum { COOKIES = 100000 };

static unsigned int steered_of(const char *options, uint64_t first)
{
	struct policy_rule rule = rule_of(options);
	unsigned int count = 0;

	for (uint64_t cookie = first; cookie < first + COOKIES; cookie++)
		count += policy_steers(&rule.terms, cookie);
	return count;
}

/* Cookies are counted up, in each processor's own stride: whatever they are, the share is right, to
 * five times the standard deviation of chance. */
static void share_is_kept(void **state)
{
	static const unsigned int shares[] = {1, 5, 25, 50, 99};
	static const uint64_t firsts[] = {1, 4096, 1u << 31, 1ull << 40};

	(void)state;
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		char options[32];
		long expected = COOKIES / 100 * (long)shares[i];

		snprintf(options, sizeof(options), "share=%u%%", shares[i]);
		for (size_t j = 0; j < sizeof(firsts) / sizeof(firsts[0]); j++) {
			long off = (long)steered_of(options, firsts[j]) - expected;

			if (off * off > 25L * expected * (100 - (long)shares[i]) / 100)
				fail_msg("%s from %llu: off by %ld", options,
					 (unsigned long long)firsts[j], off);
		}
	}
	assert_int_equal(steered_of("share=0%", 1), 0);
	assert_int_equal(steered_of("share=100%", 1), COOKIES);
	assert_int_equal(steered_of("grace=1s", 1), COOKIES);
}

static void larger_share_keeps(void **state)
{
	struct policy_rule small = rule_of("share=5%"), large = rule_of("share=6%");

	(void)state;
	for (uint64_t cookie = 1; cookie < COOKIES; cookie++)
		if (policy_steers(&small.terms, cookie))
			assert_true(policy_steers(&large.terms, cookie));
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(ids_are_stable_and_never_zero),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(inherits_what_it_does_not_say),
		cmocka_unit_test(says_its_own_default_against_defaults),
		cmocka_unit_test(selectors_are_never_inherited),
		cmocka_unit_test(problems),
		cmocka_unit_test(warnings),
		cmocka_unit_test(warnings_are_counted),
		cmocka_unit_test(share_is_kept),
		cmocka_unit_test(larger_share_keeps),
	};
	struct CMUnitTest
		tests[ARRAY_SIZE(fixed) + ARRAY_SIZE(subject_rows) + ARRAY_SIZE(process_rows)];
	size_t n = ARRAY_SIZE(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < ARRAY_SIZE(subject_rows); i++)
		tests[n++] = unit_row(subject_rows[i].name, subject_row, &subject_rows[i]);
	for (size_t i = 0; i < ARRAY_SIZE(process_rows); i++)
		tests[n++] = unit_row(process_rows[i].name, process_row, &process_rows[i]);
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
