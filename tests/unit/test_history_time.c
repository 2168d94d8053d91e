/* SPDX-License-Identifier: MIT */
/* Times as people say them to `closeside history`. */
#include "daemon/cli_history.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define UTC "UTC0"
/* As POSIX spells it, so that no time zone need be installed. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define INDIA "IST-5:30"

enum { NOON = 1795348800 };   /* 2026-11-22 12:00 UTC, a Sunday; in Berlin it is 13:00 */
enum { SUMMER = 1793016000 }; /* 2026-10-26 12:00 UTC, a day after summer time ended there */

static const struct row {
	const char *zone, *text;
	time_t now;
	long long want; /* -1: refused */
} rows[] = {
	{UTC, "now", NOON, NOON},
	{UTC, "90m", NOON, NOON - 5400},
	{UTC, "2h", NOON, NOON - 7200},
	{UTC, "1d", NOON, NOON - 86400},
	{UTC, "30s", NOON, NOON - 30},
	{UTC, "@1795348000", NOON, 1795348000},
	{UTC, "11:30", NOON, NOON - 1800},
	{UTC, "11:30:15", NOON, NOON - 1785},
	{UTC, "12:00", NOON, NOON},
	{UTC, "12:01", NOON, NOON + 60 - 86400}, /* yesterday */
	{UTC, "2026-11-22 11:00", NOON, NOON - 3600},
	{UTC, "2026-11-22T11:00:01", NOON, NOON - 3599},
	{UTC, "2026-11-22", NOON, NOON - 43200},
	{BERLIN, "12:30", NOON, NOON - 1800},
	{BERLIN, "2026-11-22 12:30", NOON, NOON - 1800},
	{BERLIN, "2026-11-22T12:30:00Z", NOON, NOON + 1800},
	{INDIA, "2026-11-22 17:30", NOON, NOON},
	/* summer time: an hour less behind UTC, and a day of 25 hours */
	{BERLIN, "2026-07-01 12:00", NOON, 1782900000},
	{BERLIN, "2026-10-25 01:30", SUMMER, 1792884600},
	{BERLIN, "2026-10-25 03:30", SUMMER, 1792895400},
	{BERLIN, "23:00", SUMMER - 46800 /* 00:00 there, the 26th */, SUMMER - 46800 - 3600},
	/* 02:30 was left out on the 29th of March: what clocks showed instead is 03:30 */
	{BERLIN, "2026-03-29 02:30", NOON, 1774747800},
	{UTC, "", NOON, -1},
	{UTC, "h", NOON, -1},
	{UTC, "2", NOON, -1},
	{UTC, "2w", NOON, -1},
	{UTC, "-2h", NOON, -1},
	{UTC, "2h ", NOON, -1},
	{UTC, "99999999999999999999h", NOON, -1},
	{UTC, "99999999d", NOON, -1},
	{UTC, "24:00", NOON, -1},
	{UTC, "12:60", NOON, -1},
	{UTC, "12:30:60", NOON, -1},
	{UTC, "12:", NOON, -1},
	{UTC, "12:30pm", NOON, -1},
	{UTC, "2026-02-30 12:00", NOON, -1},
	{UTC, "2026-13-01", NOON, -1},
	{UTC, "2026-11-22 ", NOON, -1},
	{UTC, "2026-11-22 25:00", NOON, -1},
	{UTC, "2026-11-22T12:00ZZ", NOON, -1},
	{UTC, "@", NOON, -1},
	{UTC, "@-5", NOON, -1},
	{UTC, "yesterday", NOON, -1},
};

static void is_read_as(void **state)
{
	const struct row *row = *state;
	time_t got = 42;
	bool ok;

	setenv("TZ", row->zone, 1);
	tzset();
	ok = history_parse_time(row->text, row->now, &got);
	assert_int_equal(ok, row->want >= 0);
	assert_int_equal(got, row->want >= 0 ? row->want : 42);
}

static void is_shown_in_local_time(void **state)
{
	char text[64];

	(void)state;
	setenv("TZ", BERLIN, 1);
	tzset();
	assert_string_equal(history_time_text(1795348800000, true, true, text, sizeof(text)),
			    "2026-11-22 13:00:00");
	assert_string_equal(history_time_text(1795348800000, false, false, text, sizeof(text)),
			    "13:00");
	assert_string_equal(history_time_text(1782900000000, true, false, text, sizeof(text)),
			    "2026-07-01 12:00");
	assert_int_equal(history_offset_ms(1782900000), 7200000);
	assert_int_equal(history_offset_ms(1795348800), 3600000);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[i] = unit_row(*rows[i].text ? rows[i].text : "nothing", is_read_as, &rows[i]);
	tests[ARRAY_SIZE(rows)] = (struct CMUnitTest)cmocka_unit_test(is_shown_in_local_time);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
