/* SPDX-License-Identifier: MIT */
/* What the tuner stands on: advice that is ignored, a listener's queue made longer from outside,
 * and rates from what the kernel counts. */
#include "daemon/ignored.h"
#include "daemon/probe.h"
#include "daemon/relisten.h"
#include "daemon/sock.h"
#include "daemon/vitals.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- ignored ---------------------------------------------------------------------------------- */

static char folder[] = "/tmp/closeside-ignored.XXXXXX";
static char path[sizeof(folder) + 16];

static int make_folder(void **state)
{
	(void)state;
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/ignored", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void what_is_ignored_is_kept(void **state)
{
	struct ignored *ignored = ignored_new(path);

	(void)state;
	assert_false(ignored_has(ignored, "orphans/max-orphans"));
	assert_true(ignored_set(ignored, "orphans/max-orphans", true));
	assert_true(ignored_set(ignored, "orphans/max-orphans", true));
	assert_true(ignored_set(ignored, "ports/[fd77::2]-[fd77::1]:80/tw-reuse", true));
	ignored_free(ignored);
	ignored = ignored_new(path);
	assert_true(ignored_has(ignored, "orphans/max-orphans"));
	assert_true(ignored_has(ignored, "ports/[fd77::2]-[fd77::1]:80/tw-reuse"));
	assert_false(ignored_has(ignored, "orphans/max-orphan"));
	assert_true(ignored_set(ignored, "orphans/max-orphans", false));
	ignored_free(ignored);
	ignored = ignored_new(path);
	assert_false(ignored_has(ignored, "orphans/max-orphans"));
	assert_true(ignored_has(ignored, "ports/[fd77::2]-[fd77::1]:80/tw-reuse"));
	ignored_free(ignored);
}

static void what_cannot_be_kept_is_said(void **state)
{
	struct ignored *ignored = ignored_new("/proc/self/nowhere/ignored");
	char id[] = "ports/000";

	(void)state;
	assert_false(ignored_set(ignored, "orphans/max-orphans", true));
	assert_int_equal(errno, ENOENT);
	ignored_free(ignored);
	ignored = ignored_new(path);
	for (int i = 0; i < 256; i++) {
		snprintf(id, sizeof(id), "ports/%03d", i);
		assert_true(ignored_set(ignored, id, true));
	}
	assert_false(ignored_set(ignored, "one/more", true));
	assert_int_equal(errno, ENOSPC);
	ignored_free(ignored);
}

static void a_link_or_a_folder_is_not_read(void **state)
{
	char target[sizeof(path) + 8];
	struct ignored *ignored;
	FILE *file;

	(void)state;
	snprintf(target, sizeof(target), "%s.target", path);
	file = fopen(target, "w");
	assert_non_null(file);
	fputs("orphans/max-orphans\n", file);
	fclose(file);
	assert_int_equal(symlink(target, path), 0);
	ignored = ignored_new(path);
	assert_false(ignored_has(ignored, "orphans/max-orphans"));
	ignored_free(ignored);
	unlink(target);
	ignored = ignored_new(folder);
	assert_non_null(ignored);
	ignored_free(ignored);
}

/* --- relisten --------------------------------------------------------------------------------- */

static struct probe_listener found;
static uint64_t wanted;

static void find_listener(const struct probe_listener *listener, void *arg)
{
	(void)arg;
	if (listener->cookie == wanted)
		found = *listener;
}

static uint32_t backlog_of(struct probe *probe, uint64_t cookie)
{
	wanted = cookie;
	found.cookie = 0;
	assert_true(probe_listeners(probe, find_listener, NULL));
	assert_true(found.cookie == cookie);
	return found.backlog;
}

/* A process of its own that listens, and has other sockets as well. */
static pid_t start_listening(uint64_t *cookie)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int ends[2];
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		int other = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

		if (other < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
		    listen(fd, 7) < 0)
			_exit(1);
		*cookie = sock_cookie(fd);
		if (write(ends[1], cookie, sizeof(*cookie)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], cookie, sizeof(*cookie)), sizeof(*cookie));
	close(ends[0]);
	close(ends[1]);
	return child;
}

static void a_program_that_runs_gets_a_longer_queue(void **state)
{
	struct probe *probe = probe_new(NULL);
	struct probe_listener wrong;
	uint64_t cookie;
	pid_t child = start_listening(&cookie);

	(void)state;
	assert_int_equal(backlog_of(probe, cookie), 7);
	assert_true(relisten(child, &found, 70));
	assert_int_equal(backlog_of(probe, cookie), 70);
	wrong = found;
	wrong.cookie ^= 1;
	assert_false(relisten(child, &wrong, 99));
	assert_int_equal(errno, ESRCH);
	wrong = found;
	wrong.inode ^= 1;
	assert_false(relisten(child, &wrong, 99));
	assert_int_equal(errno, ESRCH);
	assert_false(relisten(getpid(), &found, 99));
	assert_int_equal(backlog_of(probe, cookie), 70);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_false(relisten(child, &found, 99));
	assert_int_equal(errno, ESRCH);
	probe_free(probe);
}

/* --- rates ------------------------------------------------------------------------------------ */

static void see(struct vitals *vitals, uint64_t now_ms, uint64_t overflows, uint64_t time_waits)
{
	uint64_t counters[PROBE_COUNTER_COUNT] = {0};

	counters[PROBE_TIME_WAIT_OVERFLOWS] = overflows;
	counters[PROBE_TIME_WAITS] = time_waits;
	vitals_take_counters(vitals, counters, now_ms, true);
}

static void rates_are_of_the_window(void **state)
{
	struct probe *probe = probe_new(NULL);
	struct vitals *vitals = vitals_new(probe, 1);

	(void)state;
	for (uint64_t s = 0; s <= 60; s++)
		see(vitals, 100000 + s * 1000, s < 50 ? 0 : (s - 50) * 20,
		    s < 30 ? s * 10 : 600 - s * 10);
	assert_true(vitals_rate(vitals, PROBE_TIME_WAIT_OVERFLOWS, 5000, 160000) == 20);
	assert_true(vitals_rate(vitals, PROBE_TIME_WAIT_OVERFLOWS, 20000, 160000) == 10);
	assert_true(vitals_rate(vitals, PROBE_TIME_WAITS, 10000, 160000) == -10);
	assert_int_equal(vitals_peak(vitals, PROBE_TIME_WAITS, 10000, 160000), 100);
	assert_int_equal(vitals_peak(vitals, PROBE_TIME_WAITS, 60000, 160000), 300);
	vitals_free(vitals);
	probe_free(probe);
}

static void reserved_ports_are_marked(void **state)
{
	static uint8_t ports[PROBE_PORT_BYTES];

	(void)state;
	probe_mark_reserved("8-9,1024,65535\n", ports);
	assert_int_equal(ports[1], 3);
	assert_int_equal(ports[128], 1);
	assert_int_equal(ports[PROBE_PORT_BYTES - 1], 0x80);
	assert_int_equal(ports[2], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_ignored_is_kept, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(what_cannot_be_kept_is_said, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(a_link_or_a_folder_is_not_read, make_folder,
						remove_folder),
		cmocka_unit_test(a_program_that_runs_gets_a_longer_queue),
		cmocka_unit_test(rates_are_of_the_window),
		cmocka_unit_test(reserved_ports_are_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
