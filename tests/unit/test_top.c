/* SPDX-License-Identifier: MIT */
/* What top shows, without a terminal: the whole screen, in every size, after keys and answers. */
#include "daemon/top.h"

#include "daemon/cli_text.h"

#include "tests/unit/unit.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static json_t *json(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, 0, &error);

	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
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

/* What one wide name took from the others is given back. */
static void widths(void **state)
{
	static const char wide[] = "[{\"type\":\"process\",\"pid\":1,\"opens_s\":1e30}]";
	struct top *top = *state;

	feed(top, wide);
	look(top, 80, 24);
	assert_null(strstr(shown.text[4], "PEER%"));
	feed(top, some);
	look(top, 80, 24);
	assert_null(strstr(shown.text[4], "PEER%"));
	for (int i = 0; i < 20; i++)
		feed(top, some);
	look(top, 80, 24);
	expect_line(4, "PEER%");
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
	expect_line(
		4,
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
		cmocka_unit_test_setup_teardown(head, begin, end),
		cmocka_unit_test_setup_teardown(keys_sort, begin, end),
		cmocka_unit_test_setup_teardown(keys_move, begin, end),
		cmocka_unit_test_setup_teardown(keys_filter, begin, end),
		cmocka_unit_test_setup_teardown(keys_pause_delay_help, begin, end),
		cmocka_unit_test_setup_teardown(keys_inside, begin, end),
		cmocka_unit_test_setup_teardown(too_many_connections, begin, end),
		cmocka_unit_test_setup_teardown(sizes, begin, end),
		cmocka_unit_test_setup_teardown(widths, begin, end),
		cmocka_unit_test(delays),
		cmocka_unit_test(key_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
