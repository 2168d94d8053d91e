/* SPDX-License-Identifier: MIT */
#include "tests/unit/setter_world.h"

#include "tests/unit/unit.h"
#include "tests/unit/unit_netns.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define NUMBER(n)                           \
	{                                   \
		.count = 1, .number = { n } \
	}
#define RANGE(lo, hi)                            \
	{                                        \
		.count = 2, .number = { lo, hi } \
	}

const struct world_key world_keys[WORLD_KEYS] = {
	{SYSCTL_TIME_WAITS_MAX, NUMBER(4096), NUMBER(5120), NUMBER(6400), NUMBER(3000)},
	{SYSCTL_ORPHANS_MAX, NUMBER(4096), NUMBER(5120), NUMBER(6400), NUMBER(3000)},
	{SYSCTL_FIN_TIMEOUT_S, NUMBER(60), NUMBER(45), NUMBER(34), NUMBER(61)},
	{SYSCTL_SOMAXCONN, NUMBER(128), NUMBER(160), NUMBER(200), NUMBER(100)},
	{SYSCTL_SYN_BACKLOG_MAX, NUMBER(128), NUMBER(160), NUMBER(200), NUMBER(100)},
	{SYSCTL_PORT_RANGE, RANGE(32768, 60999), RANGE(30000, 60999), RANGE(20000, 65001),
	 RANGE(40000, 50001)},
	{SYSCTL_TIME_WAIT_REUSE, NUMBER(2), NUMBER(1), NUMBER(1), NUMBER(0)},
};

char world_folder[] = "/tmp/closeside-setter.XXXXXX", world_journal[PATH_MAX];
static struct sysctl_value *orphans; /* shared with what is forked */
static int folders[SYSCTL_FOLDERS];
static bool is_open;
struct world here;

/* --- the place -------------------------------------------------------------------------------- */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static bool move_in(void)
{
	char users[64], groups[64];

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) == 0)
		return true;
	snprintf(users, sizeof(users), "0 %u 1", (unsigned int)geteuid());
	snprintf(groups, sizeof(groups), "0 %u 1", (unsigned int)getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == 0 &&
	       write_text("/proc/self/uid_map", users) &&
	       write_text("/proc/self/setgroups", "deny") &&
	       write_text("/proc/self/gid_map", groups);
}

static bool hide_sysctld(void)
{
	static const char *const paths[] = {"/etc/sysctl.d", "/run/sysctl.d",
					    "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d",
					    "/lib/sysctl.d"};

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (mount("none", paths[i], "tmpfs", 0, "size=64k") < 0 && errno != ENOENT)
			return false;
	return mount("/dev/null", "/etc/sysctl.conf", NULL, MS_BIND, NULL) == 0 || errno == ENOENT;
}

static bool read_key(const int at[SYSCTL_FOLDERS], enum sysctl key, struct sysctl_value *value)
{
	if (key != SYSCTL_ORPHANS_MAX)
		return sysctl_read(at, key, value);
	*value = *orphans;
	return true;
}

static bool write_key(const int at[SYSCTL_FOLDERS], enum sysctl key,
		      const struct sysctl_value *value)
{
	if (key != SYSCTL_ORPHANS_MAX)
		return sysctl_write(at, key, value);
	*orphans = *value;
	return true;
}

bool world_open(void)
{
	orphans = mmap(NULL, sizeof(*orphans), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	/* The guardian takes it from sigtimedwait(). */
	signal(SIGIO, SIG_IGN);
	if (orphans == MAP_FAILED || !move_in() || !hide_sysctld() || !mkdtemp(world_folder))
		return false;
	snprintf(world_journal, sizeof(world_journal), "%s/journal", world_folder);
	sysctl_open_folders(folders);
	is_open = true;
	return true;
}

void world_need(void)
{
	if (!is_open)
		unit_skip("no network and mount namespaces of its own");
}

int world_close(int status)
{
	static const char *const suffixes[] = {"", ".new", ".damaged"};
	char path[PATH_MAX + 16];

	for (size_t i = 0; is_open && i < ARRAY_SIZE(suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", world_journal, suffixes[i]);
		unlink(path);
	}
	rmdir(world_folder);
	return status;
}

void world_reset(void)
{
	char damaged[PATH_MAX + 16];

	setter_seam = (struct setter_seam){.read = read_key, .write = write_key};
	unlink(world_journal);
	snprintf(damaged, sizeof(damaged), "%s.damaged", world_journal);
	unlink(damaged);
	for (int i = 0; i < WORLD_KEYS; i++)
		world_set(world_keys[i].key, &world_keys[i].base);
}

void world_read_all(struct world_values *values)
{
	memset(values, 0, sizeof(*values));
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++)
		if (!read_key(folders, key, &values->value[key]))
			values->value[key].count = 0;
}

struct sysctl_value world_value(enum sysctl key)
{
	struct sysctl_value value = {.count = 0};

	assert_true(read_key(folders, key, &value));
	return value;
}

void world_set(enum sysctl key, const struct sysctl_value *value)
{
	assert_true(write_key(folders, key, value));
}

bool world_has_journal(void)
{
	struct stat st;

	return lstat(world_journal, &st) == 0;
}

/* --- the setter ------------------------------------------------------------------------------- */

struct world world_start(void)
{
	struct world world = {.setter = setter_new(world_journal)};

	assert_non_null(world.setter);
	world.fd = setter_connect(world.setter);
	assert_true(world.fd >= 0);
	return world;
}

void world_stop(struct world *world, bool put_back)
{
	setter_free(world->setter, put_back);
	close(world->fd);
}

struct setter_answer world_ask(struct world *world, const struct setter_request *request)
{
	struct setter_answer answer = {.serial = 0};
	static uint32_t serial;
	struct setter_request asked = *request;

	asked.serial = ++serial;
	assert_true(setter_ask(world->fd, &asked));
	setter_serve(world->setter);
	assert_true(setter_take(world->fd, &answer));
	assert_int_equal(answer.serial, asked.serial);
	assert_int_equal(answer.op, asked.op);
	return answer;
}

struct setter_answer world_write(struct world *world, enum sysctl key,
				 const struct sysctl_value *value)
{
	struct setter_request request = {.op = SETTER_WRITE, .key = (uint8_t)key, .value = *value};

	if (!read_key(folders, key, &request.expected))
		request.expected = *value;
	return world_ask(world, &request);
}

struct setter_answer world_revert(struct world *world, enum sysctl key)
{
	struct setter_request request = {.op = SETTER_REVERT, .key = (uint8_t)key};

	return world_ask(world, &request);
}

unsigned int world_walk(struct world *world, enum setter_op op, struct setter_answer *answers,
			unsigned int max)
{
	struct setter_request request = {.op = (uint8_t)op, .key = SETTER_ALL};
	struct setter_answer answer = world_ask(world, &request);
	unsigned int count = 0;

	for (; answer.key != SETTER_ALL; count++) {
		if (count < max)
			answers[count] = answer;
		assert_true(setter_take(world->fd, &answer));
	}
	assert_false(setter_take(world->fd, &answer));
	return count;
}

/* --- tests with one --------------------------------------------------------------------------- */

int world_begin(void **state)
{
	(void)state;
	if (!is_open)
		return 0;
	world_reset();
	here = world_start();
	return 0;
}

int world_end(void **state)
{
	(void)state;
	if (is_open)
		world_stop(&here, true);
	return 0;
}

struct setter_answer write_number(enum sysctl key, int64_t number)
{
	struct sysctl_value value = sysctl_number(number);

	return world_write(&here, key, &value);
}

void assert_number(struct sysctl_value value, int64_t number)
{
	assert_int_equal(value.count, 1);
	assert_int_equal(value.number[0], number);
}

void world_put_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* --- another namespace ------------------------------------------------------------------------ */

struct neighbour neighbour_new(void)
{
	struct neighbour neighbour = {.pid = 0};
	int own = unit_netns_open(), ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	neighbour.pid = fork();
	assert_true(neighbour.pid >= 0);
	if (neighbour.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	{
		char path[64];
		struct stat st;
		int there;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)neighbour.pid);
		assert_int_equal(stat(path, &st), 0);
		neighbour.netns = st.st_ino;
		there = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(setns(there, CLONE_NEWNET), 0);
		sysctl_open_folders(neighbour.folders);
		assert_int_equal(setns(own, CLONE_NEWNET), 0);
		close(there);
	}
	close(own);
	return neighbour;
}

void neighbour_end(struct neighbour *neighbour)
{
	struct sysctl_value value;

	kill(neighbour->pid, SIGKILL);
	waitpid(neighbour->pid, NULL, 0);
	for (int i = 0; i < 2000 && sysctl_read(neighbour->folders, SYSCTL_SOMAXCONN, &value); i++)
		usleep(10000);
	assert_false(sysctl_read(neighbour->folders, SYSCTL_SOMAXCONN, &value));
	sysctl_close_folders(neighbour->folders);
}
