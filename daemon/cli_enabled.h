/* SPDX-License-Identifier: MIT */
/* What `status` says of the units that `closeside enable` has enabled. */
#ifndef DAEMON_CLI_ENABLED_H
#define DAEMON_CLI_ENABLED_H

#include <jansson.h>

/* [{"unit":"nginx.service","verdict":"not-restarted","processes":3,"loaded":0}], all looked at. */
json_t *enabled_json(void);
void enabled_print(const json_t *units);

#endif
