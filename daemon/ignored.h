/* SPDX-License-Identifier: MIT */
/* Advice that the operator does not want to hear again: ids, one to a line, in SOCKET.ignored, so
 * that a restart does not forget them. */
#ifndef DAEMON_IGNORED_H
#define DAEMON_IGNORED_H

#include <stdbool.h>

struct ignored;

/* Reads the file if it is there. NULL: out of memory. */
struct ignored *ignored_new(const char *path);
void ignored_free(struct ignored *ignored);

bool ignored_has(const struct ignored *ignored, const char *id);
/* Adds one, or takes it away; and writes the file. false with errno: it is not kept. ENOSPC: there
 * are too many already. */
bool ignored_set(struct ignored *ignored, const char *id, bool is_ignored);

#endif
