/* SPDX-License-Identifier: MIT */
#include "daemon/filter.h"
#include "daemon/filter_conn.h"

#include "common/close_decide.h"
#include "common/parse.h"
#include "common/policy.h"
#include "common/tcp_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct filter_error error;

static bool alice(const char *name, uid_t *uid)
{
	*uid = 1000;
	return !strcmp(name, "alice");
}

static struct endpoint endpoint(const char *text)
{
	struct endpoint ep = {0};

	assert_true(parse_endpoint(&text, &ep));
	return ep;
}

/* A server's connection that waits for its program's close. */
static struct filter_subject subject_v4(void)
{
	return (struct filter_subject){
		.state = STATE_CLOSE_WAIT,
		.local = endpoint("10.1.2.3:80"),
		.remote = endpoint("192.0.2.9:41000"),
		.pid = 42,
		.program = "nginx",
		.unit = "web@1.service",
		.policy = "public-web",
		.uid = 1000,
		.netns = 4026531840,
		.role = ROLE_SERVER,
		.side = SIDE_PEER,
		.shim = true,
		.age_ms = 90000,
		.state_ms = 5000,
	};
}

/* Nothing is known but its tuple and its state. */
static struct filter_subject subject_unknown(void)
{
	return (struct filter_subject){
		.state = STATE_TIME_WAIT,
		.local = endpoint("[2001:db8::1]:443"),
		.remote = endpoint("[2001:db8:1::9]:52000"),
		.uid = (uid_t)-1,
		.age_ms = FILTER_UNKNOWN,
		.state_ms = FILTER_UNKNOWN,
	};
}

/* --- what matches ----------------------------------------------------------------------------- */

/* text; does it match the known one, and the unknown one? */
static const struct match_row {
	const char *text;
	bool known, unknown;
} match_rows[] = {
	{"", true, true},
	{" \t ", true, true},
	/* states */
	{"state close-wait", true, false},
	{"state CLOSE_WAIT", true, false},
	{"state time-wait", false, true},
	{"state all", true, true},
	{"state connected", true, true},
	{"state synchronized", true, true},
	{"state bucket", false, true},
	{"state big", true, false},
	{"exclude close-wait", false, true},
	{"exclude bucket", true, false},
	{"state != time-wait", true, false},
	{"exclude != close-wait", true, false},
	{"state time-wait state close-wait", true, true},
	{"state time-wait state close-wait pid 42", true, false},
	{"state time-wait and state close-wait", false, false},
	{"state connected exclude close-wait", false, true},
	{"exclude close-wait exclude time-wait", false, false},
	/* ports */
	{"sport = :80", true, false},
	{"sport=:80", true, false},
	{"sport == 80", true, false},
	{"sport eq 80", true, false},
	{"sport :80", true, false},
	{"sport 443", false, true},
	{"sport != :80", false, true},
	{"sport ne 80", false, true},
	{"sport < 443", true, false},
	{"sport lt 80", false, false},
	{"sport <= 80", true, false},
	{"sport le 79", false, false},
	{"sport leq 443", true, true},
	{"dport > 41000", false, true},
	{"dport gt :40999", true, true},
	{"dport>=41001", false, true},
	{"dport ge 41000", true, true},
	{"dport geq 52000", false, true},
	/* addresses */
	{"src 10.1.2.3", true, false},
	{"src = 10.1.2.3", true, false},
	{"src != 10.1.2.3", false, true},
	{"src 10.0.0.0/8", true, false},
	{"src 10.0.0.0/8:80", true, false},
	{"src 10.0.0.0/8:81", false, false},
	{"src 10.1.2.3:80", true, false},
	{"src 10.1.2.3:*", true, false},
	{"src :80", true, false},
	{"src *:443", false, true},
	{"src *", true, true},
	{"dst 0.0.0.0/0", true, false},
	{"dst ::/0", true, true},
	{"dst 192.0.2.0/29", false, false},
	{"dst 192.0.2.8/29", true, false},
	{"dst 2001:db8:1::9", false, true},
	{"dst [2001:db8:1::9]", false, true},
	{"dst [2001:db8:1::9]:52000", false, true},
	{"dst [2001:db8:1::9]:52001", false, false},
	{"dst [2001:db8::]/32:52000", false, true},
	{"dst 2001:db8::/32", false, true},
	{"dst ::ffff:192.0.2.9", true, false},
	/* who */
	{"pid 42", true, false},
	{"pid = 42", true, false},
	{"pid=42", true, false},
	{"pid != 42", false, true},
	{"program nginx", true, false},
	{"program ng*", true, false},
	{"program [!a]ginx", true, false},
	{"program \"nginx\"", true, false},
	{"program 'ng*'", true, false},
	{"program ''", false, false},
	{"program *", true, false},
	{"not program *", false, true},
	{"program != nginx", false, true},
	{"unit web@1.service", true, false},
	{"unit web@*", true, false},
	{"policy public-web", true, false},
	{"policy public", false, false},
	{"user 1000", true, false},
	{"user alice", true, false},
	{"user 0", false, false},
	{"user != 0", true, true},
	{"netns 4026531840", true, false},
	{"netns 0", false, true},
	{"role server", true, false},
	{"role any", false, true},
	{"shim yes", true, false},
	{"shim no", false, true},
	/* when */
	{"age > 5s", true, false},
	{"age < 5s", false, false},
	{"age 90s", true, false},
	{"age 91s", false, false},
	{"age > 90s", false, false},
	{"age >= 90000ms", true, false},
	{"time 5s", true, false},
	{"time > 5s", false, false},
	{"time le 5s", true, false},
	{"time 0", true, false},
	/* how */
	{"side peer", true, false},
	{"side unknown", false, true},
	{"side != us", true, true},
	/* joined */
	{"pid 42 program nginx", true, false},
	{"pid 42 and program nginx", true, false},
	{"pid 42 & program nginx", true, false},
	{"pid 42&&program nginx", true, false},
	{"pid 43 program nginx", false, false},
	{"pid 43 or program nginx", true, false},
	{"pid 43|program nginx", true, false},
	{"pid 43 || program nginx", true, false},
	{"not pid 42", false, true},
	{"! pid 42", false, true},
	{"!!pid 42", true, false},
	{"not not pid 42", true, false},
	{"not pid 42 program nginx", false, false},
	{"not (pid 42 program apache)", true, true},
	{"pid 42 or pid 43 program apache", true, false},
	{"(pid 42 or pid 43) program apache", false, false},
	{"( sport = :80 or sport = :443 )", true, true},
	{"(sport=:80)or(sport=:443)", true, true},
	{"!(state close-wait)", false, true},
	{"((((pid 42))))", true, false},
	{"(program nginx)", true, false},
	{"state close-wait pid 42", true, false},
	/* the states before an expression are asked of all of it */
	{"state close-wait sport = :80 or sport = :443", true, false},
	{"state close-wait state listening sport = :80 or sport = :443", true, false},
	{"exclude time-wait sport = :80 or sport = :443", true, false},
	{"state connected exclude time-wait sport = :80 or sport = :443", true, false},
	{"state close-wait and sport = :81 or sport = :443", false, true},
	{"state close-wait or sport = :443", true, true},
	{"state close-wait state time-wait or sport = :443", true, true},
	{"state close-wait (sport = :80 or sport = :443)", true, false},
	{"state time-wait not sport = :80 or sport = :80", false, true},
	{"state time-wait sport = :443 dst 2001:db8::/32", false, true},
};

static void a_row_matches(void **state)
{
	const struct match_row *row = *state;
	struct filter_subject known = subject_v4(), unknown = subject_unknown();
	struct filter filter;

	if (!filter_parse(&filter, row->text, alice, &error))
		fail_msg("%s: %s", row->text, error.text);
	assert_int_equal(filter_matches(&filter, &known), row->known);
	assert_int_equal(filter_matches(&filter, &unknown), row->unknown);
}

static void a_row_formats_as_it_matches(void **state)
{
	const struct match_row *row = *state;
	struct filter_subject known = subject_v4(), unknown = subject_unknown();
	char once[FILTER_FORMAT_MAX], twice[FILTER_FORMAT_MAX];
	struct filter filter;

	assert_true(filter_parse(&filter, row->text, alice, &error));
	filter_format(&filter, once, sizeof(once));
	/* Without the users' names: those are numbers now. */
	if (!filter_parse(&filter, once, NULL, &error))
		fail_msg("%s: %s: %s", row->text, once, error.text);
	assert_string_equal(filter_format(&filter, twice, sizeof(twice)), once);
	assert_int_equal(filter_matches(&filter, &known), row->known);
	assert_int_equal(filter_matches(&filter, &unknown), row->unknown);
}

static void the_canonical_form(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{"state TIME_WAIT&sport=80", "state time-wait and sport = :80"},
		{"state bucket", "state bucket"},
		{"state time-wait pid 1 or pid 2", "state time-wait and (pid 1 or pid 2)"},
		{"exclude time-wait exclude listen pid 1|pid 2",
		 "exclude time-wait and exclude listening and (pid 1 or pid 2)"},
		{"state time-wait and pid 1 or pid 2", "state time-wait and pid 1 or pid 2"},
		{"state syn-recv state time-wait", "state bucket"},
		{"not(state estab state listen)", "not (state established state listening)"},
		{"state SYN_RCV", "state syn-recv"},
		{"state new-syn-recv", "state new-syn-recv"},
		{"! exclude time-wait", "not exclude time-wait"},
		{"  ", ""},
		{"(pid 1 or pid 2) pid 3", "(pid 1 or pid 2) and pid 3"},
		{"(pid 1 and pid 2) or pid 3", "pid 1 and pid 2 or pid 3"},
		{"pid 1 and (pid 2 and pid 3)", "pid 1 and pid 2 and pid 3"},
		{"age 120s time<1500ms", "age >= 2m and time < 1500ms"},
		{"program 'a b'", "program \"a b\""},
		{"program '\"'", "program '\"'"},
		{"program 'eq'", "program \"eq\""},
		{"user alice", "user 1000"},
		{"src [2001:DB8::]/32:80", "src [2001:db8::]/32:80"},
		{"dst 10.0.0.1/32", "dst 10.0.0.1"},
		{"dst :80", "dst *:80"},
	};
	char text[FILTER_FORMAT_MAX];
	struct filter filter;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(filter_parse(&filter, rows[i].text, alice, &error));
		assert_string_equal(filter_format(&filter, text, sizeof(text)), rows[i].canonical);
	}
}

/* --- states ----------------------------------------------------------------------------------- */

static bool state_matches(const char *text, unsigned int number)
{
	struct filter_subject subject = {.state = number};
	struct filter filter;

	assert_true(filter_parse(&filter, text, NULL, &error));
	return filter_matches(&filter, &subject);
}

static void groups_are_those_of_ss(void **state)
{
	(void)state;
	for (unsigned int i = 1; i < STATE_COUNT; i++) {
		bool bucket =
			     i == STATE_TIME_WAIT || i == STATE_SYN_RECV || i == STATE_NEW_SYN_RECV,
		     connected = i != STATE_LISTEN && i != STATE_CLOSE;

		assert_true(state_matches("state all", i));
		assert_int_equal(state_matches("state connected", i), connected);
		assert_int_equal(state_matches("state synchronized", i),
				 connected && i != STATE_SYN_SENT);
		assert_int_equal(state_matches("state bucket", i), bucket);
		assert_int_equal(state_matches("state big", i), !bucket);
	}
	assert_true(state_matches("state all", 0));
	assert_false(state_matches("state big", 0));
}

static void a_state_matches_itself_alone(void **state)
{
	char text[64];

	(void)state;
	for (unsigned int i = 1; i < STATE_COUNT; i++) {
		snprintf(text, sizeof(text), "state %s", tcp_state_ss(i));
		for (unsigned int j = 1; j < STATE_COUNT; j++)
			assert_int_equal(state_matches(text, j),
					 i == j ||
						 (i == STATE_SYN_RECV && j == STATE_NEW_SYN_RECV));
	}
}

/* --- what is refused, and where --------------------------------------------------------------- */

static const struct error_row {
	const char *text;
	size_t at;
	const char *says;
} error_rows[] = {
	{"state frob", 6, "expected a state"},
	{"pid 42 state frob", 13, "expected a state"},
	{"state", 5, "after state: expected a state"},
	{"state = ", 8, "after state: expected"},
	{"state > time-wait", 6, "state takes = or != only"},
	{"colour red", 0, "unknown word 'colour'"},
	{"pid 4 stat time-wait", 6, "did you mean 'state'"},
	{"pid x", 4, "expected a process's number"},
	{"pid -1", 4, "expected a process's number"},
	{"pid 0", 4, "expected a process's number"},
	{"pid 4294967297", 4, "expected a process's number"},
	{"pid", 3, "after pid"},
	{"pid < 4", 4, "pid takes = or != only"},
	{"pid 4x", 4, "expected"},
	{"sport = 65536", 8, "expected a port"},
	{"sport = http", 8, "expected a port"},
	{"sport = :", 8, "expected a port"},
	{"sport =", 7, "after sport: expected a port"},
	{"src 10.0.0", 4, "ADDRESS[/LEN][:PORT]"},
	{"src 10.0.0.0/33", 4, "ADDRESS[/LEN][:PORT]"},
	{"src 10.0.0.1:http", 4, "ADDRESS[/LEN][:PORT]"},
	{"src [::1", 4, "ADDRESS[/LEN][:PORT]"},
	{"src [::1]80", 4, "ADDRESS[/LEN][:PORT]"},
	{"src > 10.0.0.1", 4, "src takes = or != only"},
	{"user nobody-of-this-name", 5, "there is no such user"},
	{"user 4294967295", 5, "there is no such user"},
	{"netns x", 6, "inode"},
	{"netns 99999999999999999999", 6, "inode"},
	{"role both", 5, "server, client or any"},
	{"age 5", 4, "a duration"},
	{"age = 5s", 4, "age takes <, <=, > or >="},
	{"time > 5y", 7, "a duration"},
	{"side left", 5, "us, peer"},
	{"shim maybe", 5, "yes or no"},
	{"program", 7, "after program"},
	{"program \"nginx", 8, "quote"},
	{"program \"a'b\"\"", 13, "unknown word"},
	{"program < a", 8, "program takes = or != only"},
	{"state time-wait )", 16, "closes nothing"},
	{"state time-wait or", 18, "expected a condition"},
	{"state time-wait frob", 16, "unknown word"},
	{"(pid 4", 6, "expected ')' for the '(' at character 1"},
	{"pid 4 (pid 5", 12, "at character 7"},
	{"pid 4)", 5, "closes nothing"},
	{")", 0, "expected a condition"},
	{"()", 1, "expected a condition"},
	{"pid 4 and", 9, "expected a condition"},
	{"pid 4 or or pid 5", 9, "unknown word 'or'"},
	{"or pid 5", 0, "unknown word 'or'"},
	{"not", 3, "expected a condition"},
	{"pid 4 = 5", 6, "expected a condition"},
	{"&& pid 4", 0, "expected a condition"},
};

static void a_row_is_refused(void **state)
{
	const struct error_row *row = *state;
	struct filter filter;

	assert_false(filter_parse(&filter, row->text, alice, &error));
	if (!strstr(error.text, row->says))
		fail_msg("%s: says %s", row->text, error.text);
	assert_int_equal(error.at, row->at);
}

static void without_names_a_user_is_a_number(void **state)
{
	struct filter filter;

	(void)state;
	assert_false(filter_parse(&filter, "user alice", NULL, &error));
	assert_non_null(strstr(error.text, "a user's number"));
	assert_true(filter_parse(&filter, "user 1000", NULL, &error));
}

/* --- bounds ----------------------------------------------------------------------------------- */

static void nodes_are_bounded(void **state)
{
	char text[FILTER_TEXT_MAX] = "pid 1";
	struct filter filter;

	(void)state;
	/* One of the first, two more for each that is joined. */
	for (int i = 1; i < FILTER_NODES_MAX / 2; i++)
		strcat(text, " or pid 1");
	assert_true(filter_parse(&filter, text, NULL, &error));
	strcat(text, " or pid 1");
	assert_false(filter_parse(&filter, text, NULL, &error));
	assert_non_null(strstr(error.text, "at most 64 conditions"));
	assert_int_equal(error.at, strlen(text) - strlen("or pid 1"));
}

static void depth_is_bounded(void **state)
{
	char text[FILTER_TEXT_MAX];
	struct filter filter;

	(void)state;
	memset(text, '(', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(filter_parse(&filter, text, NULL, &error));
	assert_non_null(strstr(error.text, "too deep"));
	assert_int_equal(error.at, FILTER_DEPTH_MAX);
	memset(text, '!', sizeof(text) - 1);
	assert_false(filter_parse(&filter, text, NULL, &error));
	assert_non_null(strstr(error.text, "too deep"));
}

static void length_is_bounded(void **state)
{
	static char text[FILTER_TEXT_MAX + 1];
	struct filter filter;

	(void)state;
	memset(text, 'x', FILTER_TEXT_MAX);
	memcpy(text, "program ", 8);
	assert_false(filter_parse(&filter, text, NULL, &error));
	assert_non_null(strstr(error.text, "too long"));
	text[FILTER_TEXT_MAX - 1] = '\0';
	assert_true(filter_parse(&filter, text, NULL, &error));
	assert_int_equal(strlen(filter.text), FILTER_TEXT_MAX - 1 - 8);
}

/* --- words ------------------------------------------------------------------------------------ */

static bool parse_words(struct filter *filter, const char *const *words)
{
	char text[FILTER_TYPED_MAX] = "";

	for (; *words; words++)
		assert_true(filter_add_word(text, sizeof(text), *words));
	return filter_parse(filter, text, alice, &error);
}

static void words_may_come_separate(void **state)
{
	static const struct {
		const char *words[8];
		const char *canonical;
	} rows[] = {
		{{"state", "close-wait", "pid", "42"}, "state close-wait and pid 42"},
		{{"state close-wait", "pid 42"}, "state close-wait and pid 42"},
		{{"state", "close-wait pid 42"}, "state close-wait and pid 42"},
		{{"program", "a b"}, "program \"a b\""},
		{{"program", "a b", "pid", "1"}, "program \"a b\" and pid 1"},
		{{"program", "!=", "a b"}, "program != \"a b\""},
		{{"program a b"}, NULL},
		{{"(program", "a)"}, "program a"},
		{{"(", "sport", "=", ":80", ")"}, "sport = :80"},
		{{"program", "\"x\" or pid 4"}, "program x or pid 4"},
	};
	char text[FILTER_FORMAT_MAX];
	struct filter filter;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse_words(&filter, rows[i].words), rows[i].canonical != NULL);
		if (rows[i].canonical)
			assert_string_equal(filter_format(&filter, text, sizeof(text)),
					    rows[i].canonical);
	}
}

static void too_many_words(void **state)
{
	char text[16] = "";

	(void)state;
	assert_true(filter_add_word(text, sizeof(text), "0123456"));
	assert_true(filter_add_word(text, sizeof(text), "0123456"));
	assert_false(filter_add_word(text, sizeof(text), "0"));
	text[15] = '\0';
	filter_show(text);
	assert_string_equal(text, "0123456 0123456");
}

static void the_pid_that_all_have(void **state)
{
	static const struct {
		const char *text;
		pid_t pid;
	} rows[] = {
		{"", 0},
		{"pid 42", 42},
		{"state close-wait pid 42", 42},
		{"pid 42 (sport = 80 or sport = 81)", 42},
		{"pid 42 or pid 43", 0},
		{"not pid 42", 0},
		{"pid != 42", 0},
	};
	struct filter filter;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(filter_parse(&filter, rows[i].text, NULL, &error));
		assert_int_equal(filter_pid(&filter), rows[i].pid);
	}
}

/* --- the daemon's side ------------------------------------------------------------------------ */

static void a_connection_is_a_subject(void **state)
{
	struct proc proc = {.process = {.pid = 42, .exe = "/usr/sbin/nginx"}};
	struct conn conn = {.state = STATE_CLOSE_WAIT, .proc = &proc};
	struct filter_subject subject;
	struct book *book = book_new();
	struct filter filter;
	char why[128];
	json_t *words = json_string("state close-wait  pid 42 program nginx policy web age 1s");

	(void)state;
	book_name_policy(book, 7, "web");
	conn.account.policy = book_policy_slot(book, 7);
	assert_true(filter_from_json(&filter, words, why, sizeof(why)));
	subject = filter_subject_of(&conn, book, 1000);
	assert_true(filter_matches(&filter, &subject));
	proc.process.pid = 43;
	subject = filter_subject_of(&conn, book, 1000);
	assert_false(filter_matches(&filter, &subject));
	json_decref(words);
	book_free(book);
}

static void json_that_is_no_filter(void **state)
{
	json_t *bad[] = {json_pack("[i]", 1), json_integer(1), json_string("pid x"),
			 json_pack("[s, s]", "user", "alice"), json_object()};
	struct filter filter;
	char why[128];

	(void)state;
	assert_true(filter_from_json(&filter, NULL, why, sizeof(why)));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why[0] = '\0';
		assert_false(filter_from_json(&filter, bad[i], why, sizeof(why)));
		assert_non_null(strstr(why, "filter"));
		json_decref(bad[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(the_canonical_form),
		cmocka_unit_test(groups_are_those_of_ss),
		cmocka_unit_test(a_state_matches_itself_alone),
		cmocka_unit_test(without_names_a_user_is_a_number),
		cmocka_unit_test(nodes_are_bounded),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(length_is_bounded),
		cmocka_unit_test(words_may_come_separate),
		cmocka_unit_test(too_many_words),
		cmocka_unit_test(the_pid_that_all_have),
		cmocka_unit_test(a_connection_is_a_subject),
		cmocka_unit_test(json_that_is_no_filter),
	};
	static struct CMUnitTest
		tests[2 * ARRAY_SIZE(match_rows) + ARRAY_SIZE(error_rows) + ARRAY_SIZE(others)];
	struct CMUnitTest *test = tests;
	static char names[2 * ARRAY_SIZE(match_rows) + ARRAY_SIZE(error_rows)][96];
	char *name = names[0];

	for (size_t i = 0; i < ARRAY_SIZE(match_rows); i++, name += sizeof(names[0])) {
		snprintf(name, sizeof(names[0]), "matches: '%s'", match_rows[i].text);
		*test++ = unit_row(name, a_row_matches, &match_rows[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(match_rows); i++, name += sizeof(names[0])) {
		snprintf(name, sizeof(names[0]), "formats: '%s'", match_rows[i].text);
		*test++ = unit_row(name, a_row_formats_as_it_matches, &match_rows[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(error_rows); i++, name += sizeof(names[0])) {
		snprintf(name, sizeof(names[0]), "refused: '%s'", error_rows[i].text);
		*test++ = unit_row(name, a_row_is_refused, &error_rows[i]);
	}
	memcpy(test, others, sizeof(others));
	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
