/* SPDX-License-Identifier: MIT */
/* What ps and top show, without a terminal: texts in cells, columns in a width, rows sorted and
 * filtered, and the whole screen after keys. */
#include "daemon/cli_grid.h"
#include "daemon/cli_ps_row.h"
#include "daemon/cli_text.h"
#include "daemon/top.h"

#include "tests/unit/unit.h"

#include <locale.h>
#include <stdio.h>
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

/* --- the screen ------------------------------------------------------------------------------- */

enum { WIDTH_MAX = 240, HEIGHT_MAX = 60 };

static struct {
	unsigned int width, height;
	char text[HEIGHT_MAX][WIDTH_MAX * 4 + 1];
	char inverse[HEIGHT_MAX][WIDTH_MAX * 4 + 1];
} shown;

/* ASCII only, here: a byte is a cell. */
static void put(void *arg, unsigned int y, unsigned int x, const char *text, enum top_style style)
{
	(void)arg;
	assert_true(y < shown.height);
	assert_true(x + cli_text_width(text) <= shown.width);
	for (const char *p = text; *p; p++)
		assert_false((unsigned char)*p < ' ' || *p == 127);
	while (strlen(shown.text[y]) < x)
		strcat(shown.text[y], " ");
	memcpy(shown.text[y] + x, text, strlen(text));
	if (style == TOP_INVERSE)
		strcat(shown.inverse[y], text);
}

static void look(struct top *top, unsigned int width, unsigned int height)
{
	memset(&shown, 0, sizeof(shown));
	shown.width = width;
	shown.height = height;
	top_view(top, width, height, put, NULL);
}

static void expect_line(unsigned int y, const char *expected)
{
	if (!strstr(shown.text[y], expected))
		fail_msg("line %u is '%s', without '%s'", y, shown.text[y], expected);
}

static void feed(struct top *top, const char *text)
{
	json_t *rows = json(text), *row;
	size_t i;

	json_array_foreach(rows, i, row) top_row(top, row);
	json_decref(rows);
	top_take(top);
}

static void press(struct top *top, const char *keys)
{
	for (; *keys; keys++)
		top_key(top, (unsigned char)*keys);
}

static const char some[] =
	"[{\"type\":\"status\",\"on\":true,\"uptime_ms\":5000},"
	"{\"type\":\"process\",\"pid\":1,\"program\":\"one\",\"conns\":1,\"states\":{\"LISTEN\":1}}"
	","
	"{\"type\":\"process\",\"pid\":2,\"program\":\"two\",\"conns\":20,\"states\":{\"CLOSE_"
	"WAIT\":20}},"
	"{\"type\":\"process\",\"pid\":3,\"program\":\"three\",\"conns\":300,\"states\":{\"TIME_"
	"WAIT\":300}},"
	"{\"type\":\"process\",\"pid\":null,\"conns\":0},"
	"{\"type\":\"total\",\"conns\":321,\"attributed\":321,\"attributed_share\":1,\"lost\":2,"
	"\"states\":{\"CLOSE_WAIT\":20,\"TIME_WAIT\":300},\"missing\":[\"CAP_X: "
	"why\",\"CAP_Y\",7]}]";

static int begin(void **state)
{
	static struct top top;

	setlocale(LC_CTYPE, "C.UTF-8");
	top_init(&top, 1000);
	feed(&top, some);
	*state = &top;
	return 0;
}

static int end(void **state)
{
	top_free(*state);
	return 0;
}

static void head(void **state)
{
	struct top *top = *state;

	look(top, 120, 24);
	expect_line(0, "closeside on, up 5s  3 processes  by CONNS  every 1 s");
	expect_line(1, "321 connections:  time-wait 300  close-wait 20");
	expect_line(2, "attributed 100.0%  opens 0.0/s  closes 0.0/s  lost 2  lacks CAP_X, CAP_Y");
	assert_string_equal(shown.text[3], "");
	expect_line(4, "PID PROGRAM");
	expect_line(5, "  3 three");
	expect_line(6, "  2 two");
	assert_string_equal(shown.inverse[4], "CONNS");
	assert_int_equal(strlen(shown.inverse[5]), 120);
	assert_string_equal(shown.text[8], "");
	snprintf(top->trouble, sizeof(top->trouble), "gone\x1b[2J");
	look(top, 120, 24);
	assert_string_equal(shown.inverse[3], "gone?[2J");
}

static void keys_sort(void **state)
{
	struct top *top = *state;

	press(top, "P");
	look(top, 80, 24);
	expect_line(5, "  1 one");
	press(top, "R");
	look(top, 80, 24);
	expect_line(0, "by PID reversed");
	expect_line(5, "  3 three");
	press(top, "RA");
	look(top, 80, 24);
	expect_line(5, "  2 two");
	top_key(top, '<'); /* to what is shown, not to what is hidden */
	assert_int_equal(top->processes.sort, PS_FIN_WAIT);
	top_key(top, TOP_RIGHT);
	top_key(top, '>');
	assert_int_equal(top->processes.sort, PS_TIME_WAIT);
	for (int i = 0; i < 40; i++)
		top_key(top, '>');
	assert_int_equal(top->processes.sort, PS_PEER);
	for (int i = 0; i < 40; i++)
		top_key(top, TOP_LEFT);
	assert_int_equal(top->processes.sort, PS_PID);
}

static void keys_move(void **state)
{
	struct top *top = *state;

	look(top, 80, 24);
	top_key(top, TOP_DOWN);
	assert_int_equal(top->processes.cursor, 1); /* two */
	press(top, "P");
	assert_int_equal(top->processes.cursor, 1);
	press(top, "T");
	assert_int_equal(top->processes.cursor, 1);
	press(top, "A"); /* it is the first now, and the cursor with it */
	assert_int_equal(top->processes.cursor, 0);
	press(top, "C"); /* at home it stays at home */
	assert_int_equal(top->processes.cursor, 0);
	top_key(top, TOP_END);
	assert_int_equal(top->processes.cursor, 2);
	top_key(top, TOP_PGUP);
	assert_int_equal(top->processes.cursor, 0);
	top_key(top, TOP_PGDN);
	top_key(top, TOP_DOWN);
	assert_int_equal(top->processes.cursor, 2);
	look(top, 80, 7); /* two rows */
	assert_int_equal(top->processes.first, 1);
	assert_int_equal(strlen(shown.inverse[6]), 80);
	top_key(top, TOP_HOME);
	look(top, 80, 7);
	assert_int_equal(top->processes.first, 0);
	top_key(top, TOP_END);
	feed(top, "[]"); /* all are gone */
	look(top, 80, 24);
	top_key(top, TOP_UP);
	top_key(top, TOP_END);
	top_key(top, TOP_ENTER);
	assert_int_equal(top->processes.cursor, 0);
	assert_false(top->inside);
}

static void keys_filter(void **state)
{
	struct top *top = *state;

	press(top, "/t");
	assert_int_equal(top->processes.shown, 2);
	press(top, "wq/ h");
	look(top, 80, 24);
	expect_line(3, "show only: twq/ h_");
	assert_int_equal(top->processes.shown, 0);
	for (int i = 0; i < 20; i++)
		top_key(top, TOP_BACKSPACE);
	assert_int_equal(top->processes.shown, 3);
	press(top, "TWO");
	top_key(top, TOP_ENTER);
	look(top, 80, 24);
	expect_line(0, "3 processes  1 shown");
	expect_line(3, "only: TWO");
	expect_line(5, " two ");
	top_key(top, TOP_ESC);
	assert_int_equal(top->processes.shown, 3);
	top_key(top, '/');
	for (int i = 0; i < 200; i++)
		top_key(top, 0x4e2d);
	assert_int_equal(strlen(top->input), 63); /* whole characters */
	top_key(top, TOP_BACKSPACE);
	assert_int_equal(strlen(top->input), 60);
	top_key(top, 0x1b1);
	top_key(top, 0x1f600);
	top_key(top, 3);
	top_key(top, TOP_UP);
	assert_string_equal(top->input + 60, "\xc6\xb1");
	top_key(top, 'U' - '@');
	assert_string_equal(top->input, "");
	top_key(top, 0x1f600);
	assert_string_equal(top->input, "\xf0\x9f\x98\x80");
	top_key(top, TOP_ESC);
	assert_int_equal(top->mode, TOP_TABLE);
	assert_int_equal(top->processes.shown, 3);
}

static void keys_pause_delay_help(void **state)
{
	struct top *top = *state;

	press(top, " ");
	assert_true(top->paused);
	feed(top, "[]");
	assert_int_equal(top->processes.now.count, 3);
	look(top, 80, 24);
	expect_line(0, "PAUSED");
	press(top, " ");
	assert_true(!top->paused && top->hurry);
	press(top, "d2.5");
	look(top, 80, 24);
	expect_line(3, "seconds, now 1: 2.5_");
	top_key(top, TOP_ENTER);
	assert_int_equal(top->delay_ms, 2500);
	press(top, "dx");
	top_key(top, TOP_ENTER);
	assert_int_equal(top->delay_ms, 2500);
	look(top, 80, 24);
	expect_line(3, "expected 0.1 to 3600");
	press(top, "h");
	look(top, 80, 24);
	expect_line(0, "Keys");
	for (int i = 0; i < 99; i++)
		top_key(top, i % 2 ? TOP_DOWN : TOP_PGDN);
	look(top, 80, 24);
	expect_line(23, "B PEER%");
	top_key(top, TOP_UP);
	top_key(top, TOP_PGUP);
	press(top, "x");
	assert_int_equal(top->mode, TOP_TABLE);
	assert_false(top->quit);
	press(top, "?q");
	assert_true(top->quit);
}

static void keys_inside(void **state)
{
	static const char conns[] =
		"[{\"type\":\"conn\",\"cookie\":\"1\",\"pid\":3,\"local\":\"a:1\",\"remote\":\"b:"
		"2\","
		"\"state\":\"TIME_WAIT\",\"state_ms\":3000},"
		"{\"type\":\"conn\",\"cookie\":\"2\",\"local\":\"a:1\",\"remote\":\"b:10\","
		"\"state\":\"ESTABLISHED\",\"state_ms\":5,\"rtt_us\":1500,\"side\":\"us\\u001b\"},"
		"{\"type\":\"conn\",\"state\":\"NO_SUCH\"}]";
	struct top *top = *state;

	top_key(top, TOP_ENTER);
	assert_true(top->inside && top->hurry);
	look(top, 120, 24);
	expect_line(3, "connections of three, pid 3");
	expect_line(0, "0 connections");
	feed(top, conns);
	look(top, 120, 24);
	expect_line(5, "unknown");
	expect_line(6, "established  5ms a:1   b:10");
	expect_line(6, "us?");
	expect_line(6, "1.5ms");
	expect_line(7, "time-wait     3s a:1   b:2");
	press(top, "C"); /* a letter of the other table */
	assert_int_equal(top->connections.sort, 0);
	press(top, ">>>");
	look(top, 120, 24);
	expect_line(6, "b:2"); /* numbers as numbers */
	expect_line(7, "b:10");
	press(top, "/time");
	top_key(top, TOP_ENTER);
	assert_int_equal(top->connections.shown, 1);
	assert_int_equal(top->processes.shown, 0); /* they were not in that answer */
	top_key(top, TOP_ESC);
	assert_true(top->inside);
	top_key(top, TOP_ESC);
	assert_false(top->inside);
}

static void too_many_connections(void **state)
{
	json_t *row = json("{\"type\":\"conn\",\"state\":\"ESTABLISHED\"}");
	struct top *top = *state;
	int taken = 0;

	top_key(top, TOP_ENTER);
	while (top_row(top, row))
		taken++;
	json_decref(row);
	top_take(top);
	assert_int_equal(taken, TOP_CONNS_MAX);
	look(top, 120, 24);
	expect_line(3, "not all of them");
}

/* Every size, in every mode: nothing beyond the edges (put() looks). */
static void sizes(void **state)
{
	static const char *const modes[] = {"", "h", "d", "/t"};
	struct top *top = *state;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		press(top, modes[i]);
		for (unsigned int width = 1; width < WIDTH_MAX; width += width < 90 ? 1 : 7)
			for (unsigned int height = 1; height < HEIGHT_MAX; height++)
				look(top, width, height);
		top_key(top, TOP_ESC);
	}
	look(top, 31, 24);
	expect_line(0, "31x24 is too small");
	look(top, 80, 6);
	expect_line(1, "32x7 is needed");
	look(top, 32, 7);
	expect_line(4, "CLOSE-W");
	look(top, 80, 24);
	expect_line(4,
		    "PID PROGRAM USER SHIM CONNS ESTAB SYN FIN-W CLOSE-W TIME-W OPEN/S CLOSE/S PEER%");
}

static void delays(void **state)
{
	static const char *const wrong[] = {"",	  "0",	   "0.09", "3600.1",	 "x",
					    "-1", "1e3",   "0x5",  "nan",	 " 1",
					    "1 ", "1.2.3", ".",	   "99999999999"};
	unsigned int ms = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (top_parse_delay(wrong[i], &ms))
			fail_msg("'%s' is %u ms", wrong[i], ms);
	assert_int_equal(ms, 7);
	assert_true(top_parse_delay("0.1", &ms) && ms == 100);
	assert_true(top_parse_delay(".25", &ms) && ms == 250);
	assert_true(top_parse_delay("3600", &ms) && ms == 3600000);
}

/* No key has two meanings. */
static void key_table(void **state)
{
	static const struct {
		uint32_t key, another;
	} keys[] = {
#define X(name, key, another, text, meaning) {key, another},
		TOP_KEYS(X)
#undef X
	};
	static uint32_t seen[2 * TOP_ACTION_COUNT + PS_COLUMN_COUNT];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		seen[count++] = keys[i].key;
		if (keys[i].another)
			seen[count++] = keys[i].another;
	}
	for (size_t i = 0; i < PS_COLUMN_COUNT; i++)
		seen[count++] = (unsigned char)ps_column_keys[i];
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if (seen[i] == seen[k])
				fail_msg("key %x is there twice", seen[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(texts_random),
		cmocka_unit_test(columns),
		cmocka_unit_test(cells),
		cmocka_unit_test(order),
		cmocka_unit_test(matching),
		cmocka_unit_test_setup_teardown(head, begin, end),
		cmocka_unit_test_setup_teardown(keys_sort, begin, end),
		cmocka_unit_test_setup_teardown(keys_move, begin, end),
		cmocka_unit_test_setup_teardown(keys_filter, begin, end),
		cmocka_unit_test_setup_teardown(keys_pause_delay_help, begin, end),
		cmocka_unit_test_setup_teardown(keys_inside, begin, end),
		cmocka_unit_test_setup_teardown(too_many_connections, begin, end),
		cmocka_unit_test_setup_teardown(sizes, begin, end),
		cmocka_unit_test(delays),
		cmocka_unit_test(key_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
