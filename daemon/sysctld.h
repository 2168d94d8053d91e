/* SPDX-License-Identifier: MIT */
/* Is a sysctl named in sysctl.d? Then it is the admin's: closeside does not set it.
 *
 * Read as systemd-sysctl(8) and `sysctl --system` read it: /etc/sysctl.d, /run/sysctl.d,
 * /usr/local/lib/sysctl.d, /usr/lib/sysctl.d, /lib/sysctl.d, of files with the same name the first
 * only, where a link to /dev/null or an empty file stands for none; and /etc/sysctl.conf. What the
 * value is does not matter, nor whether it has been applied. In doubt a sysctl is named: a file
 * that cannot be read, or not whole, might name it, and "-key", which exempts it from globs, is the
 * admin's word on it as well. */
#ifndef DAEMON_SYSCTLD_H
#define DAEMON_SYSCTLD_H

#include "daemon/sysctl.h"

#include <stdbool.h>
#include <stddef.h>

enum { SYSCTLD_PATH = 128 };

struct sysctld {
	char path[SYSCTL_COUNT][SYSCTLD_PATH]; /* the last file that names it; "": none does */
};

/* A line, without its end, and what it names: pure. */
bool sysctld_line_names(const char *line, enum sysctl key);
/* root: "", or for tests a folder that stands for /. */
void sysctld_read(const char *root, struct sysctld *named);
/* path may be NULL. */
bool sysctld_names(enum sysctl key, char *path, size_t size);

#endif
