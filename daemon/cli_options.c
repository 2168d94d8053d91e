/* SPDX-License-Identifier: MIT */
/* What `run -o` says. The shim reads it with the same parser; here it is checked first, for a shim
 * can't complain, and users become numbers, for a shim can't ask for them. */
#include "daemon/cli_run.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

static bool append(char *out, const char *text, size_t len)
{
	size_t used = strlen(out);

	if (used + len + 1 > WIRE_OPTIONS_MAX)
		return false;
	memcpy(out + used, text, len);
	out[used + len] = '\0';
	return true;
}

/* One user of user=a+b, as a number if there is such a user. */
static bool append_user(char *out, const char *text, size_t len)
{
	char name[64], number[16];
	const struct passwd *user;

	if (len >= sizeof(name))
		return append(out, text, len);
	memcpy(name, text, len);
	name[len] = '\0';
	user = getpwnam(name);
	if (!user)
		return append(out, text, len);
	snprintf(number, sizeof(number), "%u", user->pw_uid);
	return append(out, number, strlen(number));
}

static bool append_users(char *out, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *plus = memchr(text, '+', (size_t)(end - text));
		size_t name_len = (size_t)((plus ? plus : end) - text);

		if (!append_user(out, text, name_len) || (plus && !append(out, "+", 1)))
			return false;
		text += name_len + (plus ? 1 : 0);
	}
	return true;
}

static bool resolve_users(const char *text, char *out)
{
	static const char prefix[] = "user=";
	const size_t prefix_len = sizeof(prefix) - 1;

	*out = '\0';
	while (*text) {
		size_t len = strcspn(text, ",");
		bool fits;

		if (len > prefix_len && !strncmp(text, prefix, prefix_len))
			fits = append(out, prefix, prefix_len) &&
			       append_users(out, text + prefix_len, len - prefix_len);
		else
			fits = append(out, text, len);
		text += len;
		if (!fits || (*text && !append(out, ",", 1)))
			return false;
		text += *text == ',';
	}
	return true;
}

/* The key of the option in which `where` lies, its length in *len. */
static const char *key_around(const char *text, const char *where, size_t *len)
{
	const char *start = where;

	while (start > text && start[-1] != ',')
		start--;
	*len = strcspn(start, "=,");
	return start;
}

static void explain(const char *text, const char *where, size_t where_len, char *error, size_t size)
{
	size_t len;
	const char *start = key_around(text, where, &len);
	const struct policy_key *key = policy_key_find(start, len);
	const char *near = policy_key_near(start, len);

	if (key && start[len] != '=')
		snprintf(error, size, "-o %s: expected %s=VALUE, the value being %s", key->name,
			 key->name, key->values);
	else if (key)
		snprintf(error, size, "-o %s: '%.*s' is not a value of it, expected %s%s",
			 key->name, (int)where_len, where, key->values,
			 key->list ? " (several are joined by '+')" : "");
	else if (near)
		snprintf(error, size, "-o: there is no key '%.*s': did you mean '%s'?", (int)len,
			 start, near);
	else
		snprintf(error, size, "-o: there is no key '%.*s': closeside.conf(5) has them all",
			 (int)len, start);
}

bool run_options(const char *text, char out[WIRE_OPTIONS_MAX], struct policy_rule *rule,
		 char *error, size_t size)
{
	const char *where, *problem;
	size_t where_len;

	policy_init(rule, "run");
	if (!resolve_users(text, out)) {
		snprintf(error, size, "-o: longer than %d bytes", WIRE_OPTIONS_MAX - 1);
		return false;
	}
	if (!policy_parse_options(rule, out, &where, &where_len)) {
		explain(out, where, where_len, error, size);
		return false;
	}
	problem = policy_problem(rule);
	if (problem)
		snprintf(error, size, "-o: %s", problem);
	return !problem;
}
