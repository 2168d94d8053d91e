/* SPDX-License-Identifier: MIT */
#include "daemon/adopt.h"

#include "daemon/retire.h"

#include "common/tcp_state.h"

static bool selects_process(const struct policy_rule *rule)
{
	return rule->program_count || rule->unit_count || rule->user_count;
}

static const struct policy_rule *find_rule(const struct follow_parts *parts,
					   const struct conn *conn)
{
	const struct config *config = *parts->config;
	const struct process *process = conn_process(conn);
	struct policy_process who = {process->exe, process->comm, process->unit, process->cgroup};
	struct policy_subject subject = {
		.role = conn->role,
		.uid = process->uid,
		.local = conn->local,
		.remote = conn->remote,
	};

	for (unsigned int i = 0; i < config->rule_count; i++) {
		const struct policy_rule *rule = &config->rules[i];

		if (!conn->proc && selects_process(rule)) {
			struct policy_rule anybody = *rule;

			anybody.user_count = 0;
			if (policy_admits(&anybody, &subject))
				return NULL;
		} else if (policy_admits(rule, &subject) && policy_admits_process(rule, &who)) {
			return rule;
		}
	}
	return NULL;
}

/* Not what the shim speaks of: its policy was in its record, and acted on. */
static const struct policy_rule *apply_rule(const struct follow_parts *parts, struct conn *conn)
{
	const struct policy_rule *rule;

	if (conn->spoken || conn->state == STATE_LISTEN)
		return NULL;
	rule = find_rule(parts, conn);
	conn->policy = rule ? rule->id : 0;
	conn->account.policy = rule ? book_policy_slot(parts->book, rule->id) : 0;
	conn->account.control = rule && !policy_steers(&rule->terms, conn->cookie);
	return rule;
}

void adopt(const struct follow_parts *parts, struct conn *conn)
{
	apply_rule(parts, conn);
}

void adopt_time_wait(const struct follow_parts *parts, struct conn *conn)
{
	const struct policy_rule *rule = apply_rule(parts, conn);
	uint64_t age = wire_now_ms() - conn->since_ms;
	struct retire_item item = {
		.cookie = conn->cookie,
		.local = conn->local,
		.remote = conn->remote,
		.account = conn->account,
	};

	if (!rule || rule->terms.time_wait_ms < 0 || conn->retire || conn->netns != CONN_NETNS_OWN)
		return;
	if (conn->account.control) {
		if (!conn->left)
			BOOK_ADD(parts->book, conn->account, time_wait_left, 1);
		conn->left = true;
		return;
	}
	conn->retire = true;
	retire_add(parts->retire, &item,
		   (uint64_t)rule->terms.time_wait_ms > age
			   ? rule->terms.time_wait_ms - (uint32_t)age
			   : 0);
}
