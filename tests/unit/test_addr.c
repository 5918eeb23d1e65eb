/* SPDX-License-Identifier: BSD-2-Clause */
/* core/addr: addresses, prefixes, ports and endpoints as text, and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/addr.h"

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void addresses_are_parsed(void **state)
{
	static const char *const good[] = {
		"0.0.0.0", "192.0.2.1",	  "255.255.255.255", "::",
		"::1",	   "2001:db8::1", "fe80::1",	     "::ffff:192.0.2.1"};
	static const char *const bad[] = {"",	      "1.2.3",	  "1.2.3.4.5", "1.2.3.256",
					  "a",	      "1.2.3.4 ", " 1.2.3.4",  "[::1]",
					  "::1%eth0", ":::",	  "1.2.3.4/8", "2001:db8::g",
					  "localhost"};
	char text[ADDR_STRLEN];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		a = addr_of(good[i]);
		assert_string_equal(addr_format(&a, text, sizeof(text)), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(addr_parse(bad[i], &a), -EINVAL);
	a = (struct addr){0};
	assert_string_equal(addr_format(&a, text, sizeof(text)), "-");
}

static void unused_bytes_are_zero(void **state)
{
	static const uint8_t zero[12];
	struct addr a;

	(void)state;
	memset(&a, 0xaa, sizeof(a));
	assert_int_equal(addr_parse("192.0.2.1", &a), 0);
	assert_memory_equal(a.bytes + 4, zero, sizeof(zero));
}

static void prefixes_are_parsed(void **state)
{
	static const char *const bad[] = {"10.0.0.0/33", "10.0.0.0/",
					  "10.0.0.0/-1", "10.0.0.0/08",
					  "10.0.0.0/8x", "/8",
					  "::/129",	 "10.0.0/8",
					  "10.0.0.0/+8", "10.0.0.0/99999999999999999999"};
	struct addr a;
	unsigned len;

	(void)state;
	assert_int_equal(addr_parse_prefix("10.0.0.0/8", true, &a, &len), 0);
	assert_int_equal(len, 8);
	assert_int_equal(addr_parse_prefix("10.0.0.1", true, &a, &len), 0);
	assert_int_equal(len, 32);
	assert_int_equal(addr_parse_prefix("2001:db8::/32", true, &a, &len), 0);
	assert_int_equal(len, 32);
	assert_int_equal(addr_parse_prefix("2001:db8::1", true, &a, &len), 0);
	assert_int_equal(len, 128);
	assert_int_equal(addr_parse_prefix("0.0.0.0/0", true, &a, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(addr_parse_prefix("10.0.0.1/8", true, &a, &len), -EINVAL);
	assert_int_equal(addr_parse_prefix("10.0.0.1/31", true, &a, &len), -EINVAL);
	assert_int_equal(addr_parse_prefix("10.0.0.1/8", false, &a, &len), 0);
	assert_int_equal(addr_parse_prefix("2001:db8::1/127", true, &a, &len), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(addr_parse_prefix(bad[i], false, &a, &len), -EINVAL);
}

static void ports_are_parsed(void **state)
{
	static const char *const bad[] = {"",	"0",  "65536", "080",	    "-1",
					  "+1", "1 ", "8o",    "4294967297"};
	uint16_t port;

	(void)state;
	assert_int_equal(port_parse("1", &port), 0);
	assert_int_equal(port, 1);
	assert_int_equal(port_parse("65535", &port), 0);
	assert_int_equal(port, 65535);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(port_parse(bad[i], &port), -EINVAL);
}

static void endpoints_are_parsed(void **state)
{
	static const struct {
		const char *text;
		uint16_t port;
		const char *again;
	} good[] = {
		{"192.0.2.1", 0, "192.0.2.1"},
		{"192.0.2.1:80", 80, "192.0.2.1:80"},
		{"[2001:db8::1]:443", 443, "[2001:db8::1]:443"},
		{"[2001:db8::1]", 0, "2001:db8::1"},
		{"2001:db8::1", 0, "2001:db8::1"},
	};
	static const char *const bad[] = {
		"",	"192.0.2.1:",  "192.0.2.1:0", "192.0.2.1:80:80", "[192.0.2.1]:80",
		"[::1", "[::1]x",      "[::1]:",      "::1]:80",	 "[]:80",
		":80",	"[::1]:65536", "[::1%lo]:80"};
	char text[ENDPOINT_STRLEN];
	struct endpoint ep;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(endpoint_parse(good[i].text, &ep), 0);
		assert_int_equal(ep.port, good[i].port);
		assert_string_equal(endpoint_format(&ep, text, sizeof(text)), good[i].again);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(endpoint_parse(bad[i], &ep), -EINVAL);
}

static void the_longest_endpoint_fits(void **state)
{
	static const char longest[] = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535";
	char text[ENDPOINT_STRLEN];
	struct endpoint ep;

	(void)state;
	assert_int_equal(endpoint_parse(longest, &ep), 0);
	assert_string_equal(endpoint_format(&ep, text, sizeof(text)), longest);
}

static void order_is_total(void **state)
{
	static const char *const sorted[] = {"10.0.0.1",    "10.0.0.1:80",     "10.0.0.1:81",
					     "10.0.0.2",    "2001:db8::1",     "[2001:db8::1]:1",
					     "2001:db8::2", "[2001:db8::2]:80"};
	const size_t count = sizeof(sorted) / sizeof(sorted[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			struct endpoint a, b;
			int c;

			assert_int_equal(endpoint_parse(sorted[i], &a), 0);
			assert_int_equal(endpoint_parse(sorted[j], &b), 0);
			c = endpoint_cmp(&a, &b);
			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
		}
	}
}

static void kinds_are_known(void **state)
{
	struct addr none = {0}, a;

	(void)state;
	assert_false(addr_is_unspecified(&none));
	a = addr_of("0.0.0.0");
	assert_true(addr_is_unspecified(&a));
	a = addr_of("::");
	assert_true(addr_is_unspecified(&a));
	assert_false(addr_is_loopback(&a));
	a = addr_of("127.1.2.3");
	assert_true(addr_is_loopback(&a));
	a = addr_of("::1");
	assert_true(addr_is_loopback(&a));
	assert_false(addr_is_unspecified(&a));
	a = addr_of("128.0.0.1");
	assert_false(addr_is_loopback(&a));
}

static void sockaddrs_go_both_ways(void **state)
{
	static const char *const texts[] = {"192.0.2.1:80", "[2001:db8::1]:443"};
	struct sockaddr_storage ss;
	struct endpoint ep, back;
	socklen_t len;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(endpoint_parse(texts[i], &ep), 0);
		endpoint_to_sockaddr(&ep, &ss, &len);
		assert_int_equal(len, i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), 0);
		assert_int_equal(endpoint_cmp(&ep, &back), 0);
	}
	ss.ss_family = AF_UNIX;
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), -EAFNOSUPPORT);
}

static void every_byte_of_an_address_is_written(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 256; n++) {
		uint8_t bytes[] = {(uint8_t)n, (uint8_t)(n + 7), (uint8_t)(255 - n),
				   (uint8_t)(n * 3)};
		struct addr a = {.family = AF_INET};
		char text[ADDR_STRLEN], want[ADDR_STRLEN];

		memcpy(a.bytes, bytes, sizeof(bytes));
		assert_non_null(inet_ntop(AF_INET, &a.v4, want, sizeof(want)));
		assert_string_equal(addr_format(&a, text, sizeof(text)), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_parsed),
		cmocka_unit_test(every_byte_of_an_address_is_written),
		cmocka_unit_test(unused_bytes_are_zero),
		cmocka_unit_test(prefixes_are_parsed),
		cmocka_unit_test(ports_are_parsed),
		cmocka_unit_test(endpoints_are_parsed),
		cmocka_unit_test(the_longest_endpoint_fits),
		cmocka_unit_test(order_is_total),
		cmocka_unit_test(kinds_are_known),
		cmocka_unit_test(sockaddrs_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
