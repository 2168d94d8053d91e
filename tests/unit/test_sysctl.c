/* SPDX-License-Identifier: MIT */
/* The table of sysctls, what may become of each, and reading and writing them in a namespace by
 * its folders, from wherever. */
#include "daemon/sysctl.h"

#include "tests/unit/unit.h"
#include "tests/unit/unit_netns.h"

#include <errno.h>
#include <string.h>

static bool have_netns;

/* --- the table -------------------------------------------------------------------------------- */

static void each_is_found_by_its_name(void **state)
{
	(void)state;
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++) {
		char slashed[128];

		assert_int_equal(sysctl_find(sysctls[key].name), key);
		snprintf(slashed, sizeof(slashed), "%s", sysctls[key].name);
		for (char *at = slashed; *at; at++)
			*at = *at == '.' ? '/' : *at;
		assert_int_equal(sysctl_find(slashed), key);
		assert_in_range(sysctls[key].numbers, 1, SYSCTL_NUMBERS);
		assert_true(sysctls[key].least <= sysctls[key].most);
	}
	assert_int_equal(sysctl_find("net.ipv4.tcp_max_tw_bucket"), SYSCTL_COUNT);
	assert_int_equal(sysctl_find("net.ipv4.tcp_max_tw_buckets2"), SYSCTL_COUNT);
	assert_int_equal(sysctl_find("net.ipv4.tcp_rfc1337"), SYSCTL_COUNT);
	assert_int_equal(sysctl_find("tcp_mem"), SYSCTL_COUNT);
	assert_int_equal(sysctl_find(""), SYSCTL_COUNT);
	assert_string_equal(sysctls[SYSCTL_SOMAXCONN].name, "net.core.somaxconn");
}

static const struct may_row {
	const char *name;
	enum sysctl key;
	const char *from, *to;
	bool may;
} may_rows[] = {
	{"buckets rise", SYSCTL_TIME_WAITS_MAX, "4096", "5120", true},
	{"buckets never fall", SYSCTL_TIME_WAITS_MAX, "5120", "4096", false},
	{"the same is no change", SYSCTL_TIME_WAITS_MAX, "4096", "4096", false},
	{"buckets up to the most", SYSCTL_TIME_WAITS_MAX, "4096", "4194304", true},
	{"and not over it", SYSCTL_TIME_WAITS_MAX, "4096", "4194305", false},
	{"orphans never fall", SYSCTL_ORPHANS_MAX, "4096", "4095", false},
	{"fin timeout falls", SYSCTL_FIN_TIMEOUT_S, "60", "45", true},
	{"from over 60 by steps", SYSCTL_FIN_TIMEOUT_S, "120", "90", true},
	{"to five seconds", SYSCTL_FIN_TIMEOUT_S, "60", "5", true},
	{"and not below", SYSCTL_FIN_TIMEOUT_S, "60", "4", false},
	{"fin timeout never rises", SYSCTL_FIN_TIMEOUT_S, "30", "31", false},
	{"somaxconn to 65535", SYSCTL_SOMAXCONN, "128", "65535", true},
	{"and not over it", SYSCTL_SOMAXCONN, "128", "65536", false},
	{"syn backlog rises", SYSCTL_SYN_BACKLOG_MAX, "128", "160", true},
	{"range wider above", SYSCTL_PORT_RANGE, "32768 60999", "32768 65535", true},
	{"range wider below", SYSCTL_PORT_RANGE, "32768 60999", "1024 60999", true},
	{"range wider at both", SYSCTL_PORT_RANGE, "32768 60999", "1024 65535", true},
	{"range not moved", SYSCTL_PORT_RANGE, "32768 60999", "30000 60000", false},
	{"range not narrower", SYSCTL_PORT_RANGE, "32768 60999", "32769 60999", false},
	{"range not the same", SYSCTL_PORT_RANGE, "32768 60999", "32768 60999", false},
	{"range not below 1024", SYSCTL_PORT_RANGE, "32768 60999", "1023 60999", false},
	{"unless it is", SYSCTL_PORT_RANGE, "500 600", "500 700", true},
	{"range not over 65535", SYSCTL_PORT_RANGE, "32768 60999", "32768 65536", false},
	{"range is two numbers", SYSCTL_PORT_RANGE, "32768 60999", "1024", false},
	{"reuse from 2 to 1", SYSCTL_TIME_WAIT_REUSE, "2", "1", true},
	{"reuse from 0 to 1", SYSCTL_TIME_WAIT_REUSE, "0", "1", true},
	{"reuse to nothing else", SYSCTL_TIME_WAIT_REUSE, "1", "2", false},
	{"reuse not off", SYSCTL_TIME_WAIT_REUSE, "1", "0", false},
	{"syncookies not off", SYSCTL_SYN_COOKIES, "1", "0", false},
	{"syncookies not on either", SYSCTL_SYN_COOKIES, "0", "1", false},
	{"timestamps are not set", SYSCTL_TIMESTAMPS, "0", "1", false},
	{"tcp_mem is not set", SYSCTL_MEMORY_PAGES, "1 2 3", "4 5 6", false},
	{"conntrack is not set", SYSCTL_CONNTRACK_MAX, "1", "2", false},
	{"no such key", SYSCTL_COUNT, "1", "2", false},
};

static void may_go(void **state)
{
	const struct may_row *row = *state;
	struct sysctl_value from, to;

	assert_true(sysctl_parse(row->from, &from) && sysctl_parse(row->to, &to));
	assert_int_equal(sysctl_may_go(row->key, &from, &to), row->may);
}

static void what_is_not_known_goes_nowhere(void **state)
{
	struct sysctl_value none = {.count = 0}, some = sysctl_number(5), odd = {.count = 9};

	(void)state;
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++) {
		assert_false(sysctl_may_go(key, &none, &some));
		assert_false(sysctl_may_go(key, &some, &none));
		assert_false(sysctl_may_go(key, &odd, &odd));
	}
	assert_false(sysctl_same(&odd, &odd));
}

/* --- values ----------------------------------------------------------------------------------- */

static void values_are_read_and_written(void **state)
{
	static const struct {
		const char *text, *formatted; /* NULL: it is none */
	} rows[] = {
		{"4096\n", "4096"},
		{"32768\t60999\n", "32768 60999"},
		{"  1   2\t3 \n", "1 2 3"},
		{"-1", "-1"},
		{"-9223372036854775808 -9223372036854775808 -9223372036854775808",
		 "-9223372036854775808 -9223372036854775808 -9223372036854775808"},
		{"", NULL},
		{" \n", NULL},
		{"abc", NULL},
		{"12x", NULL},
		{"1 x", NULL},
		{"1 2 3 4", NULL},
		{"9223372036854775808", NULL},
		{"1.5", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sysctl_value value = sysctl_number(77), again, kept = value;
		char text[SYSCTL_TEXT];

		errno = EXFULL;
		assert_int_equal(sysctl_parse(rows[i].text, &value), rows[i].formatted != NULL);
		assert_int_equal(errno, EXFULL);
		if (!rows[i].formatted) {
			assert_memory_equal(&value, &kept, sizeof(value));
			continue;
		}
		assert_string_equal(sysctl_format(&value, text, sizeof(text)), rows[i].formatted);
		assert_true(sysctl_parse(text, &again) && sysctl_same(&value, &again));
	}
}

static void a_text_without_room_is_cut(void **state)
{
	struct sysctl_value value = sysctl_range(32768, 60999), none = {.count = 0};
	char text[8];

	(void)state;
	assert_string_equal(sysctl_format(&value, text, sizeof(text)), "32768 6");
	assert_string_equal(sysctl_format(&value, text, 1), "");
	assert_string_equal(sysctl_format(&none, text, sizeof(text)), "");
}

static void same_is_same(void **state)
{
	struct sysctl_value one = sysctl_number(1), range = sysctl_range(1, 2),
			    other = sysctl_range(1, 3), none = {.count = 0};

	(void)state;
	assert_true(sysctl_same(&range, &range));
	assert_false(sysctl_same(&one, &range));
	assert_false(sysctl_same(&range, &other));
	assert_true(sysctl_same(&none, &none));
}

/* --- files ------------------------------------------------------------------------------------ */

static void need_netns(void)
{
	if (!have_netns)
		unit_skip("no network namespace of its own");
}

static void written_is_read_back(void **state)
{
	int folders[SYSCTL_FOLDERS];
	struct sysctl_value range = sysctl_range(20000, 50001), buckets = sysctl_number(12345), now;

	(void)state;
	need_netns();
	sysctl_open_folders(folders);
	assert_true(sysctl_write(folders, SYSCTL_PORT_RANGE, &range));
	assert_true(sysctl_read(folders, SYSCTL_PORT_RANGE, &now) && sysctl_same(&now, &range));
	assert_true(sysctl_write(folders, SYSCTL_TIME_WAITS_MAX, &buckets));
	assert_true(sysctl_read(folders, SYSCTL_TIME_WAITS_MAX, &now));
	assert_true(sysctl_same(&now, &buckets));
	assert_true(sysctl_write(folders, SYSCTL_SOMAXCONN, &buckets));
	assert_true(sysctl_read(folders, SYSCTL_SOMAXCONN, &now) && sysctl_same(&now, &buckets));
	sysctl_close_folders(folders);
	assert_int_equal(folders[SYSCTL_IPV4], -1);
}

static void what_fails_says_why(void **state)
{
	int folders[SYSCTL_FOLDERS], none[SYSCTL_FOLDERS] = {-1, -1, -1};
	struct sysctl_value value = sysctl_number(1), range = sysctl_range(1, 2),
			    crossed = sysctl_range(5000, 4000), kept = value;

	(void)state;
	need_netns();
	sysctl_open_folders(folders);
	errno = 0;
	assert_false(sysctl_write(folders, SYSCTL_PORT_RANGE, &crossed));
	assert_int_equal(errno, EINVAL);
	assert_false(sysctl_write(folders, SYSCTL_SOMAXCONN, &range));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_false(sysctl_read(none, SYSCTL_SOMAXCONN, &value));
	assert_int_equal(errno, ENOENT);
	assert_false(sysctl_write(none, SYSCTL_SOMAXCONN, &value));
	assert_int_equal(errno, ENOENT);
	/* the machine's: it is not there in a namespace like this */
	errno = 0;
	assert_false(sysctl_read(folders, SYSCTL_ORPHANS_MAX, &value));
	assert_int_equal(errno, ENOENT);
	assert_false(sysctl_read(folders, SYSCTL_COUNT, &value));
	assert_memory_equal(&value, &kept, sizeof(value));
	sysctl_close_folders(folders);
}

/* All three folders mean the namespace they were opened in, and do not keep it. */
static void folders_mean_their_namespace(void **state)
{
	int here[SYSCTL_FOLDERS], there[SYSCTL_FOLDERS], own = unit_netns_open();
	struct sysctl_value low = sysctl_number(3000), high = sysctl_number(9000), now;

	(void)state;
	need_netns();
	sysctl_open_folders(here);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	sysctl_open_folders(there);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	for (int i = 0; i < 2; i++) {
		enum sysctl key = i ? SYSCTL_SOMAXCONN : SYSCTL_TIME_WAITS_MAX;

		assert_true(sysctl_write(there, key, &high) && sysctl_write(here, key, &low));
		assert_true(sysctl_read(there, key, &now) && sysctl_same(&now, &high));
		assert_true(sysctl_read(here, key, &now) && sysctl_same(&now, &low));
	}
	/* Nobody is in the other one any more; it is taken down a moment later. */
	for (int i = 0; i < 2000 && sysctl_read(there, SYSCTL_SOMAXCONN, &now); i++)
		usleep(10000);
	errno = 0;
	assert_false(sysctl_read(there, SYSCTL_SOMAXCONN, &now));
	assert_int_equal(errno, ENOENT);
	assert_false(sysctl_write(there, SYSCTL_SOMAXCONN, &high));
	assert_int_equal(errno, ENOENT);
	assert_true(sysctl_read(here, SYSCTL_SOMAXCONN, &now) && sysctl_same(&now, &low));
	sysctl_close_folders(there);
	sysctl_close_folders(here);
	close(own);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(each_is_found_by_its_name),
		cmocka_unit_test(what_is_not_known_goes_nowhere),
		cmocka_unit_test(values_are_read_and_written),
		cmocka_unit_test(a_text_without_room_is_cut),
		cmocka_unit_test(same_is_same),
		cmocka_unit_test(written_is_read_back),
		cmocka_unit_test(what_fails_says_why),
		cmocka_unit_test(folders_mean_their_namespace),
	};
	struct CMUnitTest tests[ARRAY_SIZE(others) + ARRAY_SIZE(may_rows)];

	have_netns = unit_netns_new();
	memcpy(tests, others, sizeof(others));
	for (size_t i = 0; i < ARRAY_SIZE(may_rows); i++)
		tests[ARRAY_SIZE(others) + i] = unit_row(may_rows[i].name, may_go, &may_rows[i]);
	return cmocka_run_group_tests_name("sysctl", tests, NULL, NULL);
}
