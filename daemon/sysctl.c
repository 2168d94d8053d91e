/* SPDX-License-Identifier: MIT */
#include "daemon/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_IPV4 "net.ipv4."
#define FOLDER_CORE "net.core."
#define FOLDER_NETFILTER "net.netfilter."

const struct sysctl_row sysctls[SYSCTL_COUNT] = {
#define X(name, folder, file, numbers, lever, shrinks, least, most) \
	{FOLDER_##folder file, file,	SYSCTL_##folder, numbers,   \
	 SYSCTL_##lever,       shrinks, least,		 most},
	SYSCTLS(X)
#undef X
};

static bool is_named(const char *row, const char *name)
{
	while (*row && (*row == *name || (*row == '.' && *name == '/')))
		row++, name++;
	return !*row && !*name;
}

enum sysctl sysctl_find(const char *name)
{
	for (int i = 0; i < SYSCTL_COUNT; i++)
		if (is_named(sysctls[i].name, name))
			return (enum sysctl)i;
	return SYSCTL_COUNT;
}

/* --- values ----------------------------------------------------------------------------------- */

struct sysctl_value sysctl_number(int64_t number)
{
	return (struct sysctl_value){.count = 1, .number = {number}};
}

struct sysctl_value sysctl_range(int64_t lo, int64_t hi)
{
	return (struct sysctl_value){.count = 2, .number = {lo, hi}};
}

bool sysctl_same(const struct sysctl_value *a, const struct sysctl_value *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->number[i] != b->number[i])
			return false;
	return true;
}

char *sysctl_format(const struct sysctl_value *value, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < value->count && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%lld", i ? " " : "",
					 (long long)value->number[i]);
	return buf;
}

bool sysctl_parse(const char *text, struct sysctl_value *value)
{
	struct sysctl_value found = {.count = 0};

	for (;;) {
		char *end;

		text += strspn(text, " \t\n");
		if (!*text)
			break;
		if (found.count == SYSCTL_NUMBERS)
			return false;
		errno = 0;
		found.number[found.count++] = strtoll(text, &end, 10);
		if (errno || end == text || (*end && !strchr(" \t\n", *end)))
			return false;
		text = end;
	}
	if (!found.count)
		return false;
	*value = found;
	return true;
}

/* As a range only ever gets wider. */
static bool is_wider(const struct sysctl_value *from, const struct sysctl_value *to)
{
	return to->number[0] <= from->number[0] && to->number[1] >= from->number[1] &&
	       !sysctl_same(from, to);
}

static bool is_within(const struct sysctl_row *row, const struct sysctl_value *value)
{
	for (uint32_t i = 0; i < value->count; i++)
		if (value->number[i] < row->least || value->number[i] > row->most)
			return false;
	return true;
}

bool sysctl_may_go(enum sysctl key, const struct sysctl_value *from, const struct sysctl_value *to)
{
	const struct sysctl_row *row = &sysctls[key];

	if (from->count != row->numbers || to->count != row->numbers || !is_within(row, to))
		return false;
	switch (row->lever) {
	case SYSCTL_RISE:
		return to->number[0] > from->number[0];
	case SYSCTL_FALL:
		return to->number[0] < from->number[0];
	case SYSCTL_WIDEN:
		return to->number[0] <= to->number[1] && is_wider(from, to);
	case SYSCTL_SWITCH:
		return !sysctl_same(from, to);
	default:
		return false;
	}
}

/* --- files ------------------------------------------------------------------------------------ */

void sysctl_open_folders(int folders[SYSCTL_FOLDERS])
{
	static const char *const paths[SYSCTL_FOLDERS] = {
		SYSCTL_FOLDER "ipv4", SYSCTL_FOLDER "core", SYSCTL_FOLDER "netfilter"};

	for (int i = 0; i < SYSCTL_FOLDERS; i++)
		folders[i] = open(paths[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void sysctl_close_folders(int folders[SYSCTL_FOLDERS])
{
	for (int i = 0; i < SYSCTL_FOLDERS; i++) {
		if (folders[i] >= 0)
			close(folders[i]);
		folders[i] = -1;
	}
}

static int open_row(const int folders[SYSCTL_FOLDERS], enum sysctl key, int flags)
{
	int folder = folders[sysctls[key].folder];

	if (folder < 0) {
		errno = ENOENT;
		return -1;
	}
	return openat(folder, sysctls[key].file, flags | O_CLOEXEC);
}

static void close_quietly(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

bool sysctl_read(const int folders[SYSCTL_FOLDERS], enum sysctl key, struct sysctl_value *value)
{
	int fd = open_row(folders, key, O_RDONLY);
	struct sysctl_value found;
	char text[SYSCTL_TEXT];
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close_quietly(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	if (!sysctl_parse(text, &found) || found.count != sysctls[key].numbers) {
		errno = EINVAL;
		return false;
	}
	*value = found;
	return true;
}

bool sysctl_write(const int folders[SYSCTL_FOLDERS], enum sysctl key,
		  const struct sysctl_value *value)
{
	int fd = open_row(folders, key, O_WRONLY);
	char text[SYSCTL_TEXT];
	ssize_t len, n;

	if (fd < 0)
		return false;
	sysctl_format(value, text, sizeof(text));
	len = (ssize_t)strlen(text);
	n = write(fd, text, (size_t)len);
	close_quietly(fd);
	if (n >= 0 && n != len)
		errno = EIO;
	return n == len;
}
