/* SPDX-License-Identifier: BSD-2-Clause */
/* PROXY headers: what is read, what is refused, and that what is written is read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "l7/proxy_header.h"

#define SIGNATURE     "\r\n\r\n\0\r\nQUIT\n"
#define LITERAL(text) (text), (sizeof(text) - 1)

/* Every strict prefix asks for more; the whole is n. */
static int read_all_prefixes(const char *bytes, size_t len, struct proxy_header *h)
{
	int n = proxy_header_read(bytes, len, h);

	for (size_t i = 0; n > 0 && i < (size_t)n; i++) {
		struct proxy_header other;

		assert_int_equal(proxy_header_read(bytes, i, &other), PROXY_HEADER_MORE);
	}
	return n;
}

static void assert_endpoint(const struct endpoint *ep, const char *expected)
{
	char text[ENDPOINT_STRLEN];

	assert_string_equal(endpoint_format(ep, text, sizeof(text)), expected);
}

static void test_v1(void **state)
{
	static const char text[] = "PROXY TCP4 192.0.2.1 203.0.113.7 56324 443\r\nGET";
	struct proxy_header h;

	(void)state;
	assert_int_equal(read_all_prefixes(LITERAL(text), &h), sizeof(text) - 1 - 3);
	assert_true(h.has_endpoints);
	assert_endpoint(&h.source, "192.0.2.1:56324");
	assert_endpoint(&h.destination, "203.0.113.7:443");
	assert_int_equal(read_all_prefixes(LITERAL("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), &h),
			 36);
	assert_endpoint(&h.source, "[2001:db8::1]:1");
	assert_endpoint(&h.destination, "[::1]:65535");
}

static void test_v1_unknown(void **state)
{
	struct proxy_header h;

	(void)state;
	assert_int_equal(read_all_prefixes(LITERAL("PROXY UNKNOWN\r\n"), &h), 15);
	assert_false(h.has_endpoints);
	assert_int_equal(read_all_prefixes(LITERAL("PROXY UNKNOWN any thing  at all\r\n"), &h), 33);
	assert_false(h.has_endpoints);
}

static void test_v1_refused(void **state)
{
	static const char *const bad[] = {
		"PROXY TCP4 192.0.2.1 203.0.113.7 56324 443\n",
		"PROXY TCP4 192.0.2.1 203.0.113.7 56324 443\rX",
		"PROXY TCP4 192.0.2.1 203.0.113.7 56324 443 \r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.7 56324 443 1\r\n",
		"PROXY  TCP4 192.0.2.1 203.0.113.7 56324 443\r\n",
		"PROXY TCP4  192.0.2.1 203.0.113.7 56324 443\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.7 56324\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.7 056324 443\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.7 65536 443\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.7 +1 443\r\n",
		"PROXY TCP4 192.0.2.01 203.0.113.7 1 443\r\n",
		"PROXY TCP4 192.0.2 203.0.113.7 1 443\r\n",
		"PROXY TCP4 2001:db8::1 ::1 1 443\r\n",
		"PROXY TCP6 192.0.2.1 203.0.113.7 1 443\r\n",
		"PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
		"PROXY TCP5 192.0.2.1 203.0.113.7 1 443\r\n",
		"PROXY tcp4 192.0.2.1 203.0.113.7 1 443\r\n",
		"PROXY UDP4 192.0.2.1 203.0.113.7 1 443\r\n",
		"PROXY TCP4\r\n",
		"PROXY \r\n",
		"PROXY UNKNOWNS\r\n",
	};
	struct proxy_header h;
	char lengthy[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (proxy_header_read(bad[i], strlen(bad[i]), &h) != PROXY_HEADER_INVALID)
			fail_msg("taken: %s", bad[i]);
	/* 107 bytes are the most, line end included. */
	(void)snprintf(lengthy, sizeof(lengthy), "PROXY UNKNOWN %*s\r\n", 91, "");
	assert_int_equal(proxy_header_read(lengthy, strlen(lengthy), &h), 107);
	(void)snprintf(lengthy, sizeof(lengthy), "PROXY UNKNOWN %*s\r\n", 92, "");
	assert_int_equal(proxy_header_read(lengthy, strlen(lengthy), &h), PROXY_HEADER_INVALID);
	assert_int_equal(proxy_header_read(lengthy, 107, &h), PROXY_HEADER_INVALID);
}

static void test_none(void **state)
{
	static const char *const other[] = {"GET / HTTP/1.1\r\n", "PROPFIND", "PROXYING",
					    "\r\n\r\nG", "\x16\x03\x01"};
	struct proxy_header h;

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_int_equal(proxy_header_read(other[i], strlen(other[i]), &h),
				 PROXY_HEADER_NONE);
	assert_int_equal(proxy_header_read("", 0, &h), PROXY_HEADER_MORE);
	assert_int_equal(proxy_header_read("PRO", 3, &h), PROXY_HEADER_MORE);
}

#define TCP4_ADDRESSES "\xc0\0\2\1\xcb\0\x71\7\xdc\4\1\xbb"

static void test_v2(void **state)
{
	static const char tcp4[] = SIGNATURE "\x21\x11\0\x0c" TCP4_ADDRESSES "rest";
	static const char tlvs[] = SIGNATURE "\x21\x11\0\x23" TCP4_ADDRESSES "\2\0\3a.b"
					     "\4\0\0"
					     "\1\0\2h2"
					     "\xee\0\1!"
					     "\5\0\2id";
	struct proxy_header h;

	(void)state;
	assert_int_equal(read_all_prefixes(LITERAL(tcp4), &h), 28);
	assert_true(h.has_endpoints);
	assert_endpoint(&h.source, "192.0.2.1:56324");
	assert_endpoint(&h.destination, "203.0.113.7:443");
	assert_int_equal(read_all_prefixes(LITERAL(tlvs), &h), sizeof(tlvs) - 1);
	assert_true(slice_eq(h.authority, SLICE("a.b")));
	assert_true(slice_eq(h.alpn, SLICE("h2")));
	assert_true(slice_eq(h.unique_id, SLICE("id")));
}

static void test_v2_without_endpoints(void **state)
{
	static const char local[] = SIGNATURE "\x20\x11\0\x0f" TCP4_ADDRESSES "\7\xff\xff";
	static const char unspecified[] = SIGNATURE "\x21\0\0\4abcd";
	char path[16 + 216] = SIGNATURE "\x21\x31\0\xd8";
	struct proxy_header h;

	(void)state;
	assert_int_equal(read_all_prefixes(LITERAL(local), &h), sizeof(local) - 1);
	assert_false(h.has_endpoints);
	assert_int_equal(read_all_prefixes(LITERAL(unspecified), &h), 20);
	assert_false(h.has_endpoints);
	assert_int_equal(read_all_prefixes(path, sizeof(path), &h), sizeof(path));
	assert_false(h.has_endpoints);
}

static void test_v2_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{LITERAL(SIGNATURE "\x11\x11\0\x0c" TCP4_ADDRESSES)},	       /* version 1 */
		{LITERAL(SIGNATURE "\x31")},				       /* version 3 */
		{LITERAL(SIGNATURE "\x22\x11\0\x0c" TCP4_ADDRESSES)},	       /* command */
		{LITERAL(SIGNATURE "\x21\x12\0\x0c" TCP4_ADDRESSES)},	       /* UDP */
		{LITERAL(SIGNATURE "\x21\x10\0\x0c" TCP4_ADDRESSES)},	       /* no transport */
		{LITERAL(SIGNATURE "\x21\x41\0\x0c" TCP4_ADDRESSES)},	       /* family */
		{LITERAL(SIGNATURE "\x21\x11\0\x0b" TCP4_ADDRESSES)},	       /* too short */
		{LITERAL(SIGNATURE "\x21\x21\0\x0c" TCP4_ADDRESSES)},	       /* for IPv6 */
		{LITERAL(SIGNATURE "\x21\x11\0\x0d" TCP4_ADDRESSES "\4")},     /* half a TLV */
		{LITERAL(SIGNATURE "\x21\x11\0\x0f" TCP4_ADDRESSES "\4\0\1")}, /* too long */
		{LITERAL(SIGNATURE "\x21\x11\0\x15" TCP4_ADDRESSES "\2\0\0\2\0\3a.b")}, /* twice */
		{LITERAL(SIGNATURE "\x21\x11\0\x12" TCP4_ADDRESSES "\3\0\3abc")}, /* sum's length */
		{LITERAL(SIGNATURE "\x21\x11\0\x13" TCP4_ADDRESSES "\3\0\4abcd")}, /* wrong sum */
		{LITERAL(SIGNATURE "\x21\x11\x1f\xf1")}, /* over the limit */
	};
	struct proxy_header h;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (proxy_header_read(bad[i].bytes, bad[i].len, &h) != PROXY_HEADER_INVALID)
			fail_msg("taken: number %zu", i);
}

static void test_v2_sum(void **state)
{
	/* The sum was computed by another program. */
	char bytes[] = SIGNATURE "\x21\x11\0\x17" TCP4_ADDRESSES "\3\0\4\x53\x28\xa7\x78"
				 "\5\0\1x";
	struct proxy_header h;

	(void)state;
	assert_int_equal(read_all_prefixes(LITERAL(bytes), &h), sizeof(bytes) - 1);
	assert_true(slice_eq(h.unique_id, SLICE("x")));
	for (size_t i = 16; i < sizeof(bytes) - 1; i++) {
		if (i == 28) /* what says that it is a sum */
			continue;
		bytes[i] ^= 1;
		assert_int_not_equal(proxy_header_read(LITERAL(bytes), &h), sizeof(bytes) - 1);
		bytes[i] ^= 1;
	}
}

static void test_written(void **state)
{
	static const char *const ends[][2] = {
		{"192.0.2.1:56324", "203.0.113.7:443"},
		{"[2001:db8::1]:1", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	};
	struct proxy_header h = {0}, again;
	char out[PROXY_WRITE_MAX];
	size_t n;

	(void)state;
	n = proxy_header_write_v1(out, &h);
	assert_int_equal(read_all_prefixes(out, n, &again), n);
	assert_false(again.has_endpoints);
	n = proxy_header_write_v2(out, &h);
	assert_int_equal(read_all_prefixes(out, n, &again), n);
	assert_false(again.has_endpoints);
	for (int i = 0; i < 2; i++) {
		h = (struct proxy_header){.has_endpoints = true,
					  .authority = SLICE("www.example.com"),
					  .alpn = SLICE("http/1.1"),
					  .unique_id = SLICE("\0\1")};
		assert_int_equal(endpoint_parse(ends[i][0], &h.source), 0);
		assert_int_equal(endpoint_parse(ends[i][1], &h.destination), 0);
		for (int version = 1; version <= 2; version++) {
			n = version == 1 ? proxy_header_write_v1(out, &h)
					 : proxy_header_write_v2(out, &h);
			assert_int_equal(read_all_prefixes(out, n, &again), n);
			assert_endpoint(&again.source, ends[i][0]);
			assert_endpoint(&again.destination, ends[i][1]);
			assert_int_equal(slice_eq(again.authority, h.authority), version == 2);
			assert_int_equal(slice_eq(again.alpn, h.alpn), version == 2);
			assert_int_equal(slice_eq(again.unique_id, h.unique_id), version == 2);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),	   cmocka_unit_test(test_v1_unknown),
		cmocka_unit_test(test_v1_refused), cmocka_unit_test(test_none),
		cmocka_unit_test(test_v2),	   cmocka_unit_test(test_v2_without_endpoints),
		cmocka_unit_test(test_v2_refused), cmocka_unit_test(test_v2_sum),
		cmocka_unit_test(test_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
