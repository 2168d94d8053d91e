/* SPDX-License-Identifier: MIT */
#include "common/wire.h"

#include <string.h>
#include <time.h>

uint64_t wire_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool policy_page_read(const struct policy_page *page,
		      void (*look)(const struct policy_page *page, void *arg), void *arg)
{
	for (int i = 0; i < WIRE_SEQLOCK_TRIES; i++) {
		uint32_t before = atomic_load_explicit(&page->seq, memory_order_acquire);

		if (before & 1)
			continue;
		look(page, arg);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&page->seq, memory_order_relaxed) == before)
			return true;
	}
	return false;
}

bool wire_split_socket(const char *text, char path[WIRE_PATH_MAX], const char **options)
{
	const char *query;
	size_t len;

	if (!text || !*text)
		text = WIRE_SOCKET_DEFAULT;
	query = strchr(text, '?');
	len = query ? (size_t)(query - text) : strlen(text);
	if (len == 0 || len >= WIRE_PATH_MAX)
		return false;
	memcpy(path, text, len);
	path[len] = '\0';
	*options = query ? query + 1 : "";
	return true;
}

unsigned int wire_hint_index(uint32_t policy, uint8_t role, uint16_t port)
{
	uint32_t hash = (policy ^ ((uint32_t)port << 8) ^ role) * 2654435761u;

	return (hash >> 16) % WIRE_HINTS;
}

const char *wire_type_word(unsigned int type)
{
	static const char *const words[WIRE_TYPE_COUNT] = {[WIRE_NONE] = "none",
#define X(name, word, fd) [name] = word,
							   WIRE_RECORDS(X)
#undef X
	};

	return type < WIRE_TYPE_COUNT ? words[type] : "unknown";
}
