/* SPDX-License-Identifier: MIT */
#include "daemon/policy_explain.h"

#include "common/close_decide.h"
#include "common/tcp_state.h"

#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = POLICY_LIST_MAX * POLICY_GLOB_MAX };

/* --- who matches --------------------------------------------------------------------------------
 */

/* A rule that has only this selector of the other. */
static void take_selector(struct policy_rule *out, const struct policy_rule *rule,
			  const struct policy_key *key)
{
	char text[VALUE_MAX], *item = text, *end;

	policy_init(out, "");
	key->format(rule, text, sizeof(text));
	do {
		end = key->list ? strstr(item, ", ") : NULL;
		if (end)
			*end = '\0';
		policy_set(out, key, item);
		item = end ? end + 2 : NULL;
	} while (item);
}

const char *policy_obstacle(const struct policy_rule *rule, const struct policy_process *process,
			    const struct policy_subject *subject, char *buf, size_t size)
{
	char value[VALUE_MAX];

	for (size_t i = 0; i < policy_key_count; i++) {
		const struct policy_key *key = &policy_keys[i];
		struct policy_rule only;

		if (!key->selector || !policy_said(rule, key))
			continue;
		take_selector(&only, rule, key);
		if (policy_admits_process(&only, process) && policy_admits(&only, subject))
			continue;
		snprintf(buf, size, "%s = %s", key->name, key->format(rule, value, sizeof(value)));
		return buf;
	}
	return NULL;
}

static json_t *explain_match(const struct policy_rule *rule, const struct policy_process *process,
			     const struct policy_subject *subject, bool decided)
{
	char because[VALUE_MAX + 64];
	bool matches = policy_admits_process(rule, process) && policy_admits(rule, subject);
	const char *obstacle = policy_obstacle(rule, process, subject, because, sizeof(because));

	if (matches)
		snprintf(because, sizeof(because), "%s",
			 decided ? "would match, but an earlier one does" : "matches");
	else if (!obstacle)
		snprintf(because, sizeof(because), "does not match");
	return json_pack("{s:s, s:b, s:s}", "name", rule->name, "matches", matches, "because",
			 because);
}

static const struct policy_rule *explain_policies(json_t *out, const struct policy_rule *rules,
						  unsigned int count,
						  const struct policy_process *process,
						  const struct policy_subject *subject)
{
	const struct policy_rule *found = NULL;
	json_t *list = json_array();

	for (unsigned int i = 0; i < count; i++) {
		json_t *row = explain_match(&rules[i], process, subject, found != NULL);

		if (!found && json_is_true(json_object_get(row, "matches")))
			found = &rules[i];
		json_array_append_new(list, row);
	}
	json_object_set_new(out, "policies", list);
	json_object_set_new(out, "policy", found ? json_string(found->name) : json_null());
	return found;
}

/* --- what close() does --------------------------------------------------------------------------
 */

/* A connection in good order: all else is said by the cases. */
static struct close_facts usual_facts(unsigned int state)
{
	return (struct close_facts){
		.state = (uint8_t)state, .sole_owner = true, .daemon_ready = true, .rtt_us = 1000};
}

static json_t *decided(const char *member, const char *label, enum close_action action,
		       enum close_reason why)
{
	return json_pack("{s:s, s:s, s:s, s:s}", member, label, "action", close_action_word(action),
			 "text", close_action_text(action), "why", close_reason_text(why));
}

/* The states in which a program can hold a descriptor. A connection of the program in TIME_WAIT
 * shows as CLOSE. */
static const unsigned int states[] = {
	STATE_SYN_SENT, STATE_ESTABLISHED, STATE_CLOSE_WAIT, STATE_FIN_WAIT1, STATE_FIN_WAIT2,
	STATE_CLOSING,	STATE_LAST_ACK,	   STATE_CLOSE,	     STATE_LISTEN,
};

static json_t *explain_close(const struct policy_terms *terms)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct close_facts facts = usual_facts(states[i]);
		enum close_reason why;
		enum close_action action = close_decide(terms, &facts, &why);

		json_array_append_new(list,
				      decided("state", tcp_state_name(states[i]), action, why));
	}
	return list;
}

/* Each case: what differs from the usual. */
static void case_idle(struct close_facts *facts)
{
	facts->idle_ms = 60000;
}

static void case_shared(struct close_facts *facts)
{
	facts->sole_owner = false;
}

static void case_linger(struct close_facts *facts)
{
	facts->app_linger = true;
}

static void case_unsafe(struct close_facts *facts)
{
	facts->unsafe = true;
}

static void case_away(struct close_facts *facts)
{
	facts->daemon_ready = false;
}

static void case_vain(struct close_facts *facts)
{
	facts->vain = true;
}

static void case_unread(struct close_facts *facts)
{
	facts->unread = 1;
}

static void case_unacked(struct close_facts *facts)
{
	facts->unacked = 1;
}

static const struct {
	const char *label;
	unsigned int state;
	void (*change)(struct close_facts *facts);
} cases[] = {
	{"idle for a minute", STATE_ESTABLISHED, case_idle},
	{"another descriptor or process holds it", STATE_ESTABLISHED, case_shared},
	{"the program set SO_LINGER", STATE_ESTABLISHED, case_linger},
	{"O_ASYNC, kTLS, or in a shared epoll set", STATE_ESTABLISHED, case_unsafe},
	{"the daemon is away, or out of credits", STATE_ESTABLISHED, case_away},
	{"learned: waiting for them does not pay", STATE_ESTABLISHED, case_vain},
	{"data came that was not read", STATE_ESTABLISHED, case_unread},
	{"peer closed, data came that was not read", STATE_CLOSE_WAIT, case_unread},
	{"peer closed, data is not acknowledged", STATE_CLOSE_WAIT, case_unacked},
};

static json_t *explain_cases(const struct policy_terms *terms)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct close_facts facts = usual_facts(cases[i].state);
		enum close_reason why;
		enum close_action action;

		cases[i].change(&facts);
		action = close_decide(terms, &facts, &why);
		json_array_append_new(list, decided("case", cases[i].label, action, why));
	}
	return list;
}

static json_t *explain_shutdown(const struct policy_terms *terms)
{
	static const unsigned int in[] = {STATE_ESTABLISHED, STATE_CLOSE_WAIT};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct close_facts facts = usual_facts(in[i]);
		enum close_reason why;
		enum close_action action = shutdown_decide(terms, &facts, &why);

		json_array_append_new(list, decided("state", tcp_state_name(in[i]), action, why));
	}
	return list;
}

/* --- which options
 * -------------------------------------------------------------------------------- */

static bool is_default(const struct policy_rule *rule, const struct policy_key *key)
{
	char a[VALUE_MAX], b[VALUE_MAX];
	struct policy_rule fresh;

	policy_init(&fresh, "");
	return !strcmp(key->format(rule, a, sizeof(a)), key->format(&fresh, b, sizeof(b)));
}

/* Socket options are what acts at bind, listen, connect or accept. */
static bool is_option(const struct policy_key *key)
{
	return strstr(key->acts_at, "bind") || strstr(key->acts_at, "listen") ||
	       strstr(key->acts_at, "connect");
}

static json_t *explain_options(const struct policy_rule *rule)
{
	json_t *list = json_array();
	char value[VALUE_MAX];

	for (size_t i = 0; i < policy_key_count; i++) {
		const struct policy_key *key = &policy_keys[i];

		if (key->selector || !is_option(key) || is_default(rule, key) ||
		    !strcmp(key->name, "share"))
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "at", key->acts_at, "key",
						      key->name, "value",
						      key->format(rule, value, sizeof(value))));
	}
	return list;
}

json_t *policy_as_json(const struct policy_rule *rule, bool selectors)
{
	json_t *out = json_object();
	char value[VALUE_MAX];

	for (size_t i = 0; i < policy_key_count; i++) {
		const struct policy_key *key = &policy_keys[i];

		if (key->selector == selectors &&
		    (policy_said(rule, key) || !is_default(rule, key)))
			json_object_set_new(out, key->name,
					    json_string(key->format(rule, value, sizeof(value))));
	}
	return out;
}

json_t *policy_explain(const struct policy_rule *rules, unsigned int count,
		       const struct policy_process *process, const struct policy_subject *subject)
{
	json_t *out = json_object();
	const struct policy_rule *rule = explain_policies(out, rules, count, process, subject);
	const struct policy_terms *terms = rule ? &rule->terms : NULL;

	json_object_set_new(out, "share", json_integer(rule ? 100 - rule->terms.control : 100));
	json_object_set_new(out, "keys", rule ? policy_as_json(rule, false) : json_object());
	json_object_set_new(out, "close", explain_close(terms));
	json_object_set_new(out, "cases", explain_cases(terms));
	json_object_set_new(out, "shutdown", explain_shutdown(terms));
	json_object_set_new(out, "options", rule ? explain_options(rule) : json_array());
	return out;
}
