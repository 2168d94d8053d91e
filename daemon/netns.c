/* SPDX-License-Identifier: MIT */
#include "daemon/netns.h"

#include "daemon/kernel.h"

#include "common/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t netns_own(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

static void open_own(struct netns *ns)
{
	ns->lookup = kernel_open(-1);
	ns->dump = kernel_open(-1);
	ns->destroyed = kernel_open_destroyed(-1);
	ns->sockstat = open("/proc/self/net/sockstat", O_RDONLY | O_CLOEXEC);
}

static void take_opened(struct netns *ns, const int fds[OPENED_FDS])
{
	ns->lookup = kernel_open(fds[OPENED_LOOKUP]);
	ns->dump = kernel_open(fds[OPENED_DUMP]);
	ns->destroyed = kernel_open_destroyed(fds[OPENED_DESTROYED]);
	ns->sockstat = fds[OPENED_SOCKSTAT];
}

struct netns *netns_open(uint64_t inode, uint8_t index, const int fds[OPENED_FDS])
{
	struct netns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ns->inode = inode;
	ns->index = index;
	ns->want_time_wait = true;
	if (fds)
		take_opened(ns, fds);
	else
		open_own(ns);
	if (ns->lookup && ns->dump)
		return ns;
	netns_close(ns);
	return NULL;
}

void netns_close(struct netns *ns)
{
	int error = errno;

	if (!ns)
		return;
	kernel_close(ns->lookup);
	kernel_close(ns->dump);
	kernel_close(ns->destroyed);
	if (ns->sockstat >= 0)
		close(ns->sockstat);
	free(ns);
	errno = error;
}

uint8_t netns_role(const struct netns *ns, uint16_t port)
{
	return ns->listening[port / 8] & 1u << port % 8 ? ROLE_SERVER : ROLE_CLIENT;
}

void netns_listens(struct netns *ns, uint16_t port)
{
	ns->listening[port / 8] |= 1u << port % 8;
}

long netns_time_waits(const struct netns *ns)
{
	char text[512];
	ssize_t n = ns->sockstat < 0 ? -1 : pread(ns->sockstat, text, sizeof(text) - 1, 0);
	const char *tcp;
	long count;

	if (n <= 0)
		return -1;
	text[n] = '\0';
	tcp = strstr(text, "TCP: ");
	if (!tcp || sscanf(tcp, "TCP: inuse %*d orphan %*d tw %ld", &count) != 1)
		return -1;
	return count;
}
