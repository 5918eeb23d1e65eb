// SPDX-License-Identifier: BSD-2-Clause
/* l4/frame: what is made is read back, its checksums are right, and no prefix of it is read beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "l4/frame.c"

static struct frame_wish wish_of(uint8_t proto, const char *from, const char *to)
{
	struct frame_wish w = {.proto = proto, .tcp_flags = FRAME_TCP_SYN, .payload_len = 3};

	assert_int_equal(endpoint_parse(from, &w.source), 0);
	assert_int_equal(endpoint_parse(to, &w.destination), 0);
	return w;
}

/* Of the IP header and of the transport: a sum over all of it, its checksum included, is zero. */
static void assert_sums(const struct frame_wish *w, const uint8_t *ip, size_t len)
{
	bool v4 = w->source.addr.family == AF_INET;
	size_t header = v4 ? IP4_LEN : IP6_LEN;
	uint8_t proto = v4 ? ip[9] : ip[6];

	if (v4)
		assert_int_equal(fold(sum(0, ip, IP4_LEN)), 0);
	if (proto == IPPROTO_ICMP)
		assert_int_equal(fold(sum(0, ip + header, len - header)), 0);
	else
		assert_int_equal(transport_sum(w, proto, ip + header, len - header), 0);
}

static void test_what_is_made_is_read_back(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	uint8_t buf[FRAME_MADE_MAX];

	(void)state;
	for (size_t i = 0; i < 12; i++) {
		bool v4 = i % 2;
		struct frame_wish w =
			wish_of(protos[i / 2 % 3], v4 ? "192.0.2.1:1234" : "[2001:db8::1]:1234",
				v4 ? "203.0.113.9:80" : "[2001:db8:113::9]:80");
		struct frame_ends ends;
		size_t len, l2;

		w.vlan = i < 6 ? 0 : 7;
		l2 = ETH_LEN + (w.vlan ? TAG_LEN : 0);
		len = frame_make(&w, buf);
		assert_true(frame_ends(buf, len, &ends));
		assert_int_equal(addr_cmp(&ends.source.addr, &w.source.addr), 0);
		assert_int_equal(addr_cmp(&ends.destination.addr, &w.destination.addr), 0);
		assert_int_equal(ends.destination.port, w.proto == IPPROTO_ICMP ? 0 : 80);
		assert_sums(&w, buf + l2, len - l2);
	}
}

static void test_headers_are_told(void **state)
{
	struct frame_wish w = wish_of(IPPROTO_TCP, "192.0.2.1:1234", "203.0.113.9:80");
	uint8_t buf[FRAME_MADE_MAX];
	struct strbuf b;

	(void)state;
	w.vlan = 7;
	strbuf_init(&b);
	frame_describe(buf, frame_make(&w, buf), 0, &b);
	assert_string_equal(b.text, "Ethernet 02:00:00:00:00:01 to 02:00:00:00:00:02, VLAN 7\n"
				    "IPv4 192.0.2.1 to 203.0.113.9, TTL 64, 43 bytes, do not "
				    "fragment\n"
				    "TCP port 1234 to 80 SYN\n");
	strbuf_deinit(&b);
}

/* Each in a piece of memory of its own, so that a sanitizer or valgrind sees a byte too many. */
static void test_no_prefix_is_read_beyond(void **state)
{
	struct frame_wish w = wish_of(IPPROTO_UDP, "[2001:db8::1]:1", "[2001:db8::2]:6080");
	uint8_t buf[FRAME_MADE_MAX];
	size_t len = frame_make(&w, buf);

	(void)state;
	for (size_t n = 0; n <= len; n++) {
		uint8_t *cut = malloc(n ? n : 1);
		struct frame_ends ends;
		struct strbuf b;

		memcpy(cut, buf, n);
		strbuf_init(&b);
		assert_int_equal(frame_ends(cut, n, &ends), n >= ETH_LEN + IP6_LEN + 4);
		frame_describe(cut, n, 6080, &b);
		strbuf_deinit(&b);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_made_is_read_back),
		cmocka_unit_test(test_headers_are_told),
		cmocka_unit_test(test_no_prefix_is_read_beyond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
