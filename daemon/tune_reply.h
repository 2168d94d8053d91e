/* SPDX-License-Identifier: MIT */
/* The rows of the tuner's answers: closeside(1) has their members. */
#ifndef DAEMON_TUNE_REPLY_H
#define DAEMON_TUNE_REPLY_H

#include "daemon/tune.h"
#include "daemon/tune_changes.h"

#include <jansson.h>

/* Each is the caller's. */
json_t *reply_tune(const struct loop *loop);
json_t *reply_resource(const struct balance_entry *entry, const struct tune_samples *samples);
json_t *reply_advice(const struct balance_sheet *sheet, const struct balance_advice *advice,
		     const struct tune_samples *samples, const struct ignored *ignored);
/* NULL: there is nothing to say of it. */
json_t *reply_key(const struct tune_samples *samples, unsigned int space, enum sysctl key);
json_t *reply_change(const struct tune_change *change, const struct tune_samples *samples);

#endif
