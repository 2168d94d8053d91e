/* SPDX-License-Identifier: MIT */
/* Which policy applies: the options of this process' environment first, then the daemon's page. */
#ifndef SHIM_RULES_H
#define SHIM_RULES_H

#include "common/policy.h"

#include <stdbool.h>
#include <stdint.h>

/* options: what follows '?' in CLOSESIDE_SOCKET. False if they are not well-formed. */
bool rules_init(const char *options);

/* The first policy that admits the subject; its uid is filled in here where it is needed. Copies
 * what it says. False: none, or `closeside off`. */
bool rules_find(struct policy_subject *subject, struct policy_terms *terms, uint32_t *id);

/* What grace has learned of a policy and a server's port: bits of enum wire_hint. */
unsigned int rules_hint(uint32_t policy, uint8_t role, uint16_t port);

/* The daemon's heartbeat is fresh, so that it will take a hand-over now. */
bool rules_daemon_alive(void);

/* Which daemon that is; 0: it is not known. */
uint64_t rules_instance(void);

/* In a fork child: another thread of the parent may have been opening the page. */
void rules_after_fork(void);

#endif
