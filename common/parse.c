/* SPDX-License-Identifier: MIT */
#include "common/parse.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool parse_literal(const char **cursor, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*cursor, text, len))
		return false;
	*cursor += len;
	return true;
}

bool parse_u32(const char **cursor, uint32_t *out)
{
	const char *p = *cursor;
	uint64_t value = 0;

	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*cursor = p;
	*out = (uint32_t)value;
	return true;
}

static const struct {
	const char *suffix;
	uint32_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

bool parse_duration(const char **cursor, uint32_t *out_ms)
{
	const char *p = *cursor;
	uint32_t number;

	if (!parse_u32(&p, &number))
		return false;
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (!parse_literal(&p, units[i].suffix))
			continue;
		if ((uint64_t)number * units[i].ms > INT32_MAX)
			return false;
		*cursor = p;
		*out_ms = number * units[i].ms;
		return true;
	}
	if (number != 0)
		return false;
	*cursor = p;
	*out_ms = 0;
	return true;
}

static const struct {
	const char *suffix;
	unsigned int shift;
} size_units[] = {{"", 0}, {"K", 10}, {"M", 20}, {"G", 30}};

#define SIZE_UNIT_COUNT (sizeof(size_units) / sizeof(size_units[0]))

bool parse_size(const char **cursor, uint64_t *out)
{
	const char *p = *cursor;
	size_t unit = SIZE_UNIT_COUNT - 1;
	uint32_t number;

	if (!parse_u32(&p, &number))
		return false;
	while (!parse_literal(&p, size_units[unit].suffix))
		unit--;
	*cursor = p;
	*out = (uint64_t)number << size_units[unit].shift;
	return true;
}

bool parse_port(const char **cursor, uint16_t *out)
{
	const char *p = *cursor;
	uint32_t number;

	if (!parse_u32(&p, &number) || number < 1 || number > 65535)
		return false;
	*cursor = p;
	*out = (uint16_t)number;
	return true;
}

bool parse_port_range(const char **cursor, struct port_range *out)
{
	const char *p = *cursor;
	struct port_range range;

	if (!parse_port(&p, &range.lo))
		return false;
	range.hi = range.lo;
	if (*p == '-') {
		p++;
		if (!parse_port(&p, &range.hi) || range.hi < range.lo)
			return false;
	}
	*cursor = p;
	*out = range;
	return true;
}

/* How much of text can belong to an address. */
static size_t address_span(const char *text, bool *v6)
{
	size_t v4_len = strspn(text, "0123456789.");

	*v6 = text[v4_len] == ':' || strspn(text, "0123456789abcdefABCDEF") > v4_len;
	if (*v6) {
		size_t len = strspn(text, "0123456789abcdefABCDEF:.");
		const char *first = strchr(text, ':');

		/* "10.0.0.1:80" is an IPv4 address and a port. */
		if (memchr(text, '.', v4_len) && first &&
		    !memchr(first + 1, ':', len - (size_t)(first + 1 - text))) {
			*v6 = false;
			return v4_len;
		}
		return len;
	}
	return v4_len;
}

bool parse_address(const char **cursor, struct endpoint *out)
{
	const char *p = *cursor;
	bool bracket = *p == '[', v6;
	char text[INET6_ADDRSTRLEN];
	struct endpoint ep = *out;
	size_t len;

	if (bracket)
		p++;
	len = address_span(p, &v6);
	if (len == 0 || len >= sizeof(text) || (bracket && (!v6 || p[len] != ']')))
		return false;
	memcpy(text, p, len);
	text[len] = '\0';
	if (v6) {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

		if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
			return false;
		ep = endpoint_from_sockaddr((struct sockaddr *)&in6, sizeof(in6));
	} else {
		struct sockaddr_in in = {.sin_family = AF_INET};

		if (inet_pton(AF_INET, text, &in.sin_addr) != 1)
			return false;
		ep = endpoint_from_sockaddr((struct sockaddr *)&in, sizeof(in));
	}
	ep.port = out->port;
	*out = ep;
	*cursor = p + len + (bracket ? 1 : 0);
	return true;
}

bool parse_endpoint(const char **cursor, struct endpoint *out)
{
	const char *p = *cursor;
	struct endpoint ep = {0};

	if (*p != '[' && strspn(p, "0123456789.") == 0)
		return false;
	if (!parse_address(&p, &ep) || !parse_literal(&p, ":") || !parse_port(&p, &ep.port))
		return false;
	*out = ep;
	*cursor = p;
	return true;
}

bool parse_cidr(const char **cursor, struct cidr *out)
{
	const char *p = *cursor;
	struct endpoint ep = {0};
	struct cidr net = {.bits = 128};

	if (!parse_address(&p, &ep))
		return false;
	memcpy(net.addr, ep.addr, sizeof(net.addr));
	if (*p == '/') {
		/* A mapped address written as IPv6 keeps IPv6's count of bits. */
		bool v4 = !memchr(*cursor, ':', (size_t)(p - *cursor));
		uint32_t bits;

		p++;
		if (!parse_u32(&p, &bits) || bits > (v4 ? 32u : 128u))
			return false;
		net.bits = (uint8_t)(v4 ? bits + 96 : bits);
	}
	*out = net;
	*cursor = p;
	return true;
}

char *format_duration(uint32_t ms, char *buf, size_t size)
{
	size_t i = UNIT_COUNT - 1;

	while (i > 0 && (ms == 0 || ms % units[i].ms))
		i--;
	snprintf(buf, size, "%u%s", ms / units[i].ms, units[i].suffix);
	return buf;
}

char *format_size(uint64_t bytes, char *buf, size_t size)
{
	size_t i = SIZE_UNIT_COUNT - 1;

	while (i > 0 && (bytes == 0 || bytes % (1ULL << size_units[i].shift)))
		i--;
	snprintf(buf, size, "%llu%s", (unsigned long long)(bytes >> size_units[i].shift),
		 size_units[i].suffix);
	return buf;
}

/* One bracket expression against c. Returns what follows it, or NULL if it is not closed: then
 * '[' is an ordinary character, as in fnmatch(3). */
static const char *glob_bracket(const char *p, unsigned char c, bool *matched)
{
	bool negate = *p == '!' || *p == '^', found = false;

	if (negate)
		p++;
	for (bool first = true; first || *p != ']'; first = false) {
		unsigned char lo = (unsigned char)*p, hi = lo;

		if (!lo)
			return NULL;
		if (p[1] == '-' && p[2] && p[2] != ']') {
			hi = (unsigned char)p[2];
			p += 2;
		}
		p++;
		found |= lo <= c && c <= hi;
	}
	*matched = found != negate;
	return p + 1;
}

/* One pattern character or bracket (not '*') against c; returns what follows it. */
static const char *glob_one(const char *p, char c, bool *matched)
{
	if (*p == '[') {
		const char *after = glob_bracket(p + 1, (unsigned char)c, matched);

		if (after)
			return after;
	}
	if (*p == '\\' && p[1])
		p++;
	else if (*p == '?') {
		*matched = true;
		return p + 1;
	}
	*matched = *p == c;
	return p + 1;
}

bool glob_match(const char *pattern, const char *text)
{
	const char *star = NULL, *retry = NULL;

	while (*text) {
		bool matched = false;
		const char *after;

		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
			continue;
		}
		after = *pattern ? glob_one(pattern, *text, &matched) : pattern;
		if (matched) {
			pattern = after;
			text++;
		} else if (star) {
			pattern = star;
			text = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
