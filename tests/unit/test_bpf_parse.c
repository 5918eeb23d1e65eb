/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel program's parsers, natively: what they find, on frames that end where memory ends. */
#include <arpa/inet.h> /* before the kernel's own, which then yield */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/decap.h"
#include "bpf/parse.h"
#include "tests/bpf/pkt_build.c"

/* A driver puts frames two bytes behind a boundary, so that IP headers are aligned. */
#define ALIGN 2

static enum verdict parse(const struct frame *f, struct pkt *ret_pkt)
{
	uint8_t *block = malloc(f->len + ALIGN);
	enum verdict v;

	assert_non_null(block);
	memcpy(block + ALIGN, f->data, f->len);
	*ret_pkt = (struct pkt){.eth = (void *)(block + ALIGN), .end = block + ALIGN + f->len};
	v = parse_packet(ret_pkt);
	ret_pkt->eth = NULL;
	ret_pkt->end = NULL;
	free(block);
	return v;
}

static struct pkt_spec spec_of(bool v6, uint8_t proto)
{
	return (struct pkt_spec){.src = v6 ? "2001:db8:c::7" : "198.51.100.7",
				 .dst = v6 ? "2001:db8::10" : "203.0.113.10",
				 .sport = 40000,
				 .dport = 443,
				 .proto = proto,
				 .tcp_flags = F_SYN | F_FIN,
				 .tos = 0xb9,
				 .payload_len = 11};
}

static void test_ipv4(void **state)
{
	static const uint8_t src[4] = {198, 51, 100, 7}, dst[4] = {203, 0, 113, 10};
	static struct frame f;
	struct pkt p;

	(void)state;
	for (uint8_t options = 0; options <= 10; options++) {
		struct pkt_spec spec = spec_of(false, options % 2 ? IPPROTO_UDP : IPPROTO_TCP);

		spec.ip_options = options;
		spec.frame_len = 300;
		pkt_build(&spec, &f);
		assert_int_equal(parse(&f, &p), V_NEXT);
		assert_int_equal(p.defect, V_NEXT);
		assert_int_equal(p.family, 4);
		assert_int_equal(p.proto, spec.proto);
		assert_int_equal(p.tos, 0xb9);
		assert_int_equal(p.tcp_flags, options % 2 ? 0 : F_SYN | F_FIN);
		assert_int_equal(p.ip_len, 20 + options * 4 + (options % 2 ? 8 : 20) + 11);
		assert_int_equal(p.trail_len, 300 - 14 - p.ip_len);
		assert_memory_equal(&p.flow4.saddr, src, 4);
		assert_memory_equal(&p.flow4.daddr, dst, 4);
		assert_int_equal(p.flow4.sport, htons(40000));
		assert_int_equal(p.flow4.dport, htons(443));
		assert_int_equal(p.flow4.proto, spec.proto);
		assert_memory_equal(p.flow4._pad, "\0\0\0", 3);
	}
}

static void test_ipv6(void **state)
{
	static struct frame f;
	struct pkt p;

	(void)state;
	for (int udp = 0; udp < 2; udp++) {
		struct pkt_spec spec = spec_of(true, udp ? IPPROTO_UDP : IPPROTO_TCP);

		pkt_build(&spec, &f);
		assert_int_equal(parse(&f, &p), V_NEXT);
		assert_int_equal(p.defect, V_NEXT);
		assert_int_equal(p.family, 6);
		assert_int_equal(p.proto, spec.proto);
		assert_int_equal(p.tos, 0xb9);
		assert_int_equal(p.ip_len, 40 + (udp ? 8 : 20) + 11);
		assert_int_equal(p.trail_len, 0);
		assert_memory_equal(p.flow6.saddr, f.data + ETH_LEN + 8, 16);
		assert_memory_equal(p.flow6.daddr, f.data + ETH_LEN + 24, 16);
		assert_int_equal(p.flow6.sport, htons(40000));
		assert_int_equal(p.flow6.dport, htons(443));
		assert_int_equal(p.flow6.proto, spec.proto);
		assert_memory_equal(p.flow6._pad, "\0\0\0", 3);
	}
}

/* Down to nothing at all; the kernel's own test runs start at a whole Ethernet header. */
static void test_every_prefix(void **state)
{
	static struct frame f;
	struct pkt p;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct pkt_spec spec = spec_of(i & 1, i & 2 ? IPPROTO_UDP : IPPROTO_TCP);
		size_t whole;

		pkt_build(&spec, &f);
		whole = f.len;
		for (f.len = 0; f.len < whole; f.len++) {
			enum verdict v = parse(&f, &p);

			if (f.len < ETH_LEN || f.len < pkt_l4(&f) + 4) {
				assert_int_equal(v, V_PASS_MALFORMED);
			} else {
				assert_int_equal(v, V_NEXT);
				assert_int_equal(p.defect, V_DROP_TRUNCATED);
				assert_int_equal(p.ip_len, f.len - ETH_LEN);
			}
		}
	}
}

static void test_syn_is_alone(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 256; flags++) {
		struct pkt p = {.tcp_flags = flags};
		bool expected = flags & F_SYN && !(flags & (F_ACK | F_FIN | F_RST));

		assert_int_equal(pkt_is_syn(&p), expected);
	}
}

static uint32_t parse_tunnel(const struct frame *f, struct tunnel *ret_tunnel)
{
	uint8_t *block = malloc(f->len + ALIGN);
	uint32_t result;

	assert_non_null(block);
	memcpy(block + ALIGN, f->data, f->len);
	memset(ret_tunnel, 0, sizeof(*ret_tunnel));
	result = tunnel_parse(block + ALIGN, block + ALIGN + f->len,
			      bpf_htons(DECAP_GUE_PORT_DEFAULT), ret_tunnel);
	free(block);
	return result;
}

static void test_tunnel_prefixes(void **state)
{
	static struct frame inner, f;
	struct tunnel t;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct outer_spec outer = {.src = i & 2 ? "fd00::1" : "10.0.0.1",
					   .dst = i & 2 ? "fd00::2" : "10.0.0.2"};
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP);
		size_t whole, headers = ETH_LEN + (i & 2 ? 40 : 20) + (i & 1 ? 40 : 20);

		pkt_build(&spec, &inner);
		pkt_encap(&inner, &outer, &f);
		whole = f.len;
		for (f.len = 0; f.len <= whole; f.len++) {
			uint32_t result = parse_tunnel(&f, &t);

			assert_int_equal(result, f.len < headers ? DECAP_PASS : DECAP_FOUND);
			if (result == DECAP_FOUND)
				assert_int_equal(tunnel_is_whole(&t, f.len), f.len == whole);
		}
		assert_int_equal(t.dst.family, i & 1 ? 6 : 4);
		assert_int_equal(t.outer_len, i & 2 ? 40 : 20);
		assert_int_equal(t.outer_tos, 0xb9);
		assert_int_equal(t.inner_tos, 0xb9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_syn_is_alone),
		cmocka_unit_test(test_tunnel_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
