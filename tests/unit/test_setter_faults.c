/* SPDX-License-Identifier: MIT */
/* What goes wrong when sysctls are written: the kernel refuses a value or makes another of it,
 * there is no permission, the journal is damaged or not ours, the disk is full. */
#include "daemon/journal.h"

#include "tests/unit/setter_world.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const enum sysctl buckets = SYSCTL_TIME_WAITS_MAX;

/* --- what the kernel makes of it -------------------------------------------------------------- */

static int write_error;
static int64_t clamped;

static bool refusing_write(const int folders[SYSCTL_FOLDERS], enum sysctl key,
			   const struct sysctl_value *value)
{
	(void)folders;
	(void)key;
	(void)value;
	errno = write_error;
	return !write_error;
}

static bool clamping_write(const int folders[SYSCTL_FOLDERS], enum sysctl key,
			   const struct sysctl_value *value)
{
	struct sysctl_value less = *value;

	if (less.number[0] > clamped)
		less.number[0] = clamped;
	if (!sysctl_write(folders, key, &less))
		return false;
	errno = write_error;
	return !write_error;
}

static void a_value_is_refused(void **state)
{
	static const struct {
		int error;
		enum setter_outcome outcome;
	} rows[] = {
		{EINVAL, SETTER_REFUSED},
		{ERANGE, SETTER_REFUSED},
		{EIO, SETTER_REFUSED},
		{EROFS, SETTER_READ_ONLY},
		{EACCES, SETTER_NOT_PERMITTED},
		{EPERM, SETTER_NOT_PERMITTED},
		{0, SETTER_CLAMPED}, /* it was just not taken */
	};

	(void)state;
	world_need();
	for (int ours = 0; ours < 2; ours++) {
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct setter_answer answer;

			write_error = rows[i].error;
			setter_seam.write = refusing_write;
			answer = write_number(buckets, ours ? 6000 : 5120);
			assert_int_equal(answer.outcome, rows[i].outcome);
			assert_int_equal(answer.error, rows[i].error);
			assert_int_equal(answer.is_ours, ours);
			assert_int_equal(world_has_journal(), ours);
			assert_number(answer.now, ours ? 5120 : 4096);
			/* and cannot be put back: it stays ours */
			if (ours)
				assert_true(world_revert(&here, buckets).is_ours);
		}
		setter_seam.write = sysctl_write;
		assert_int_equal(write_number(buckets, 5120).outcome, SETTER_DONE);
	}
	assert_int_equal(world_revert(&here, buckets).outcome, SETTER_DONE);
	assert_number(world_value(buckets), 4096);
}

/* The kernel has the last word: what it made of it is ours, and is put back. */
static void a_value_is_clamped(void **state)
{
	(void)state;
	world_need();
	for (int error = 0; error < 2; error++) {
		struct setter_answer answer;

		clamped = 5000;
		write_error = error ? EINVAL : 0;
		setter_seam.write = clamping_write;
		answer = write_number(buckets, 5120);
		assert_int_equal(answer.outcome, SETTER_CLAMPED);
		assert_true(answer.is_ours);
		assert_number(answer.now, 5000);
		assert_number(answer.original, 4096);
		setter_seam.write = sysctl_write;
		/* another guardian knows it as well */
		world_stop(&here, false);
		here = world_start();
		assert_int_equal(world_revert(&here, buckets).outcome, SETTER_DONE);
		assert_number(world_value(buckets), 4096);
	}
}

/* --- permissions ------------------------------------------------------------------------------ */

/* In a child, as somebody. Its exit status is the outcome. */
static enum setter_outcome outcome_in_child(void (*become)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct world_values before, now;
		struct setter_answer answer;

		become();
		world_read_all(&before);
		here = world_start();
		answer = write_number(SYSCTL_SOMAXCONN, 160);
		world_read_all(&now);
		_exit(answer.is_ours || memcmp(&before, &now, sizeof(now)) != 0 ? 99
										: answer.outcome);
	}
	assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return (enum setter_outcome)WEXITSTATUS(status);
}

static void become_powerless(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	/* Another user's, so that the mode does not permit it either. */
	if (setresuid(65534, 65534, 65534) < 0 || syscall(SYS_capset, &header, none) < 0)
		_exit(98);
}

static void become_read_only(void)
{
	if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		_exit(98);
}

static void become_read_only_but_for_net(void)
{
	become_read_only();
	if (mount("/proc/sys/net", "/proc/sys/net", NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    mount(NULL, "/proc/sys/net", NULL, MS_REMOUNT | MS_BIND, NULL) < 0)
		_exit(98);
}

static void without_permission_it_says_so(void **state)
{
	enum setter_outcome outcome;

	(void)state;
	world_need();
	if (chown(world_folder, 65534, 65534) < 0)
		unit_skip("needs two users");
	outcome = outcome_in_child(become_powerless);
	assert_int_equal(chown(world_folder, 0, 0), 0);
	assert_int_equal(outcome, SETTER_NOT_PERMITTED);
	assert_false(world_has_journal());
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 160).outcome, SETTER_DONE);
}

/* As a unit with ProtectKernelTunables= has it; and as ours has it. Each child has its own mounts.
 */
static void unshare_and_become_read_only(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		_exit(98);
	become_read_only();
}

static void unshare_and_open_net(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		_exit(98);
	become_read_only_but_for_net();
}

static void where_it_is_read_only_it_says_so(void **state)
{
	(void)state;
	world_need();
	assert_int_equal(outcome_in_child(unshare_and_become_read_only), SETTER_READ_ONLY);
	assert_false(world_has_journal());
	assert_int_equal(outcome_in_child(unshare_and_open_net), 99); /* it is written */
	assert_number(world_value(SYSCTL_SOMAXCONN), 160);
	/* The child is gone, and its journal is not. */
	world_stop(&here, false);
	here = world_start();
	assert_int_equal(world_revert(&here, SYSCTL_SOMAXCONN).outcome, SETTER_DONE);
}

/* --- the journal ------------------------------------------------------------------------------ */

static void over_a_restart_it_stays_ours(void **state)
{
	struct setter_answer answer;

	(void)state;
	world_need();
	write_number(buckets, 5120);
	for (int i = 0; i < 3; i++) {
		world_stop(&here, false);
		here = world_start();
		assert_number(world_value(buckets), 5120);
		assert_int_equal(world_walk(&here, SETTER_LIST, &answer, 1), 1);
		assert_true(answer.is_ours);
		assert_number(answer.original, 4096);
	}
	world_stop(&here, true);
	assert_number(world_value(buckets), 4096);
	assert_false(world_has_journal());
	here = world_start();
}

/* Of two one is damaged: the other is put back, and nothing else is touched. */
static void a_damaged_journal_puts_back_what_it_can(void **state)
{
	char text[2048], aside[PATH_MAX + 16];
	FILE *file;
	size_t len;

	(void)state;
	world_need();
	write_number(buckets, 5120);
	write_number(SYSCTL_SOMAXCONN, 160);
	world_stop(&here, false);
	file = fopen(world_journal, "r");
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	*strstr(text, "4096") = '5';
	world_put_text(world_journal, text);
	here = world_start();
	world_walk(&here, SETTER_REVERT, NULL, 0);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_number(world_value(buckets), 5120); /* "5096" is not believed */
	snprintf(aside, sizeof(aside), "%s.damaged", world_journal);
	assert_int_equal(access(aside, F_OK), 0);
}

/* With one that is not ours, or that cannot be read, nothing is written. */
static void with_an_unusable_journal_nothing_is_written(void **state)
{
	struct setter_answer answer;

	(void)state;
	world_need();
	world_stop(&here, true);
	assert_int_equal(symlink("/dev/null", world_journal), 0);
	here = world_start();
	answer = write_number(buckets, 5120);
	assert_int_equal(answer.outcome, SETTER_NO_JOURNAL);
	assert_false(answer.is_ours);
	assert_number(world_value(buckets), 4096);
	assert_int_equal(world_walk(&here, SETTER_REVERT, NULL, 0), 0);
	world_stop(&here, true);
	assert_true(world_has_journal()); /* and the link is as it was */
	unlink(world_journal);
	here = world_start();
}

static void of_another_boot_nothing_is_put_back(void **state)
{
	char text[2048];
	FILE *file;
	size_t len;

	(void)state;
	world_need();
	write_number(buckets, 5120);
	world_stop(&here, false);
	file = fopen(world_journal, "w");
	len = journal_format_header("00000000-0000-0000-0000-000000000000", text);
	fwrite(text, 1, len, file);
	fclose(file);
	here = world_start();
	assert_false(world_has_journal());
	assert_int_equal(world_walk(&here, SETTER_REVERT, NULL, 0), 0);
	assert_number(world_value(buckets), 5120);
}

/* A small file system is full: nothing is written to a sysctl; what is ours can be put back. */
static void a_full_disk_stops_writing(void **state)
{
	struct setter_answer answer;
	char filler[PATH_MAX + 16], block[4096] = {1};
	int fd;

	(void)state;
	world_need();
	world_stop(&here, true);
	assert_int_equal(mount("none", world_folder, "tmpfs", 0, "size=64k"), 0);
	here = world_start();
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 160).outcome, SETTER_DONE);
	snprintf(filler, sizeof(filler), "%s/filler", world_folder);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	for (int i = 0; i < WORLD_KEYS; i++) {
		const struct world_key *key = &world_keys[i];
		struct sysctl_value before = world_value(key->key), now;

		answer = world_write(&here, key->key, &key->two);
		assert_int_equal(answer.outcome, SETTER_NO_JOURNAL);
		assert_int_equal(answer.error, ENOSPC);
		assert_int_equal(answer.is_ours, key->key == SYSCTL_SOMAXCONN);
		now = world_value(key->key);
		assert_true(sysctl_same(&before, &now));
	}
	/* What a guardian that comes now finds is what was there. */
	world_stop(&here, false);
	here = world_start();
	assert_int_equal(world_walk(&here, SETTER_LIST, &answer, 1), 1);
	assert_number(answer.original, 128);
	assert_int_equal(world_revert(&here, SYSCTL_SOMAXCONN).outcome, SETTER_DONE);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_false(world_has_journal());
	close(fd);
	unlink(filler);
	assert_int_equal(write_number(buckets, 5120).outcome, SETTER_DONE);
	world_stop(&here, true);
	assert_int_equal(umount2(world_folder, MNT_DETACH), 0);
	here = world_start();
}

/* Two are ours, one is put back, and that cannot be noted: it is, once there is room. */
static void what_could_not_be_noted_is_later(void **state)
{
	char filler[PATH_MAX + 16], block[4096] = {1};
	int fd;

	(void)state;
	world_need();
	world_stop(&here, true);
	assert_int_equal(mount("none", world_folder, "tmpfs", 0, "size=64k"), 0);
	here = world_start();
	write_number(SYSCTL_SOMAXCONN, 160);
	write_number(buckets, 5120);
	snprintf(filler, sizeof(filler), "%s/filler", world_folder);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(world_revert(&here, buckets).outcome, SETTER_DONE);
	assert_number(world_value(buckets), 4096);
	close(fd);
	unlink(filler);
	setter_serve(here.setter);
	world_stop(&here, false);
	/* An admin sets what we had set: it is his. */
	{
		struct sysctl_value admins = sysctl_number(5120);

		world_set(buckets, &admins);
	}
	here = world_start();
	world_stop(&here, true);
	assert_number(world_value(buckets), 5120);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_int_equal(umount2(world_folder, MNT_DETACH), 0);
	here = world_start();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WORLD_TEST(a_value_is_refused),
		WORLD_TEST(a_value_is_clamped),
		WORLD_TEST(without_permission_it_says_so),
		WORLD_TEST(where_it_is_read_only_it_says_so),
		WORLD_TEST(over_a_restart_it_stays_ours),
		WORLD_TEST(a_damaged_journal_puts_back_what_it_can),
		WORLD_TEST(with_an_unusable_journal_nothing_is_written),
		WORLD_TEST(of_another_boot_nothing_is_put_back),
		WORLD_TEST(a_full_disk_stops_writing),
		WORLD_TEST(what_could_not_be_noted_is_later),
	};

	world_open();
	return world_close(cmocka_run_group_tests_name("setter_faults", tests, NULL, NULL));
}
