/* SPDX-License-Identifier: MIT */
/* Every line of advice is what a shell can be given: those that add a policy are run, by a shell,
 * and what they leave is read as the daemon reads it; the others are at least a shell's grammar. */
#include "tests/unit/balance_kernel.h"

#include "daemon/config.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct balance_kernel kernel;
static char folder[] = "/tmp/closeside-paste-XXXXXX";
static char config_path[64], script_path[64];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	/* a name that has to be quoted */
	snprintf(config_path, sizeof(config_path), "%s/it's a file", folder);
	snprintf(script_path, sizeof(script_path), "%s/script", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(config_path);
	unlink(script_path);
	return rmdir(folder);
}

static int setup(void **state)
{
	(void)state;
	kernel_init(&kernel);
	kernel.inputs.config_path = config_path;
	unlink(config_path);
	return 0;
}

static int run(const char *shell, const char *script)
{
	char command[128];
	FILE *file = fopen(script_path, "w");

	assert_non_null(file);
	assert_true(fputs(script, file) >= 0);
	assert_int_equal(fclose(file), 0);
	snprintf(command, sizeof(command), "%s '%s'", shell, script_path);
	return system(command);
}

static bool adds_policy(const char *line)
{
	return !strncmp(line, "echo 'policy ", strlen("echo 'policy "));
}

/* Runs what adds policies, all of them; returns how many there are. */
static unsigned int paste_all(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < kernel.sheet.advice_count; i++) {
		const struct balance_advice *advice = &kernel.sheet.advice[i];

		for (unsigned int j = 0; j < advice->line_count; j++) {
			assert_int_equal(run("sh -n", advice->line[j]), 0);
			if (!adds_policy(advice->line[j]))
				continue;
			assert_int_equal(run("sh", advice->line[j]), 0);
			count++;
		}
	}
	return count;
}

static void is_sound_with(unsigned int policies)
{
	char error[512] = "";
	struct config *config = config_load(config_path, error, sizeof(error));

	if (!config)
		fail_msg("%s", error);
	assert_int_equal(config->rule_count, policies);
	config_free(config);
}

static void ports(void **state)
{
	struct balance_ports both[2];

	(void)state;
	/* two destinations that differ in their address only, with two policies of every kind */
	kernel_connect(&kernel, 5000, 1000);
	both[0] = both[1] = kernel.ports;
	both[1].remote.addr[15]++;
	kernel.inputs.ports = both;
	kernel.inputs.ports_count = 2;
	kernel_assess(&kernel);
	assert_int_equal(paste_all(), 6);
	is_sound_with(6);
}

static void queues(void **state)
{
	(void)state;
	kernel_listen(&kernel, 60000);
	kernel.listener.queue_peak = 60000;
	kernel_assess(&kernel);
	assert_int_equal(paste_all(), 1);
	is_sound_with(1);
}

static void time_waits(void **state)
{
	(void)state;
	kernel_set(&kernel, SYSCTL_TIME_WAITS_MAX, 10000);
	kernel.space.time_waits = kernel.space.time_waits_peak = 10000;
	kernel.space.maker[0] = (struct balance_maker){
		.who = {.program = "web-app_2.1"}, .server = true, .count = 9000};
	kernel_assess(&kernel);
	assert_int_equal(paste_all(), 1); /* by the program's name: no port is known */
	is_sound_with(1);
	strcpy(kernel.space.maker[0].who.program, "a' b; c");
	kernel_assess(&kernel);
	assert_int_equal(paste_all(), 0);
}

static void the_others(void **state)
{
	static const struct sysctl_value pages = {.count = 3, .number = {100, 150, 200}};

	(void)state;
	kernel.inputs.socket_path = "/run/my $(touch socket)/it's";
	kernel_listen(&kernel, 100);
	kernel.listener.queue_peak = 100;
	kernel.process = (struct balance_process){
		.who = {.pid = 77, .program = "x;y"}, .used = 900, .limit = 1024, .hard = 4096};
	kernel.inputs.process_count = 1;
	kernel.space.key[SYSCTL_MEMORY_PAGES].now = pages;
	kernel.inputs.memory_pages = 190;
	kernel_set(&kernel, SYSCTL_CONNTRACK_MAX, 262144);
	kernel_set(&kernel, SYSCTL_CONNTRACK_COUNT, 200000);
	kernel_set(&kernel, SYSCTL_CONNTRACK_TIME_WAIT_S, 120);
	kernel_assess(&kernel);
	paste_all();
	assert_true(kernel.sheet.advice_count >= 6);
	kernel.space.key[SYSCTL_ORPHANS_MAX].now.count = 0; /* as in another namespace */
	kernel_assess(&kernel);
	paste_all();
	assert_non_null(kernel_advice(&kernel, "conntrack/notrack"));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ports),
		TEST(queues),
		TEST(time_waits),
		TEST(the_others),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
