/* SPDX-License-Identifier: MIT */
/* Times as people say them. */
#include "daemon/cli_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 86400 };

/* Digits only, at most so many. */
static bool take_number(const char **text, size_t digits, long long *out)
{
	size_t len = strspn(*text, "0123456789");

	if (!len || len > digits)
		return false;
	*out = strtoll(*text, NULL, 10);
	*text += len;
	return true;
}

static bool parse_ago(const char *text, time_t now, time_t *out)
{
	static const char units[] = "smhd";
	static const long long seconds[] = {1, 60, 3600, DAY_S};
	long long count;
	const char *unit;

	if (!take_number(&text, 8, &count) || !*text || text[1])
		return false;
	unit = strchr(units, *text);
	if (!unit || count * seconds[unit - units] > now)
		return false;
	*out = now - (time_t)(count * seconds[unit - units]);
	return true;
}

static bool parse_epoch(const char *text, time_t *out)
{
	long long seconds;

	if (*text++ != '@' || !take_number(&text, 11, &seconds) || *text)
		return false;
	*out = (time_t)seconds;
	return true;
}

/* "14:30" or "14:30:15" */
static bool take_clock(const char **text, struct tm *tm)
{
	long long hour, minute, second = 0;
	const char *at = *text;

	if (!take_number(&at, 2, &hour) || *at++ != ':' || !take_number(&at, 2, &minute))
		return false;
	if (*at == ':' && (at++, !take_number(&at, 2, &second)))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	tm->tm_hour = (int)hour;
	tm->tm_min = (int)minute;
	tm->tm_sec = (int)second;
	*text = at;
	return true;
}

static bool take_date(const char **text, struct tm *tm)
{
	long long year, month, day;

	if (!take_number(text, 4, &year) || *(*text)++ != '-' || !take_number(text, 2, &month) ||
	    *(*text)++ != '-' || !take_number(text, 2, &day))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	tm->tm_year = (int)year - 1900;
	tm->tm_mon = (int)month - 1;
	tm->tm_mday = (int)day;
	return true;
}

/* An hour that the clocks leave out is the one that they show instead; of one that comes twice,
 * which is meant is for mktime() to say. A day that there is not is refused. */
static bool to_time(const struct tm *tm, bool utc, time_t *out)
{
	struct tm real = *tm;
	time_t at;

	real.tm_isdst = -1;
	at = utc ? timegm(&real) : mktime(&real);
	if (at < 0 || real.tm_mon != tm->tm_mon || real.tm_mday != tm->tm_mday)
		return false;
	*out = at;
	return true;
}

static bool parse_date(const char *text, time_t *out)
{
	struct tm tm = {.tm_isdst = -1};
	bool utc = false;

	if (!take_date(&text, &tm))
		return false;
	if (*text == ' ' || *text == 'T') {
		text++;
		if (!take_clock(&text, &tm))
			return false;
		utc = *text == 'Z';
		text += utc;
	}
	return !*text && to_time(&tm, utc, out);
}

/* So many days ago, at this time of the day. */
static bool clock_on(const struct tm *clock, time_t now, int days, time_t *out)
{
	struct tm tm;

	if (!localtime_r(&now, &tm))
		return false;
	tm.tm_mday -= days;
	tm.tm_hour = clock->tm_hour;
	tm.tm_min = clock->tm_min;
	tm.tm_sec = clock->tm_sec;
	tm.tm_isdst = -1;
	*out = mktime(&tm);
	return *out >= 0;
}

/* The last time that a clock here showed this: today, or yesterday. */
static bool parse_clock(const char *text, time_t now, time_t *out)
{
	struct tm clock = {.tm_sec = 0};
	time_t at;

	if (!take_clock(&text, &clock) || *text)
		return false;
	if (!clock_on(&clock, now, 0, &at) || (at > now && !clock_on(&clock, now, 1, &at)))
		return false;
	*out = at;
	return true;
}

bool history_parse_time(const char *text, time_t now, time_t *out)
{
	if (!strcmp(text, "now")) {
		*out = now;
		return true;
	}
	return parse_ago(text, now, out) || parse_epoch(text, out) || parse_date(text, out) ||
	       parse_clock(text, now, out);
}

int64_t history_offset_ms(time_t at)
{
	struct tm tm;

	return localtime_r(&at, &tm) ? (int64_t)tm.tm_gmtoff * 1000 : 0;
}

const char *history_time_text(uint64_t ms, bool date, bool seconds, char *buf, size_t size)
{
	time_t at = (time_t)(ms / 1000);
	char text[32] = "?";
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	if (!seconds && strrchr(text, ':'))
		*strrchr(text, ':') = '\0';
	snprintf(buf, size, "%s", date || !strchr(text, ' ') ? text : strchr(text, ' ') + 1);
	return buf;
}
