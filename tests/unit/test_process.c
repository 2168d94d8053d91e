/* SPDX-License-Identifier: MIT */
#include "daemon/process.h"

#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static void we_are_who_we_are(void **state)
{
	struct process process;

	(void)state;
	process_read(&process, getpid(), getuid());
	assert_int_equal(process.ppid, getppid());
	assert_true(process.start > 0);
	assert_non_null(strstr(process.exe, "test_process"));
	assert_non_null(strstr(process_name(&process), "test_process"));
	assert_false(process.other_netns);
}

static void one_that_is_not_there_has_no_name(void **state)
{
	struct process process;

	(void)state;
	process_read(&process, 0x3fffffff, 0);
	assert_string_equal(process_name(&process), "?");
	assert_int_equal(process.start, 0);
}

static void the_unit_is_the_innermost(void **state)
{
	char unit[32];

	(void)state;
	process_unit_of_cgroup("0::/system.slice/nginx.service\n", unit, sizeof(unit));
	assert_string_equal(unit, "nginx.service");
	process_unit_of_cgroup("0::/user.slice/user@1000.service/app.slice/a.scope/x\n", unit,
			       sizeof(unit));
	assert_string_equal(unit, "a.scope");
	process_unit_of_cgroup("0::/\n", unit, sizeof(unit));
	assert_string_equal(unit, "");
	process_unit_of_cgroup("", unit, sizeof(unit));
	assert_string_equal(unit, "");
	process_unit_of_cgroup("0::/a-name-that-is-longer-than-there-is-room.service", unit,
			       sizeof(unit));
	assert_string_equal(unit, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(we_are_who_we_are),
		cmocka_unit_test(one_that_is_not_there_has_no_name),
		cmocka_unit_test(the_unit_is_the_innermost),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
