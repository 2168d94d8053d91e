/* SPDX-License-Identifier: MIT */
#include "daemon/metrics_text.h"

#include <event2/buffer.h>

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct metric_row metric_rows[METRIC_COUNT] = {
#define X(name, text, type, unit, help) {text, METRIC_##type, unit, help},
	METRICS(X)
#undef X
};

/* --- which format ----------------------------------------------------------------------------- */

const char *metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

/* The weight of one media range, "type; a=b; q=0.5"; a version that is not ours is refused. */
static double weight_of(const char *range, size_t len, const char *version)
{
	const char *end = range + len, *p = range;
	double weight = 1;

	while ((p = memchr(p, ';', (size_t)(end - p)))) {
		p++;
		p += strspn(p, " \t");
		if (!strncasecmp(p, "q=", 2))
			weight = strtod(p + 2, NULL);
		if (!strncasecmp(p, "version=", 8) && strncmp(p + 8, version, strlen(version)) != 0)
			return 0;
	}
	return weight > 0 && weight <= 1 ? weight : 0;
}

static bool is_type(const char *range, size_t len, const char *type)
{
	size_t type_len = strlen(type);

	return len >= type_len && !strncasecmp(range, type, type_len) &&
	       (len == type_len || strchr(" \t;", range[type_len]));
}

enum metrics_format metrics_negotiate(const char *accept)
{
	double open = 0, plain = 0;

	while (accept && *accept) {
		size_t len = strcspn(accept, ",");
		double weight;

		while (len && strchr(" \t", *accept)) {
			accept++;
			len--;
		}
		if (is_type(accept, len, "application/openmetrics-text")) {
			weight = weight_of(accept, len, "1.");
			open = weight > open ? weight : open;
		} else if (is_type(accept, len, "text/plain") || is_type(accept, len, "text/*") ||
			   is_type(accept, len, "*/*")) {
			weight = weight_of(accept, len, "0.0.4");
			plain = weight > plain ? weight : plain;
		}
		accept += len;
		accept += *accept == ',';
	}
	return open > 0 && open >= plain ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}

/* --- families --------------------------------------------------------------------------------- */

/* OpenMetrics names a family without what its samples end with. */
static size_t family_length(const struct metric_row *row, enum metrics_format format)
{
	size_t len = strlen(row->name);

	if (format == METRICS_PROMETHEUS || row->type == METRIC_GAUGE)
		return len;
	return len - strlen(row->type == METRIC_COUNTER ? "_total" : "_info");
}

void metrics_text_begin(struct metrics_text *text, struct evbuffer *out, enum metrics_format format)
{
	*text = (struct metrics_text){.out = out, .format = format};
}

void metrics_family(struct metrics_text *text, enum metric metric)
{
	static const char *const types[] = {"gauge", "counter", "info"};
	const struct metric_row *row = &metric_rows[metric];
	int len = (int)family_length(row, text->format);
	const char *type = types[row->type];

	text->metric = metric;
	if (text->format == METRICS_PROMETHEUS && row->type == METRIC_INFO)
		type = "gauge";
	evbuffer_add_printf(text->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, row->name,
			    row->help, len, row->name, type);
	if (text->format == METRICS_OPENMETRICS && *row->unit)
		evbuffer_add_printf(text->out, "# UNIT %.*s %s\n", len, row->name, row->unit);
}

/* --- samples ---------------------------------------------------------------------------------- */

/* The length of the character of UTF-8 at p, or 0: it is none. */
static size_t utf8_length(const unsigned char *p)
{
	size_t len = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : 4;

	if (*p >= 0xf5 || (*p >= 0x80 && *p < 0xc2))
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
		return 0;
	return len;
}

/* Units have names of somebody's choice. */
static void put_value(struct evbuffer *out, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;

	while (*p) {
		size_t len = utf8_length(p);

		if (!len)
			evbuffer_add(out, "?", 1);
		else if (*p == '\\' || *p == '"')
			evbuffer_add_printf(out, "\\%c", *p);
		else if (*p == '\n')
			evbuffer_add(out, "\\n", 2);
		else
			evbuffer_add(out, p, len);
		p += len ? len : 1;
	}
}

static void put_sample(struct metrics_text *text, const char *number, va_list labels)
{
	const char *label, *value, *before = "{";

	evbuffer_add_printf(text->out, "%s", metric_rows[text->metric].name);
	while ((label = va_arg(labels, const char *))) {
		value = va_arg(labels, const char *);
		if (!value)
			continue;
		evbuffer_add_printf(text->out, "%s%s=\"", before, label);
		put_value(text->out, value);
		evbuffer_add(text->out, "\"", 1);
		before = ",";
	}
	evbuffer_add_printf(text->out, "%s %s\n", *before == ',' ? "}" : "", number);
}

void metrics_count(struct metrics_text *text, uint64_t value, ...)
{
	char number[24];
	va_list labels;

	snprintf(number, sizeof(number), "%" PRIu64, value);
	va_start(labels, value);
	put_sample(text, number, labels);
	va_end(labels);
}

void metrics_number(struct metrics_text *text, double value, ...)
{
	char number[32];
	va_list labels;

	snprintf(number, sizeof(number), "%.12g", isfinite(value) ? value : 0.0);
	va_start(labels, value);
	put_sample(text, number, labels);
	va_end(labels);
}

void metrics_text_end(struct metrics_text *text)
{
	if (text->format == METRICS_OPENMETRICS)
		evbuffer_add(text->out, "# EOF\n", 6);
}
