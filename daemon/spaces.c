/* SPDX-License-Identifier: MIT */
#include "daemon/spaces.h"

#include "daemon/visit.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Of the namespace that we are in. */
static uint64_t read_cookie(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		cookie = 0;
	close(fd);
	return cookie;
}

static void open_here(struct space *space, uint64_t netns)
{
	space->netns = netns;
	space->cookie = read_cookie();
	sysctl_open_folders(space->folders);
}

void spaces_init(struct spaces *spaces)
{
	struct stat st;

	spaces->count = 0;
	open_here(&spaces->own, stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0);
}

void spaces_close(struct spaces *spaces)
{
	while (spaces->count)
		spaces_drop(spaces, &spaces->other[spaces->count - 1]);
	sysctl_close_folders(spaces->own.folders);
}

struct space *spaces_find(struct spaces *spaces, uint64_t netns)
{
	if (!netns || netns == spaces->own.netns)
		return &spaces->own;
	for (unsigned int i = 0; i < spaces->count; i++)
		if (spaces->other[i].netns == netns)
			return &spaces->other[i];
	return NULL;
}

void spaces_drop(struct spaces *spaces, struct space *space)
{
	struct space *end = spaces->other + spaces->count--;

	sysctl_close_folders(space->folders);
	memmove(space, space + 1, (size_t)((char *)end - (char *)(space + 1)));
}

/* --- going there ------------------------------------------------------------------------------ */

static void open_there(void *arg)
{
	struct space *space = arg;

	open_here(space, space->netns);
}

static struct space *keep(struct spaces *spaces, const struct space *space)
{
	if (spaces->count == SPACES_MAX)
		spaces_drop(spaces, &spaces->other[0]);
	spaces->other[spaces->count] = *space;
	return &spaces->other[spaces->count++];
}

struct space *spaces_enter(struct spaces *spaces, uint64_t netns, pid_t pid)
{
	struct space space = {.netns = netns};
	int error = visit_netns(netns, pid, open_there, &space);

	errno = error;
	return error ? NULL : keep(spaces, &space);
}

/* --- whether it is there ---------------------------------------------------------------------- */

bool space_has_gone(const struct space *space)
{
	struct sysctl_value value;

	return !sysctl_read(space->folders, SYSCTL_SOMAXCONN, &value) && errno == ENOENT;
}

pid_t spaces_search(uint64_t netns)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	pid_t pid = 0;

	if (!dir)
		return 0;
	while (!pid && (entry = readdir(dir))) {
		char path[64];
		struct stat st;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/ns/net", entry->d_name);
		if (stat(path, &st) == 0 && st.st_ino == netns)
			pid = (pid_t)atol(entry->d_name);
	}
	closedir(dir);
	return pid;
}
