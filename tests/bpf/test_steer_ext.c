/* SPDX-License-Identifier: BSD-2-Clause */
/* Extension headers of IPv6: read over, and left as they are. */
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
#define BE4 "10.1.0.1"

/* Headers of 8 bytes but where the length says otherwise; the first byte is set by put_chain(). */
static const uint8_t hop_by_hop[8] = {0, 0, 1, 4}, dest_options[8] = {0, 0, 1, 4},
		     long_options[24] = {0, 2, 1, 20}, routing[8] = {0, 0, 4, 0},
		     routing_left[24] = {0, 2, 0, 1}, auth[24] = {0, 4, 0, 0, 0, 0, 1, 0},
		     atomic[8] = {0, 0, 0, 0, 1, 2, 3, 4};

struct ext {
	uint8_t type;
	const uint8_t *bytes;
	size_t len;
};
#define HOP                                                                                        \
	{                                                                                          \
		0, hop_by_hop, 8                                                                   \
	}
#define DEST                                                                                       \
	{                                                                                          \
		60, dest_options, 8                                                                \
	}
#define LONG                                                                                       \
	{                                                                                          \
		60, long_options, 24                                                               \
	}
#define ROUTE                                                                                      \
	{                                                                                          \
		43, routing, 8                                                                     \
	}
#define ROUTE_ON                                                                                   \
	{                                                                                          \
		43, routing_left, 24                                                               \
	}
#define AUTH                                                                                       \
	{                                                                                          \
		51, auth, 24                                                                       \
	}
#define ATOMIC                                                                                     \
	{                                                                                          \
		44, atomic, 8                                                                      \
	}
#define CHAIN_MAX 10

static const struct chain {
	const char *name;
	struct ext ext[CHAIN_MAX];
} good[] =
	{
		{"hop by hop", {HOP}},
		{"destination options", {DEST}},
		{"more of them", {LONG}},
		{"routing, at its end", {ROUTE}},
		{"authentication", {AUTH}},
		{"a fragment that is whole", {ATOMIC}},
		{"all in order", {HOP, DEST, ROUTE, ATOMIC, AUTH, LONG}},
		{"eight", {HOP, DEST, DEST, DEST, DEST, DEST, DEST, LONG}},
},
  bad[] =
	  {
		  {"hop by hop, not first", {DEST, HOP}},
		  {"twice hop by hop", {HOP, HOP}},
		  {"routing to elsewhere", {ROUTE_ON}},
},
  closed[] = {
	  {"nine", {HOP, DEST, DEST, DEST, DEST, DEST, DEST, DEST, DEST}},
	  {"encryption", {{50, dest_options, 8}}},
	  {"nothing follows", {DEST, {59, dest_options, 8}}},
	  {"mobility", {{135, dest_options, 8}}},
	  {"experiment", {HOP, {253, dest_options, 8}}},
};

/* Returns the length of the chain. */
static size_t put_chain(struct frame *f, const struct chain *c)
{
	uint8_t first = f->data[ETH_LEN + 6];
	size_t at = ETH_LEN + 40, count = 0, len = 0;

	while (count < CHAIN_MAX && c->ext[count].len)
		count++;
	for (size_t i = 0; i < count; i++) {
		const struct ext *e = &c->ext[i];

		pkt_insert(f, at + len, e->bytes, e->len);
		f->data[at + len] = i + 1 < count ? c->ext[i + 1].type : first;
		len += e->len;
	}
	f->data[ETH_LEN + 6] = c->ext[0].type;
	pkt_set_ip_len(f, f->len - ETH_LEN);
	return len;
}

static struct pkt_spec spec_of(uint8_t proto)
{
	return (struct pkt_spec){.src = CLIENT6,
				 .dst = VIP6,
				 .sport = 40000,
				 .dport = 80,
				 .proto = proto,
				 .tcp_flags = F_ACK,
				 .payload_len = 31};
}

static void open_env(struct env *env)
{
	struct env_backend be = {.id = env_id(1, 1), .src = LB4, .dst = BE4};

	env_open(env, NULL);
	env_backend(env, &be);
	env_ring(env, be.id);
	env_service(env, VIP6, 80, IPPROTO_TCP);
	env_service(env, VIP6, 80, IPPROTO_UDP);
}

static void test_steered_whole(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct outer_spec outer = {.src = LB4, .dst = BE4};
	static struct frame in, out, expected;
	struct env env;

	(void)state;
	open_env(&env);
	for (size_t i = 0; i < 2 * sizeof(good) / sizeof(good[0]); i++) {
		struct pkt_spec spec = spec_of(protos[i % 2]);

		print_message("  %s\n", good[i / 2].name);
		pkt_build(&spec, &in);
		put_chain(&in, &good[i / 2]);
		pkt_encap(&in, &outer, &expected);
		env_expect(&env, &in, SHUNT_VERDICT_TX, &out);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, expected.len);
	}
	/* The same flow with and without. */
	assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 2);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	env_close(&env);
}

static void test_prefixes(void **state)
{
	struct pkt_spec spec = spec_of(IPPROTO_TCP);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t whole, chain;

		pkt_build(&spec, &in);
		chain = put_chain(&in, &good[i]);
		whole = in.len;
		for (in.len = ETH_LEN; in.len < whole; in.len++) {
			if (in.len >= ETH_LEN + 40 + chain + 4)
				env_expect_drop(&env, &in, SHUNT_DROP_TRUNCATED);
			else
				assert_int_equal(env_run(&env, &in, NULL), XDP_PASS);
		}
	}
	assert_int_equal(env_be_stats(&env, 1).packets, 0);
	env_close(&env);
}

/* Ports can be read, so it is the service's; but its network should not have sent it. */
static void test_bad_chains(void **state)
{
	struct pkt_spec spec = spec_of(IPPROTO_TCP);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		spec.dport = 80;
		pkt_build(&spec, &in);
		put_chain(&in, &bad[i]);
		env_expect_drop(&env, &in, SHUNT_DROP_BAD_HEADER);
		spec.dport = 81;
		pkt_build(&spec, &in);
		put_chain(&in, &bad[i]);
		env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
	}
	env_close(&env);
}

static void test_what_cannot_be_read_passes(void **state)
{
	struct pkt_spec spec = spec_of(IPPROTO_TCP);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		pkt_build(&spec, &in);
		put_chain(&in, &closed[i]);
		env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_PROTOCOL);
	}
	/* Every length that a header can claim. */
	for (unsigned len = 1; len < 256; len++) {
		pkt_build(&spec, &in);
		put_chain(&in, &good[1]);
		in.data[ETH_LEN + 40 + 1] = len;
		assert_int_equal(env_run(&env, &in, NULL), XDP_PASS);
	}
	/* A chain that is longer than the packet says. */
	pkt_build(&spec, &in);
	put_chain(&in, &good[2]);
	for (size_t len = 40; len < 40 + 24 + 4; len++) {
		pkt_set_ip_len(&in, len);
		env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_MALFORMED);
	}
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_PACKETS], 0);
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steered_whole),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_bad_chains),
		cmocka_unit_test(test_what_cannot_be_read_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
