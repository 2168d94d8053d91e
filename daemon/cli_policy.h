/* SPDX-License-Identifier: MIT */
/* The policies that a subcommand is about: of a file, or those in force. */
#ifndef DAEMON_CLI_POLICY_H
#define DAEMON_CLI_POLICY_H

#include "common/wire.h"
#include "daemon/cli.h"

struct policies {
	struct policy_rule rules[WIRE_RULES_MAX];
	unsigned int count;
	bool on;
};

/* -c FILE's, else the daemon's. 0, or an exit code with everything said. */
int policies_read(const struct cli *cli, struct policies *out);

#endif
