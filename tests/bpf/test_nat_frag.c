/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments by NAT: each one out as if its whole packet had been changed and then cut. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "tests/bpf/nat_env.h"

#define PARTS 3
#define FIRST 480 /* bytes of each part but the last */

static void cut(const struct frame *whole, uint32_t id, struct frame parts[PARTS])
{
	size_t len = whole->len - pkt_l4(whole);

	for (size_t i = 0; i < PARTS; i++) {
		bool last = i == PARTS - 1;
		size_t at = i * FIRST;

		pkt_fragment(whole, at, last ? len - at : FIRST, !last, id, &parts[i]);
	}
}

/* In any order behind the first one, which may come twice. */
static void expect_parts(struct nat *n, struct frame in[PARTS], struct frame expected[PARTS])
{
	static const size_t order[] = {0, 2, 1, 0};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		static struct frame out, want;

		want = expected[order[i]];
		env_expect(&n->env, &in[order[i]], SHUNT_VERDICT_TX, &out);
		nat_expect_frame(&out, &want);
	}
}

static struct pkt_spec sent(uint8_t proto)
{
	struct pkt_spec s = nat_packet(proto, F_ACK, 1400);

	s.hops = HOPS;
	return s;
}

static struct pkt_spec arrived(uint8_t proto)
{
	struct pkt_spec s = sent(proto);

	s.hops--;
	return s;
}

static void there(struct nat *n, uint8_t proto, uint16_t cport, uint32_t id)
{
	static struct frame whole, in[PARTS], out[PARTS];

	nat_from_client(n, cport, nat_packet(proto, F_SYN, 5), &whole); /* makes the entry */
	env_expect(&n->env, &whole, SHUNT_VERDICT_TX, NULL);
	nat_from_client(n, cport, sent(proto), &whole);
	cut(&whole, id, in);
	nat_at_backend(n, cport, arrived(proto), &whole);
	cut(&whole, id, out);
	expect_parts(n, in, out);
}

static void back(struct nat *n, uint8_t proto, uint16_t cport, uint32_t id)
{
	static struct frame whole, in[PARTS], out[PARTS];

	nat_from_backend(n, cport, sent(proto), &whole);
	cut(&whole, id, in);
	nat_at_client(n, cport, arrived(proto), &whole);
	cut(&whole, id, out);
	expect_parts(n, in, out);
}

static void test_there_and_back(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};

	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct nat n;

		nat_open(&n, v6, way);
		n.be_port = BE_PORT;
		nat_set_backend(&n, 1000);
		for (uint16_t i = 0; i < 32; i++) {
			there(&n, protos[i & 1], 40000 + i, 0xa0b0000 + i);
			back(&n, protos[i & 1], 40000 + i, 0xa0b0000 + i);
		}
		assert_int_equal(env_svc_stats(&n.env).count[SHUNT_COUNT_FRAGMENTS], 32 * 8);
		assert_int_equal(env_svc_stats(&n.env).count[SHUNT_COUNT_REPLY_PACKETS], 32 * 4);
		assert_int_equal(env_be_stats(&n.env, BE_ROW).packets, 32 * 5);
		assert_int_equal(env_nat_count(&n.env), 32);
		nat_close(&n);
	}
}

/* A flow can begin with one. */
static void test_a_flow_that_begins_so(void **state)
{
	static struct frame whole, in[PARTS];

	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct nat n;

		nat_open(&n, v6, way);
		nat_from_client(&n, 40000, sent(IPPROTO_UDP), &whole);
		cut(&whole, 7, in);
		for (int i = 0; i < PARTS; i++)
			env_expect(&n.env, &in[i], SHUNT_VERDICT_TX, NULL);
		assert_int_equal(env_nat_count(&n.env), 1);
		nat_close(&n);
	}
}

/* Without the first one nobody knows whose they are. */
static void test_out_of_order(void **state)
{
	static struct frame whole, in[PARTS];

	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct nat n;

		nat_open(&n, v6, way);
		env_addr(&n.env, n.f->vip, 0);
		nat_from_client(&n, 40000, sent(IPPROTO_UDP), &whole);
		env_expect(&n.env, &whole, SHUNT_VERDICT_TX, NULL);
		cut(&whole, 7, in);
		env_expect_drop(&n.env, &in[1], SHUNT_DROP_FRAGMENT);
		nat_from_backend(&n, 40000, sent(IPPROTO_UDP), &whole);
		cut(&whole, 8, in);
		env_expect(&n.env, &in[1], SHUNT_VERDICT_PASS_FRAGMENT, NULL);
		nat_close(&n);
	}
}

/* One that comes from the backend, which is counted as such. */
static void expect_reply_drop(struct nat *n, const struct frame *in)
{
	uint64_t before = env_svc_stats(&n->env).drop[SHUNT_DROP_FRAGMENT];

	env_expect(&n->env, in, SHUNT_VERDICT_DROP, NULL);
	assert_int_equal(env_svc_stats(&n->env).drop[SHUNT_DROP_FRAGMENT], before + 1);
}

/* What node.fragments says goes for both directions; and what would write over a header that was looked
 * at is never let through. */
static void test_policies(void **state)
{
	static struct frame whole, in[PARTS], evil;
	struct shunt_switches on = {.nat = 1};

	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct nat n;

		nat_open(&n, v6, way);
		on.fragments = SHUNT_FRAGMENTS_FOLLOW;
		env_switches(&n.env, &on);
		there(&n, IPPROTO_TCP, 40000, 7);
		back(&n, IPPROTO_TCP, 40000, 8);
		nat_from_backend(&n, 40000, sent(IPPROTO_TCP), &whole);
		pkt_fragment(&whole, 8, 480, 1, 8, &evil);
		if (!v6) /* IPv6 says of an offset of 8 nothing */
			expect_reply_drop(&n, &evil);

		on.fragments = SHUNT_FRAGMENTS_DROP;
		env_switches(&n.env, &on);
		cut(&whole, 9, in);
		expect_reply_drop(&n, &in[0]);
		nat_from_client(&n, 40000, sent(IPPROTO_TCP), &whole);
		cut(&whole, 9, in);
		env_expect_drop(&n.env, &in[0], SHUNT_DROP_FRAGMENT);
		nat_close(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_a_flow_that_begins_so),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
