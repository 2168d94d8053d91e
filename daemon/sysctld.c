/* SPDX-License-Identifier: MIT */
#include "daemon/sysctld.h"

#include "common/parse.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	FILES_MAX = 512,
	FILE_BYTES = 1 << 20, /* no admin's file is larger */
	LINE_MAX_LEN = 1024,  /* a name stands at its beginning */
	NAME_LEN = 256,
};

static const char *const folders[] = {
	"/etc/sysctl.d",     "/run/sysctl.d", "/usr/local/lib/sysctl.d",
	"/usr/lib/sysctl.d", "/lib/sysctl.d",
};

struct file {
	char name[NAME_LEN];
	const char *folder;
};

struct reading {
	const char *root;
	struct sysctld *named;
	unsigned int count;
	struct file file[FILES_MAX];
	char text[FILE_BYTES + 1];
};

/* --- a line ----------------------------------------------------------------------------------- */

/* To slashes. If the first separator is a slash dots are letters, otherwise they change places:
 * "net.ipv4.conf.eth0/1.rp_filter" is of interface eth0.1. */
static void normalize(char *name)
{
	char *first = name + strcspn(name, "./");

	if (*first == '/')
		return;
	for (; *first; first++)
		*first = *first == '.' ? '/' : *first == '/' ? '.' : *first;
}

/* Component by component: a star does not go past a slash. */
static bool name_matches(const char *pattern, const char *name)
{
	char left[LINE_MAX_LEN], right[NAME_LEN], *patterns = left, *names = right;

	snprintf(left, sizeof(left), "%s", pattern);
	snprintf(right, sizeof(right), "%s", name);
	while (patterns && names)
		if (!glob_match(strsep(&patterns, "/"), strsep(&names, "/")))
			return false;
	return !patterns && !names;
}

static void trim_end(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
}

static char *after_prefix(char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : text;
}

/* The pattern that a line begins with, normalized; NULL: it sets nothing. */
static char *pattern_of(char line[LINE_MAX_LEN])
{
	char *at = line + strspn(line, " \t\r\f\v"), *equals;
	bool minus;

	if (!*at || *at == '#' || *at == ';')
		return NULL;
	minus = *at == '-';
	at += minus;
	equals = strchr(at, '=');
	if (!equals && !minus)
		return NULL;
	if (equals)
		*equals = '\0';
	at += strspn(at, " \t");
	trim_end(at);
	at = after_prefix(at, "/proc/sys/");
	normalize(at);
	return at;
}

static bool pattern_names(const char *pattern, enum sysctl key)
{
	char name[NAME_LEN];

	snprintf(name, sizeof(name), "%s", sysctls[key].name);
	normalize(name);
	return name_matches(pattern, name);
}

bool sysctld_line_names(const char *line, enum sysctl key)
{
	char copy[LINE_MAX_LEN], *pattern;

	snprintf(copy, sizeof(copy), "%s", line);
	pattern = pattern_of(copy);
	return pattern && pattern_names(pattern, key);
}

/* --- files ------------------------------------------------------------------------------------ */

static void name_key(struct reading *reading, enum sysctl key, const char *path)
{
	snprintf(reading->named->path[key], SYSCTLD_PATH, "%s", path);
}

static void name_all(struct reading *reading, const char *path)
{
	for (enum sysctl key = 0; key < SYSCTL_COUNT; key++)
		name_key(reading, key, path);
}

static void take_line(struct reading *reading, const char *path, const char *text, size_t len)
{
	char line[LINE_MAX_LEN], *pattern;

	if (len > sizeof(line) - 1)
		len = sizeof(line) - 1;
	memcpy(line, text, len);
	line[len] = '\0';
	pattern = pattern_of(line);
	for (enum sysctl key = 0; pattern && key < SYSCTL_COUNT; key++)
		if (pattern_names(pattern, key))
			name_key(reading, key, path);
}

static void take_text(struct reading *reading, const char *path, size_t size)
{
	const char *at = reading->text, *end = at + size;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline ? newline : end;

		take_line(reading, path, at, (size_t)(line_end - at));
		at = line_end + 1;
	}
}

/* -1: it cannot be read. What is no file (any more) is empty. */
static ssize_t read_whole(const char *path, char *text, size_t size)
{
	/* A FIFO or a terminal must not hold us. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), error;
	size_t len = 0;
	ssize_t n = 0;
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		while (len < size && (n = read(fd, text + len, size - len)) > 0)
			len += (size_t)n;
	error = errno;
	close(fd);
	errno = error;
	return n < 0 ? -1 : (ssize_t)len;
}

/* path: as the admin knows it. */
static void take_file(struct reading *reading, const char *path)
{
	char full[PATH_MAX];
	ssize_t n;

	snprintf(full, sizeof(full), "%s%s", reading->root, path);
	n = read_whole(full, reading->text, sizeof(reading->text));
	if (n < 0 || n > FILE_BYTES)
		name_all(reading, path);
	else
		take_text(reading, path, (size_t)n);
}

/* --- folders ---------------------------------------------------------------------------------- */

static bool is_conf(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && len < NAME_LEN && !strcmp(name + len - 5, ".conf");
}

static bool is_known(const struct reading *reading, const char *name)
{
	for (unsigned int i = 0; i < reading->count; i++)
		if (!strcmp(reading->file[i].name, name))
			return true;
	return false;
}

/* A file, or a link to /dev/null. What is anything else is not there, and hides nothing. */
static bool counts(const struct reading *reading, const char *folder, const char *name)
{
	char full[PATH_MAX];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s/%s", reading->root, folder, name);
	if (stat(full, &st) < 0)
		return errno != ENOENT && errno != ELOOP; /* it is there, and cannot be read */
	return S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

static void scan_folder(struct reading *reading, const char *folder)
{
	char full[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	snprintf(full, sizeof(full), "%s%s", reading->root, folder);
	dir = opendir(full);
	if (!dir) {
		if (errno != ENOENT && errno != ENOTDIR)
			name_all(reading, folder);
		return;
	}
	while ((entry = readdir(dir))) {
		struct file *file = &reading->file[reading->count];

		if (!is_conf(entry->d_name) || is_known(reading, entry->d_name) ||
		    !counts(reading, folder, entry->d_name))
			continue;
		if (reading->count == FILES_MAX) {
			name_all(reading, folder);
			break;
		}
		snprintf(file->name, sizeof(file->name), "%s", entry->d_name);
		file->folder = folder;
		reading->count++;
	}
	closedir(dir);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

void sysctld_read(const char *root, struct sysctld *named)
{
	struct reading *reading = malloc(sizeof(*reading));
	char path[PATH_MAX];

	memset(named, 0, sizeof(*named));
	if (!reading) {
		for (enum sysctl key = 0; key < SYSCTL_COUNT; key++)
			snprintf(named->path[key], SYSCTLD_PATH, "%s", folders[0]);
		return;
	}
	reading->root = root;
	reading->named = named;
	reading->count = 0;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		scan_folder(reading, folders[i]);
	qsort(reading->file, reading->count, sizeof(reading->file[0]), by_name);
	for (unsigned int i = 0; i < reading->count; i++) {
		snprintf(path, sizeof(path), "%s/%s", reading->file[i].folder,
			 reading->file[i].name);
		take_file(reading, path);
	}
	take_file(reading, "/etc/sysctl.conf");
	free(reading);
}

bool sysctld_names(enum sysctl key, char *path, size_t size)
{
	struct sysctld named;

	if (key >= SYSCTL_COUNT)
		return false;
	sysctld_read("", &named);
	if (path && size)
		snprintf(path, size, "%s", named.path[key]);
	return named.path[key][0] != '\0';
}
