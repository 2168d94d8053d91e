/* SPDX-License-Identifier: MIT */
#include "daemon/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_file(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

/* "pid (comm) state ppid ... starttime": comm may hold blanks and parentheses. */
static void read_stat(struct process *process)
{
	char text[1024];
	const char *open_paren, *close_paren;
	size_t len;
	int ppid;
	unsigned long long start;

	if (!read_file(process->pid, "stat", text, sizeof(text)))
		return;
	open_paren = strchr(text, '(');
	close_paren = strrchr(text, ')');
	if (!open_paren || !close_paren || close_paren < open_paren)
		return;
	len = (size_t)(close_paren - open_paren - 1);
	if (len >= sizeof(process->comm))
		len = sizeof(process->comm) - 1;
	memcpy(process->comm, open_paren + 1, len);
	process->comm[len] = '\0';
	if (sscanf(close_paren + 1,
		   " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &ppid, &start) == 2) {
		process->ppid = ppid;
		process->start = start;
	}
}

static void read_exe(struct process *process)
{
	static const char deleted[] = " (deleted)"; /* the package was upgraded */
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)process->pid);
	n = readlink(path, process->exe, sizeof(process->exe) - 1);
	if (n < 0)
		n = 0;
	process->exe[n] = '\0';
	if ((size_t)n >= sizeof(deleted) &&
	    !strcmp(process->exe + n - (sizeof(deleted) - 1), deleted))
		process->exe[(size_t)n - (sizeof(deleted) - 1)] = '\0';
}

static bool is_unit(const char *name, size_t len)
{
	static const char *const suffixes[] = {".service", ".scope", ".socket"};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && !memcmp(name + len - n, suffixes[i], n))
			return true;
	}
	return false;
}

void process_unit_of_cgroup(const char *text, char *unit, size_t size)
{
	const char *at = text;

	unit[0] = '\0';
	while (*at) {
		size_t len = strcspn(at, "/\n");

		if (is_unit(at, len) && len < size) {
			memcpy(unit, at, len);
			unit[len] = '\0';
		}
		at += len;
		if (*at)
			at++;
	}
}

static void read_netns(struct process *process)
{
	char path[64];
	struct stat theirs, ours;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)process->pid);
	if (stat(path, &theirs) < 0)
		return;
	process->netns = theirs.st_ino;
	if (stat("/proc/self/ns/net", &ours) == 0)
		process->other_netns = theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev;
}

void process_read(struct process *process, pid_t pid, uid_t uid)
{
	char cgroup[1024];
	const char *path;

	*process = (struct process){.pid = pid, .uid = uid};
	read_stat(process);
	read_exe(process);
	read_netns(process);
	if (!read_file(pid, "cgroup", cgroup, sizeof(cgroup)))
		return;
	process_unit_of_cgroup(cgroup, process->unit, sizeof(process->unit));
	path = strstr(cgroup, "::"); /* cgroups(7), version 2 */
	if (path && strcspn(path + 2, "\n") < sizeof(process->cgroup))
		snprintf(process->cgroup, sizeof(process->cgroup), "%.*s",
			 (int)strcspn(path + 2, "\n"), path + 2);
}

bool process_is(pid_t pid, uint64_t start)
{
	struct process now = {.pid = pid};

	read_stat(&now);
	return start && now.start == start;
}

bool process_is_stopped(pid_t pid)
{
	const char *state;
	char text[1024];

	if (!read_file(pid, "stat", text, sizeof(text)))
		return false;
	state = strrchr(text, ')');
	return state && (state[1] == ' ') && (state[2] == 'T' || state[2] == 't');
}

const char *process_name(const struct process *process)
{
	const char *slash = strrchr(process->exe, '/');

	if (slash && slash[1])
		return slash + 1;
	return process->comm[0] ? process->comm : "?";
}
