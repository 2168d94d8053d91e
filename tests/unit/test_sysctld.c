/* SPDX-License-Identifier: MIT */
/* What sysctl.d names: lines, and files that hide others, in a folder that stands for /. */
#include "daemon/sysctld.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS "net.ipv4.tcp_max_tw_buckets"

static char root[] = "/tmp/closeside-sysctld.XXXXXX";
static struct sysctld named;

/* --- lines ------------------------------------------------------------------------------------ */

static const struct line_row {
	const char *line;
	bool names; /* net.ipv4.tcp_max_tw_buckets */
} line_rows[] = {
	{BUCKETS " = 4096", true},
	{BUCKETS "=4096", true},
	{"  \t" BUCKETS "\t=\t4096  ", true},
	{BUCKETS " = 4096\r", true},
	{BUCKETS "=", true},
	{"-" BUCKETS " = 4096", true},
	{"-" BUCKETS, true},
	{"- " BUCKETS, true},
	{"net/ipv4/tcp_max_tw_buckets = 4096", true},
	{"/proc/sys/net/ipv4/tcp_max_tw_buckets = 4096", true},
	{"net.ipv4.* = 4096", true},
	{"net.ipv4.tcp_* = 4096", true},
	{"net.*.tcp_max_tw_buckets = 1", true},
	{"net/ipv4/tcp_max_tw_bucket[st] = 1", true},
	{"-net.ipv4.tcp_*", true},
	{"# " BUCKETS " = 4096", false},
	{"; " BUCKETS " = 4096", false},
	{"  #" BUCKETS " = 4096", false},
	{BUCKETS " 4096", false},
	{BUCKETS, false},
	{BUCKETS "2 = 1", false},
	{"net.ipv4.tcp_max_tw_bucket = 1", false},
	{"net.* = 1", false},
	{"* = 1", false},
	{"net.ipv4.*.rp_filter = 1", false},
	{"net.ipv4.conf.*.tcp_max_tw_buckets = 1", false},
	{"net/ipv4.tcp_max_tw_buckets = 1", false},
	{"kernel.sysrq = 1 # " BUCKETS " = 4096", false},
	{"= 4096", false},
	{"-", false},
	{"", false},
	{"    ", false},
};

static void line_names(void **state)
{
	const struct line_row *row = *state;

	assert_int_equal(sysctld_line_names(row->line, SYSCTL_TIME_WAITS_MAX), row->names);
}

static void each_key_by_itself(void **state)
{
	(void)state;
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++) {
		char line[128];

		snprintf(line, sizeof(line), "%s = 1", sysctls[key].name);
		for (enum sysctl other = 0; other < SYSCTL_COUNT; other++)
			assert_int_equal(sysctld_line_names(line, other), other == key);
	}
}

/* --- files ------------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level ? remove(path) : 0;
}

static int empty_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *in_root(const char *path)
{
	static char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	return full;
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(in_root(path), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static const char *who_names(enum sysctl key)
{
	sysctld_read(root, &named);
	return named.path[key];
}

static void nothing_is_there(void **state)
{
	(void)state;
	sysctld_read(root, &named);
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++)
		assert_string_equal(named.path[key], "");
}

static void any_folder_names(void **state)
{
	static const char *const paths[] = {
		"/etc/sysctl.d/50-x.conf",	  "/run/sysctl.d/50-x.conf",
		"/usr/local/lib/sysctl.d/x.conf", "/usr/lib/sysctl.d/x.conf",
		"/lib/sysctl.d/x.conf",		  "/etc/sysctl.conf",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		put(paths[i], "# a line\n\nkernel.sysrq = 0\n" BUCKETS " = 5");
		assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), paths[i]);
		assert_string_equal(named.path[SYSCTL_SOMAXCONN], "");
		unlink(in_root(paths[i]));
	}
	put("/etc/sysctl.d/x.cfg", BUCKETS " = 5\n");
	put("/etc/sysctl.d/.conf", BUCKETS " = 5\n");
	put("/etc/sysctl.d/.x.conf", BUCKETS " = 5\n");
	put("/etc/sysctl.d/x.conf~", BUCKETS " = 5\n");
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "");
}

static void the_last_one_is_said(void **state)
{
	(void)state;
	put("/etc/sysctl.d/10-a.conf", BUCKETS " = 5\n");
	put("/usr/lib/sysctl.d/90-b.conf", BUCKETS " = 6\n");
	put("/run/sysctl.d/50-c.conf", BUCKETS " = 7\n");
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "/usr/lib/sysctl.d/90-b.conf");
	put("/etc/sysctl.conf", "net/ipv4/tcp_* = 5\n");
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "/etc/sysctl.conf");
}

static void an_earlier_folder_hides_a_later_one(void **state)
{
	(void)state;
	put("/usr/lib/sysctl.d/50-x.conf", BUCKETS " = 5\n");
	put("/etc/sysctl.d/50-x.conf", "kernel.sysrq = 0\n");
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "");
	put("/etc/sysctl.d/50-x.conf", "");
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "");
	unlink(in_root("/etc/sysctl.d/50-x.conf"));
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "/usr/lib/sysctl.d/50-x.conf");
	assert_int_equal(symlink("/dev/null", in_root("/run/sysctl.d/50-x.conf")), 0);
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "");
}

/* What is no file is not there, and nobody waits for it. */
static void odd_things_hide_nothing(void **state)
{
	(void)state;
	put("/usr/lib/sysctl.d/50-x.conf", BUCKETS " = 5\n");
	put("/usr/lib/sysctl.d/51-x.conf", "net.core.somaxconn = 5\n");
	put("/usr/lib/sysctl.d/52-x.conf", "net.ipv4.tcp_tw_reuse = 1\n");
	put("/usr/lib/sysctl.d/53-x.conf", "net.ipv4.tcp_fin_timeout = 1\n");
	assert_int_equal(mkfifo(in_root("/etc/sysctl.d/50-x.conf"), 0600), 0);
	assert_int_equal(mkdir(in_root("/etc/sysctl.d/51-x.conf"), 0700), 0);
	assert_int_equal(symlink("nowhere", in_root("/etc/sysctl.d/52-x.conf")), 0);
	assert_int_equal(symlink("53-x.conf", in_root("/etc/sysctl.d/53-x.conf")), 0);
	assert_int_equal(mkfifo(in_root("/etc/sysctl.conf"), 0600), 0);
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "/usr/lib/sysctl.d/50-x.conf");
	assert_string_equal(named.path[SYSCTL_SOMAXCONN], "/usr/lib/sysctl.d/51-x.conf");
	assert_string_equal(named.path[SYSCTL_TIME_WAIT_REUSE], "/usr/lib/sysctl.d/52-x.conf");
	assert_string_equal(named.path[SYSCTL_FIN_TIMEOUT_S], "/usr/lib/sysctl.d/53-x.conf");
	assert_string_equal(named.path[SYSCTL_PORT_RANGE], "");
}

static void a_link_to_a_file_counts(void **state)
{
	(void)state;
	put("/etc/sysctl.conf", BUCKETS " = 5\n");
	assert_int_equal(symlink("../sysctl.conf", in_root("/etc/sysctl.d/99-sysctl.conf")), 0);
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "/etc/sysctl.conf");
	unlink(in_root("/etc/sysctl.conf"));
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "");
}

/* What cannot be read, or not whole, might name any of them. */
static void in_doubt_it_is_named(void **state)
{
	int fd = open(in_root("/etc/sysctl.d/huge.conf"), O_WRONLY | O_CREAT, 0644);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	close(fd);
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++)
		assert_string_equal(who_names(key), "/etc/sysctl.d/huge.conf");
	unlink(in_root("/etc/sysctl.d/huge.conf"));

	put("/etc/sysctl.d/secret.conf", "kernel.sysrq = 0\n");
	assert_int_equal(chmod(in_root("/etc/sysctl.d/secret.conf"), 0), 0);
	assert_int_equal(chmod(root, 0755), 0);
	/* root may read everything */
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	sysctld_read(root, &named);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_string_equal(named.path[SYSCTL_SOMAXCONN], "/etc/sysctl.d/secret.conf");
}

static void noise_is_survived(void **state)
{
	FILE *file = fopen(in_root("/etc/sysctl.d/noise.conf"), "w");
	uint32_t seed = 1;

	(void)state;
	assert_non_null(file);
	for (int i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		fputc((int)(seed >> 24), file);
	}
	fputs("\n" BUCKETS " = 5\n", file);
	for (int i = 0; i < 100000; i++)
		fputc('x', file);
	fputs("\nnet.core.somaxconn = 5", file);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "/etc/sysctl.d/noise.conf");
	assert_string_equal(named.path[SYSCTL_SOMAXCONN], "/etc/sysctl.d/noise.conf");
}

static void many_files_are_read(void **state)
{
	char path[64];

	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "/etc/sysctl.d/%03d.conf", i);
		put(path, i == 250 ? BUCKETS " = 5\n" : "kernel.sysrq = 0\n");
	}
	assert_string_equal(who_names(SYSCTL_TIME_WAITS_MAX), "/etc/sysctl.d/250.conf");
	assert_string_equal(named.path[SYSCTL_SOMAXCONN], "");
	for (int i = 500; i < 513; i++) {
		snprintf(path, sizeof(path), "/etc/sysctl.d/%03d.conf", i);
		put(path, "kernel.sysrq = 0\n");
	}
	assert_string_equal(who_names(SYSCTL_SOMAXCONN), "/etc/sysctl.d");
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(each_key_by_itself),
		cmocka_unit_test_teardown(nothing_is_there, empty_root),
		cmocka_unit_test_teardown(any_folder_names, empty_root),
		cmocka_unit_test_teardown(the_last_one_is_said, empty_root),
		cmocka_unit_test_teardown(an_earlier_folder_hides_a_later_one, empty_root),
		cmocka_unit_test_teardown(odd_things_hide_nothing, empty_root),
		cmocka_unit_test_teardown(a_link_to_a_file_counts, empty_root),
		cmocka_unit_test_teardown(in_doubt_it_is_named, empty_root),
		cmocka_unit_test_teardown(noise_is_survived, empty_root),
		cmocka_unit_test_teardown(many_files_are_read, empty_root),
	};
	struct CMUnitTest tests[ARRAY_SIZE(others) + ARRAY_SIZE(line_rows)];
	int failed;

	if (!mkdtemp(root))
		return 1;
	memcpy(tests, others, sizeof(others));
	for (size_t i = 0; i < ARRAY_SIZE(line_rows); i++)
		tests[ARRAY_SIZE(others) + i] =
			unit_row(line_rows[i].line, line_names, &line_rows[i]);
	failed = cmocka_run_group_tests_name("sysctld", tests, NULL, NULL);
	rmdir(root);
	return failed;
}
