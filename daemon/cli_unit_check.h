/* SPDX-License-Identifier: MIT */
/* What in a unit would keep the shim out of its processes, or from its daemon. */
#ifndef DAEMON_CLI_UNIT_CHECK_H
#define DAEMON_CLI_UNIT_CHECK_H

#include "daemon/cli_unit.h"

#include <stdbool.h>

struct unit_place {
	const char *library; /* as a file, without the loader's $LIB */
	const char *socket;
};

struct obstacle {
	char why[640];
	char remedy[640];
};

enum { OBSTACLES_MAX = 16 };

struct obstacles {
	unsigned int count;
	struct obstacle obstacle[OBSTACLES_MAX];
};

void obstacle_add(struct obstacles *obstacles, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* All of it: the programs, the user and what follows. */
void unit_check(const struct unit *unit, const struct unit_place *place,
		struct obstacles *obstacles);

/* --- cli_unit_sandbox.c: by what the unit says alone --- */

/* Paths, families of addresses, system calls, domains. */
void unit_check_sandbox(const struct unit *unit, const struct unit_place *place,
			struct obstacles *obstacles);
/* Will its processes have a seccomp filter from before their start? */
bool unit_has_filters(const struct unit *unit);
/* Do they let the shim work? */
bool unit_allows_calls(const struct unit *unit);
/* Is the path the same inside? */
bool unit_shows_path(const struct unit *unit, const char *path, char *why, size_t size);

#endif
