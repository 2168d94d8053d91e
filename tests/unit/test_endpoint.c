/* SPDX-License-Identifier: MIT */
#include "common/endpoint.h"

#include "common/parse.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

static struct endpoint endpoint_v4(const char *text, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

	assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
	return endpoint_from_sockaddr((struct sockaddr *)&in, sizeof(in));
}

static struct endpoint endpoint_v6(const char *text, uint16_t port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return endpoint_from_sockaddr((struct sockaddr *)&in6, sizeof(in6));
}

static struct cidr network(const char *text)
{
	struct cidr net;

	assert_true(parse_cidr(&text, &net));
	assert_true(parse_end(text));
	return net;
}

static void v4_and_v4_mapped_are_the_same(void **state)
{
	struct endpoint a = endpoint_v4("10.0.0.1", 80), b = endpoint_v6("::ffff:10.0.0.1", 80);
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	assert_true(endpoint_equal(&a, &b));
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(b.family, AF_INET);
	assert_string_equal(endpoint_format(&b, text, sizeof(text)), "10.0.0.1:80");
}

static void port_and_address_tell_endpoints_apart(void **state)
{
	struct endpoint a = endpoint_v4("10.0.0.1", 80), port = endpoint_v4("10.0.0.1", 81);
	struct endpoint addr = endpoint_v4("10.0.0.2", 80), v6 = endpoint_v6("2001:db8::1", 80);

	(void)state;
	assert_false(endpoint_equal(&a, &port));
	assert_true(endpoint_same_addr(&a, &port));
	assert_false(endpoint_equal(&a, &addr));
	assert_false(endpoint_same_addr(&a, &addr));
	assert_false(endpoint_same_addr(&a, &v6));
}

static void what_is_not_known_equals_nothing(void **state)
{
	struct endpoint none = {0}, any = endpoint_v6("::", 0);

	(void)state;
	assert_false(endpoint_equal(&none, &none));
	assert_false(endpoint_same_addr(&none, &any));
}

static void other_families_and_short_addresses_are_not_known(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = 1};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	(void)state;
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&un, sizeof(un)).family, 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&in, 4).family, 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&in, 0).family, 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&in6, sizeof(in)).family, 0);
}

static void any_addresses(void **state)
{
	struct endpoint v4 = endpoint_v4("0.0.0.0", 80), v6 = endpoint_v6("::", 80);
	struct endpoint host = endpoint_v4("0.0.0.1", 0), loopback = endpoint_v6("::1", 0);

	(void)state;
	assert_true(endpoint_is_any(&v4));
	assert_true(endpoint_is_any(&v6));
	assert_false(endpoint_is_any(&host));
	assert_false(endpoint_is_any(&loopback));
}

static void written_as_people_write_them(void **state)
{
	struct endpoint v4 = endpoint_v4("192.0.2.7", 65535), v6 = endpoint_v6("2001:db8::1", 80);
	struct endpoint none = {0};
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	assert_string_equal(endpoint_format(&v4, text, sizeof(text)), "192.0.2.7:65535");
	assert_string_equal(endpoint_format_addr(&v4, text, sizeof(text)), "192.0.2.7");
	assert_string_equal(endpoint_format(&v6, text, sizeof(text)), "[2001:db8::1]:80");
	assert_string_equal(endpoint_format_addr(&v6, text, sizeof(text)), "2001:db8::1");
	assert_string_equal(endpoint_format(&none, text, sizeof(text)), "*:0");
	assert_string_equal(endpoint_format_addr(&none, text, sizeof(text)), "*");
}

static void a_short_buffer_is_not_overrun(void **state)
{
	struct endpoint v6 = endpoint_v6("2001:db8:1111:2222:3333:4444:5555:6666", 65535);
	char text[12];

	(void)state;
	memset(text, 'x', sizeof(text));
	endpoint_format(&v6, text, 8);
	assert_string_equal(text, "[2001:d");
	assert_int_equal(text[8], 'x');
}

static void the_longest_fits(void **state)
{
	struct endpoint v6 = endpoint_v6("1111:2222:3333:4444:5555:6666:7777:8888", 65535);
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	assert_string_equal(endpoint_format(&v6, text, sizeof(text)),
			    "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}

static const struct contains_row {
	const char *name, *net, *addr;
	bool inside;
} contains_rows[] = {
	{"10/8 has 10.255.0.1", "10.0.0.0/8", "10.255.0.1", true},
	{"10/8 has not 11.0.0.1", "10.0.0.0/8", "11.0.0.1", false},
	{"/20 has its last", "10.1.16.0/20", "10.1.31.255", true},
	{"/20 has not the next", "10.1.16.0/20", "10.1.32.0", false},
	{"/20 has not the one before", "10.1.16.0/20", "10.1.15.255", false},
	{"a host has itself", "192.0.2.1", "192.0.2.1", true},
	{"a host has not its neighbour", "192.0.2.1", "192.0.2.0", false},
	{"/31 has both", "192.0.2.0/31", "192.0.2.1", true},
	{"0/0 has every IPv4", "0.0.0.0/0", "203.0.113.9", true},
	{"0/0 has no IPv6", "0.0.0.0/0", "2001:db8::1", false},
	{"::/0 has every IPv6", "::/0", "2001:db8::1", true},
	{"::/0 has IPv4 as well", "::/0", "10.0.0.1", true},
	{"v6 /32 has its own", "2001:db8::/32", "2001:db8:ffff::1", true},
	{"v6 /32 has no other", "2001:db8::/32", "2001:db9::1", false},
	{"v6 /33 splits", "2001:db8::/33", "2001:db8:8000::1", false},
	{"host bits in the network do not matter", "10.1.2.3/8", "10.9.9.9", true},
	{"10/8 has the v4-mapped address", "10.0.0.0/8", "::ffff:10.1.2.3", true},
	{"a mapped network has IPv4", "::ffff:10.0.0.0/104", "10.1.2.3", true},
};

static void contains_row(void **state)
{
	const struct contains_row *row = *state;
	struct cidr net = network(row->net);
	struct endpoint ep =
		strchr(row->addr, ':') ? endpoint_v6(row->addr, 1) : endpoint_v4(row->addr, 1);

	assert_int_equal(cidr_contains(&net, &ep), row->inside);
}

static void a_network_never_contains_the_unknown(void **state)
{
	struct cidr all = network("::/0"), broken = {.bits = 200};
	struct endpoint none = {0}, ep = endpoint_v4("10.0.0.1", 1);

	(void)state;
	assert_false(cidr_contains(&all, &none));
	/* from a page that something else wrote */
	assert_false(cidr_contains(&broken, &ep));
}

/* The last: not all of its prefix is of mapped addresses. */
static const char *const network_texts[] = {
	"10.0.0.0/8", "0.0.0.0/0",   "192.0.2.1",    "2001:db8::/32",
	"::/0",	      "2001:db8::1", "192.0.2.0/31", "::ffff:10.0.0.0/40",
};

static void networks_read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(network_texts); i++) {
		struct cidr net = network(network_texts[i]);
		char text[64];

		assert_string_equal(cidr_format(&net, text, sizeof(text)), network_texts[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest fixed[] = {
		cmocka_unit_test(v4_and_v4_mapped_are_the_same),
		cmocka_unit_test(port_and_address_tell_endpoints_apart),
		cmocka_unit_test(what_is_not_known_equals_nothing),
		cmocka_unit_test(other_families_and_short_addresses_are_not_known),
		cmocka_unit_test(any_addresses),
		cmocka_unit_test(written_as_people_write_them),
		cmocka_unit_test(a_short_buffer_is_not_overrun),
		cmocka_unit_test(the_longest_fits),
		cmocka_unit_test(a_network_never_contains_the_unknown),
		cmocka_unit_test(networks_read_back),
	};
	struct CMUnitTest tests[ARRAY_SIZE(fixed) + ARRAY_SIZE(contains_rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < ARRAY_SIZE(contains_rows); i++)
		tests[ARRAY_SIZE(fixed) + i] =
			unit_row(contains_rows[i].name, contains_row, &contains_rows[i]);
	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
