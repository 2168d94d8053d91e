/* SPDX-License-Identifier: MIT */
#include "daemon/page.h"

#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct page {
	char path[WIRE_PATH_MAX + 16];
	struct policy_page *map;
	dev_t dev;
	ino_t ino;
};

/* A file that is too short to be mapped whole is not one of ours, or half written. */
static void retire_old(const char *path)
{
	struct policy_page *old;
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (off_t)sizeof(*old)) {
		old = mmap(NULL, sizeof(*old), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (old != MAP_FAILED) {
			if (old->magic == WIRE_MAGIC && old->version == WIRE_VERSION)
				atomic_store(&old->retired, 1);
			munmap(old, sizeof(*old));
		}
	}
	close(fd);
}

static void fill(struct policy_page *map, const struct policy_rule *rules, unsigned int count,
		 bool on)
{
	map->magic = WIRE_MAGIC;
	map->version = WIRE_VERSION;
	map->size = sizeof(*map);
	map->rule_size = sizeof(struct policy_rule);
	while (getrandom(&map->instance, sizeof(map->instance), 0) < 0 && errno == EINTR)
		;
	atomic_store(&map->on, on);
	atomic_store(&map->heartbeat_ms, wire_now_ms());
	map->count = count;
	memcpy(map->rules, rules, count * sizeof(rules[0]));
}

/* Shims of every user read it, whatever our umask says. */
static int create_file(const char *path, struct page *page)
{
	struct stat st;
	int fd;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -1;
	if (fchmod(fd, 0644) < 0 || ftruncate(fd, sizeof(struct policy_page)) < 0 ||
	    fstat(fd, &st) < 0) {
		close(fd);
		return -1;
	}
	page->dev = st.st_dev;
	page->ino = st.st_ino;
	return fd;
}

struct page *page_new(const char *path, const struct policy_rule *rules, unsigned int count,
		      bool on)
{
	struct page *page = calloc(1, sizeof(*page));
	char temporary[sizeof(page->path) + 16];
	int fd;

	if (!page)
		return NULL;
	snprintf(page->path, sizeof(page->path), "%s", path);
	snprintf(temporary, sizeof(temporary), "%s.new", page->path);
	fd = create_file(temporary, page);
	if (fd < 0)
		goto fail;
	page->map = mmap(NULL, sizeof(*page->map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page->map == MAP_FAILED)
		goto fail;
	fill(page->map, rules, count, on);
	/* Nobody may follow the old page once the new one can be opened. */
	retire_old(page->path);
	if (rename(temporary, page->path) == 0)
		return page;
	munmap(page->map, sizeof(*page->map));
fail:
	fd = errno;
	unlink(temporary);
	free(page);
	errno = fd;
	return NULL;
}

void page_free(struct page *page)
{
	struct stat st;

	if (!page)
		return;
	atomic_store(&page->map->retired, 1);
	if (stat(page->path, &st) == 0 && st.st_dev == page->dev && st.st_ino == page->ino)
		unlink(page->path);
	munmap(page->map, sizeof(*page->map));
	free(page);
}

_Atomic uint8_t *page_hints(struct page *page)
{
	return page->map->hints;
}

void page_beat(struct page *page)
{
	atomic_store_explicit(&page->map->heartbeat_ms, wire_now_ms(), memory_order_release);
}

static void rewrite_begin(struct page *page)
{
	uint32_t seq = atomic_load_explicit(&page->map->seq, memory_order_relaxed);

	atomic_store_explicit(&page->map->seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void rewrite_end(struct page *page)
{
	uint32_t seq = atomic_load_explicit(&page->map->seq, memory_order_relaxed);

	atomic_store_explicit(&page->map->seq, seq + 1, memory_order_release);
}

void page_set_rules(struct page *page, const struct policy_rule *rules, unsigned int count)
{
	rewrite_begin(page);
	memcpy(page->map->rules, rules, count * sizeof(rules[0]));
	page->map->count = count;
	rewrite_end(page);
}

void page_set_on(struct page *page, bool on)
{
	rewrite_begin(page);
	atomic_store_explicit(&page->map->on, on, memory_order_relaxed);
	rewrite_end(page);
}

bool page_is_on(const struct page *page)
{
	return atomic_load(&page->map->on) != 0;
}
