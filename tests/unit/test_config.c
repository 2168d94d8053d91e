/* SPDX-License-Identifier: MIT */
/* What the golden files cannot show: another kernel, and one file after the other. */
#include "daemon/config.h"

#include "daemon/config_scan.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/closeside-test-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static struct config *load(const char *text, char *error)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return config_load(path, error, CONFIG_ERROR_MAX);
}

static struct config *load_sound(const char *text)
{
	char error[CONFIG_ERROR_MAX];
	struct config *config = load(text, error);

	if (!config)
		fail_msg("%s", error);
	return config;
}

static void new_has_the_limits(void **state)
{
	struct config *config = config_new();

	(void)state;
	assert_int_equal(config->rule_count, 0);
	assert_int_equal(config->custody_max, 50000);
	assert_int_equal(config->custody_per_process, 10000);
	assert_int_equal(config->defaults.said, 0);
	config_free(config);
}

static void rules_are_filled(void **state)
{
	struct config *config = load_sound("policy a { role = server grace = 2s }\n"
					   "policy b { local-port = {1, 2-3} }\n"
					   "defaults { grace = 1s close-first = peer }\n");

	(void)state;
	assert_int_equal(config->rule_count, 2);
	assert_string_equal(config->rules[0].name, "a");
	assert_int_equal(config->rules[0].id, policy_id("a"));
	assert_int_equal(config->rules[0].terms.grace_ms, 2000);
	assert_int_equal(config->rules[1].terms.grace_ms, 1000);
	assert_int_equal(config->rules[1].terms.close_first, FIRST_PEER);
	assert_int_equal(config->rules[1].local_port_count, 2);
	assert_int_equal(config->rules[1].role, ROLE_ANY);
	config_free(config);
}

static void tune_is_filled(void **state)
{
	struct config *config = config_new();

	(void)state;
	assert_int_equal(config->tune.mode, TUNE_ADVISE);
	assert_int_equal(config->tune.cooldown_ms, 60000);
	assert_int_equal(config->tune.memory_max, 64 << 20);
	for (int i = 0; i < SYSCTL_COUNT; i++)
		assert_true(!config->tune.bound[i].said && !config->tune.bound[i].min &&
			    !config->tune.bound[i].max);
	config_free(config);

	/* What one file says is not said twice by the next. */
	for (int i = 0; i < 2; i++) {
		config = load_sound("tune { mode = off cooldown = 5s memory = 1G\n"
				    "bound net.core.somaxconn { max = 4096 }\n"
				    "bound net/ipv4/tcp_fin_timeout { min = 10 max = 20 } }\n");
		assert_int_equal(config->tune.mode, TUNE_OFF);
		assert_int_equal(config->tune.cooldown_ms, 5000);
		assert_int_equal(config->tune.memory_max, 1 << 30);
		assert_true(config->tune.bound[SYSCTL_SOMAXCONN].said);
		assert_int_equal(config->tune.bound[SYSCTL_SOMAXCONN].min, 1);
		assert_int_equal(config->tune.bound[SYSCTL_SOMAXCONN].max, 4096);
		assert_int_equal(config->tune.bound[SYSCTL_FIN_TIMEOUT_S].min, 10);
		assert_false(config->tune.bound[SYSCTL_TIME_WAITS_MAX].said);
		config_free(config);
	}
}

/* libconfuse's lexer is global: an error must not leave it inside something. */
static void errors_leave_nothing_behind(void **state)
{
	static const char *const bad[] = {
		"policy a { program = \"x\n}",
		"/* policy a { }",
		"policy a { program = 'x\n}",
		"policy a {",
		"policy a { grac",
		"policy a { local-port = {1,",
		"policy a { grace = 5x }",
		"policy a { } }",
		"",
		"policy a { program = \"\\q",
		"group = \"${HOME",
		"policy a { program = \"\\777\" }",
		"tune { mode = apply bound net.core.somaxconn { min = 5",
		"tune { bound net.core.somaxconn { min = 5 min = 6 } }",
		"tune { mode = x }",
	};
	char error[CONFIG_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (load(bad[i], error))
			fail_msg("sound: %s", bad[i]);
		assert_non_null(strstr(error, path));
		config_free(load_sound("policy web { program = nginx }"));
	}
}

static void error_is_cut_to_size(void **state)
{
	char error[16];

	(void)state;
	assert_null(config_load("/nowhere/at/all", error, sizeof(error)));
	assert_string_equal(error, "/nowhere/at/all");
}

/* --- warnings ------------------------------------------------------------------------------- */

static bool old_kernel(void)
{
	return false;
}

static bool new_kernel(void)
{
	return true;
}

static void count_local_ports(void *arg, const char *text)
{
	*(int *)arg += strstr(text, "local-ports: this kernel has no IP_LOCAL_PORT_RANGE") != NULL;
}

static int local_ports_warnings(const char *text, bool (*probe)(void))
{
	struct config *config = load_sound(text);
	bool (*before)(void) = config_probe_local_ports;
	int count = 0;

	config_probe_local_ports = probe;
	config_warnings(config, count_local_ports, &count);
	config_probe_local_ports = before;
	config_free(config);
	return count;
}

static void old_kernel_is_said_once(void **state)
{
	const char *two =
		"policy a { local-ports = 2000-3000 } policy b { local-ports = 4000-5000 }";

	(void)state;
	assert_int_equal(local_ports_warnings(two, old_kernel), 1);
	assert_int_equal(local_ports_warnings(two, new_kernel), 0);
	assert_int_equal(local_ports_warnings("policy a { }", old_kernel), 0);
}

static void the_probe_answers(void **state)
{
	(void)state;
	config_probe_local_ports(); /* whatever this kernel is: it must not fail */
}

/* --- the scan --------------------------------------------------------------------------------- */

static void scan_rows(void **state)
{
	static const struct {
		const char *text;
		unsigned int line; /* 0: sound */
	} rows[] = {
		{"a { }", 0},
		{"a { /* } */ }", 0},
		{"a { # }\n}", 0},
		{"a { // }\n}", 0},
		{"a { x = \"}\" }", 0},
		{"a { x = '\\'}' }", 0},
		{"a { x = \"\\\"}\" }", 0},
		{"a { x += b }", 0},
		{"a { x = 10.0.0.0/8 }", 0},
		{"a { x = /usr/bin/y }", 0},
		{"", 1},
		{"\n\n# x\n", 1},
		{"a {\n", 1},
		{"a { }\nb {\n{ }\n", 2},
		{"a\n}", 2},
		{"a {\n x = \"b\n\n", 2},
		{"a { }\n/* b\n\n", 2},
		{"a { x = b* }", 1},
		{"a { x = b+c }", 1},
		{"a {\n x = b/\n}", 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned int line;
		const char *wrong;
		bool sound = config_scan(rows[i].text, strlen(rows[i].text), &line, &wrong);

		if (sound != !rows[i].line || (!sound && line != rows[i].line))
			fail_msg("%s: line %u, %s", rows[i].text, line, wrong ? wrong : "sound");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_has_the_limits),
		cmocka_unit_test(rules_are_filled),
		cmocka_unit_test(tune_is_filled),
		cmocka_unit_test(errors_leave_nothing_behind),
		cmocka_unit_test(error_is_cut_to_size),
		cmocka_unit_test(old_kernel_is_said_once),
		cmocka_unit_test(the_probe_answers),
		cmocka_unit_test(scan_rows),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
