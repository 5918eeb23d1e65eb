/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of checks through a tunnel: whole ones, with good checksums; and which answers are theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/via.h"
#include "health/via_packet.h"

#define TOKEN 0xbeef0042u

static struct via_question question(enum forward way, const char *backend, const char *vip)
{
	struct via_question q = {
		.way = way, .gue_port = 6080, .own_port = 61000, .port = 80, .token = TOKEN};

	assert_int_equal(addr_parse(backend, &q.backend), 0);
	assert_int_equal(addr_parse(vip, &q.vip), 0);
	assert_int_equal(
		addr_parse(q.backend.family == AF_INET ? "10.0.0.1" : "fd00::1", &q.outer_src), 0);
	assert_int_equal(addr_parse(q.vip.family == AF_INET ? "10.0.0.1" : "fd00::1", &q.own), 0);
	return q;
}

static unsigned at16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Of all that a checksum covers and the checksum itself: 0xffff. */
static unsigned sum(const uint8_t *p, size_t len, unsigned start)
{
	unsigned long total = start;

	for (size_t i = 0; i < len; i += 2)
		total += at16(p + i);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (unsigned)total;
}

/* A whole IP packet; returns where its payload begins, and what it is. */
static const uint8_t *expect_ip(const uint8_t *p, size_t len, uint8_t *ret_proto)
{
	if (p[0] >> 4 == 4) {
		assert_int_equal(p[0], 0x45);
		assert_int_equal(at16(p + 2), len);
		assert_int_equal(sum(p, 20, 0), 0xffff);
		*ret_proto = p[9];
		return p + 20;
	}
	assert_int_equal(p[0] >> 4, 6);
	assert_int_equal(at16(p + 4), len - 40);
	*ret_proto = p[6];
	return p + 40;
}

static void expect_l4_sum(const uint8_t *ip, const uint8_t *l4, size_t l4_len, uint8_t proto)
{
	size_t addrs = ip[0] >> 4 == 4 ? 8 : 32;
	const uint8_t *at = ip[0] >> 4 == 4 ? ip + 12 : ip + 8;

	assert_int_equal(sum(l4, l4_len, sum(at, addrs, (unsigned)(proto + l4_len))), 0xffff);
}

static void expect_question(enum forward way, const char *backend, const char *vip, uint16_t port)
{
	struct via_question q = question(way, backend, vip);
	uint8_t buf[VIA_PACKET_MAX], proto;
	const uint8_t *end, *ip = buf, *l4;
	bool v4 = q.vip.family == AF_INET;

	q.port = port;
	end = buf + via_packet_ask(&q, buf);
	if (way != FORWARD_L2) {
		const uint8_t *next = expect_ip(ip, (size_t)(end - ip), &proto);

		if (way == FORWARD_GUE) {
			assert_int_equal(proto, IPPROTO_UDP);
			assert_int_equal(at16(next + 2), 6080);
			assert_int_equal(at16(next + 4), end - next);
			if (q.backend.family == AF_INET6)
				expect_l4_sum(ip, next, (size_t)(end - next), proto);
			next += 8;
		} else {
			assert_int_equal(proto, v4 ? IPPROTO_IPIP : IPPROTO_IPV6);
		}
		ip = next;
	}
	l4 = expect_ip(ip, (size_t)(end - ip), &proto);
	assert_memory_equal(v4 ? ip + 16 : ip + 24, q.vip.bytes, v4 ? 4 : 16);
	assert_int_equal(proto, port ? IPPROTO_TCP : v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (proto == IPPROTO_ICMP)
		assert_int_equal(sum(l4, (size_t)(end - l4), 0), 0xffff);
	else
		expect_l4_sum(ip, l4, (size_t)(end - l4), proto);
}

static void test_questions_are_whole_packets(void **state)
{
	static const enum forward ways[] = {FORWARD_IPIP, FORWARD_GUE};
	static const char *const backends[] = {"10.0.0.11", "fd00::11"};
	static const char *const vips[] = {"203.0.113.10", "2001:db8:113::10"};

	(void)state;
	for (size_t way = 0; way < 2; way++)
		for (size_t i = 0; i < 2; i++)
			for (size_t j = 0; j < 2; j++) {
				expect_question(ways[way], backends[i], vips[j], 80);
				expect_question(ways[way], backends[i], vips[j], 0);
			}
	for (size_t i = 0; i < 2; i++)
		expect_question(FORWARD_L2, backends[i], vips[i], 80);
}

/* What a backend sends back; flags and acknowledged number of the test's choice. */
static size_t answer(const struct via_question *q, uint8_t flags, uint32_t ack, uint8_t *buf)
{
	struct via_question back = *q;
	size_t len;
	uint8_t *tcp;

	back.way = FORWARD_L2; /* no outer header */
	back.own = q->vip;
	back.vip = q->own;
	back.own_port = q->port;
	back.port = q->own_port;
	len = via_packet_ask(&back, buf);
	tcp = buf + len - 20;
	tcp[8] = (uint8_t)(ack >> 24);
	tcp[9] = (uint8_t)(ack >> 16);
	tcp[10] = (uint8_t)(ack >> 8);
	tcp[11] = (uint8_t)ack;
	tcp[13] = flags;
	return len;
}

static void test_answers(void **state)
{
	static const char *const backends[] = {"10.0.0.11", "fd00::11"};
	static const char *const vips[] = {"203.0.113.10", "2001:db8:113::10"};
	uint8_t buf[VIA_PACKET_MAX];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct via_question q = question(FORWARD_IPIP, backends[i], vips[i]);
		struct via_question other = q;
		size_t len = answer(&q, 0x12, TOKEN + 1, buf);

		assert_int_equal(via_packet_token(buf, len), TOKEN);
		assert_int_equal(via_packet_read(buf, len, &q), VIA_ANSWER_GOOD);
		assert_int_equal(via_packet_read(buf, len - 1, &q), VIA_ANSWER_NONE);
		assert_int_equal(addr_parse(i ? "2001:db8::11" : "10.0.0.12", &other.vip), 0);
		assert_int_equal(via_packet_read(buf, len, &other), VIA_ANSWER_NONE);
		other = q;
		other.port = 81;
		assert_int_equal(via_packet_read(buf, len, &other), VIA_ANSWER_NONE);
		len = answer(&q, 0x12, TOKEN, buf);
		assert_int_equal(via_packet_read(buf, len, &q), VIA_ANSWER_NONE);
		len = answer(&q, 0x14, TOKEN + 1, buf);
		assert_int_equal(via_packet_read(buf, len, &q), VIA_ANSWER_REFUSED);
		len = answer(&q, 0x10, TOKEN + 1, buf);
		assert_int_equal(via_packet_read(buf, len, &q), VIA_ANSWER_NONE);
	}
}

static void test_echo_replies(void **state)
{
	static const char *const backends[] = {"10.0.0.11", "fd00::11"};
	static const char *const vips[] = {"203.0.113.10", "2001:db8:113::10"};
	static const uint8_t types[] = {0, 129};
	uint8_t buf[VIA_PACKET_MAX];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct via_question q = question(FORWARD_L2, backends[i], vips[i]), back;
		size_t len;

		q.port = 0;
		back = q;
		back.own = q.vip;
		back.vip = q.own;
		len = via_packet_ask(&back, buf);
		assert_int_equal(via_packet_token(buf, len), TOKEN);
		assert_int_equal(via_packet_read(buf, len, &q), VIA_ANSWER_NONE); /* a request */
		buf[len - 8] = types[i];
		assert_int_equal(via_packet_read(buf, len, &q), VIA_ANSWER_GOOD);
		q.port = 80;
		assert_int_equal(via_packet_read(buf, len, &q), VIA_ANSWER_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions_are_whole_packets),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_echo_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
