/* SPDX-License-Identifier: MIT */
#include "daemon/netns.h"

#include "daemon/kernel.h"
#include "daemon/probe.h"
#include "daemon/vitals.h"

#include "common/policy.h"
#include "common/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t netns_own(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

/* All three take their descriptor, -1 for a new one, also if they fail. */
static struct netns *open_one(uint64_t inode, uint8_t index, const int fds[OPENED_FDS])
{
	struct kernel *lookup = kernel_open(fds[OPENED_LOOKUP]),
		      *dump = kernel_open(fds[OPENED_DUMP]),
		      *destroyed = kernel_open_destroyed(fds[OPENED_DESTROYED]);
	struct netns *ns = calloc(1, sizeof(*ns));

	if (ns && lookup && dump) {
		*ns = (struct netns){.inode = inode,
				     .index = index,
				     .want_time_wait = true,
				     .lookup = lookup,
				     .dump = dump,
				     .destroyed = destroyed};
		return ns;
	}
	kernel_close(lookup);
	kernel_close(dump);
	kernel_close(destroyed);
	free(ns);
	return NULL;
}

struct netns *netns_open_own(struct probe *probe, struct vitals *vitals)
{
	static const int new[OPENED_FDS] = {-1, -1, -1};
	struct netns *ns = open_one(netns_own(), 0, new);

	if (ns) {
		ns->probe = probe;
		ns->vitals = vitals;
	}
	return ns;
}

struct netns *netns_open(uint64_t inode, uint8_t index, pid_t pid, const int fds[OPENED_FDS])
{
	struct netns *ns = open_one(inode, index, fds);
	struct probe *probe = probe_new(fds);
	struct vitals *vitals = probe ? vitals_new(probe, wire_now_ms()) : NULL;

	if (ns) {
		ns->pid = pid;
		ns->probe = probe;
		ns->vitals = vitals;
		ns->owns = true;
	}
	if (ns && vitals)
		return ns;
	if (ns) {
		netns_close(ns);
	} else {
		vitals_free(vitals);
		probe_free(probe);
	}
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
	if (ns->owns) {
		vitals_free(ns->vitals);
		probe_free(ns->probe);
	}
	free(ns);
	errno = error;
}

uint8_t netns_role(const struct netns *ns, uint16_t port)
{
	return ns->listening[port / 8] & 1u << port % 8 ? ROLE_SERVER : ROLE_CLIENT;
}

void netns_listens_begin(struct netns *ns)
{
	memset(ns->listens, 0, sizeof(ns->listens));
}

void netns_listens(struct netns *ns, uint16_t port)
{
	ns->listens[port / 8] |= 1u << port % 8;
	ns->listening[port / 8] |= 1u << port % 8;
}

void netns_listens_end(struct netns *ns)
{
	memcpy(ns->listening, ns->listens, sizeof(ns->listening));
}
