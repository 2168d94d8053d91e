/* SPDX-License-Identifier: MIT */
/* The policies in force, as every shim sees them: read from the daemon's page. */
#ifndef DAEMON_CLI_PAGE_H
#define DAEMON_CLI_PAGE_H

#include "common/wire.h"

struct page_copy {
	struct policy_rule rules[WIRE_RULES_MAX];
	unsigned int count;
	bool on;
	bool fresh; /* the daemon's heart beats */
};

/* 0, or errno: EPROTO for a page of another version, EBUSY for one that never holds still. */
int page_read(const char *socket, struct page_copy *out);

#endif
