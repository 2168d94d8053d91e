/* SPDX-License-Identifier: MIT */
/* What ps prints: texts in cells, columns in a width, the rows and their order. */
#include "daemon/cli_bar.h"
#include "daemon/cli_grid.h"
#include "daemon/cli_ps_row.h"
#include "daemon/cli_text.h"

#include "tests/unit/unit.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- texts ------------------------------------------------------------------------------------ */

static void texts(void **state)
{
	static const struct {
		const char *text;
		unsigned int cells;
		const char *utf8, *ascii; /* ascii: in a locale that has no more */
	} rows[] = {
		{"nginx", 9, "nginx", "nginx"},
		{"nginx", 5, "nginx", "nginx"},
		{"nginx", 4, "ngi+", "ngi+"},
		{"nginx", 1, "+", "+"},
		{"nginx", 0, "", ""},
		{"", 5, "", ""},
		{"a\tb\nc\x7f", 9, "a?b?c?", "a?b?c?"},
		{"\x1b[31m", 9, "?[31m", "?[31m"},
		{"\xc2\x9b\x33m", 9, "?3m", "?3m"},		      /* CSI in one character */
		{"\xc3\xa9t\xc3\xa9", 9, "\xc3\xa9t\xc3\xa9", "?t?"}, /* été */
		{"\xe4\xb8\xad\xe6\x96\x87", 9, "\xe4\xb8\xad\xe6\x96\x87",
		 "??"}, /* two cells each */
		{"\xe4\xb8\xad\xe6\x96\x87", 3, "\xe4\xb8\xad+", "??"},
		{"\xe4\xb8\xad\xe6\x96\x87", 2, "+", "??"},
		{"a\xcc\x81z", 9, "a?z", "a?z"},	 /* combining */
		{"a\xe2\x80\xaez", 9, "a?z", "a?z"},	 /* right-to-left override */
		{"\xff\xfe", 9, "??", "??"},		 /* no UTF-8 */
		{"\xc3", 9, "?", "?"},			 /* cut off */
		{"\xe4\xb8", 9, "??", "??"},		 /* cut off */
		{"\xc0\x9b", 9, "??", "??"},		 /* too long for what it is */
		{"\xed\xa0\x80", 9, "???", "???"},	 /* a surrogate */
		{"\xf4\x90\x80\x80", 9, "????", "????"}, /* above Unicode */
		{"\xf8\x88\x80\x80\x80", 9, "?????", "?????"},
	};
	char out[64];

	for (int utf8 = 0; utf8 < 2; utf8++) {
		assert_non_null(setlocale(LC_CTYPE, utf8 ? "C.UTF-8" : "C"));
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			unsigned int taken =
				cli_text_clean(rows[i].text, out, sizeof(out), rows[i].cells);

			if (strcmp(out, utf8 ? rows[i].utf8 : rows[i].ascii))
				fail_msg("row %zu in %s: '%s'", i, utf8 ? "UTF-8" : "C", out);
			assert_true(taken <= rows[i].cells);
			assert_int_equal(taken, cli_text_width(out));
		}
	}
	(void)state;
}

/* Whatever the bytes: what comes out fits, ends, and has no control characters. */
static void texts_random(void **state)
{
	unsigned int seed = 4;

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (int round = 0; round < 20000; round++) {
		char text[24], out[20];
		unsigned int cells = (unsigned int)rand_r(&seed) % 16;
		size_t len = (size_t)rand_r(&seed) % sizeof(text);

		for (size_t i = 0; i < len; i++)
			text[i] = (char)(1 + rand_r(&seed) % 255);
		text[len < sizeof(text) ? len : sizeof(text) - 1] = '\0';
		assert_true(cli_text_clean(text, out, 1 + cells, cells) <= cells);
		assert_true(strlen(out) <= cells);
		for (size_t i = 0; out[i]; i++)
			assert_false((unsigned char)out[i] < ' ' || out[i] == 127);
	}
}

/* --- columns ---------------------------------------------------------------------------------- */

static const struct grid_column grid_columns[] = {
	{"ID", true, 0, 0},
	{"NAME", false, 4, 0},
	{"PLACE", false, 3, 2},
	{"N", true, 0, 1},
};

static const char *grid_cell(const void *row, unsigned int column, char *buf, size_t size)
{
	const char *const *cells = row;

	(void)buf;
	(void)size;
	return cells[column];
}

static void columns(void **state)
{
	static const char *const one[] = {"1", "a-long-name", "somewhere", "12345"},
				 *const two[] = {"22", "b\x1b", "", "6"};
	static const struct {
		unsigned int width;
		const char *titles, *one, *two;
	} rows[] = {
		{GRID_UNLIMITED, "ID NAME        PLACE         N", " 1 a-long-name somewhere 12345",
		 "22 b?                        6"},
		{30, "ID NAME        PLACE         N", " 1 a-long-name somewhere 12345",
		 "22 b?                        6"},
		/* what has most to give, gives */
		{26, "ID NAME     PLACE        N", " 1 a-long-+ somewhe+ 12345",
		 "22 b?                    6"},
		{17, "ID NAME PL+     N", " 1 a-l+ so+ 12345", "22 b?           6"},
		/* the place goes, and the name has room again */
		{16, "ID NAME        N", " 1 a-long+ 12345", "22 b?          6"},
		{13, "ID NAME     N", " 1 a-l+ 12345", "22 b?       6"},
		{12, "ID NAME", " 1 a-long-n+", "22 b?"},
		{7, "ID NAME", " 1 a-l+", "22 b?"},
		/* these stay, whatever it costs */
		{1, "ID NAME", " 1 a-l+", "22 b?"},
	};
	struct grid grid;
	char line[GRID_LINE_MAX];

	(void)state;
	grid_init(&grid, grid_columns, ARRAY_SIZE(grid_columns), grid_cell);
	grid_want(&grid, one);
	grid_want(&grid, two);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		grid_fit(&grid, rows[i].width);
		grid_line(&grid, NULL, line);
		assert_string_equal(line, rows[i].titles);
		grid_line(&grid, one, line);
		assert_string_equal(line, rows[i].one);
		grid_line(&grid, two, line);
		assert_string_equal(line, rows[i].two);
	}
	grid_fit(&grid, 13);
	assert_int_equal(grid_offset(&grid, 3), 8);
	assert_int_equal(grid_next(&grid, 1, 1), 3);
	assert_int_equal(grid_next(&grid, 3, 1), 3);
	assert_int_equal(grid_next(&grid, 3, -1), 1);
	assert_int_equal(grid_next(&grid, 0, -1), 0);
}

/* --- rows ------------------------------------------------------------------------------------- */

static json_t *json(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, 0, &error);

	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
}

static struct ps_row row_of(const char *text)
{
	json_t *value = json(text);
	struct ps_row row;

	ps_row_take(&row, value);
	json_decref(value);
	return row;
}

static void expect_cell(const struct ps_row *row, unsigned int column, const char *expected)
{
	char buf[GRID_CELL_MAX];

	assert_string_equal(ps_cell(row, column, buf, sizeof(buf)), expected);
}

static void cells(void **state)
{
	struct ps_row row = row_of(
		"{\"type\":\"process\",\"pid\":7,\"start\":9,\"program\":\"p\",\"unit\":null,"
		"\"uid\":0,\"shim\":true,\"states\":{\"ESTABLISHED\":1,\"SYN_SENT\":2,\"SYN_RECV\":"
		"3,"
		"\"NEW_SYN_RECV\":4,\"FIN_WAIT1\":5,\"FIN_WAIT2\":6,\"TIME_WAIT\":7,\"CLOSE\":8,"
		"\"CLOSE_WAIT\":9,\"LAST_ACK\":10,\"LISTEN\":11,\"CLOSING\":12},\"conns\":78,"
		"\"opens_s\":0.04,\"closes_s\":99.96,\"peer_share\":0.995}");
	static const struct {
		unsigned int column;
		const char *text;
	} rows[] = {
		{PS_PID, "7"},	     {PS_PROGRAM, "p"},	   {PS_UNIT, "-"},	{PS_USER, "root"},
		{PS_SHIM, "yes"},    {PS_CONNS, "78"},	   {PS_ESTAB, "1"},	{PS_SYN, "9"},
		{PS_FIN_WAIT, "11"}, {PS_CLOSE_WAIT, "9"}, {PS_LAST_ACK, "22"}, {PS_LISTEN, "11"},
		{PS_TIME_WAIT, "7"}, {PS_OPEN_S, "0.0"},   {PS_CLOSE_S, "100"}, {PS_PEER, "100"}};
	struct ps_row ended = row_of("{\"pid\":7,\"alive\":false,\"peer_share\":null}"),
		      nobody = row_of("{\"pid\":null,\"uid\":0,\"shim\":true,\"conns\":1}"),
		      nothing = row_of("{}"), wrong = row_of("[]");

	(void)state;
	assert_int_equal(ARRAY_SIZE(rows), PS_COLUMN_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_cell(&row, rows[i].column, rows[i].text);
	expect_cell(&ended, PS_PID, "(7)");
	expect_cell(&ended, PS_SHIM, "-");
	expect_cell(&ended, PS_PEER, "-");
	expect_cell(&ended, PS_USER, "-");
	expect_cell(&nobody, PS_PID, "-");
	expect_cell(&nobody, PS_PROGRAM, "unknown");
	expect_cell(&nobody, PS_USER, "-");
	expect_cell(&nobody, PS_SHIM, "-");
	assert_false(ps_row_is_empty(&nobody));
	assert_true(ps_row_is_empty(&nothing));
	assert_true(ps_row_is_empty(&wrong));
	assert_false(ps_row_is_empty(&ended));
}

/* Each column, over all pairs of rows: an order, and the same the other way round. */
static void order(void **state)
{
	const struct ps_row rows[] = {
		row_of("{\"pid\":3,\"program\":\"b\",\"unit\":\"u\",\"uid\":0,\"conns\":5,"
		       "\"states\":{\"ESTABLISHED\":5},\"opens_s\":1,\"peer_share\":0.5}"),
		row_of("{\"pid\":2,\"program\":\"A\",\"uid\":1,\"conns\":5,\"shim\":true}"),
		row_of("{\"pid\":10,\"program\":\"a\",\"conns\":9,\"states\":{\"TIME_WAIT\":9},"
		       "\"closes_s\":2,\"peer_share\":0}"),
		row_of("{\"pid\":null,\"conns\":1}"),
		row_of("{\"pid\":3,\"start\":2,\"program\":\"b\",\"conns\":5}"),
	};

	(void)state;
	for (unsigned int column = 0; column < PS_COLUMN_COUNT; column++)
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
				int there = ps_compare(&rows[i], &rows[k], column);
				int back = ps_compare(&rows[k], &rows[i], column);

				assert_int_equal((there > 0) - (there < 0),
						 (back < 0) - (back > 0));
				assert_int_equal(there == 0, i == k);
			}
	assert_true(ps_compare(&rows[2], &rows[0], PS_CONNS) < 0);
	assert_true(ps_compare(&rows[1], &rows[0], PS_CONNS) < 0); /* the lower pid */
	assert_true(ps_compare(&rows[1], &rows[0], PS_PID) < 0);
	assert_true(ps_compare(&rows[0], &rows[2], PS_PID) < 0);
	assert_true(ps_compare(&rows[2], &rows[0], PS_PROGRAM) < 0);
	assert_true(ps_compare(&rows[0], &rows[1], PS_UNIT) < 0); /* none is last */
	assert_true(ps_compare(&rows[1], &rows[0], PS_SHIM) < 0);
	assert_true(ps_compare(&rows[2], &rows[1], PS_PEER) < 0); /* nothing closed is last */
	assert_true(ps_compare(&rows[2], &rows[0], PS_TIME_WAIT) < 0);
}

static void matching(void **state)
{
	struct ps_row row = row_of("{\"pid\":4711,\"program\":\"nginx\",\"unit\":\"web.service\","
				   "\"uid\":0}"),
		      nobody = row_of("{\"pid\":null}");

	(void)state;
	assert_true(ps_matches(&row, "GIN"));
	assert_true(ps_matches(&row, "web."));
	assert_true(ps_matches(&row, "root"));
	assert_true(ps_matches(&row, "71"));
	assert_false(ps_matches(&row, "apache"));
	assert_true(ps_matches(&nobody, "unknown"));
	assert_false(ps_matches(&nobody, "0"));
}

/* --- prose, bars ------------------------------------------------------------------------------ */

static void lines(void **state)
{
	static const struct {
		const char *text;
		unsigned int cells;
		const char *lines; /* joined with '|' */
	} rows[] = {
		{"", 10, ""},
		{"   ", 10, ""},
		{"one", 10, "one"},
		{"one two three", 7, "one two|three"},
		{"one two three", 6, "one|two|three"},
		{"  one   two  ", 20, "one two"},
		{"a-word-that-is-too-long b", 5, "a-word-that-is-too-long|b"},
		{"\342\226\210\342\226\210 \342\226\210", 4,
		 "\342\226\210\342\226\210 \342\226\210"},
		{"\033[31m red", 20, "?[31m red"},
		{"a\nb", 20, "a?b"},
	};

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *text = rows[i].text;
		char all[256] = "", line[64];

		while (cli_text_line(&text, line, sizeof(line), rows[i].cells)) {
			size_t used = strlen(all);

			snprintf(all + used, sizeof(all) - used, "%s%s", used ? "|" : "", line);
		}
		assert_string_equal(all, rows[i].lines);
	}
}

static void lines_of_any_length_end(void **state)
{
	char text[4000], line[64];
	const char *at = text;
	size_t total = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; cli_text_line(&at, line, sizeof(line), 20); i++) {
		assert_true(i < 4000);
		total += strlen(line);
	}
	assert_true(total > 0);
	assert_int_equal(*at, '\0');
}

static void bars(void **state)
{
	static const struct {
		struct bar bar;
		const char *text;
	} rows[] = {
		{{0, 0, 0.7, 12, false}, "[.......|..]"},
		{{0.5, 0.5, 0.7, 12, false}, "[#####..|..]"},
		{{0.5, 0.65, 0.7, 12, false}, "[#####--|..]"},
		{{0.9, 0.9, 0.7, 12, false}, "[#######|#.]"},
		{{0.0001, 0, 0.5, 12, false}, "[#....|....]"}, /* something is something */
		{{0.9999, 1, 0.5, 12, false}, "[#####|###-]"}, /* and not all is not all */
		{{1.2, 1.2, 0.5, 12, false}, "[#####|####]"},
		{{0.5, 0.5, 1, 12, false}, "[#####.....]"},
		{{0, -1, 0.5, 12, false}, "[.....|....]"},
		{{0.5, 0.75, 0.9, 10, true},
		 "\342\226\210\342\226\210\342\226\210\342\226\210\342\226\210"
		 "\342\226\222\342\226\222\342\226\222\342\226\221\342\224\202"},
	};
	char text[BAR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(bar_draw(&rows[i].bar, text), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),   cmocka_unit_test(texts_random),
		cmocka_unit_test(columns), cmocka_unit_test(cells),
		cmocka_unit_test(order),   cmocka_unit_test(matching),
		cmocka_unit_test(lines),   cmocka_unit_test(lines_of_any_length_end),
		cmocka_unit_test(bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
