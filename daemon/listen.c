/* SPDX-License-Identifier: MIT */
#include "daemon/listen.h"

#include "daemon/log.h"

#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

/* Two daemons that start at once must not both find the old socket dead: they take turns. */
static int lock_directory(const char *path)
{
	char copy[WIRE_PATH_MAX + 16];
	const char *directory;
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	directory = dirname(copy);
	if (mkdir(directory, 0755) == 0)
		log_notice("created %s", directory);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		log_error("%s: %m", directory);
		return -1;
	}
	flock(fd, LOCK_EX);
	return fd;
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

/* Does a daemon answer there? Its queue may be full (EAGAIN). */
static bool is_alive(const char *path, int type)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool alive;

	if (fd < 0)
		return true;
	alive = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN ||
		errno == EACCES || errno == EPERM;
	close(fd);
	return alive;
}

/* Only a socket is ever taken away. */
static bool clear_path(const char *path, int type)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return true;
		log_error("%s: %m", path);
		return false;
	}
	if (!S_ISSOCK(st.st_mode)) {
		log_error("%s: is there already, and is no socket", path);
		return false;
	}
	if (is_alive(path, type)) {
		log_error("%s: another daemon answers there; one is enough", path);
		return false;
	}
	log_notice("%s: a daemon that has gone left it; taken over", path);
	return unlink(path) == 0 || errno == ENOENT;
}

static int listen_at(const char *path, int type, mode_t mode)
{
	struct sockaddr_un address = address_of(path);
	int fd;

	if (!clear_path(path, type))
		return -1;
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0) {
		log_error("%s: %m", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static void give_to_group(const char *path, const char *name)
{
	const struct group *group;

	if (!*name)
		return;
	group = getgrnam(name);
	if (!group)
		log_warning("group %s: there is none such; only root may read %s", name, path);
	else if (chown(path, (uid_t)-1, group->gr_gid) < 0)
		log_warning("%s: cannot give it to group %s: %m", path, name);
}

bool listeners_open(struct listeners *listeners, const char *path, const char *group)
{
	char control_path[WIRE_PATH_MAX + 16];
	int lock = lock_directory(path);

	if (lock < 0)
		return false;
	snprintf(control_path, sizeof(control_path), "%s" WIRE_CONTROL_SUFFIX, path);
	listeners->control = -1;
	listeners->session = listen_at(path, SOCK_SEQPACKET, 0666);
	if (listeners->session >= 0) {
		listeners->control = listen_at(control_path, SOCK_STREAM, 0660);
		if (listeners->control < 0)
			unlink(path);
		else
			give_to_group(control_path, group);
	}
	close(lock);
	return listeners->session >= 0 && listeners->control >= 0;
}

void listeners_close(struct listeners *listeners, const char *path)
{
	char control_path[WIRE_PATH_MAX + 16];

	snprintf(control_path, sizeof(control_path), "%s" WIRE_CONTROL_SUFFIX, path);
	unlink(path);
	unlink(control_path);
	close(listeners->session);
	close(listeners->control);
}
