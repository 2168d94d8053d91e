/* SPDX-License-Identifier: MIT */
#ifndef DAEMON_CLI_SHARE_H
#define DAEMON_CLI_SHARE_H

#include <jansson.h>

/* The connections that a policy steers beside its control, as comments, with what one needs in
 * order to judge: the counts, and how sure a difference is. share: per cent; row: the daemon's, of
 * the policy. Nothing if there has never been a control. */
void share_print(unsigned int share, const json_t *row);

#endif
