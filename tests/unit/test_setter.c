/* SPDX-License-Identifier: MIT */
/* The setter as the loop sees it: what it writes, what it refuses and why, what is ours and for how
 * long, in its own and in another network namespace, and with a journal that cannot be used. What a
 * SIGKILL does is in test_setter_kill. */
#include "daemon/journal.h"
#include "daemon/spaces.h"

#include "tests/unit/setter_world.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const enum sysctl buckets = SYSCTL_TIME_WAITS_MAX;
static bool have_world;
static struct world world;

static int begin(void **state)
{
	(void)state;
	if (!have_world)
		return 0;
	world_reset();
	world = world_start();
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (have_world)
		world_stop(&world, true);
	return 0;
}

static void need_world(void)
{
	if (!have_world)
		unit_skip("no network and mount namespaces of its own");
}

static struct setter_answer write_number(enum sysctl key, int64_t number)
{
	struct sysctl_value value = sysctl_number(number);

	return world_write(&world, key, &value);
}

static void assert_number(struct sysctl_value value, int64_t number)
{
	assert_int_equal(value.count, 1);
	assert_int_equal(value.number[0], number);
}

static void put_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* --- what is written -------------------------------------------------------------------------- */

static void each_key_is_written_and_put_back(void **state)
{
	struct world_values before;

	(void)state;
	need_world();
	world_read_all(&before);
	for (int i = 0; i < WORLD_KEYS; i++) {
		const struct world_key *key = &world_keys[i];
		struct setter_answer answer = world_write(&world, key->key, &key->one);

		assert_int_equal(answer.outcome, SETTER_DONE);
		assert_int_equal(answer.error, 0);
		assert_true(answer.is_ours && sysctl_same(&answer.original, &key->base));
		assert_true(sysctl_same(&answer.before, &key->base));
		assert_true(sysctl_same(&answer.now, &key->one));
		assert_true(world_has_journal());
	}
	for (int i = 0; i < WORLD_KEYS; i++) {
		const struct world_key *key = &world_keys[i];
		struct setter_answer answer = world_revert(&world, key->key);
		struct sysctl_value now = world_value(key->key);

		assert_int_equal(answer.outcome, SETTER_DONE);
		assert_true(!answer.is_ours && !answer.original.count);
		assert_true(sysctl_same(&answer.before, &key->one));
		assert_true(sysctl_same(&now, &key->base));
	}
	assert_false(world_has_journal());
}

static void the_original_is_that_of_the_first_write(void **state)
{
	struct setter_answer answer;

	(void)state;
	need_world();
	write_number(buckets, 5120);
	answer = write_number(buckets, 6400);
	assert_number(answer.original, 4096);
	assert_number(answer.before, 5120);
	answer = write_number(buckets, 5000); /* shrinks */
	assert_int_equal(answer.outcome, SETTER_DONE);
	assert_number(answer.original, 4096);
	answer = write_number(buckets, 4096); /* all the way */
	assert_int_equal(answer.outcome, SETTER_DONE);
	assert_false(answer.is_ours);
	assert_false(world_has_journal());
	answer = world_revert(&world, buckets);
	assert_int_equal(answer.outcome, SETTER_CHANGED);
	assert_number(world_value(buckets), 4096);
}

static void what_it_is_already_is_done(void **state)
{
	struct setter_answer answer;

	(void)state;
	need_world();
	answer = write_number(buckets, 4096);
	assert_int_equal(answer.outcome, SETTER_DONE);
	assert_false(answer.is_ours || world_has_journal());
}

static void all_are_listed_and_put_back(void **state)
{
	struct setter_answer answers[WORLD_KEYS + 1];

	(void)state;
	need_world();
	assert_int_equal(world_walk(&world, SETTER_LIST, answers, 1), 0);
	for (int i = 0; i < WORLD_KEYS; i++)
		world_write(&world, world_keys[i].key, &world_keys[i].one);
	for (int round = 0; round < 2; round++) {
		enum setter_op op = round ? SETTER_REVERT : SETTER_LIST;

		assert_int_equal(world_walk(&world, op, answers, WORLD_KEYS + 1), WORLD_KEYS);
		for (int i = 0; i < WORLD_KEYS; i++) {
			assert_int_equal(answers[i].key, world_keys[i].key);
			assert_int_equal(answers[i].outcome, SETTER_DONE);
			assert_int_equal(answers[i].netns, 0);
			assert_int_equal(answers[i].is_ours, !round);
			assert_true(sysctl_same(&answers[i].before, &world_keys[i].one));
		}
	}
	assert_int_equal(world_walk(&world, SETTER_LIST, answers, 1), 0);
}

/* --- what is not ------------------------------------------------------------------------------ */

static const struct refused_row {
	const char *name;
	enum sysctl key;
	const char *value;
} refused_rows[] = {
	{"forbidden: buckets down", SYSCTL_TIME_WAITS_MAX, "4095"},
	{"forbidden: buckets too many", SYSCTL_TIME_WAITS_MAX, "4194305"},
	{"forbidden: orphans down", SYSCTL_ORPHANS_MAX, "4095"},
	{"forbidden: fin timeout up", SYSCTL_FIN_TIMEOUT_S, "61"},
	{"forbidden: fin timeout too short", SYSCTL_FIN_TIMEOUT_S, "4"},
	{"forbidden: somaxconn down", SYSCTL_SOMAXCONN, "127"},
	{"forbidden: a range that moves", SYSCTL_PORT_RANGE, "30000 50000"},
	{"forbidden: a range of one number", SYSCTL_PORT_RANGE, "1024"},
	{"forbidden: reuse off", SYSCTL_TIME_WAIT_REUSE, "0"},
	{"forbidden: syncookies off", SYSCTL_SYN_COOKIES, "0"},
	{"forbidden: timestamps", SYSCTL_TIMESTAMPS, "0"},
	{"forbidden: tcp_mem", SYSCTL_MEMORY_PAGES, "1 2 3"},
	{"forbidden: conntrack", SYSCTL_CONNTRACK_MAX, "1"},
	{"forbidden: a key that is none", SYSCTL_COUNT, "1"},
	{"forbidden: all of them at once", (enum sysctl)SETTER_ALL, "1"},
};

static void is_refused(void **state)
{
	const struct refused_row *row = *state;
	struct world_values before, now;
	struct sysctl_value value;

	need_world();
	world_read_all(&before);
	assert_true(sysctl_parse(row->value, &value));
	assert_int_equal(world_write(&world, row->key, &value).outcome, SETTER_FORBIDDEN);
	world_read_all(&now);
	assert_memory_equal(&before, &now, sizeof(now));
	assert_false(world_has_journal());
}

/* What the loop asks for may be anything: it was taken over, or it is mistaken. */
static void nonsense_is_forbidden(void **state)
{
	struct setter_request request = {.op = 77, .key = SYSCTL_SOMAXCONN};
	struct world_values before, now;
	uint32_t seed = 1;

	(void)state;
	need_world();
	world_read_all(&before);
	assert_int_equal(world_ask(&world, &request).outcome, SETTER_FORBIDDEN);
	request = (struct setter_request){.op = SETTER_REVERT, .key = SYSCTL_COUNT};
	assert_int_equal(world_ask(&world, &request).outcome, SETTER_FORBIDDEN);
	request = (struct setter_request){
		.key = SYSCTL_SOMAXCONN, .expected = {.count = 99}, .value = {.count = 99}};
	assert_int_equal(world_ask(&world, &request).outcome, SETTER_FORBIDDEN);
	for (int i = 0; i < 20000; i++) {
		unsigned char bytes[sizeof(request)];

		for (size_t at = 0; at < sizeof(bytes); at++) {
			seed = seed * 1664525 + 1013904223;
			bytes[at] = (unsigned char)(seed >> 24);
		}
		memcpy(&request, bytes, sizeof(request));
		request.op = (uint8_t)(i % 3 == 0 ? SETTER_WRITE : 3 + request.op % 250);
		request.key %= SYSCTL_COUNT + 1;
		request.netns = 0;
		assert_int_equal(world_ask(&world, &request).outcome, SETTER_FORBIDDEN);
	}
	assert_int_equal(send(world.fd, "short", 5, 0), 5);
	setter_serve(world.setter);
	world_read_all(&now);
	assert_memory_equal(&before, &now, sizeof(now));
}

static void what_is_named_is_left_alone(void **state)
{
	(void)state;
	need_world();
	put_text("/etc/sysctl.d/50-admin.conf", "net.core.somaxconn = 128\n");
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 160).outcome, SETTER_NAMED);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_false(world_has_journal());
	assert_int_equal(write_number(buckets, 5120).outcome, SETTER_DONE);
	unlink("/etc/sysctl.d/50-admin.conf");
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 160).outcome, SETTER_DONE);
	/* Named now, and not applied: no step further, but the way back. */
	put_text("/etc/sysctl.d/50-admin.conf", "net/core/* = 300\n");
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 200).outcome, SETTER_NAMED);
	assert_number(world_value(SYSCTL_SOMAXCONN), 160);
	assert_int_equal(world_revert(&world, SYSCTL_SOMAXCONN).outcome, SETTER_DONE);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	unlink("/etc/sysctl.d/50-admin.conf");
}

static void what_has_changed_is_left_alone(void **state)
{
	struct setter_request request = {.op = SETTER_WRITE, .key = SYSCTL_TIME_WAITS_MAX};
	struct sysctl_value admins = sysctl_number(9000);
	struct setter_answer answer;

	(void)state;
	need_world();
	world_set(buckets, &admins);
	request.expected = sysctl_number(4096); /* as the loop has seen it */
	request.value = sysctl_number(5120);
	answer = world_ask(&world, &request);
	assert_int_equal(answer.outcome, SETTER_CHANGED);
	assert_number(answer.now, 9000);
	assert_false(answer.is_ours || world_has_journal());
	/* Of ours as well: it is not ours any more, nor is it put back. */
	request.expected = sysctl_number(9000);
	request.value = sysctl_number(10000);
	assert_int_equal(world_ask(&world, &request).outcome, SETTER_DONE);
	world_set(buckets, &admins);
	request.expected = sysctl_number(10000);
	request.value = sysctl_number(11000);
	answer = world_ask(&world, &request);
	assert_int_equal(answer.outcome, SETTER_CHANGED);
	assert_false(answer.is_ours);
	assert_int_equal(world_revert(&world, buckets).outcome, SETTER_CHANGED);
	assert_number(world_value(buckets), 9000);
	/* Nor may it go back to where we once found it. */
	request.expected = sysctl_number(9000);
	request.value = sysctl_number(8000);
	assert_int_equal(world_ask(&world, &request).outcome, SETTER_FORBIDDEN);
}

static void a_list_sees_who_has_changed_what(void **state)
{
	struct sysctl_value admins = sysctl_number(9000);
	struct setter_answer answers[2];

	(void)state;
	need_world();
	write_number(buckets, 5120);
	write_number(SYSCTL_SOMAXCONN, 160);
	world_set(buckets, &admins);
	assert_int_equal(world_walk(&world, SETTER_LIST, answers, 2), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(answers[i].outcome,
				 answers[i].key == buckets ? SETTER_CHANGED : SETTER_DONE);
		assert_int_equal(answers[i].is_ours, answers[i].key != buckets);
	}
	assert_int_equal(world_walk(&world, SETTER_LIST, answers, 2), 1);
}

static void what_is_not_there_is_said(void **state)
{
	(void)state;
	need_world();
	setter_seam.read = sysctl_read; /* the real tcp_max_orphans: not in this namespace */
	assert_int_equal(write_number(SYSCTL_ORPHANS_MAX, 5000).outcome, SETTER_NO_SUCH);
	assert_false(world_has_journal());
}

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
	need_world();
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
				assert_true(world_revert(&world, buckets).is_ours);
		}
		setter_seam.write = sysctl_write;
		assert_int_equal(write_number(buckets, 5120).outcome, SETTER_DONE);
	}
	assert_int_equal(world_revert(&world, buckets).outcome, SETTER_DONE);
	assert_number(world_value(buckets), 4096);
}

/* The kernel has the last word: what it made of it is ours, and is put back. */
static void a_value_is_clamped(void **state)
{
	(void)state;
	need_world();
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
		world_stop(&world, false);
		world = world_start();
		assert_int_equal(world_revert(&world, buckets).outcome, SETTER_DONE);
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
		world = world_start();
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
	if (chown(world_folder, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 ||
	    syscall(SYS_capset, &header, none) < 0)
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
	need_world();
	if (getuid() != 0)
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
	need_world();
	assert_int_equal(outcome_in_child(unshare_and_become_read_only), SETTER_READ_ONLY);
	assert_false(world_has_journal());
	assert_int_equal(outcome_in_child(unshare_and_open_net), 99); /* it is written */
	assert_number(world_value(SYSCTL_SOMAXCONN), 160);
	/* The child is gone, and its journal is not. */
	world_stop(&world, false);
	world = world_start();
	assert_int_equal(world_revert(&world, SYSCTL_SOMAXCONN).outcome, SETTER_DONE);
}

/* --- the journal ------------------------------------------------------------------------------ */

static void over_a_restart_it_stays_ours(void **state)
{
	struct setter_answer answer;

	(void)state;
	need_world();
	write_number(buckets, 5120);
	for (int i = 0; i < 3; i++) {
		world_stop(&world, false);
		world = world_start();
		assert_number(world_value(buckets), 5120);
		assert_int_equal(world_walk(&world, SETTER_LIST, &answer, 1), 1);
		assert_true(answer.is_ours);
		assert_number(answer.original, 4096);
	}
	world_stop(&world, true);
	assert_number(world_value(buckets), 4096);
	assert_false(world_has_journal());
	world = world_start();
}

/* Of two one is damaged: the other is put back, and nothing else is touched. */
static void a_damaged_journal_puts_back_what_it_can(void **state)
{
	char text[2048], aside[PATH_MAX + 16];
	FILE *file;
	size_t len;

	(void)state;
	need_world();
	write_number(buckets, 5120);
	write_number(SYSCTL_SOMAXCONN, 160);
	world_stop(&world, false);
	file = fopen(world_journal, "r");
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	*strstr(text, "4096") = '5';
	put_text(world_journal, text);
	world = world_start();
	world_walk(&world, SETTER_REVERT, NULL, 0);
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
	need_world();
	world_stop(&world, true);
	assert_int_equal(symlink("/dev/null", world_journal), 0);
	world = world_start();
	answer = write_number(buckets, 5120);
	assert_int_equal(answer.outcome, SETTER_NO_JOURNAL);
	assert_false(answer.is_ours);
	assert_number(world_value(buckets), 4096);
	assert_int_equal(world_walk(&world, SETTER_REVERT, NULL, 0), 0);
	world_stop(&world, true);
	assert_true(world_has_journal()); /* and the link is as it was */
	unlink(world_journal);
	world = world_start();
}

static void of_another_boot_nothing_is_put_back(void **state)
{
	char text[2048];
	FILE *file;
	size_t len;

	(void)state;
	need_world();
	write_number(buckets, 5120);
	world_stop(&world, false);
	file = fopen(world_journal, "w");
	len = journal_format_header("00000000-0000-0000-0000-000000000000", text);
	fwrite(text, 1, len, file);
	fclose(file);
	world = world_start();
	assert_false(world_has_journal());
	assert_int_equal(world_walk(&world, SETTER_REVERT, NULL, 0), 0);
	assert_number(world_value(buckets), 5120);
}

/* A small file system is full: nothing is written to a sysctl; what is ours can be put back. */
static void a_full_disk_stops_writing(void **state)
{
	struct setter_answer answer;
	char filler[PATH_MAX + 16], block[4096] = {1};
	int fd;

	(void)state;
	need_world();
	world_stop(&world, true);
	assert_int_equal(mount("none", world_folder, "tmpfs", 0, "size=64k"), 0);
	world = world_start();
	assert_int_equal(write_number(SYSCTL_SOMAXCONN, 160).outcome, SETTER_DONE);
	snprintf(filler, sizeof(filler), "%s/filler", world_folder);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	for (int i = 0; i < WORLD_KEYS; i++) {
		const struct world_key *key = &world_keys[i];
		struct sysctl_value before = world_value(key->key), now;

		answer = world_write(&world, key->key, &key->two);
		assert_int_equal(answer.outcome, SETTER_NO_JOURNAL);
		assert_int_equal(answer.error, ENOSPC);
		assert_int_equal(answer.is_ours, key->key == SYSCTL_SOMAXCONN);
		now = world_value(key->key);
		assert_true(sysctl_same(&before, &now));
	}
	/* What a guardian that comes now finds is what was there. */
	world_stop(&world, false);
	world = world_start();
	assert_int_equal(world_walk(&world, SETTER_LIST, &answer, 1), 1);
	assert_number(answer.original, 128);
	assert_int_equal(world_revert(&world, SYSCTL_SOMAXCONN).outcome, SETTER_DONE);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_false(world_has_journal());
	close(fd);
	unlink(filler);
	assert_int_equal(write_number(buckets, 5120).outcome, SETTER_DONE);
	world_stop(&world, true);
	assert_int_equal(umount2(world_folder, MNT_DETACH), 0);
	world = world_start();
}

/* Two are ours, one is put back, and that cannot be noted: it is, once there is room. */
static void what_could_not_be_noted_is_later(void **state)
{
	char filler[PATH_MAX + 16], block[4096] = {1};
	int fd;

	(void)state;
	need_world();
	world_stop(&world, true);
	assert_int_equal(mount("none", world_folder, "tmpfs", 0, "size=64k"), 0);
	world = world_start();
	write_number(SYSCTL_SOMAXCONN, 160);
	write_number(buckets, 5120);
	snprintf(filler, sizeof(filler), "%s/filler", world_folder);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	assert_int_equal(world_revert(&world, buckets).outcome, SETTER_DONE);
	assert_number(world_value(buckets), 4096);
	close(fd);
	unlink(filler);
	setter_serve(world.setter);
	world_stop(&world, false);
	/* An admin sets what we had set: it is his. */
	{
		struct sysctl_value admins = sysctl_number(5120);

		world_set(buckets, &admins);
	}
	world = world_start();
	world_stop(&world, true);
	assert_number(world_value(buckets), 5120);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_int_equal(umount2(world_folder, MNT_DETACH), 0);
	world = world_start();
}

/* --- another namespace ------------------------------------------------------------------------ */

static struct setter_answer write_there(const struct neighbour *there, int64_t from, int64_t to)
{
	struct setter_request request = {
		.op = SETTER_WRITE,
		.key = SYSCTL_SOMAXCONN,
		.netns = there->netns,
		.pid = there->pid,
		.expected = sysctl_number(from),
		.value = sysctl_number(to),
	};

	return world_ask(&world, &request);
}

static int64_t value_there(const struct neighbour *there)
{
	struct sysctl_value value;

	assert_true(sysctl_read(there->folders, SYSCTL_SOMAXCONN, &value));
	return value.number[0];
}

static void another_namespace_is_written_and_put_back(void **state)
{
	struct neighbour there;
	struct setter_answer answer;
	int64_t was;

	(void)state;
	need_world();
	there = neighbour_new();
	was = value_there(&there);
	for (int round = 0; round < 2; round++) {
		answer = write_there(&there, was, was + 100);
		assert_int_equal(answer.outcome, SETTER_DONE);
		assert_true(answer.netns == there.netns && answer.is_ours);
		assert_int_equal(value_there(&there), was + 100);
		assert_number(world_value(SYSCTL_SOMAXCONN), 128); /* ours is as it was */
		/* The next guardian finds the way by itself. */
		if (round) {
			world_stop(&world, false);
			world = world_start();
			assert_int_equal(world_walk(&world, SETTER_LIST, &answer, 1), 1);
			assert_true(answer.is_ours && answer.netns == there.netns);
		}
		assert_int_equal(world_walk(&world, SETTER_REVERT, &answer, 1), 1);
		assert_int_equal(answer.outcome, SETTER_DONE);
		assert_int_equal(value_there(&there), was);
		assert_false(world_has_journal());
	}
	/* and so does a stop */
	write_there(&there, was, was + 100);
	world_stop(&world, false);
	world = world_start();
	world_stop(&world, true);
	assert_int_equal(value_there(&there), was);
	world = world_start();
	neighbour_end(&there);
}

static void a_namespace_that_goes_takes_its_lines_along(void **state)
{
	struct neighbour there;
	struct setter_answer answer;
	int64_t was;

	(void)state;
	need_world();
	there = neighbour_new();
	was = value_there(&there);
	assert_int_equal(write_there(&there, was, was + 100).outcome, SETTER_DONE);
	assert_int_equal(write_number(buckets, 5120).outcome, SETTER_DONE);
	neighbour_end(&there);
	answer = write_there(&there, was + 100, was + 200);
	assert_int_equal(answer.outcome, SETTER_GONE);
	assert_false(answer.is_ours);
	assert_int_equal(world_walk(&world, SETTER_LIST, &answer, 1), 1);
	assert_int_equal(answer.key, buckets);
	assert_int_equal(write_there(&there, was, was + 100).outcome, SETTER_NO_NAMESPACE);
	assert_int_equal(world_revert(&world, buckets).outcome, SETTER_DONE);
	assert_false(world_has_journal());
}

/* It goes while a walk is on its way. */
static void gone_before_it_is_put_back(void **state)
{
	struct neighbour there;
	struct setter_answer answers[3];
	int64_t was;

	(void)state;
	need_world();
	there = neighbour_new();
	was = value_there(&there);
	write_there(&there, was, was + 100);
	write_number(buckets, 5120);
	neighbour_end(&there);
	assert_int_equal(world_walk(&world, SETTER_REVERT, answers, 3), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(answers[i].outcome, answers[i].netns ? SETTER_GONE : SETTER_DONE);
		assert_false(answers[i].is_ours);
	}
	assert_number(world_value(buckets), 4096);
	assert_false(world_has_journal());
}

/* Gone while no guardian was there: nobody can tell, so the line stays, and is said. */
static void what_cannot_be_reached_stays_in_the_journal(void **state)
{
	struct neighbour there;
	struct setter_answer answer;
	int64_t was;

	(void)state;
	need_world();
	there = neighbour_new();
	was = value_there(&there);
	write_there(&there, was, was + 100);
	world_stop(&world, false);
	neighbour_end(&there);
	world = world_start();
	assert_int_equal(world_walk(&world, SETTER_REVERT, &answer, 1), 1);
	assert_int_equal(answer.outcome, SETTER_NO_NAMESPACE);
	assert_true(answer.is_ours);
	world_stop(&world, true);
	assert_true(world_has_journal());
	unlink(world_journal);
	world = world_start();
}

/* The number is another's now: what the journal has under it is not put back there. */
static void a_number_that_is_used_again(void **state)
{
	struct neighbour there;
	struct sysctl_value value;
	int64_t was;
	char boot[JOURNAL_BOOT];
	static struct journal journal;

	(void)state;
	need_world();
	there = neighbour_new();
	was = value_there(&there);
	assert_int_equal(write_there(&there, was, was + 100).outcome, SETTER_DONE);
	world_stop(&world, false);
	assert_true(journal_boot(boot));
	assert_int_equal(journal_load(world_journal, boot, &journal), JOURNAL_INTACT);
	assert_int_equal(journal.count, 1);
	if (!journal.entry[0].cookie)
		unit_skip("the kernel says no cookie");
	journal.entry[0].cookie++;
	assert_true(journal_save(world_journal, boot, &journal));
	world = world_start();
	assert_int_equal(world_walk(&world, SETTER_REVERT, NULL, 0), 1);
	assert_int_equal(value_there(&there), was + 100);
	assert_false(world_has_journal());
	value = sysctl_number(was);
	assert_true(sysctl_write(there.folders, SYSCTL_SOMAXCONN, &value));
	neighbour_end(&there);
}

static void who_is_elsewhere_is_not_believed(void **state)
{
	struct neighbour there;
	struct setter_request request = {
		.op = SETTER_WRITE,
		.key = SYSCTL_SOMAXCONN,
		.expected = sysctl_number(128),
		.value = sysctl_number(160),
	};

	(void)state;
	need_world();
	there = neighbour_new();
	request.netns = there.netns;
	request.pid = getpid(); /* which is here */
	assert_int_equal(world_ask(&world, &request).outcome, SETTER_NO_NAMESPACE);
	request.netns = 1;
	request.pid = there.pid;
	assert_int_equal(world_ask(&world, &request).outcome, SETTER_NO_NAMESPACE);
	request.pid = 1 << 30;
	assert_int_equal(world_ask(&world, &request).error, ESRCH);
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	neighbour_end(&there);
}

/* More than are kept at once. */
static void many_namespaces(void **state)
{
	enum { MANY = SPACES_MAX + 6 };
	static struct neighbour there[MANY];
	int64_t was;

	(void)state;
	need_world();
	for (int i = 0; i < MANY; i++) {
		there[i] = neighbour_new();
		was = value_there(&there[i]);
		assert_int_equal(write_there(&there[i], was, was + 1).outcome, SETTER_DONE);
	}
	assert_int_equal(world_walk(&world, SETTER_REVERT, NULL, 0), MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(value_there(&there[i]), was);
		kill(there[i].pid, SIGKILL);
	}
	for (int i = 0; i < MANY; i++)
		neighbour_end(&there[i]);
	assert_false(world_has_journal());
}

/* --- the channel ------------------------------------------------------------------------------ */

static void a_request_wakes_and_an_answer_does_not(void **state)
{
	static const struct timespec at_once = {0, 0};
	struct setter_request request = {.op = SETTER_LIST, .key = SETTER_ALL};
	struct setter_answer answer;
	sigset_t set, old;

	(void)state;
	need_world();
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	signal(SIGIO, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &old);
	assert_int_equal(sigtimedwait(&set, NULL, &at_once), -1);
	assert_true(setter_ask(world.fd, &request));
	assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGIO);
	setter_serve(world.setter);
	assert_true(setter_take(world.fd, &answer));
	assert_int_equal(sigtimedwait(&set, NULL, &at_once), -1);
	signal(SIGIO, SIG_IGN);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* The loop asks and does not listen: the guardian does not wait, and nothing is lost. */
static void a_full_channel_is_emptied_later(void **state)
{
	enum { LISTS = 200 };
	struct setter_request request = {.op = SETTER_LIST, .key = SETTER_ALL};
	struct setter_answer answer;
	unsigned int asked = 0, ends = 0, rows = 0, idle = 0;

	(void)state;
	need_world();
	for (int i = 0; i < WORLD_KEYS; i++)
		world_write(&world, world_keys[i].key, &world_keys[i].one);
	while (asked < LISTS && idle < 50) {
		request.serial = asked + 1;
		asked += setter_ask(world.fd, &request);
		setter_serve(world.setter);
		idle++;
	}
	while (ends < LISTS) {
		bool got = setter_take(world.fd, &answer);

		if (!got && asked < LISTS) {
			request.serial = asked + 1;
			asked += setter_ask(world.fd, &request);
		}
		setter_serve(world.setter);
		if (!got)
			continue;
		assert_int_equal(answer.serial, ends + 1);
		assert_int_equal(answer.key,
				 rows == WORLD_KEYS ? SETTER_ALL : world_keys[rows].key);
		ends += answer.key == SETTER_ALL;
		rows = answer.key == SETTER_ALL ? 0 : rows + 1;
	}
}

static void a_new_loop_is_not_told_what_the_old_one_asked(void **state)
{
	struct setter_request request = {.serial = 7,
					 .op = SETTER_WRITE,
					 .key = SYSCTL_SOMAXCONN,
					 .expected = sysctl_number(128),
					 .value = sysctl_number(160)};
	struct setter_answer answer;

	(void)state;
	need_world();
	assert_true(setter_ask(world.fd, &request));
	close(world.fd);
	world.fd = setter_connect(world.setter);
	setter_serve(world.setter);
	assert_false(setter_take(world.fd, &answer));
	assert_number(world_value(SYSCTL_SOMAXCONN), 128);
	assert_true(setter_ask(world.fd, &request));
	setter_serve(world.setter);
	assert_true(setter_take(world.fd, &answer));
	assert_int_equal(answer.outcome, SETTER_DONE);
	assert_false(setter_ask(-1, &request));
	assert_false(setter_take(-1, &answer));
}

static void each_outcome_has_its_words(void **state)
{
	(void)state;
	for (enum setter_outcome i = 0; i < SETTER_OUTCOME_COUNT; i++)
		assert_true(strlen(setter_outcome_text(i)) > 3);
	assert_string_equal(setter_outcome_text(SETTER_OUTCOME_COUNT), "not known");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	static const struct CMUnitTest others[] = {
		TEST(each_key_is_written_and_put_back),
		TEST(the_original_is_that_of_the_first_write),
		TEST(what_it_is_already_is_done),
		TEST(all_are_listed_and_put_back),
		TEST(nonsense_is_forbidden),
		TEST(what_is_named_is_left_alone),
		TEST(what_has_changed_is_left_alone),
		TEST(a_list_sees_who_has_changed_what),
		TEST(what_is_not_there_is_said),
		TEST(a_value_is_refused),
		TEST(a_value_is_clamped),
		TEST(without_permission_it_says_so),
		TEST(where_it_is_read_only_it_says_so),
		TEST(over_a_restart_it_stays_ours),
		TEST(a_damaged_journal_puts_back_what_it_can),
		TEST(with_an_unusable_journal_nothing_is_written),
		TEST(of_another_boot_nothing_is_put_back),
		TEST(a_full_disk_stops_writing),
		TEST(what_could_not_be_noted_is_later),
		TEST(another_namespace_is_written_and_put_back),
		TEST(a_namespace_that_goes_takes_its_lines_along),
		TEST(gone_before_it_is_put_back),
		TEST(what_cannot_be_reached_stays_in_the_journal),
		TEST(a_number_that_is_used_again),
		TEST(who_is_elsewhere_is_not_believed),
		TEST(many_namespaces),
		TEST(a_request_wakes_and_an_answer_does_not),
		TEST(a_full_channel_is_emptied_later),
		TEST(a_new_loop_is_not_told_what_the_old_one_asked),
		TEST(each_outcome_has_its_words),
	};
	struct CMUnitTest tests[ARRAY_SIZE(others) + ARRAY_SIZE(refused_rows)];
	int failed;

	have_world = world_open();
	memcpy(tests, others, sizeof(others));
	for (size_t i = 0; i < ARRAY_SIZE(refused_rows); i++) {
		struct CMUnitTest *test = &tests[ARRAY_SIZE(others) + i];

		*test = unit_row(refused_rows[i].name, is_refused, &refused_rows[i]);
		test->setup_func = begin;
		test->teardown_func = end;
	}
	failed = cmocka_run_group_tests_name("setter", tests, NULL, NULL);
	if (have_world)
		world_close();
	return failed;
}
