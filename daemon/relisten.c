/* SPDX-License-Identifier: MIT */
#include "daemon/relisten.h"

#include "daemon/sock.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Only of the listener itself is a duplicate taken: who holds one of a connection while the program
 * closes it has the close. */
static bool is_socket(int folder, const char *name, uint64_t inode)
{
	char target[40], wanted[40];
	ssize_t len = readlinkat(folder, name, target, sizeof(target) - 1);

	snprintf(wanted, sizeof(wanted), "socket:[%llu]", (unsigned long long)inode);
	return len > 0 && (size_t)len == strlen(wanted) && !memcmp(target, wanted, (size_t)len);
}

static bool listen_again(int pidfd, int number, uint64_t cookie, int backlog)
{
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0), error = ESRCH;
	bool done = false;

	if (fd < 0)
		return false;
	if (sock_cookie(fd) == cookie) {
		done = listen(fd, backlog) == 0;
		error = errno;
	}
	close(fd);
	errno = error;
	return done;
}

static bool find_and_listen(DIR *folder, int pidfd, const struct probe_listener *listener,
			    int backlog)
{
	const struct dirent *entry;

	while ((entry = readdir(folder)))
		if (is_socket(dirfd(folder), entry->d_name, listener->inode))
			return listen_again(pidfd, atoi(entry->d_name), listener->cookie, backlog);
	errno = ESRCH;
	return false;
}

bool relisten(pid_t pid, const struct probe_listener *listener, int backlog)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), error;
	char path[32];
	bool done;
	DIR *folder;

	if (pidfd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	done = folder && find_and_listen(folder, pidfd, listener, backlog);
	error = errno;
	if (folder)
		closedir(folder);
	close(pidfd);
	errno = error;
	return done;
}
