/* SPDX-License-Identifier: MIT */
/* Each parser: what it takes, how far it reads, and that it changes nothing when it refuses. */
#include "common/parse.h"

#include "tests/unit/unit.h"

#include <string.h>
#include <sys/socket.h>

#define REFUSED UINT32_MAX

static const struct number_row {
	const char *text;
	uint32_t value; /* REFUSED: none */
	const char *rest;
} u32_rows[] =
	{
		{"0", 0, ""},
		{"42", 42, ""},
		{"007", 7, ""},
		{"80,81", 80, ",81"},
		{"4294967294", 4294967294u, ""},
		{"4294967296", REFUSED, NULL},
		{"99999999999999999999", REFUSED, NULL},
		{"", REFUSED, NULL},
		{"-1", REFUSED, NULL},
		{"+1", REFUSED, NULL},
		{" 1", REFUSED, NULL},
		{"x", REFUSED, NULL},
},
  duration_rows[] =
	  {
		  {"500ms", 500, ""},
		  {"5s", 5000, ""},
		  {"2m", 120000, ""},
		  {"1h", 3600000, ""},
		  {"0", 0, ""},
		  {"0ms", 0, ""},
		  {"60s/10s/5", 60000, "/10s/5"},
		  {"2147483647ms", 2147483647, ""},
		  {"2147483648ms", REFUSED, NULL},
		  {"600h", REFUSED, NULL},
		  {"5", REFUSED, NULL},
		  {"s", REFUSED, NULL},
		  {"5 s", REFUSED, NULL},
		  {"", REFUSED, NULL},
		  {"-5s", REFUSED, NULL},
		  {"1d", REFUSED, NULL},
		  {"4294967297s", REFUSED, NULL},
		  {"1.5s", REFUSED, NULL},
},
  port_rows[] = {
	  {"80", 80, ""},	   {"1", 1, ""},	 {"65535", 65535, ""},
	  {"80-90", 80, "-90"},	   {"0", REFUSED, NULL}, {"65536", REFUSED, NULL},
	  {"http", REFUSED, NULL},
};

static void check_number(const struct number_row *row, bool taken, uint32_t value,
			 const char *cursor)
{
	if (row->value == REFUSED) {
		if (taken)
			fail_msg("\"%s\" was taken", row->text);
		assert_ptr_equal(cursor, row->text);
		assert_int_equal(value, 77);
		return;
	}
	if (!taken)
		fail_msg("\"%s\" was refused", row->text);
	assert_int_equal(value, row->value);
	assert_string_equal(cursor, row->rest);
}

static void numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(u32_rows); i++) {
		const char *cursor = u32_rows[i].text;
		uint32_t value = 77;
		bool taken = parse_u32(&cursor, &value);

		check_number(&u32_rows[i], taken, value, cursor);
	}
}

static void durations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(duration_rows); i++) {
		const char *cursor = duration_rows[i].text;
		uint32_t value = 77;
		bool taken = parse_duration(&cursor, &value);

		check_number(&duration_rows[i], taken, value, cursor);
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text, *rest, *again;
		uint64_t value;
	} rows[] = {
		{"0", "", "0", 0},
		{"4096", "", "4K", 4096},
		{"4097", "", "4097", 4097},
		{"512K", "", "512K", 512ULL << 10},
		{"65536K", "", "64M", 64ULL << 20},
		{"1024M", "", "1G", 1ULL << 30},
		{"4294967295G", "", "4294967295G", 4294967295ULL << 30},
		{"64MB", "B", "64M", 64ULL << 20},
		{"64 M", " M", "64", 64},
		{"64k", "k", "64", 64},
	};
	static const char *const refused[] = {"", "M", "-1", "4294967296", " 1"};
	const char *cursor;
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[SIZE_TEXT_MAX];

		cursor = rows[i].text;
		assert_true(parse_size(&cursor, &value));
		assert_int_equal(value, rows[i].value);
		assert_string_equal(cursor, rows[i].rest);
		assert_string_equal(format_size(value, text, sizeof(text)), rows[i].again);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		cursor = refused[i];
		value = 77;
		assert_false(parse_size(&cursor, &value));
		assert_ptr_equal(cursor, refused[i]);
		assert_int_equal(value, 77);
	}
}

static void ports(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(port_rows); i++) {
		const char *cursor = port_rows[i].text;
		uint16_t value = 77;
		bool taken = parse_port(&cursor, &value);

		check_number(&port_rows[i], taken, value, cursor);
	}
}

static void the_shortest_duration_is_printed(void **state)
{
	static const struct {
		uint32_t ms;
		const char *text;
	} rows[] = {
		{0, "0ms"},
		{1, "1ms"},
		{500, "500ms"},
		{1000, "1s"},
		{1500, "1500ms"},
		{60000, "1m"},
		{90000, "90s"},
		{120000, "2m"},
		{3600000, "1h"},
		{5400000, "90m"},
		{INT32_MAX, "2147483647ms"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[DURATION_TEXT_MAX];
		const char *cursor = text;
		uint32_t ms;

		assert_string_equal(format_duration(rows[i].ms, text, sizeof(text)), rows[i].text);
		assert_true(parse_duration(&cursor, &ms));
		assert_int_equal(ms, rows[i].ms);
	}
}

static void literals(void **state)
{
	const char *cursor = "peer, app";

	(void)state;
	assert_false(parse_literal(&cursor, "app"));
	assert_string_equal(cursor, "peer, app");
	assert_true(parse_literal(&cursor, "peer"));
	assert_string_equal(cursor, ", app");
	assert_false(parse_literal(&cursor, ", application"));
	assert_true(parse_literal(&cursor, ", app"));
	assert_true(parse_end(cursor));
}

static void port_ranges(void **state)
{
	static const char *const bad[] = {"",	 "0",	     "90-80", "80-",
					  "-80", "80-70000", "0-80",  "a-b"};
	const char *cursor = "8000-8099,443";
	struct port_range range = {1, 2};

	(void)state;
	assert_true(parse_port_range(&cursor, &range));
	assert_int_equal(range.lo, 8000);
	assert_int_equal(range.hi, 8099);
	assert_string_equal(cursor, ",443");
	cursor = "443";
	assert_true(parse_port_range(&cursor, &range));
	assert_int_equal(range.lo, 443);
	assert_int_equal(range.hi, 443);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cursor = bad[i];
		if (parse_port_range(&cursor, &range))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_ptr_equal(cursor, bad[i]);
		assert_int_equal(range.lo, 443);
	}
}

static const struct address_row {
	const char *text, *printed; /* printed NULL: refused */
	const char *rest;
	int family;
} address_rows[] = {
	{"10.0.0.1", "10.0.0.1", "", AF_INET},
	{"10.0.0.1/8", "10.0.0.1", "/8", AF_INET},
	{"10.0.0.1:80", "10.0.0.1", ":80", AF_INET},
	{"2001:db8::1", "2001:db8::1", "", AF_INET6},
	{"2001:db8::1/64", "2001:db8::1", "/64", AF_INET6},
	{"[2001:db8::1]:80", "2001:db8::1", ":80", AF_INET6},
	{"[::1]", "::1", "", AF_INET6},
	{"::", "::", "", AF_INET6},
	{"fe80::a", "fe80::a", "", AF_INET6},
	{"::ffff:10.0.0.1", "10.0.0.1", "", AF_INET},
	{"[::ffff:10.0.0.1]:80", "10.0.0.1", ":80", AF_INET},
	{"", NULL, NULL, 0},
	{"10.0.0", NULL, NULL, 0},
	{"10.0.0.256", NULL, NULL, 0},
	{"10.0.0.1.2", NULL, NULL, 0},
	{"[10.0.0.1]", NULL, NULL, 0},
	{"[::1", NULL, NULL, 0},
	{"2001:db8", NULL, NULL, 0},
	{":::1", NULL, NULL, 0},
	{"localhost", NULL, NULL, 0},
	{"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111", NULL, NULL, 0},
};

static void addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(address_rows); i++) {
		const struct address_row *row = &address_rows[i];
		const char *cursor = row->text;
		struct endpoint ep = {.port = 7};
		char text[ENDPOINT_TEXT_MAX];

		if (parse_address(&cursor, &ep) != (row->printed != NULL))
			fail_msg("\"%s\" was %s", row->text, row->printed ? "refused" : "taken");
		assert_int_equal(ep.port, 7);
		assert_int_equal(ep.family, row->family);
		assert_string_equal(cursor, row->printed ? row->rest : row->text);
		if (row->printed)
			assert_string_equal(endpoint_format_addr(&ep, text, sizeof(text)),
					    row->printed);
	}
}

static void endpoints(void **state)
{
	static const char *const good[] = {"10.0.0.1:80", "[2001:db8::1]:443", "0.0.0.0:1"};
	static const char *const bad[] = {
		"10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "2001:db8::1", "[::1]",
		":80",	    "host:80",	 "",	       "[::1]:http",	 "80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const char *cursor = good[i];
		struct endpoint ep;
		char text[ENDPOINT_TEXT_MAX];

		assert_true(parse_endpoint(&cursor, &ep));
		assert_true(parse_end(cursor));
		assert_string_equal(endpoint_format(&ep, text, sizeof(text)), good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *cursor = bad[i];
		struct endpoint ep = {.port = 7};

		if (parse_endpoint(&cursor, &ep))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_ptr_equal(cursor, bad[i]);
		assert_int_equal(ep.port, 7);
	}
}

static void networks(void **state)
{
	static const char *const bad[] = {"10.0.0.0/33", "10.0.0.0/", "2001:db8::/129", "/8", "",
					  "10.0.0.0/-1", "10/8"};
	const char *cursor = "10.0.0.0/8";
	struct cidr net;

	(void)state;
	assert_true(parse_cidr(&cursor, &net));
	assert_int_equal(net.bits, 104);
	cursor = "10.0.0.1";
	assert_true(parse_cidr(&cursor, &net));
	assert_int_equal(net.bits, 128);
	cursor = "2001:db8::/32";
	assert_true(parse_cidr(&cursor, &net));
	assert_int_equal(net.bits, 32);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cursor = bad[i];
		if (parse_cidr(&cursor, &net))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_ptr_equal(cursor, bad[i]);
		assert_int_equal(net.bits, 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),     cmocka_unit_test(durations),
		cmocka_unit_test(sizes),       cmocka_unit_test(the_shortest_duration_is_printed),
		cmocka_unit_test(literals),    cmocka_unit_test(ports),
		cmocka_unit_test(port_ranges), cmocka_unit_test(addresses),
		cmocka_unit_test(endpoints),   cmocka_unit_test(networks),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
