/* SPDX-License-Identifier: MIT */
/* The parsers of common/: a failure modifies nothing, and what was read is printed and read back
 * the same. The glob goes by fnmatch(3). */
#include "common/parse.h"
#include "common/tcp_state.h"

#include "tests/fuzz/fuzz.h"

#include <fnmatch.h>

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* PARSE(name, type, format): the same text printed from what is read, and from that read again. */
#define CHECK(name, type, parser, printer)                                   \
	static void check_##name(const char *text)                           \
	{                                                                    \
		type first, second, before;                                  \
		const char *cursor = text, *again;                           \
		char a[ENDPOINT_TEXT_MAX + 8], b[sizeof(a)];                 \
                                                                             \
		memset(&first, 0x5a, sizeof(first));                         \
		before = first;                                              \
		if (!parser(&cursor, &first)) {                              \
			fuzz_check(cursor == text);                          \
			fuzz_check(!memcmp(&first, &before, sizeof(first))); \
			return;                                              \
		}                                                            \
		fuzz_check(cursor > text && cursor <= text + strlen(text));  \
		again = printer(&first, a, sizeof(a));                       \
		memset(&second, 0x5a, sizeof(second));                       \
		fuzz_check(parser(&again, &second) && parse_end(again));     \
		fuzz_check(!strcmp(printer(&second, b, sizeof(b)), a));      \
	}

static char *print_u32(const uint32_t *value, char *buf, size_t size)
{
	snprintf(buf, size, "%u", *value);
	return buf;
}

static char *print_duration(const uint32_t *ms, char *buf, size_t size)
{
	return format_duration(*ms, buf, size < DURATION_TEXT_MAX ? size : DURATION_TEXT_MAX);
}

static char *print_size(const uint64_t *bytes, char *buf, size_t size)
{
	return format_size(*bytes, buf, size);
}

static char *print_range(const struct port_range *range, char *buf, size_t size)
{
	snprintf(buf, size, "%u-%u", range->lo, range->hi);
	return buf;
}

CHECK(u32, uint32_t, parse_u32, print_u32)
CHECK(duration, uint32_t, parse_duration, print_duration)
CHECK(size, uint64_t, parse_size, print_size)
CHECK(range, struct port_range, parse_port_range, print_range)
CHECK(address, struct endpoint, parse_address, endpoint_format_addr)
CHECK(endpoint, struct endpoint, parse_endpoint, endpoint_format)
CHECK(cidr, struct cidr, parse_cidr, cidr_format)

/* "PATTERN\nTEXT". What fnmatch(3) knows beyond ours, the classes of POSIX brackets, is left out.
 */
static void check_glob(char *text)
{
	char *newline = strchr(text, '\n');

	if (!newline)
		return;
	*newline = '\0';
	if (strlen(text) < 64 && strlen(newline + 1) < 64 && !strpbrk(text, "[]\\"))
		fuzz_check(glob_match(text, newline + 1) == !fnmatch(text, newline + 1, 0));
	else
		glob_match(text, newline + 1);
	*newline = '\n';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	check_u32(text);
	check_size(text);
	check_duration(text);
	check_range(text);
	check_address(text);
	check_endpoint(text);
	check_cidr(text);
	check_glob(text);
	fuzz_check(tcp_state_parse(text) < STATE_COUNT);
	free(text);
	return 0;
}
