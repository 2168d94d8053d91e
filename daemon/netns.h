/* SPDX-License-Identifier: MIT */
/* A network namespace that we can see into: our own, or one that the guardian has opened. */
#ifndef DAEMON_NETNS_H
#define DAEMON_NETNS_H

#include "daemon/opener.h"

#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct probe;
struct vitals;

struct netns {
	uint64_t inode;
	uint8_t index;		  /* struct conn.netns */
	struct kernel *lookup;	  /* single sockets */
	struct kernel *dump;	  /* all of them: the survey's */
	struct kernel *destroyed; /* the multicast; NULL: not permitted */
	struct probe *probe;
	struct vitals *vitals;	      /* of probe */
	bool owns;		      /* these two */
	pid_t pid;		      /* of a process that was in it lately; 0: our own */
	bool want_time_wait;	      /* some are missing in the model, or too many are there */
	uint8_t listening[65536 / 8]; /* a bit for each port */
	uint8_t listens[65536 / 8];   /* as the dump that is under way has it so far */
};

/* Ours, of index 0. Probe and vitals stay the caller's. NULL with errno. */
struct netns *netns_open_own(struct probe *probe, struct vitals *vitals);
/* Another. The descriptors become its own, also if it fails. */
struct netns *netns_open(uint64_t inode, uint8_t index, pid_t pid, const int fds[OPENED_FDS]);
void netns_close(struct netns *ns);

/* The inode of the namespace that we are in. */
uint64_t netns_own(void);

/* What has the port of a listener was accepted there: enum role. */
uint8_t netns_role(const struct netns *ns, uint16_t port);
/* A dump begins; it has seen a listener; and it is whole: only then others are forgotten, for ends
 * are told of while it goes on. */
void netns_listens_begin(struct netns *ns);
void netns_listens(struct netns *ns, uint16_t port);
void netns_listens_end(struct netns *ns);

#endif
