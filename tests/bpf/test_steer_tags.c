/* SPDX-License-Identifier: BSD-2-Clause */
/* VLAN tags: read over, and on the frame again when it leaves. */
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
#define BE4 "10.1.0.1"
#define LB6 "fd00::1"
#define BE6 "fd00:1::1"

#define BE_ROW 1

/* From the outermost on; type 0: none. A priority tag (VLAN 0), priorities and the drop bit. */
static const struct tags {
	uint16_t type[2], tci[2];
} stacks[] = {
	{{0x8100}, {0x0064}},
	{{0x8100}, {0x0000}},
	{{0x8100}, {0xffff}},
	{{0x88a8}, {0x2001}},
	{{0x88a8, 0x8100}, {0x0007, 0x6fff}},
	{{0x8100, 0x8100}, {0x0007, 0x0008}},
	{{0x8100, 0x88a8}, {0x0001, 0x0002}},
};

#define STACKS (sizeof(stacks) / sizeof(stacks[0]))

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
	env_service(env, VIP4, 80, IPPROTO_TCP);
	env_service(env, VIP6, 80, IPPROTO_TCP);
}

static struct pkt_spec spec_of(bool v6)
{
	return (struct pkt_spec){.src = v6 ? CLIENT6 : CLIENT4,
				 .dst = v6 ? VIP6 : VIP4,
				 .sport = 40000,
				 .dport = 80,
				 .proto = IPPROTO_TCP,
				 .tcp_flags = F_ACK,
				 .tos = 0x2a,
				 .payload_len = 33};
}

static void put_tags(struct frame *f, const struct tags *t)
{
	for (int i = 1; i >= 0; i--) {
		if (t->type[i])
			pkt_tag(f, t->type[i], t->tci[i]);
	}
}

static void check_tagged(struct env *env, const struct tags *tags, bool v6, bool outer6)
{
	struct outer_spec outer = {.src = outer6 ? LB6 : LB4, .dst = outer6 ? BE6 : BE4};
	static struct frame in, out, expected;
	struct pkt_spec spec = spec_of(v6);

	pkt_build(&spec, &in);
	if (outer6)
		outer.label = (uint32_t)env_hash(&in) >> 12;
	pkt_encap(&in, &outer, &expected);
	put_tags(&in, tags);
	put_tags(&expected, tags);
	env_expect(env, &in, SHUNT_VERDICT_TX, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
}

static void test_tags_stay(void **state)
{
	struct env env;

	(void)state;
	for (int outer6 = 0; outer6 < 2; outer6++) {
		open_env(&env, outer6);
		for (size_t i = 0; i < STACKS; i++) {
			check_tagged(&env, &stacks[i], false, outer6);
			check_tagged(&env, &stacks[i], true, outer6);
		}
		assert_int_equal(env_be_stats(&env, BE_ROW).packets, 2 * STACKS);
		assert_int_equal(env_be_stats(&env, BE_ROW).bytes, STACKS * (73 + 93));
		env_close(&env);
	}
}

/* The padding of a tagged frame is cut off where it is longer than Ethernet asks for. */
static void test_padding(void **state)
{
	struct pkt_spec plain = spec_of(false), padded = plain;
	struct outer_spec outer = {.src = LB4, .dst = BE4};
	static struct frame in, out, expected;
	struct env env;

	(void)state;
	open_env(&env, false);
	padded.frame_len = 1400;
	pkt_build(&plain, &in);
	pkt_encap(&in, &outer, &expected);
	put_tags(&expected, &stacks[4]);
	pkt_build(&padded, &in);
	put_tags(&in, &stacks[4]);
	env_expect(&env, &in, SHUNT_VERDICT_TX, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
	env_close(&env);
}

static void test_prefixes(void **state)
{
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env, false);
	for (size_t i = 0; i < 2 * STACKS; i++) {
		struct pkt_spec spec = spec_of(i % 2);
		size_t whole, untagged;

		pkt_build(&spec, &in);
		untagged = in.len;
		put_tags(&in, &stacks[i / 2]);
		whole = in.len;
		for (in.len = ETH_LEN; in.len < whole; in.len++) {
			size_t tags = whole - untagged;

			if (in.len < ETH_LEN + tags)
				env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NOT_IP);
			else if (in.len < ETH_LEN + tags + (i % 2 ? 44 : 24))
				env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_MALFORMED);
			else
				env_expect_drop(&env, &in, SHUNT_DROP_TRUNCATED);
		}
	}
	assert_int_equal(env_be_stats(&env, BE_ROW).packets, 0);
	env_close(&env);
}

/* For nobody: another service, a third tag, another protocol, a type that is a tag's but for a bit. */
static void test_passes(void **state)
{
	struct pkt_spec spec = spec_of(false);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env, false);
	spec.dport = 81;
	pkt_build(&spec, &in);
	put_tags(&in, &stacks[4]);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
	spec.dport = 80;
	pkt_build(&spec, &in);
	put_tags(&in, &stacks[4]);
	pkt_tag(&in, 0x88a8, 1);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NOT_IP);
	pkt_build(&spec, &in);
	pkt_put16(&in, 12, 0x0806);
	pkt_tag(&in, 0x8100, 1);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NOT_IP);
	for (unsigned type = 0x0600; type <= 0xffff; type++) {
		if (type == 0x8100 || type == 0x88a8)
			continue;
		pkt_build(&spec, &in);
		pkt_tag(&in, type, 1);
		if (type == 0x0800 || type == 0x86dd)
			env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_MALFORMED);
		else
			env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NOT_IP);
	}
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags_stay),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
