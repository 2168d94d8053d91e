/* SPDX-License-Identifier: MIT */
#include "daemon/journal.h"

#include "daemon/log.h"
#include "daemon/setter_seam.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool journal_boot(char boot[JOURNAL_BOOT])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot, JOURNAL_BOOT - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	boot[n] = '\0';
	boot[strcspn(boot, " \n")] = '\0';
	return boot[0] != '\0';
}

/* Closes fd. What is done so far decides, not the close. */
static bool closed(int fd, bool done)
{
	int error = errno;

	close(fd);
	errno = error;
	return done;
}

/* path with a suffix; false if it is too long. */
static bool beside(const char *path, const char *suffix, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s%s", path, suffix);

	if (n > 0 && n < PATH_MAX)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

static bool sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n = slash ? snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - path), path)
		      : snprintf(folder, sizeof(folder), ".");
	int fd = n < (int)sizeof(folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	/* Where a folder cannot be synced, it need not be. */
	return fd >= 0 && closed(fd, fsync(fd) == 0 || errno == EINVAL);
}

/* --- saving ----------------------------------------------------------------------------------- */

static bool put(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool put_all(int fd, const char *boot, const struct journal *journal)
{
	char line[JOURNAL_LINE];

	if (!put(fd, line, journal_format_header(boot, line)))
		return false;
	for (size_t i = 0; i < journal->count; i++) {
		setter_at(STEP_JOURNAL_LINE);
		if (!put(fd, line, journal_format_entry(boot, &journal->entry[i], line)))
			return false;
	}
	setter_at(STEP_JOURNAL_WRITTEN);
	return fsync(fd) == 0;
}

static bool write_file(const char *path, const char *boot, const struct journal *journal)
{
	int fd;

	/* Of ours, left behind by a SIGKILL; somebody else's in a folder like /tmp stays, and then
	 * nothing is written. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	setter_at(STEP_JOURNAL_OPENED);
	return closed(fd, put_all(fd, boot, journal));
}

static void remove_keeping_errno(const char *path)
{
	int error = errno;

	unlink(path);
	errno = error;
}

bool journal_save(const char *path, const char *boot, const struct journal *journal)
{
	char other[PATH_MAX];

	if (!journal->count) {
		if (unlink(path) < 0 && errno != ENOENT)
			return false;
		setter_at(STEP_JOURNAL_REMOVED);
		sync_folder(path);
		return true;
	}
	if (!beside(path, ".new", other))
		return false;
	if (!write_file(other, boot, journal)) {
		remove_keeping_errno(other);
		return false;
	}
	setter_at(STEP_JOURNAL_SYNCED);
	if (rename(other, path) < 0) {
		remove_keeping_errno(other);
		return false;
	}
	setter_at(STEP_JOURNAL_RENAMED);
	return sync_folder(path);
}

/* --- loading ---------------------------------------------------------------------------------- */

/* A regular file that nobody else can have written; false with errno. */
static bool is_ours(int fd, size_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	errno = EPERM;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		return false;
	*size = (size_t)st.st_size;
	return true;
}

static enum journal_state read_open(int fd, const char *boot, struct journal *journal)
{
	enum journal_state state;
	size_t size, len = 0;
	ssize_t n = 0;
	char *text;

	if (!is_ours(fd, &size))
		return JOURNAL_UNUSABLE;
	if (size > JOURNAL_FILE_MAX)
		return JOURNAL_FOREIGN;
	text = malloc(size + 1);
	if (!text)
		return JOURNAL_UNUSABLE;
	while (len < size && (n = read(fd, text + len, size - len)) > 0)
		len += (size_t)n;
	state = n < 0 ? JOURNAL_UNUSABLE : journal_parse(boot, text, len, journal);
	free(text);
	return state;
}

static enum journal_state read_file(const char *path, const char *boot, struct journal *journal)
{
	/* A FIFO must not hold us. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	enum journal_state state;
	int error;

	if (fd < 0)
		return errno == ENOENT ? JOURNAL_NONE : JOURNAL_UNUSABLE;
	state = read_open(fd, boot, journal);
	error = errno;
	close(fd);
	errno = error;
	return state;
}

/* Another link to it first, so that no moment is without it; the file itself is replaced by the
 * next save. Where there are no hard links it is moved, if nothing in it is needed. */
static bool put_aside(const char *path, bool needed)
{
	char aside[PATH_MAX];

	if (!beside(path, ".damaged", aside))
		return false;
	unlink(aside);
	if (link(path, aside) == 0)
		return needed || unlink(path) == 0;
	return !needed && rename(path, aside) == 0;
}

static enum journal_state take_foreign(const char *path)
{
	if (!put_aside(path, false)) {
		log_error("%s: it is no journal of this version, and cannot be put aside: %m; no "
			  "sysctl will be written",
			  path);
		return JOURNAL_UNUSABLE;
	}
	log_error("%s: it is no journal of this version; put aside as %s.damaged", path, path);
	return JOURNAL_FOREIGN;
}

static enum journal_state take_damaged(const char *path, const char *boot,
				       const struct journal *journal)
{
	bool aside = put_aside(path, journal->count > 0);

	if (!journal_save(path, boot, journal)) {
		log_error("%s: it is damaged, and cannot be written again: %m; no sysctl will be "
			  "written",
			  path);
		return JOURNAL_UNUSABLE;
	}
	log_error("%s: it is damaged; what is intact is used (%zu sysctls)%s", path, journal->count,
		  aside ? "; put aside as it was, with .damaged to its name" : "");
	return JOURNAL_DAMAGED;
}

enum journal_state journal_load(const char *path, const char *boot, struct journal *journal)
{
	enum journal_state state;

	journal->count = 0;
	errno = 0;
	state = read_file(path, boot, journal);
	switch (state) {
	case JOURNAL_UNUSABLE:
		journal->count = 0;
		log_error("%s: %m: no sysctl will be written", path);
		break;
	case JOURNAL_FOREIGN:
		journal->count = 0;
		return take_foreign(path);
	case JOURNAL_DAMAGED:
		return take_damaged(path, boot, journal);
	case JOURNAL_OTHER_BOOT:
		if (unlink(path) < 0) {
			log_error("%s: %m: no sysctl will be written", path);
			return JOURNAL_UNUSABLE;
		}
		log_line(LOG_INFO, "%s: it is of another boot, and dropped", path);
		break;
	case JOURNAL_NONE:
	case JOURNAL_INTACT:
		break;
	}
	return state;
}
