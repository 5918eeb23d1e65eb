/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments: the first goes like any packet of its flow, the others where it went. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "tests/bpf/steer_env.h"

#define VIP4	"203.0.113.10"
#define VIP6	"2001:db8::10"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"

#define LB4 "10.0.0.1"
#define LB6 "fd00::1"

static void backends(struct env *env)
{
	for (unsigned i = 1; i <= 3; i++) {
		char dst[16] = "10.1.0.0";
		struct env_backend be = {.id = env_id(1, i), .src = LB4, .dst = dst};

		dst[7] = '0' + i;
		env_backend(env, &be);
		for (unsigned slot = i - 1; slot < RING_SIZE; slot += 3)
			env_ring_slot(env, slot, be.id);
	}
}

static void open_env(struct env *env)
{
	env_open(env, NULL);
	backends(env);
	env_services(env, VIP4, VIP6);
	env_addr(env, VIP4, 0);
	env_addr(env, VIP6, 0);
}

static struct pkt_spec spec_of(bool v6, uint8_t proto, uint16_t sport)
{
	return (struct pkt_spec){.src = v6 ? CLIENT6 : CLIENT4,
				 .dst = v6 ? VIP6 : VIP4,
				 .sport = sport,
				 .dport = 80,
				 .proto = proto,
				 .tcp_flags = F_ACK,
				 .payload_len = 1400};
}

/* The three fragments of a packet. */
static void cut(const struct pkt_spec *spec, uint32_t id, struct frame parts[3])
{
	static struct frame whole;
	size_t len;

	pkt_build(spec, &whole);
	len = whole.len - pkt_l4(&whole);
	pkt_fragment(&whole, 0, 480, 1, id, &parts[0]);
	pkt_fragment(&whole, 480, 480, 1, id, &parts[1]);
	pkt_fragment(&whole, 960, len - 960, 0, id, &parts[2]);
}

static void test_all_follow_the_first(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	static struct frame parts[3];
	struct outer_spec outer = {.src = LB4};
	static struct frame out, expected;
	unsigned seen = 0;
	struct env env;

	(void)state;
	open_env(&env);
	for (unsigned i = 0; i < 64; i++) {
		struct pkt_spec spec = spec_of(i & 1, protos[i >> 1 & 1], 1000 + i);
		char dst[16] = "10.1.0.0";
		unsigned be;

		cut(&spec, 0xa0b0000 + i, parts);
		be = env_backend_of(&env, &parts[0]);
		seen |= 1U << be;
		dst[7] = '0' + be;
		outer.dst = dst;
		for (int part = 2; part >= 0; part--) { /* and the first once more */
			pkt_encap(&parts[part], &outer, &expected);
			env_expect(&env, &parts[part], SHUNT_VERDICT_TX, &out);
			assert_int_equal(out.len, expected.len);
			assert_memory_equal(out.data, expected.data, expected.len);
		}
	}
	assert_int_equal(seen, 0xe);
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_FRAGMENTS], 64 * 4);
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_PACKETS], 64 * 4);
	assert_int_equal(env_be_stats(&env, 1).packets + env_be_stats(&env, 2).packets +
				 env_be_stats(&env, 3).packets,
			 64 * 4);
	env_close(&env);
}

/* They are one packet: where the flow would go by now does not matter. */
static void test_follow_without_tracking(void **state)
{
	static struct frame parts[3];
	struct env env;

	(void)state;
	open_env(&env);
	env.svc.tracking = SHUNT_TRACK_NEVER;
	env_service(&env, VIP4, 80, IPPROTO_UDP);
	env_service(&env, VIP6, 80, IPPROTO_UDP);
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, IPPROTO_UDP, 1000);

		env_ring(&env, env_id(1, 1));
		cut(&spec, 7, parts);
		assert_int_equal(env_backend_of(&env, &parts[0]), 1);
		env_ring(&env, env_id(1, 2));
		assert_int_equal(env_backend_of(&env, &parts[1]), 1);
		assert_int_equal(env_backend_of(&env, &parts[2]), 1);
	}
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	env_close(&env);
}

static void test_tags_and_extension_headers(void **state)
{
	static const uint8_t options[8] = {44, 0, 1, 4};
	struct pkt_spec spec = spec_of(true, IPPROTO_UDP, 1000);
	static struct frame parts[3];
	struct env env;
	unsigned be;

	(void)state;
	open_env(&env);
	cut(&spec, 7, parts);
	for (int i = 0; i < 3; i++) {
		pkt_insert(&parts[i], ETH_LEN + 40, options, sizeof(options));
		parts[i].data[ETH_LEN + 6] = 0;
		pkt_set_ip_len(&parts[i], parts[i].len - ETH_LEN);
		pkt_tag(&parts[i], 0x8100, 5);
	}
	env_expect(&env, &parts[0], SHUNT_VERDICT_TX, &parts[0]);
	be = parts[0].data[ETH_LEN + 4 + 19];
	for (int i = 1; i < 3; i++) {
		env_expect(&env, &parts[i], SHUNT_VERDICT_TX, &parts[i]);
		assert_int_equal(parts[i].data[ETH_LEN + 4 + 19], be);
	}
	env_close(&env);
}

/* Headers that stand behind the fragment header are in the first fragment alone; the others say which
 * one it begins with, and not what the packet is. */
static void test_extension_headers_in_the_first(void **state)
{
	static const uint8_t headers[] = {43, 51, 60}; /* routing, authentication, destination */
	static const uint8_t header[16] = {IPPROTO_UDP, 1};
	static struct frame whole, parts[3];
	struct pkt_spec spec = spec_of(true, IPPROTO_UDP, 1000);
	struct env env;

	(void)state;
	open_env(&env);
	for (size_t i = 0; i < sizeof(headers); i++) {
		unsigned be;

		spec.sport++;
		pkt_build(&spec, &whole);
		pkt_insert(&whole, ETH_LEN + 40, header, headers[i] == 51 ? 12 : 16);
		whole.data[ETH_LEN + 6] = headers[i];
		pkt_fragment(&whole, 0, 480, 1, i, &parts[0]);
		pkt_fragment(&whole, 480, 480, 1, i, &parts[1]);
		pkt_fragment(&whole, 960, whole.len - (ETH_LEN + 40) - 960, 0, i, &parts[2]);
		env_expect_drop(&env, &parts[1], SHUNT_DROP_FRAGMENT);
		be = env_backend_of(&env, &parts[0]);
		assert_int_equal(env_backend_of(&env, &parts[1]), be);
		assert_int_equal(env_backend_of(&env, &parts[2]), be);
	}
	env_close(&env);
}

static void test_strangers(void **state)
{
	static struct frame parts[3];
	struct env env;

	(void)state;
	open_env(&env);
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, IPPROTO_UDP, 1000);

		/* Before its first one. */
		cut(&spec, 7, parts);
		env_expect_drop(&env, &parts[1], SHUNT_DROP_FRAGMENT);
		env_expect_drop(&env, &parts[2], SHUNT_DROP_FRAGMENT);
		env_expect(&env, &parts[0], SHUNT_VERDICT_TX, NULL);
		env_expect(&env, &parts[1], SHUNT_VERDICT_TX, NULL);
		/* Of another packet, from another host. */
		cut(&spec, 8, parts);
		env_expect_drop(&env, &parts[1], SHUNT_DROP_FRAGMENT);
		spec.src = v6 ? "2001:db8:c::8" : "198.51.100.8";
		cut(&spec, 7, parts);
		env_expect_drop(&env, &parts[1], SHUNT_DROP_FRAGMENT);
		/* For an address that is this host's too, and for no service at all. */
		env_addr(&env, spec.dst, SHUNT_VIP_LOCAL);
		env_expect_pass(&env, &parts[1], SHUNT_VERDICT_PASS_FRAGMENT);
		spec.dst = v6 ? "2001:db8::11" : "203.0.113.11";
		cut(&spec, 7, parts);
		env_expect_pass(&env, &parts[0], SHUNT_VERDICT_PASS_NO_SERVICE);
		env_expect_pass(&env, &parts[1], SHUNT_VERDICT_PASS_FRAGMENT);
		env_addr(&env, v6 ? VIP6 : VIP4, 0);
	}
	env_close(&env);
}

/* IPv4's id is per protocol; of IPv6 the protocol that follows may be another header. */
static void test_protocol_is_in_the_key(void **state)
{
	struct pkt_spec udp = spec_of(false, IPPROTO_UDP, 1000);
	struct pkt_spec tcp = spec_of(false, IPPROTO_TCP, 1000);
	static struct frame parts[3];
	struct env env;

	(void)state;
	open_env(&env);
	cut(&udp, 7, parts);
	env_expect(&env, &parts[0], SHUNT_VERDICT_TX, NULL);
	cut(&tcp, 7, parts);
	env_expect_drop(&env, &parts[1], SHUNT_DROP_FRAGMENT);
	env_close(&env);
}

static void test_policies(void **state)
{
	struct shunt_switches on = {.fragments = SHUNT_FRAGMENTS_DROP};
	struct pkt_spec spec = spec_of(false, IPPROTO_UDP, 1000);
	static struct frame parts[3];
	struct env env;

	(void)state;
	open_env(&env);
	env_switches(&env, &on);
	cut(&spec, 7, parts);
	for (int i = 0; i < 3; i++)
		env_expect_drop(&env, &parts[i], SHUNT_DROP_FRAGMENT);
	on.fragments = SHUNT_FRAGMENTS_PASS;
	env_switches(&env, &on);
	for (int i = 0; i < 3; i++)
		env_expect_pass(&env, &parts[i], SHUNT_VERDICT_PASS_FRAGMENT);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	env_close(&env);
}

/* The backend that has the first one is gone, or its row is another's by now. */
static void test_lost_backend(void **state)
{
	struct env_backend be = {.id = env_id(1, 1), .src = LB4, .dst = "10.1.0.1"};
	struct pkt_spec spec = spec_of(false, IPPROTO_UDP, 1000);
	static struct frame parts[3];
	struct env env;

	(void)state;
	open_env(&env);
	env_ring(&env, be.id);
	cut(&spec, 7, parts);
	env_expect(&env, &parts[0], SHUNT_VERDICT_TX, NULL);
	be.state = SHUNT_BACKEND_DRAINING;
	env_backend(&env, &be);
	env_expect(&env, &parts[1], SHUNT_VERDICT_TX, NULL);
	be.state = SHUNT_BACKEND_DOWN;
	env_backend(&env, &be);
	env_expect_drop(&env, &parts[1], SHUNT_DROP_FRAGMENT);
	be.state = SHUNT_BACKEND_UP;
	be.id = env_id(2, 1);
	env_backend(&env, &be);
	env_expect_drop(&env, &parts[1], SHUNT_DROP_FRAGMENT);
	env_close(&env);
}

/* Headers cut in two, or written over, to get past whoever looks at them. */
static void test_tiny_fragments(void **state)
{
	static struct frame whole, part;
	struct env env;

	(void)state;
	open_env(&env);
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, IPPROTO_TCP, 1000);

		pkt_build(&spec, &whole);
		pkt_fragment(&whole, 0, 8, 1, 7, &part);
		env_expect_drop(&env, &part, SHUNT_DROP_TRUNCATED);
		pkt_fragment(&whole, 0, 16, 1, 7, &part);
		env_expect_drop(&env, &part, SHUNT_DROP_TRUNCATED);
		pkt_fragment(&whole, 0, 24, 1, 7, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, NULL);
		pkt_fragment(&whole, 8, 24, 1, 7, &part);
		env_expect_drop(&env, &part, v6 ? SHUNT_DROP_BAD_HEADER : SHUNT_DROP_FRAGMENT);
		pkt_fragment(&whole, 24, 24, 1, 7, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, NULL);

		spec.proto = IPPROTO_UDP;
		pkt_build(&spec, &whole);
		pkt_fragment(&whole, 0, 8, 1, 9, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, NULL);
		pkt_fragment(&whole, 8, 8, 1, 9, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, NULL);
	}
	env_close(&env);
}

static void test_prefixes(void **state)
{
	static struct frame parts[3];
	struct env env;

	(void)state;
	open_env(&env);
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, IPPROTO_UDP, 1000);

		cut(&spec, 7, parts);
		env_expect(&env, &parts[0], SHUNT_VERDICT_TX, NULL);
		for (int i = 0; i < 3; i++) {
			size_t whole = parts[i].len;

			for (parts[i].len = ETH_LEN; parts[i].len < whole; parts[i].len++)
				assert_int_not_equal(env_run(&env, &parts[i], NULL), XDP_TX);
		}
	}
	env_close(&env);
}

/* Of protocols that no service is for, and to a group. */
static void test_others_pass(void **state)
{
	static struct frame parts[3];
	struct env env;

	(void)state;
	open_env(&env);
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 0);

		cut(&spec, 7, parts);
		for (int i = 0; i < 3; i++)
			env_expect_pass(&env, &parts[i], SHUNT_VERDICT_PASS_PROTOCOL);
		spec = spec_of(v6, IPPROTO_UDP, 1000);
		cut(&spec, 7, parts);
		parts[1].data[0] |= 1;
		env_expect_pass(&env, &parts[1], SHUNT_VERDICT_PASS_FRAGMENT);
	}
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_follow_the_first),
		cmocka_unit_test(test_follow_without_tracking),
		cmocka_unit_test(test_tags_and_extension_headers),
		cmocka_unit_test(test_extension_headers_in_the_first),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_protocol_is_in_the_key),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_lost_backend),
		cmocka_unit_test(test_tiny_fragments),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_others_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
