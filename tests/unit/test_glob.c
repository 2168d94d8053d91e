/* SPDX-License-Identifier: MIT */
/* glob_match() against a table, and against fnmatch(3) on everything short. */
#include "common/parse.h"

#include "tests/unit/unit.h"

#include <fnmatch.h>

static const struct {
	const char *pattern, *text;
	bool match;
} rows[] = {
	{"nginx", "nginx", true},
	{"nginx", "nginx2", false},
	{"nginx", "ngin", false},
	{"", "", true},
	{"", "a", false},
	{"*", "", true},
	{"*", "anything/at all", true},
	{"?", "", false},
	{"?", "x", true},
	{"python3*", "python3.11", true},
	{"python3*", "python", false},
	{"*/sbin/*", "/usr/sbin/nginx", true},
	{"*.service", "nginx.service", true},
	{"*.service", "nginx.services", false},
	{"a*b*c", "axxbyybzzc", true},
	{"a*b*c", "axxbyybzz", false},
	{"worker-[0-9]", "worker-7", true},
	{"worker-[0-9]", "worker-x", false},
	{"worker-[!0-9]", "worker-x", true},
	{"[]x]", "]", true},
	{"[a-]", "-", true},
	{"[abc", "[abc", true},
	{"\\*", "*", true},
	{"\\*", "x", false},
	{"\\?x", "?x", true},
	{"a\\\\b", "a\\b", true},
	{"caf\xc3\xa9*", "caf\xc3\xa9-1", true},
};

static void the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (glob_match(rows[i].pattern, rows[i].text) != rows[i].match)
			fail_msg("\"%s\" %s \"%s\"", rows[i].pattern,
				 rows[i].match ? "should match" : "should not match", rows[i].text);
}

/* The nth word over the alphabet, of len letters. */
static void word(char *out, unsigned int len, unsigned int n, const char *alphabet,
		 unsigned int letters)
{
	for (unsigned int i = 0; i < len; i++, n /= letters)
		out[i] = alphabet[n % letters];
	out[len] = '\0';
}

static unsigned int power(unsigned int base, unsigned int exponent)
{
	return exponent ? base * power(base, exponent - 1) : 1;
}

static void compare_with_fnmatch(const char *pattern)
{
	char text[5];

	for (unsigned int len = 0; len <= 4; len++) {
		for (unsigned int n = 0; n < power(3, len); n++) {
			word(text, len, n, "ab/", 3);
			if (glob_match(pattern, text) != !fnmatch(pattern, text, 0))
				fail_msg("\"%s\" on \"%s\": fnmatch says otherwise", pattern, text);
		}
	}
}

static void as_fnmatch_has_it(void **state)
{
	char pattern[6];

	(void)state;
	for (unsigned int len = 0; len <= 5; len++) {
		for (unsigned int n = 0; n < power(5, len); n++) {
			word(pattern, len, n, "ab*?/", 5);
			compare_with_fnmatch(pattern);
		}
	}
}

static void brackets_as_fnmatch_has_them(void **state)
{
	static const char *const patterns[] = {
		"[ab]", "[!a]", "[a-b]*", "*[b]", "[/]", "[!/]b", "[]a]", "[!]a]", "[a", "a[b-]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		compare_with_fnmatch(patterns[i]);
}

/* Backtracking is to the last star only: time is bounded by pattern times text. */
static void many_stars_do_not_explode(void **state)
{
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = 'a';
	text[sizeof(text) - 1] = '\0';
	assert_false(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),
		cmocka_unit_test(as_fnmatch_has_it),
		cmocka_unit_test(brackets_as_fnmatch_has_them),
		cmocka_unit_test(many_stars_do_not_explode),
	};

	return cmocka_run_group_tests_name("glob", tests, NULL, NULL);
}
