/* SPDX-License-Identifier: MIT */
#include "daemon/sysctl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_IPV4 "ipv4"
#define NAME_CORE "core"
#define NAME_NETFILTER "netfilter"

const struct sysctl_row sysctls[SYSCTL_COUNT] = {
#define X(name, folder, file, numbers, lever, shrinks, least, most) \
	[SYSCTL_##name] = {"net." NAME_##folder "." file,           \
			   file,                                    \
			   SYSCTL_##folder,                         \
			   numbers,                                 \
			   SYSCTL_##lever,                          \
			   shrinks,                                 \
			   least,                                   \
			   most},
	SYSCTLS(X)
#undef X
};

/* --- the table -------------------------------------------------------------------------------- */

static bool is_name(const char *name, const char *text)
{
	while (*name && (*name == *text || (*name == '.' && *text == '/'))) {
		name++;
		text++;
	}
	return *name == *text;
}

enum sysctl sysctl_find(const char *name)
{
	int key = 0;

	while (key < SYSCTL_COUNT && !is_name(sysctls[key].name, name))
		key++;
	return (enum sysctl)key;
}

bool sysctl_same(const struct sysctl_value *a, const struct sysctl_value *b)
{
	if (a->count != b->count || a->count > SYSCTL_NUMBERS)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->number[i] != b->number[i])
			return false;
	return true;
}

static bool is_whole(enum sysctl key, const struct sysctl_value *value)
{
	return key < SYSCTL_COUNT && value->count == sysctls[key].numbers;
}

/* Only an end that moves has to be within what closeside would set. */
static bool is_wider(const struct sysctl_row *row, const int64_t from[2], const int64_t to[2])
{
	bool lower = to[0] < from[0] && to[0] >= row->least;
	bool higher = to[1] > from[1] && to[1] <= row->most;

	return (lower || to[0] == from[0]) && (higher || to[1] == from[1]) && (lower || higher);
}

bool sysctl_may_go(enum sysctl key, const struct sysctl_value *from, const struct sysctl_value *to)
{
	const struct sysctl_row *row;

	if (!is_whole(key, from) || !is_whole(key, to))
		return false;
	row = &sysctls[key];
	switch (row->lever) {
	case SYSCTL_RISE:
		return to->number[0] > from->number[0] && to->number[0] >= row->least &&
		       to->number[0] <= row->most;
	case SYSCTL_FALL:
		return to->number[0] < from->number[0] && to->number[0] >= row->least;
	case SYSCTL_WIDEN:
		return is_wider(row, from->number, to->number);
	case SYSCTL_SWITCH:
		return to->number[0] != from->number[0] && to->number[0] == row->most;
	case SYSCTL_READ:
		break;
	}
	return false;
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

char *sysctl_format(const struct sysctl_value *value, char *buf, size_t size)
{
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	for (uint32_t i = 0; i < value->count && i < SYSCTL_NUMBERS && len < size; i++) {
		int n = snprintf(buf + len, size - len, "%s%" PRId64, i ? " " : "",
				 value->number[i]);

		len += n > 0 ? (size_t)n : 0;
	}
	return buf;
}

static bool parse_number(const char **cursor, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoll(*cursor, &end, 10);
	if (errno || end == *cursor || (*end && !isspace((unsigned char)*end)))
		return false;
	*cursor = end;
	return true;
}

static const char *after_blanks(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

bool sysctl_parse(const char *text, struct sysctl_value *value)
{
	struct sysctl_value parsed = {.count = 0};
	int error = errno;

	for (text = after_blanks(text); *text; text = after_blanks(text)) {
		if (parsed.count == SYSCTL_NUMBERS ||
		    !parse_number(&text, &parsed.number[parsed.count]))
			break;
		parsed.count++;
	}
	errno = error;
	if (*text || !parsed.count)
		return false;
	*value = parsed;
	return true;
}

/* --- files ------------------------------------------------------------------------------------ */

void sysctl_open_folders(int folders[SYSCTL_FOLDERS])
{
	static const char *const paths[SYSCTL_FOLDERS] = {
		[SYSCTL_IPV4] = SYSCTL_FOLDER NAME_IPV4,
		[SYSCTL_CORE] = SYSCTL_FOLDER NAME_CORE,
		[SYSCTL_NETFILTER] = SYSCTL_FOLDER NAME_NETFILTER,
	};

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

static int open_key(const int folders[SYSCTL_FOLDERS], enum sysctl key, int flags)
{
	int folder = key < SYSCTL_COUNT ? folders[sysctls[key].folder] : -1;

	if (folder < 0) {
		errno = ENOENT;
		return -1;
	}
	return openat(folder, sysctls[key].file, flags | O_CLOEXEC | O_NOFOLLOW);
}

static void close_keeping_errno(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

bool sysctl_read(const int folders[SYSCTL_FOLDERS], enum sysctl key, struct sysctl_value *value)
{
	char text[SYSCTL_TEXT * 2];
	struct sysctl_value read_value;
	int fd = open_key(folders, key, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close_keeping_errno(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	if (!sysctl_parse(text, &read_value) || !is_whole(key, &read_value)) {
		errno = EINVAL;
		return false;
	}
	*value = read_value;
	return true;
}

bool sysctl_write(const int folders[SYSCTL_FOLDERS], enum sysctl key,
		  const struct sysctl_value *value)
{
	char text[SYSCTL_TEXT + 1];
	size_t len;
	ssize_t n;
	int fd;

	if (!is_whole(key, value)) {
		errno = EINVAL;
		return false;
	}
	sysctl_format(value, text, SYSCTL_TEXT);
	len = strlen(text);
	text[len++] = '\n';
	fd = open_key(folders, key, O_WRONLY);
	if (fd < 0)
		return false;
	n = write(fd, text, len);
	if (n >= 0 && n != (ssize_t)len) {
		n = -1;
		errno = EIO;
	}
	close_keeping_errno(fd);
	return n >= 0;
}
