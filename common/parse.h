/* SPDX-License-Identifier: MIT */
/* Parsers that compose: each reads from *cursor, and on success stores the value
 * and advances the cursor past it; on failure nothing is modified. */
#ifndef COMMON_PARSE_H
#define COMMON_PARSE_H

#include "common/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

struct port_range {
	uint16_t lo, hi; /* lo <= hi */
};

bool parse_literal(const char **cursor, const char *text);
bool parse_u32(const char **cursor, uint32_t *out);
/* "500ms", "5s", "2m", "1h"; a bare 0 is allowed. Milliseconds, below 2^31. */
bool parse_duration(const char **cursor, uint32_t *out_ms);
/* "4096", "512K", "64M", "2G": bytes, by 1024s */
bool parse_size(const char **cursor, uint64_t *out);
bool parse_port(const char **cursor, uint16_t *out); /* 1 to 65535 */
/* "80" or "8000-8099" */
bool parse_port_range(const char **cursor, struct port_range *out);
/* "10.0.0.1", "2001:db8::1" or "[2001:db8::1]"; sets addr and family */
bool parse_address(const char **cursor, struct endpoint *out);
/* An address and ":port"; IPv6 in brackets. */
bool parse_endpoint(const char **cursor, struct endpoint *out);
/* "10.0.0.0/8", "2001:db8::/32", or a bare address for one host */
bool parse_cidr(const char **cursor, struct cidr *out);

/* True if the cursor is at the end of its text. */
static inline bool parse_end(const char *cursor)
{
	return *cursor == '\0';
}

/* The shortest of "90s", "1500ms", "2m", "1h" that says exactly ms. Returns buf. */
#define DURATION_TEXT_MAX 16
char *format_duration(uint32_t ms, char *buf, size_t size);
/* The same of parse_size(). */
#define SIZE_TEXT_MAX 24
char *format_size(uint64_t bytes, char *buf, size_t size);

/* Does text match the pattern? '*', '?', '[a-z]', '[!a-z]' and '\' as fnmatch(3) has
 * them without flags, in the C locale; async-signal-safe, no allocation. */
bool glob_match(const char *pattern, const char *text);

#endif
