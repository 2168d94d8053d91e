/* SPDX-License-Identifier: MIT */
/* Whom a policy selects, and policies as a whole. The keys themselves are in policy_keys.c. */
#include "common/policy.h"

#include <string.h>

uint32_t policy_id(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash ? hash : 1;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool program_matches(const char *pattern, const struct policy_process *process)
{
	if (strchr(pattern, '/'))
		return glob_match(pattern, process->exe);
	return glob_match(pattern, base_name(process->exe)) || glob_match(pattern, process->comm);
}

static bool unit_matches(const char *pattern, const struct policy_process *process)
{
	return glob_match(pattern, strchr(pattern, '/') ? process->cgroup : process->unit);
}

bool policy_admits_process(const struct policy_rule *rule, const struct policy_process *process)
{
	bool program = rule->program_count == 0, unit = rule->unit_count == 0;

	for (unsigned int i = 0; i < rule->program_count && i < POLICY_GLOBS_MAX && !program; i++)
		program = program_matches(rule->program[i], process);
	for (unsigned int i = 0; i < rule->unit_count && i < POLICY_GLOBS_MAX && !unit; i++)
		unit = unit_matches(rule->unit[i], process);
	return program && unit;
}

static bool port_listed(const struct port_range *list, unsigned int count, uint16_t port)
{
	if (count == 0)
		return true;
	if (port == 0)
		return false;
	for (unsigned int i = 0; i < count && i < POLICY_LIST_MAX; i++)
		if (list[i].lo <= port && port <= list[i].hi)
			return true;
	return false;
}

static bool network_listed(const struct cidr *list, unsigned int count, const struct endpoint *ep)
{
	if (count == 0)
		return true;
	for (unsigned int i = 0; i < count && i < POLICY_LIST_MAX; i++)
		if (cidr_contains(&list[i], ep))
			return true;
	return false;
}

static bool user_listed(const struct policy_rule *rule, uint32_t uid)
{
	if (rule->user_count == 0)
		return true;
	for (unsigned int i = 0; i < rule->user_count && i < POLICY_LIST_MAX; i++)
		if (rule->user[i] == uid)
			return true;
	return false;
}

bool policy_admits(const struct policy_rule *rule, const struct policy_subject *subject)
{
	return (rule->role == ROLE_ANY || rule->role == subject->role) &&
	       user_listed(rule, subject->uid) &&
	       port_listed(rule->local_port, rule->local_port_count, subject->local.port) &&
	       port_listed(rule->remote_port, rule->remote_port_count, subject->remote.port) &&
	       network_listed(rule->remote, rule->remote_count, &subject->remote);
}

/* Cookies count up. Theirs is the finalizer of MurmurHash3, whose bits are all as likely. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
	return x ^ x >> 33;
}

bool policy_steers(const struct policy_terms *terms, uint64_t cookie)
{
	return !terms->control || (mix(cookie) >> 32) * 100 >> 32 >= terms->control;
}

static bool terms_are_sound(const struct policy_terms *terms)
{
	return terms->close_first <= FIRST_SELF && terms->half_close <= HALF_DEFER &&
	       terms->peer_time_wait <= PEER_TW_NONE && terms->linger <= LINGER_TIME &&
	       terms->grace_learn <= 1 && terms->reuse_address <= OPT_YES &&
	       terms->reuse_port <= OPT_YES && terms->bind_late <= OPT_YES &&
	       terms->keepalive <= KEEPALIVE_SET && terms->allow_data_loss <= 1 &&
	       terms->source_count <= POLICY_LIST_MAX && terms->control <= 100;
}

static bool globs_are_sound(const char list[][POLICY_GLOB_MAX], unsigned int count)
{
	if (count > POLICY_GLOBS_MAX)
		return false;
	while (count--)
		if (!memchr(list[count], '\0', POLICY_GLOB_MAX))
			return false;
	return true;
}

bool policy_is_sound(const struct policy_rule *rule)
{
	return memchr(rule->name, '\0', sizeof(rule->name)) && rule->role <= ROLE_CLIENT &&
	       globs_are_sound(rule->program, rule->program_count) &&
	       globs_are_sound(rule->unit, rule->unit_count) &&
	       rule->user_count <= POLICY_LIST_MAX && rule->local_port_count <= POLICY_LIST_MAX &&
	       rule->remote_count <= POLICY_LIST_MAX &&
	       rule->remote_port_count <= POLICY_LIST_MAX && terms_are_sound(&rule->terms);
}

const char *policy_problem(const struct policy_rule *rule)
{
	const struct policy_terms *terms = &rule->terms;

	if (terms->linger == LINGER_ABORT && !terms->allow_data_loss)
		return "linger = abort throws unsent data away: it needs allow-data-loss = yes";
	if (terms->bind_late == OPT_YES && rule->role != ROLE_CLIENT)
		return "bind-late = yes needs role = client";
	if (terms->half_close == HALF_DEFER && terms->close_first != FIRST_PEER)
		return "half-close = defer needs close-first = peer";
	return NULL;
}

/* Each warning: when it applies, and what to say. */
static bool warns_abort(const struct policy_rule *rule)
{
	return rule->terms.linger == LINGER_ABORT;
}

static bool warns_user_timeout(const struct policy_rule *rule)
{
	return rule->terms.user_timeout_ms != 0;
}

static bool warns_peer_time_wait(const struct policy_rule *rule)
{
	return rule->terms.peer_time_wait == PEER_TW_NONE;
}

static bool warns_listener_remote(const struct policy_rule *rule)
{
	bool listens = rule->terms.backlog || rule->terms.reuse_address == OPT_YES ||
		       rule->terms.reuse_port == OPT_YES;

	return listens && (rule->remote_count || rule->remote_port_count);
}

static bool warns_listener_client(const struct policy_rule *rule)
{
	return rule->role == ROLE_CLIENT &&
	       (rule->terms.backlog || rule->terms.reuse_address == OPT_YES ||
		rule->terms.reuse_port == OPT_YES);
}

static bool warns_connect_server(const struct policy_rule *rule)
{
	return rule->role == ROLE_SERVER &&
	       (rule->terms.local_ports.lo || rule->terms.source_count);
}

static bool warns_connect_port(const struct policy_rule *rule)
{
	return rule->local_port_count && (rule->terms.local_ports.lo || rule->terms.source_count ||
					  rule->terms.bind_late == OPT_YES);
}

static bool warns_linger_peer(const struct policy_rule *rule)
{
	return rule->terms.linger >= LINGER_ABORT && rule->terms.close_first == FIRST_PEER;
}

static bool warns_listener_user(const struct policy_rule *rule)
{
	return rule->user_count && (rule->terms.backlog || rule->terms.reuse_address == OPT_YES ||
				    rule->terms.reuse_port == OPT_YES);
}

static bool warns_share_listener(const struct policy_rule *rule)
{
	return rule->terms.control &&
	       (rule->terms.backlog || rule->terms.reuse_address == OPT_YES ||
		rule->terms.reuse_port == OPT_YES);
}

static bool warns_share_none(const struct policy_rule *rule)
{
	return rule->terms.control == 100;
}

static const struct {
	bool (*applies)(const struct policy_rule *rule);
	const char *text;
} warnings[] = {
	{warns_abort, "linger = abort: what the peer has not yet received at close is lost"},
	{warns_user_timeout, "user-timeout: unacknowledged data is given up after it, also towards "
			     "a live reader that only pauses"},
	{warns_peer_time_wait, "peer-time-wait = none: a peer that only half-closed reads "
			       "ECONNRESET instead of its end of file"},
	{warns_listener_remote, "reuse-address, reuse-port and backlog never act here: a listener "
				"has no remote"},
	{warns_listener_client, "reuse-address, reuse-port and backlog never act here: a client "
				"does not listen"},
	{warns_connect_server, "local-ports and source never act here: a server does not connect"},
	{warns_connect_port, "local-ports, source and bind-late never act here: before connect a "
			     "client has no local port"},
	{warns_linger_peer, "close-first = peer never acts here: linger comes first"},
	{warns_listener_user, "reuse-address, reuse-port and backlog go by the user that calls "
			      "bind and listen, often root, not the workers'"},
	{warns_share_listener,
	 "share: reuse-address, reuse-port and backlog are the listener's, and "
	 "act for all of its connections"},
	{warns_share_none, "share = 0%: no connection is steered, all are control"},
};

const char *policy_warning(const struct policy_rule *rule, unsigned int n)
{
	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++)
		if (warnings[i].applies(rule) && n-- == 0)
			return warnings[i].text;
	return NULL;
}
