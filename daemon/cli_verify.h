/* SPDX-License-Identifier: MIT */
/* run --verify and --ladder: what a capture says beside what we say. */
#ifndef DAEMON_CLI_VERIFY_H
#define DAEMON_CLI_VERIFY_H

#include "daemon/cli.h"

struct run_meanwhile;
struct verify;

/* 0, or an exit code with everything said. */
int verify_begin(struct verify **out, const struct cli *cli, const char *tag);
/* What is to be done while the command runs. */
const struct run_meanwhile *verify_meanwhile(struct verify *verify);
/* Waits, not forever, until the connections are over; says the agreement, and frees. Returns how
 * many disagreements are unexplained. started: there was a command. */
unsigned int verify_end(struct verify *verify, bool started);

#endif
