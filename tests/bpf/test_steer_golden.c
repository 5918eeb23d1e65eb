/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets for a service: whole packet in, whole packet out, and what is counted. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "tests/bpf/steer_env.h"

#define VIP4	"203.0.113.10"
#define VIP6	"2001:db8::10"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

#define LB4 "10.0.0.1"
#define BE4 "10.1.0.1"
#define LB6 "fd00::1"
#define BE6 "fd00:1::1"

#define BE_ROW 1

struct golden {
	const char *name;
	struct pkt_spec in;
};

#define TCP4(...)                                                                                  \
	{                                                                                          \
		.src = CLIENT4, .dst = VIP4, .sport = 40000, .dport = 80, .proto = IPPROTO_TCP,    \
		__VA_ARGS__                                                                        \
	}
#define TCP6(...)                                                                                  \
	{                                                                                          \
		.src = CLIENT6, .dst = VIP6, .sport = 40000, .dport = 80, .proto = IPPROTO_TCP,    \
		__VA_ARGS__                                                                        \
	}
#define UDP4(...)                                                                                  \
	{                                                                                          \
		.src = CLIENT4, .dst = VIP4, .sport = 40000, .dport = 80, .proto = IPPROTO_UDP,    \
		__VA_ARGS__                                                                        \
	}
#define UDP6(...)                                                                                  \
	{                                                                                          \
		.src = CLIENT6, .dst = VIP6, .sport = 40000, .dport = 80, .proto = IPPROTO_UDP,    \
		__VA_ARGS__                                                                        \
	}

static const struct golden goldens[] = {
	{"tcp4 syn", TCP4(.tcp_flags = F_SYN, .tcp_options = 5)},
	{"tcp4 data", TCP4(.tcp_flags = F_ACK, .payload_len = 101)},
	{"tcp4 fin", TCP4(.tcp_flags = F_FIN | F_ACK)},
	{"tcp4 rst", TCP4(.tcp_flags = F_RST)},
	{"tcp4 ip options", TCP4(.tcp_flags = F_ACK, .ip_options = 1, .payload_len = 8)},
	{"tcp4 all options", TCP4(.tcp_flags = F_ACK, .ip_options = 10, .tcp_options = 10)},
	{"tcp4 dscp and ecn", TCP4(.tcp_flags = F_ACK, .tos = 0xb9, .payload_len = 3)},
	{"tcp6 syn", TCP6(.tcp_flags = F_SYN, .tcp_options = 5)},
	{"tcp6 data", TCP6(.tcp_flags = F_ACK, .payload_len = 100)},
	{"tcp6 dscp and ecn", TCP6(.tcp_flags = F_ACK, .tos = 0xba)},
	{"udp4 empty", UDP4(.payload_len = 0)},
	{"udp4 data", UDP4(.payload_len = 333)},
	{"udp4 ip options", UDP4(.payload_len = 5, .ip_options = 3)},
	{"udp6 empty", UDP6(.payload_len = 0)},
	{"udp6 data", UDP6(.payload_len = 334, .tos = 0x03)},
};

static void open_env(struct env *env, bool outer6)
{
	struct env_backend be = {
		.id = env_id(1, BE_ROW),
		.src = outer6 ? LB6 : LB4,
		.dst = outer6 ? BE6 : BE4,
	};

	env_open(env, NULL);
	env_backend(env, &be);
	env_ring(env, be.id);
	env_services(env, VIP4, VIP6);
}

static void expect_golden(struct env *env, const struct frame *in, bool outer6)
{
	static struct frame out, expected;
	struct outer_spec outer = {.src = outer6 ? LB6 : LB4, .dst = outer6 ? BE6 : BE4};

	if (outer6)
		outer.label = (uint32_t)env_hash(in) >> 12;
	pkt_encap(in, &outer, &expected);
	env_expect(env, in, SHUNT_VERDICT_TX, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
}

static void check_goldens(bool outer6)
{
	static struct frame in;
	struct env env;

	for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
		const struct golden *g = &goldens[i];
		bool is_rst = g->in.proto == IPPROTO_TCP && g->in.tcp_flags & F_RST;
		struct shunt_svc_stats svc;
		struct shunt_be_stats be;

		print_message("  %s over %s\n", g->name, outer6 ? "IPv6" : "IPv4");
		open_env(&env, outer6);
		pkt_build(&g->in, &in);
		expect_golden(&env, &in, outer6);
		svc = env_svc_stats(&env);
		be = env_be_stats(&env, BE_ROW);
		assert_int_equal(svc.count[SHUNT_COUNT_PACKETS], 1);
		assert_int_equal(svc.count[SHUNT_COUNT_BYTES], in.len - ETH_LEN);
		assert_int_equal(svc.count[SHUNT_COUNT_NEW_FLOWS], !is_rst);
		assert_int_equal(svc.count[SHUNT_COUNT_UNTRACKED], 0);
		assert_int_equal(svc.count[SHUNT_COUNT_STALE], 0);
		assert_int_equal(be.packets, 1);
		assert_int_equal(be.bytes, in.len - ETH_LEN);
		assert_int_equal(be.new_flows, !is_rst);
		env_close(&env);
	}
}

static void test_over_ipv4(void **state)
{
	(void)state;
	check_goldens(false);
}

static void test_over_ipv6(void **state)
{
	(void)state;
	check_goldens(true);
}

/* Whatever is cut off behind, a packet is never forwarded, and dropped only by its service. */
static void check_prefixes(struct env *env, const struct pkt_spec *spec)
{
	static struct frame in;
	size_t whole;

	pkt_build(spec, &in);
	whole = in.len;
	for (in.len = ETH_LEN; in.len < whole; in.len++) {
		if (in.len < pkt_l4(&in) + 4)
			env_expect_pass(env, &in, SHUNT_VERDICT_PASS_MALFORMED);
		else
			env_expect_drop(env, &in, SHUNT_DROP_TRUNCATED);
	}
}

static void test_prefixes(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, false);
	for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++)
		check_prefixes(&env, &goldens[i].in);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	assert_int_equal(env_be_stats(&env, BE_ROW).packets, 0);
	env_close(&env);
}

/* A short frame's padding is not made part of the packet. */
static void test_padded_frame(void **state)
{
	struct pkt_spec spec = TCP4(.tcp_flags = F_ACK, .frame_len = 60);
	static struct frame in;
	struct env env;

	(void)state;
	for (int outer6 = 0; outer6 < 2; outer6++) {
		open_env(&env, outer6);
		pkt_build(&spec, &in);
		assert_int_equal(in.len, 60);
		expect_golden(&env, &in, outer6);
		assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_BYTES], 40);
		assert_int_equal(env_be_stats(&env, BE_ROW).bytes, 40);
		env_close(&env);
	}
}

/* Longer padding has no reason to be there, and could make the frame too long to send. */
static void test_padding_is_trimmed(void **state)
{
	struct pkt_spec plain = TCP6(.tcp_flags = F_ACK, .payload_len = 50), padded = plain;
	struct outer_spec outer = {.src = LB4, .dst = BE4};
	static struct frame in, out, expected;
	struct env env;

	(void)state;
	open_env(&env, false);
	padded.frame_len = 1514;
	pkt_build(&plain, &in);
	pkt_encap(&in, &outer, &expected);
	pkt_build(&padded, &in);
	assert_int_equal(in.len, 1514);
	env_expect(&env, &in, SHUNT_VERDICT_TX, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
	env_close(&env);
}

static void put_bits(struct frame *f, size_t offset, uint32_t mask, uint32_t bits)
{
	uint32_t word = (uint32_t)pkt_get16(f, offset) << 16 | pkt_get16(f, offset + 2);

	word = (word & ~mask) | bits;
	pkt_put16(f, offset, word >> 16);
	pkt_put16(f, offset + 2, word & 0xffff);
}

/* The source's free bits carry the flow, all others stay; the same flow always has the same. */
static void check_entropy(const char *src, const char *dst, uint32_t mask, size_t offset)
{
	struct env_backend be = {.id = env_id(1, BE_ROW), .src = src, .dst = dst, .entropy = mask};
	struct pkt_spec spec = TCP4(.tcp_flags = F_ACK);
	static struct frame in, out, expected;
	uint32_t seen_ones = 0, seen_zeros = 0;
	struct env env;

	open_env(&env, false);
	env_backend(&env, &be);
	for (unsigned port = 1000; port < 1064; port++) {
		struct outer_spec outer = {.src = src, .dst = dst};
		uint32_t bits;

		spec.sport = port;
		pkt_build(&spec, &in);
		if (strchr(dst, ':'))
			outer.label = (uint32_t)env_hash(&in) >> 12;
		pkt_encap(&in, &outer, &expected);
		bits = (uint32_t)env_hash(&in) & mask;
		seen_ones |= bits;
		seen_zeros |= ~bits;
		put_bits(&expected, offset, mask, bits);
		if (!strchr(dst, ':'))
			pkt_fix_ipv4(&expected, ETH_LEN);
		env_expect(&env, &in, SHUNT_VERDICT_TX, &out);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, expected.len);
	}
	assert_int_equal(seen_ones, mask);
	assert_int_equal(seen_zeros, 0xffffffff);
	env_close(&env);
}

static void test_entropy(void **state)
{
	(void)state;
	check_entropy("10.64.0.0", BE4, 0x0000ffff, ETH_LEN + 12);
	check_entropy("172.31.255.255", BE4, 0x000ffffc, ETH_LEN + 12);
	check_entropy("fd00:aaaa::ffff:1", BE6, 0xffffffff, ETH_LEN + 8 + 12);
}

/* All four ECN marks and a few DSCP, from each family into each. */
static void test_ecn_and_dscp(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x02, 0x03, 0xb8, 0xbb, 0xff};
	static struct frame in;
	struct env env;

	(void)state;
	for (int outer6 = 0; outer6 < 2; outer6++) {
		open_env(&env, outer6);
		for (size_t i = 0; i < sizeof(values); i++) {
			struct pkt_spec v4 = TCP4(.tcp_flags = F_ACK, .tos = values[i]);
			struct pkt_spec v6 = TCP6(.tcp_flags = F_ACK, .tos = values[i]);

			pkt_build(&v4, &in);
			expect_golden(&env, &in, outer6);
			pkt_build(&v6, &in);
			expect_golden(&env, &in, outer6);
		}
		env_close(&env);
	}
}

static void test_too_big(void **state)
{
	struct env_backend be = {.id = env_id(1, BE_ROW), .src = LB4, .dst = BE4, .mtu = 1000};
	struct pkt_spec spec = TCP4(.tcp_flags = F_ACK, .payload_len = 1000 - 20 - 40);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env, false);
	env_backend(&env, &be);
	pkt_build(&spec, &in);
	env_expect(&env, &in, SHUNT_VERDICT_TX, NULL);
	spec.payload_len++;
	pkt_build(&spec, &in);
	env_expect_drop(&env, &in, SHUNT_DROP_TOO_BIG);

	be.src = LB6;
	be.dst = BE6;
	env_backend(&env, &be);
	spec.payload_len = 1000 - 40 - 40;
	pkt_build(&spec, &in);
	env_expect(&env, &in, SHUNT_VERDICT_TX, NULL);
	spec.payload_len++;
	pkt_build(&spec, &in);
	env_expect_drop(&env, &in, SHUNT_DROP_TOO_BIG);
	assert_int_equal(env_be_stats(&env, BE_ROW).packets, 2);
	env_close(&env);
}

/* Metadata of another program may take the head room. */
static void test_no_headroom(void **state)
{
	struct pkt_spec spec = TCP4(.tcp_flags = F_ACK);
	static struct frame in;
	struct env env;
	uint32_t action;

	(void)state;
	open_env(&env, false);
	pkt_build(&spec, &in);
	if (env_run_meta(&env, &in, 216, &action)) {
		print_message("skipped: this kernel has no metadata of more than 32 bytes\n");
		env_close(&env);
		skip();
	}
	assert_int_equal(action, XDP_DROP);
	assert_int_equal(env_svc_stats(&env).drop[SHUNT_DROP_HEADROOM], 1);
	env_close(&env);
}

static void test_verified_instructions(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, false);
	print_message("steer_xdp: %u instructions verified\n", env_verified_insns(&env));
	assert_true(env_verified_insns(&env) < 300000);
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over_ipv4),
		cmocka_unit_test(test_over_ipv6),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_padded_frame),
		cmocka_unit_test(test_padding_is_trimmed),
		cmocka_unit_test(test_entropy),
		cmocka_unit_test(test_ecn_and_dscp),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_no_headroom),
		cmocka_unit_test(test_verified_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
