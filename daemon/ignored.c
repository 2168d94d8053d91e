/* SPDX-License-Identifier: MIT */
#include "daemon/ignored.h"

#include "daemon/balance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IGNORED_MAX = 256 };

struct ignored {
	char *path;
	unsigned int count;
	char id[IGNORED_MAX][BALANCE_ID];
};

static unsigned int find(const struct ignored *ignored, const char *id)
{
	unsigned int i = 0;

	while (i < ignored->count && strcmp(ignored->id[i], id) != 0)
		i++;
	return i;
}

static void load(struct ignored *ignored)
{
	int fd = open(ignored->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char line[BALANCE_ID + 2];

	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (ignored->count < IGNORED_MAX && fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, "\n");

		line[len] = '\0';
		if (len && len < BALANCE_ID)
			memcpy(ignored->id[ignored->count++], line, len + 1);
	}
	fclose(file);
}

struct ignored *ignored_new(const char *path)
{
	struct ignored *ignored = calloc(1, sizeof(*ignored));

	if (!ignored)
		return NULL;
	ignored->path = strdup(path);
	if (!ignored->path) {
		free(ignored);
		return NULL;
	}
	load(ignored);
	return ignored;
}

void ignored_free(struct ignored *ignored)
{
	if (!ignored)
		return;
	free(ignored->path);
	free(ignored);
}

/* Beside it, then in its place: a full disk leaves the old one. */
static bool save(const struct ignored *ignored)
{
	size_t size = strlen(ignored->path) + 5;
	char *path = malloc(size);
	FILE *file = NULL;
	bool done = false;
	int fd = -1;

	if (path) {
		snprintf(path, size, "%s.new", ignored->path);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	}
	if (fd >= 0)
		file = fdopen(fd, "w");
	if (file) {
		for (unsigned int i = 0; i < ignored->count; i++)
			fprintf(file, "%s\n", ignored->id[i]);
		done = fflush(file) == 0;
		done = fclose(file) == 0 && done && rename(path, ignored->path) == 0;
	} else if (fd >= 0) {
		close(fd);
	}
	free(path);
	return done;
}

bool ignored_has(const struct ignored *ignored, const char *id)
{
	return find(ignored, id) < ignored->count;
}

bool ignored_set(struct ignored *ignored, const char *id, bool is_ignored)
{
	unsigned int at = find(ignored, id);

	if ((at < ignored->count) == is_ignored)
		return true;
	if (!is_ignored) {
		ignored->count--;
		memmove(ignored->id[at], ignored->id[at + 1],
			(ignored->count - at) * sizeof(ignored->id[0]));
		return save(ignored);
	}
	if (ignored->count == IGNORED_MAX || strlen(id) >= BALANCE_ID) {
		errno = ENOSPC;
		return false;
	}
	snprintf(ignored->id[ignored->count++], BALANCE_ID, "%s", id);
	return save(ignored);
}
