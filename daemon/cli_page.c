/* SPDX-License-Identifier: MIT */
#include "daemon/cli_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void copy(const struct policy_page *page, void *arg)
{
	struct page_copy *out = arg;

	out->on = atomic_load_explicit(&page->on, memory_order_relaxed);
	out->count = page->count < WIRE_RULES_MAX ? page->count : WIRE_RULES_MAX;
	memcpy(out->rules, page->rules, out->count * sizeof(out->rules[0]));
}

static int read_mapped(const struct policy_page *page, struct page_copy *out)
{
	uint64_t beat;

	if (page->magic != WIRE_MAGIC || page->version != WIRE_VERSION ||
	    page->size != sizeof(*page) || page->rule_size != sizeof(page->rules[0]))
		return EPROTO;
	if (!policy_page_read(page, copy, out))
		return EBUSY;
	for (unsigned int i = 0; i < out->count; i++)
		if (!policy_is_sound(&out->rules[i]))
			return EPROTO;
	beat = atomic_load_explicit(&page->heartbeat_ms, memory_order_relaxed);
	out->fresh = !atomic_load_explicit(&page->retired, memory_order_relaxed) &&
		     wire_now_ms() - beat < WIRE_HEARTBEAT_STALE_MS;
	return 0;
}

int page_read(const char *socket, struct page_copy *out)
{
	char path[WIRE_PATH_MAX + sizeof(WIRE_POLICY_SUFFIX)];
	const struct policy_page *page;
	struct stat st;
	int fd, error;

	snprintf(path, sizeof(path), "%s" WIRE_POLICY_SUFFIX, socket);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(*page)) {
		close(fd);
		return EPROTO;
	}
	page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
	error = errno;
	close(fd);
	if (page == MAP_FAILED)
		return error;
	error = read_mapped(page, out);
	munmap((void *)page, sizeof(*page));
	return error;
}
