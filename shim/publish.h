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

/* What a policy is to a connection. */
enum policed {
	POLICED_NOT,	 /* none matches */
	POLICED_STEERED, /* terms and policy are filled in */
	POLICED_CONTROL, /* only watched: policy is filled in */
};

/* What the daemon needs in order to finish a close by this policy, if it is steered. */
void record_policy(struct wire_record *record, enum policed policed,
		   const struct policy_terms *terms, uint32_t policy);

/* The policy of a connection. */
enum policed publish_find(uint32_t word, uint64_t cookie, const struct slot_info *info,
			  struct policy_terms *terms, uint32_t *policy);

/* This process holds this connection. Returns whether a policy steers it, and what it says. */
bool publish_open(int fd, uint32_t word, uint64_t cookie, unsigned int state,
		  const struct slot_info *info, struct policy_terms *terms);

/* Everything that is open, to a daemon that does not know it yet. */
void publish_all(void);

#endif
