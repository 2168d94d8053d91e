/* SPDX-License-Identifier: MIT */
#include "daemon/discover.h"

#include "daemon/conn.h"
#include "daemon/kernel.h"
#include "daemon/log.h"
#include "daemon/process.h"

#include "common/tcp_state.h"
#include "common/wire.h"

#include <dirent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

enum {
	DELAY_MS = 200, /* those that are busy speak for themselves */
	PAUSE_MS = 5,	/* between steps */
	PROCESSES_AT_ONCE = 16,
	SOCKETS_MAX = 1 << 18,
};

/* A socket of the kernel's dump, by inode. */
struct found {
	uint64_t inode;
	struct kernel_socket socket;
	UT_hash_handle hh;
};

struct discover {
	struct event timer;
	struct kernel *kernel;
	struct conns *conns;
	char *page_path;
	DIR *proc;
	struct found *sockets;
	bool dumped;
	uint8_t listening[65536 / 8]; /* a bit for each port */
	unsigned int processes, count;
};

static void arm(struct discover *discover, unsigned int ms)
{
	struct timeval tv = {.tv_usec = (suseconds_t)ms * 1000};

	evtimer_add(&discover->timer, &tv);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static void add_socket(const struct kernel_socket *socket, void *arg)
{
	struct discover *discover = arg;
	struct found *found;

	if (socket->state == STATE_LISTEN) {
		discover->listening[socket->local.port / 8] |= 1u << socket->local.port % 8;
		return;
	}
	if (socket->inode == 0 || HASH_COUNT(discover->sockets) >= SOCKETS_MAX)
		return;
	found = calloc(1, sizeof(*found));
	if (!found)
		return;
	found->inode = socket->inode;
	found->socket = *socket;
	HASH_ADD(hh, discover->sockets, inode, sizeof(found->inode), found);
}

static void free_sockets(struct discover *discover)
{
	struct found *found, *next;

	HASH_ITER(hh, discover->sockets, found, next)
	{
		HASH_DEL(discover->sockets, found);
		free(found);
	}
}

/* --- processes -------------------------------------------------------------------------------- */

static bool maps_page(const struct discover *discover, pid_t pid)
{
	size_t len = strlen(discover->page_path);
	char path[32], line[512];
	bool maps = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!maps && fgets(line, sizeof(line), file)) {
		const char *at = strchr(line, '/');

		/* The path, or the path of one that was replaced: "... (deleted)" */
		maps = at && !strncmp(at, discover->page_path, len) &&
		       (at[len] == '\n' || at[len] == ' ');
	}
	fclose(file);
	return maps;
}

/* What has the port of a listener was accepted there. */
static uint8_t role_of(const struct discover *discover, const struct kernel_socket *socket)
{
	uint16_t port = socket->local.port;

	return discover->listening[port / 8] & 1u << port % 8 ? ROLE_SERVER : ROLE_CLIENT;
}

static void take_fd(struct discover *discover, const struct process *process, DIR *fds,
		    const char *name)
{
	struct found *found;
	struct stat st;
	uint64_t inode;

	if (fstatat(dirfd(fds), name, &st, 0) < 0 || !S_ISSOCK(st.st_mode))
		return;
	inode = st.st_ino;
	HASH_FIND(hh, discover->sockets, &inode, sizeof(inode), found);
	if (found && conn_discover(discover->conns, process, &found->socket,
				   role_of(discover, &found->socket), atoi(name)))
		discover->count++;
}

static void take_process(struct discover *discover, pid_t pid)
{
	struct process process;
	const struct dirent *entry;
	char path[32];
	struct stat st;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	if (!fds)
		return;
	if (fstat(dirfd(fds), &st) == 0) {
		process_read(&process, pid, st.st_uid);
		discover->processes++;
		if (!discover->dumped)
			kernel_dump(discover->kernel, add_socket, discover);
		discover->dumped = true;
		while ((entry = readdir(fds)))
			if (entry->d_name[0] != '.')
				take_fd(discover, &process, fds, entry->d_name);
	}
	closedir(fds);
}

static void finish(struct discover *discover)
{
	closedir(discover->proc);
	discover->proc = NULL;
	free_sockets(discover);
	if (discover->processes)
		log_notice("found %u connections of %u processes that are under the shim already",
			   discover->count, discover->processes);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct discover *discover = arg;
	const struct dirent *entry;

	(void)fd;
	(void)what;
	if (!discover->proc)
		discover->proc = opendir("/proc");
	if (!discover->proc)
		return;
	for (int i = 0; i < PROCESSES_AT_ONCE; i++) {
		int pid;

		entry = readdir(discover->proc);
		if (!entry) {
			finish(discover);
			return;
		}
		pid = atoi(entry->d_name);
		if (pid > 0 && pid != getpid() && maps_page(discover, (pid_t)pid))
			take_process(discover, (pid_t)pid);
	}
	arm(discover, PAUSE_MS);
}

struct discover *discover_new(struct event_base *base, struct kernel *kernel, struct conns *conns,
			      const char *page_path)
{
	struct discover *discover = calloc(1, sizeof(*discover));

	if (!discover)
		return NULL;
	discover->kernel = kernel;
	discover->conns = conns;
	/* As /proc/PID/maps has it. */
	discover->page_path = realpath(page_path, NULL);
	if (!discover->page_path) {
		free(discover);
		return NULL;
	}
	evtimer_assign(&discover->timer, base, on_timer, discover);
	arm(discover, DELAY_MS);
	return discover;
}

void discover_free(struct discover *discover)
{
	if (!discover)
		return;
	event_del(&discover->timer);
	if (discover->proc)
		closedir(discover->proc);
	free_sockets(discover);
	free(discover->page_path);
	free(discover);
}
