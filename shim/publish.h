/* SPDX-License-Identifier: MIT */
/* What the daemon is told of this process' connections. */
#ifndef SHIM_PUBLISH_H
#define SHIM_PUBLISH_H

#include "common/policy.h"
#include "common/wire.h"
#include "shim/slots.h"

#include <stdbool.h>
#include <stdint.h>

/* A record of a connection, without type, action and side. */
void record_init(struct wire_record *record, int fd, uint32_t word, uint64_t cookie,
		 const struct slot_info *info);

/* What the daemon needs in order to finish a close by this policy. */
void record_terms(struct wire_record *record, const struct policy_terms *terms, uint32_t policy);

/* The policy of a connection, as rules_find(). */
bool publish_find(uint32_t word, const struct slot_info *info, struct policy_terms *terms,
		  uint32_t *policy);

/* This process holds this connection. Returns whether a policy matches, and what it says. */
bool publish_open(int fd, uint32_t word, uint64_t cookie, unsigned int state,
		  const struct slot_info *info, struct policy_terms *terms);

/* Everything that is open, to a daemon that does not know it yet. */
void publish_all(void);

#endif
