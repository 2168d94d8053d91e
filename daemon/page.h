/* SPDX-License-Identifier: MIT */
/* The policy page: SOCKET.policy, which every shim maps read-only. A published file is never
 * truncated or shortened: its readers would die of SIGBUS. */
#ifndef DAEMON_PAGE_H
#define DAEMON_PAGE_H

#include "common/policy.h"

#include <stdbool.h>
#include <stdint.h>

struct page;

/* Marks what an earlier instance left as retired, then publishes a page of our own at `path`.
 * NULL with errno. */
struct page *page_new(const char *path, const struct policy_rule *rules, unsigned int count,
		      bool on);
/* Retires the page, and takes the file away if it is still ours. */
void page_free(struct page *page);

/* WIRE_HINTS bytes that patience keeps. */
_Atomic uint8_t *page_hints(struct page *page);
void page_beat(struct page *page);
void page_set_rules(struct page *page, const struct policy_rule *rules, unsigned int count);
void page_set_on(struct page *page, bool on);
bool page_is_on(const struct page *page);

#endif
