/* SPDX-License-Identifier: MIT */
/* What is known of a connection that is being closed or shut down, for the decision and for the
 * daemon. The kernel is asked only what the policy will want to know. */
#ifndef SHIM_FACTS_H
#define SHIM_FACTS_H

#include "common/close_decide.h"
#include "common/wire.h"
#include "shim/publish.h"
#include "shim/slots.h"

#include <stdbool.h>
#include <stdint.h>

/* A connection that is being closed or shut down. */
struct closing {
	int fd;
	uint32_t word;
	uint64_t cookie;
	struct slot *slot;
	struct slot_info info;
	struct policy_terms terms;
	uint32_t policy;
	enum policed policed;
	bool has_policy;   /* it is steered: by terms */
	bool policy_known; /* policed, has_policy, terms and policy are filled in */
	struct close_facts facts;
	uint32_t recv_idle_ms;
	bool late;   /* see enum wire_hint */
	bool unsent; /* corked, or held back by Nagle or MSG_MORE */
	enum wire_patience patience;
	enum close_reason obstacle; /* why it is not handed over, or WHY_PEER_FIRST */
};

/* Fills in what is known of a tracked connection without asking the kernel; the slot may be claimed
 * (cleared) or not. False: it is not a connection. */
bool facts_recall(struct closing *c, int fd, struct slot *slot, uint32_t word);
/* It is still the connection that was filed: to be asked before any side effect on it. */
bool facts_is_same(const struct closing *c);
/* Both. */
bool facts_init(struct closing *c, int fd, struct slot *slot, uint32_t word);

/* Whatever facts_gather() would find, there is nothing to be done to it at its close but to say
 * that it was closed; if it is as most are. */
bool facts_may_be_brief(struct closing *c);
/* It is: in ESTABLISHED, with nothing unread. One system call instead of three. */
bool facts_brief(struct closing *c);

/* Its state, and what else TCP_INFO tells. False: it is no TCP connection any more. */
bool facts_state(struct closing *c);

/* The rest; facts.sole_owner is to be set before. False: it is no TCP connection any more. */
bool facts_gather(struct closing *c);

/* Which end closed first, as far as it can be known before our close. */
enum close_side facts_side(const struct closing *c, enum close_action action);

#endif
