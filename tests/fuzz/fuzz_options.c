/* SPDX-License-Identifier: MIT */
/* CLOSESIDE_SOCKET, "PATH?OPTIONS": as the shim takes it, and each value printed and read back. */
#include "common/policy.h"
#include "common/wire.h"
#include "shim/process.h"
#include "shim/rules.h"

#include "tests/fuzz/fuzz.h"

/* What shim/rules.c needs of shim/process.c. */
const char *process_socket(void)
{
	return "/nowhere";
}

const struct policy_process *process_facts(void)
{
	static const struct policy_process facts = {"/usr/sbin/nginx", "nginx", "nginx.service",
						    "/system.slice/nginx.service"};

	return &facts;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* "a, b, c" one by one, as a list's key has to be set. */
static bool set_printed(struct policy_rule *rule, const struct policy_key *key, char *text)
{
	char *next;

	for (; text; text = next) {
		next = key->list ? strstr(text, ", ") : NULL;
		if (next) {
			*next = '\0';
			next += 2;
		}
		if (!policy_set(rule, key, text))
			return false;
	}
	return true;
}

static void check_printed(const struct policy_rule *rule, const struct policy_key *key)
{
	char first[POLICY_LIST_MAX * POLICY_GLOB_MAX], copy[sizeof(first)], second[sizeof(first)];
	struct policy_rule fresh;

	policy_init(&fresh, rule->name);
	key->format(rule, first, sizeof(first));
	strcpy(copy, first);
	fuzz_check(set_printed(&fresh, key, copy));
	key->format(&fresh, second, sizeof(second));
	fuzz_check(!strcmp(first, second));
}

static void check_rule(const struct policy_rule *rule)
{
	char a[POLICY_LIST_MAX * POLICY_GLOB_MAX], b[sizeof(a)];
	struct policy_rule heir;

	for (size_t i = 0; i < policy_key_count; i++)
		if (policy_said(rule, &policy_keys[i]))
			check_printed(rule, &policy_keys[i]);
	policy_init(&heir, rule->name);
	policy_inherit(&heir, rule);
	for (size_t i = 0; i < policy_key_count; i++)
		if (!policy_keys[i].selector)
			fuzz_check(!strcmp(policy_keys[i].format(&heir, a, sizeof(a)),
					   policy_keys[i].format(rule, b, sizeof(b))));
	policy_problem(rule);
	for (unsigned int n = 0; policy_warning(rule, n); n++)
		;
}

static void try_options(const char *text)
{
	struct policy_rule rule;
	const char *error = NULL;
	size_t error_len = 0;

	policy_init(&rule, "run");
	if (policy_parse_options(&rule, text, &error, &error_len)) {
		check_rule(&rule);
		return;
	}
	fuzz_check(error >= text && error + error_len <= text + strlen(text));
	policy_key_near(error, error_len);
}

static void try_shim(const char *text)
{
	struct policy_subject subject = {.role = ROLE_SERVER, .local = {.port = 80}};
	struct policy_terms terms;
	uint32_t id;

	if (strlen(text) >= WIRE_OPTIONS_MAX) /* process_settings() is inert then */
		return;
	fuzz_check(rules_init("policy="));
	if (rules_init(text))
		rules_find(&subject, &terms, &id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), path[WIRE_PATH_MAX];
	const char *options;

	if (wire_split_socket(text, path, &options)) {
		fuzz_check(strlen(path) < sizeof(path) && path[0]);
		try_options(options);
		try_shim(options);
	}
	free(text);
	return 0;
}
