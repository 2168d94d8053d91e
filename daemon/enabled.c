/* SPDX-License-Identifier: MIT */
#include "daemon/enabled.h"

#include "daemon/cli_unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	DEPTH_MAX = 12,	    /* of control groups */
	GROUPS_MAX = 20000, /* looked at */
};

struct enabled {
	struct enabled_unit unit[ENABLED_UNITS_MAX];
	unsigned int count;
	pid_t pid[ENABLED_PIDS_MAX];
	unsigned int pid_count;
	unsigned int at_unit, at_pid; /* next to be looked at */
	unsigned int groups;	      /* looked at */
};

static uint64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- drop-ins ------------------------------------------------------------------------------------
 */

static void add_unit(struct enabled *enabled, const char *name, size_t len, uint64_t since_ms)
{
	struct enabled_unit *unit = &enabled->unit[enabled->count];

	for (unsigned int i = 0; i < enabled->count; i++)
		if (strlen(enabled->unit[i].unit) == len &&
		    !strncmp(enabled->unit[i].unit, name, len))
			return;
	if (enabled->count == ENABLED_UNITS_MAX || len >= sizeof(unit->unit))
		return;
	memset(unit, 0, sizeof(*unit));
	memcpy(unit->unit, name, len);
	unit->since_ms = since_ms;
	unit->enabled_ms = wall_ms() > since_ms ? wall_ms() - since_ms : 0;
	enabled->count++;
}

static void add_folder(struct enabled *enabled, const char *folder)
{
	static const char suffix[] = ".service.d";
	const size_t suffix_len = sizeof(suffix) - 1;
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);
		char path[512];
		struct stat st;

		if (len <= suffix_len || strcmp(entry->d_name + len - suffix_len, suffix) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/" ENABLED_FILE ".conf", entry->d_name);
		if (fstatat(dirfd(dir), path, &st, 0) == 0 && S_ISREG(st.st_mode))
			add_unit(enabled, entry->d_name, len - 2,
				 (uint64_t)st.st_mtim.tv_sec * 1000 +
					 (uint64_t)st.st_mtim.tv_nsec / 1000000);
	}
	if (dir)
		closedir(dir);
}

/* --- processes -----------------------------------------------------------------------------------
 */

static void add_pids(struct enabled *enabled, int group)
{
	int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	int pid;

	if (fd >= 0 && !file)
		close(fd);
	while (file && enabled->pid_count < ENABLED_PIDS_MAX && fscanf(file, "%d", &pid) == 1)
		if (pid > 0) /* 0: of another PID namespace */
			enabled->pid[enabled->pid_count++] = pid;
	if (file)
		fclose(file);
}

/* The groups below, and in them the unit's; inside it, whatever is there is the unit's. fd is
 * closed. */
static void walk(struct enabled *enabled, int fd, const char *unit, bool inside, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close(fd);
		return;
	}
	if (inside)
		add_pids(enabled, fd);
	while (depth < DEPTH_MAX && enabled->groups < GROUPS_MAX && (entry = readdir(dir))) {
		int below;

		if (entry->d_name[0] == '.' ||
		    (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		enabled->groups++;
		below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			walk(enabled, below, unit, inside || unit_is_of(entry->d_name, unit),
			     depth + 1);
	}
	closedir(dir);
}

/* Where systemd keeps its groups: of version 2, beside version 1, or of version 1. */
static int open_groups(void)
{
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd",
					    "/sys/fs/cgroup"};
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < sizeof(roots) / sizeof(roots[0]); i++)
		fd = open(roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

static void find_processes(struct enabled *enabled)
{
	for (unsigned int i = 0; i < enabled->count; i++) {
		struct enabled_unit *unit = &enabled->unit[i];
		int fd = open_groups();

		unit->first = enabled->pid_count;
		enabled->groups = 0;
		if (fd >= 0)
			walk(enabled, fd, unit->unit, false, 0);
		unit->end = enabled->pid_count;
	}
}

static struct enabled *new_one(void)
{
	return calloc(1, sizeof(struct enabled));
}

struct enabled *enabled_new(void)
{
	struct enabled *enabled = new_one();

	if (!enabled)
		return NULL;
	add_folder(enabled, ENABLED_FOLDER);
	add_folder(enabled, ENABLED_RUNTIME);
	find_processes(enabled);
	return enabled;
}

void enabled_free(struct enabled *enabled)
{
	free(enabled);
}

/* --- one process ---------------------------------------------------------------------------------
 */

/* 1, 0; -1: it has ended, or is no program; -2: not ours to look at. */
static int has_shim(pid_t pid)
{
	char path[64], line[512];
	int found = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return errno == EACCES || errno == EPERM ? -2 : -1;
	errno = 0;
	while (found < 1 && fgets(line, sizeof(line), file))
		found = strstr(line, "/libcloseside.so") ? 1 : 0;
	if (found < 0 && (errno == EACCES || errno == EPERM))
		found = -2;
	fclose(file);
	return found;
}

/* How long it has run; -1: not known. */
static int64_t age_of(pid_t pid)
{
	unsigned long long ticks = 0;
	char path[64], text[1024], *end;
	struct timespec now;
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	end = strrchr(text, ')');
	for (int field = 2; end && field < 22; field++) /* proc(5): 22 is starttime */
		end = strchr(end + 1, ' ');
	if (!end)
		return -1;
	ticks = strtoull(end + 1, NULL, 10);
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 -
	       (int64_t)(ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

static void look_at(struct enabled_unit *unit, pid_t pid)
{
	int has = has_shim(pid);
	int64_t age;

	if (has == -2)
		unit->hidden++;
	if (has < 0)
		return;
	unit->processes++;
	unit->loaded += has == 1;
	if (has == 1)
		return;
	unit->example = pid;
	age = age_of(pid);
	if (age > 0 && (uint64_t)age > unit->oldest_ms)
		unit->oldest_ms = (uint64_t)age;
	if (age >= 0 && wall_ms() - (uint64_t)age < unit->since_ms)
		unit->before++;
}

bool enabled_look(struct enabled *enabled, unsigned int max)
{
	while (enabled->at_unit < enabled->count && max) {
		struct enabled_unit *unit = &enabled->unit[enabled->at_unit];

		if (enabled->at_pid < unit->first)
			enabled->at_pid = unit->first;
		if (enabled->at_pid < unit->end) {
			look_at(unit, enabled->pid[enabled->at_pid++]);
			max--;
		} else {
			enabled->at_unit++;
		}
	}
	return enabled->at_unit < enabled->count;
}

unsigned int enabled_count(const struct enabled *enabled)
{
	return enabled->count;
}

const struct enabled_unit *enabled_units(const struct enabled *enabled)
{
	return enabled->unit;
}

enum enabled_verdict enabled_judge(const struct enabled_unit *unit)
{
	/* one instance says nothing of the others */
	bool each = unit_is_template(unit->unit) && unit->before;

	if ((unit->loaded && !each) || (!unit->processes && !unit->hidden))
		return ENABLED_FINE;
	if (!unit->processes)
		return ENABLED_UNKNOWN;
	/* an old one's children are younger, and have no more than it has */
	return unit->before ? ENABLED_NOT_RESTARTED : ENABLED_KEPT_OUT;
}

bool enabled_look_at(const char *name, struct enabled_unit *unit)
{
	struct enabled *enabled = new_one();

	if (!enabled)
		return false;
	add_unit(enabled, name, strlen(name), wall_ms());
	find_processes(enabled);
	while (enabled_look(enabled, ENABLED_PIDS_MAX))
		;
	*unit = enabled->unit[0];
	enabled_free(enabled);
	return true;
}
