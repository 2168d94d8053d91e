/* SPDX-License-Identifier: MIT */
/* What would happen to a connection, and why: the same functions that the shim calls, asked about
 * every state. Pure; the result is JSON, so that people and programs read the same. */
#ifndef DAEMON_POLICY_EXPLAIN_H
#define DAEMON_POLICY_EXPLAIN_H

#include "common/policy.h"

#include <jansson.h>

/* Which selector keeps the rule from matching, as "role = client"; NULL: it matches. Returns buf.
 */
const char *policy_obstacle(const struct policy_rule *rule, const struct policy_process *process,
			    const struct policy_subject *subject, char *buf, size_t size);

/* {"policies":[{"name","matches","because"}], "policy":name|null, "keys":{...},
 *  "close":[{"state","action","why","text"}], "cases":[{"case",...}],
 *  "shutdown":[{"state",...}], "options":[{"at","key","value"}]} */
json_t *policy_explain(const struct policy_rule *rules, unsigned int count,
		       const struct policy_process *process, const struct policy_subject *subject);

/* {"key":"value"} of the selectors, or of the keys, that the rule says or has inherited. */
json_t *policy_as_json(const struct policy_rule *rule, bool selectors);

#endif
