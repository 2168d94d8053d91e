/* SPDX-License-Identifier: MIT */
#include "daemon/explain.h"

#include "daemon/filter.h"
#include "daemon/verdict.h"

#include "common/tcp_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static void words_are_found(void **state)
{
	static const struct {
		const char *text, *word; /* NULL: there is none */
	} rows[] = {
		{"TIME_WAIT", "TIME_WAIT"},
		{"time-wait", "TIME_WAIT"},
		{"TimeWait", "TIME_WAIT"},
		{"time wait", "TIME_WAIT"},
		{"fin-wait-1", "FIN_WAIT1"},
		{"estab", "ESTABLISHED"},
		{"SYN-RECV", "SYN_RECV"},
		{"new_syn_recv", "SYN_RECV"},
		{"listening", "LISTEN"},
		{"UNCONN", "CLOSE"},
		{"closed", "CLOSE"},
		{"econnreset", "ECONNRESET"},
		{"104", "ECONNRESET"},
		{"Connection reset by peer", "ECONNRESET"},
		{"broken pipe", "EPIPE"},
		{"close-wait-leak", "close-wait-leak"},
		{"CLOSE_WAIT_LEAK", "close-wait-leak"},
		{"fin-wait-2-stuck", "fin-wait-2-stuck"},
		{"", NULL},
		{"-", NULL},
		{"0", NULL},
		{"6", NULL},
		{"104x", NULL},
		{"TIME", NULL},
		{"close-wait-leak-and-more-than-anything-is-long", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct explanation *row = explain_find(rows[i].text);

		if (!row != !rows[i].word || (row && strcmp(row->word, rows[i].word)))
			fail_msg("'%s' is %s", rows[i].text, row ? row->word : "nothing");
	}
}

static void what_was_meant(void **state)
{
	static const struct {
		const char *text, *word;
	} rows[] = {
		{"tme-wait", "TIME_WAIT"},
		{"CLOSEWAITS", "CLOSE_WAIT"},
		{"ECONREFUSED", "ECONNREFUSED"},
		{"close-wait-leek", "close-wait-leak"},
		{"frobnicate", NULL},
		{"", NULL},
		{"a-word-that-is-longer-than-any-other-word-here", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct explanation *row = explain_near(rows[i].text);

		if (!row != !rows[i].word || (row && strcmp(row->word, rows[i].word)))
			fail_msg("'%s' is near %s", rows[i].text, row ? row->word : "nothing");
	}
}

static void every_state_is_explained(void **state)
{
	(void)state;
	for (unsigned int i = 1; i < STATE_COUNT; i++) {
		const struct explanation *row = explain_find(tcp_state_name(i));

		assert_non_null(row);
		assert_int_equal(row->kind, EXPLAIN_STATE);
		assert_true(row->states >> i & 1);
		assert_ptr_equal(explain_find(tcp_state_ss(i)), row);
	}
}

static void every_verdict_is_explained(void **state)
{
	static const char *const ids[] = {
#define X(name, id, level, summary) id,
		VERDICTS(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		const struct explanation *row = explain_find(ids[i]);

		assert_non_null(row);
		assert_int_equal(row->kind, EXPLAIN_VERDICT);
		assert_string_equal(row->word, ids[i]);
	}
}

static bool is_paragraph(const char *text)
{
	size_t len = strlen(text);

	return len > 6 && strchr(".", text[len - 1]) && !strstr(text, "  ") && text[0] != ' ';
}

static void rows_are_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < explanation_count; i++) {
		const struct explanation *row = &explanations[i];

		assert_ptr_equal(explain_find(row->word), row);
		assert_true(strlen(row->summary) && strlen(row->summary) < 75);
		if (!is_paragraph(row->what) || !is_paragraph(row->why) ||
		    !is_paragraph(row->remedy))
			fail_msg("%s", row->word);
		assert_true((row->kind == EXPLAIN_ERROR) == (row->error > 0));
		assert_true(row->kind != EXPLAIN_STATE || row->states);
	}
}

/* What is shown to be typed is understood. */
static void what_is_to_be_typed_is_a_filter(void **state)
{
	static const char command[] = "closeside conns ";
	unsigned int tried = 0;

	(void)state;
	for (size_t i = 0; i < explanation_count; i++) {
		const char *see = explanations[i].see ? strstr(explanations[i].see, command) : NULL;
		struct filter_error error;
		struct filter filter;
		char text[128];
		size_t used = 0;

		if (!see)
			continue;
		for (see += sizeof(command) - 1; *see; see++)
			if (*see != '\'') /* the shell takes them away */
				text[used++] = *see;
		text[used] = '\0';
		if (!filter_parse(&filter, text, NULL, &error))
			fail_msg("%s: %s: %s", explanations[i].word, text, error.text);
		tried++;
	}
	assert_true(tried > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_found),
		cmocka_unit_test(what_was_meant),
		cmocka_unit_test(every_state_is_explained),
		cmocka_unit_test(every_verdict_is_explained),
		cmocka_unit_test(rows_are_complete),
		cmocka_unit_test(what_is_to_be_typed_is_a_filter),
	};

	return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
