/* SPDX-License-Identifier: BSD-2-Clause */
/* The decapsulating programs, XDP and TC: whole packet in, whole packet out, and what is counted. */
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "bpf/decap_abi.h"
#include "tests/bpf/decap.skel.h"
#include "tests/bpf/pkt_build.h"

#define VIP4	"203.0.113.10"
#define VIP6	"2001:db8::10"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define LB4	"10.0.0.1"
#define BE4	"10.1.0.1"
#define LB6	"fd00::1"
#define BE6	"fd00:1::1"

struct env {
	struct decap_bpf *skel;
	bool tc;
};

static void add_service(struct env *env, const char *addr)
{
	struct decap_key key = {.family = strchr(addr, ':') ? 6 : 4};
	uint32_t value = 1;

	assert_int_equal(inet_pton(key.family == 6 ? AF_INET6 : AF_INET, addr, key.addr), 1);
	assert_int_equal(bpf_map__update_elem(env->skel->maps.dc_services, &key, sizeof(key),
					      &value, sizeof(value), BPF_ANY),
			 0);
}

static void open_env(struct env *env, bool tc)
{
	*env = (struct env){.skel = decap_bpf__open_and_load(), .tc = tc};
	assert_non_null(env->skel);
	add_service(env, VIP4);
	add_service(env, VIP6);
}

static void close_env(struct env *env)
{
	decap_bpf__destroy(env->skel);
}

static uint64_t counter(struct env *env, uint32_t result)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = calloc(cpus, sizeof(*values)), sum = 0;

	assert_non_null(values);
	assert_int_equal(bpf_map__lookup_elem(env->skel->maps.dc_counters, &result, sizeof(result),
					      values, cpus * sizeof(*values), 0),
			 0);
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	free(values);
	return sum;
}

/* Returns what the program returned. */
static uint32_t run(struct env *env, const struct frame *in, struct frame *ret_out)
{
	struct bpf_program *prog = env->tc ? env->skel->progs.decap_tc : env->skel->progs.decap_xdp;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->data, .data_size_in = in->len,
		    .data_out = ret_out->data, .data_size_out = sizeof(ret_out->data), .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(prog), &opts), 0);
	ret_out->len = opts.data_size_out;
	return opts.retval;
}

/* Run, and expect this result and no other to be counted. Returns what the program returned. */
static uint32_t run_counted(struct env *env, const struct frame *in, uint32_t result,
			    struct frame *ret_out)
{
	uint64_t before[DECAP_RESULT_COUNT];
	uint32_t retval;

	for (uint32_t i = 0; i < DECAP_RESULT_COUNT; i++)
		before[i] = counter(env, i);
	retval = run(env, in, ret_out);
	for (uint32_t i = 0; i < DECAP_RESULT_COUNT; i++)
		assert_int_equal(counter(env, i) - before[i], i == result);
	return retval;
}

static void expect_drop(struct env *env, const struct frame *in, uint32_t result)
{
	static struct frame out;

	assert_int_equal(run_counted(env, in, result, &out), env->tc ? TC_ACT_SHOT : XDP_DROP);
}

static void expect_pass(struct env *env, const struct frame *in, uint32_t result)
{
	static struct frame out;

	assert_int_equal(run_counted(env, in, result, &out), env->tc ? TC_ACT_OK : XDP_PASS);
	assert_int_equal(out.len, in->len);
	assert_memory_equal(out.data, in->data, in->len);
}

/* In TC, the family that changes means another round through the stack's entrance. */
static void expect_inner(struct env *env, const struct frame *in, const struct frame *expected)
{
	static struct frame out;
	bool same_family = !memcmp(in->data + 12, expected->data + 12, 2);
	uint32_t retval = run_counted(env, in, DECAP_DECAPSULATED, &out);

	if (env->tc)
		assert_int_equal(retval, same_family ? TC_ACT_OK : TC_ACT_REDIRECT);
	else
		assert_int_equal(retval, XDP_PASS);
	assert_true(out.len >= expected->len);
	if (pkt_ip_len(expected) >= 40) /* TC may leave bytes behind a shorter one */
		assert_int_equal(out.len, expected->len);
	assert_memory_equal(out.data, expected->data, expected->len);
}

static struct pkt_spec spec_of(bool v6, uint8_t proto, size_t payload_len, uint8_t tos)
{
	return (struct pkt_spec){.src = v6 ? CLIENT6 : CLIENT4,
				 .dst = v6 ? VIP6 : VIP4,
				 .sport = 40000,
				 .dport = 80,
				 .proto = proto,
				 .tcp_flags = F_ACK,
				 .tos = tos,
				 .payload_len = payload_len};
}

/* A packet in its tunnel, and as it should come out: with the Ethernet addresses of the tunnel. */
static void build(const struct pkt_spec *spec, bool outer6, struct frame *ret_in,
		  struct frame *ret_inner)
{
	struct outer_spec outer = {.src = outer6 ? LB6 : LB4, .dst = outer6 ? BE6 : BE4};

	pkt_build(spec, ret_inner);
	pkt_encap(ret_inner, &outer, ret_in);
	memcpy(ret_inner->data, ret_in->data, 12);
}

static void set_tos(struct frame *f, uint8_t tos)
{
	uint8_t *ip = f->data + ETH_LEN;

	if (ip[0] >> 4 == 4) {
		ip[1] = tos;
		pkt_fix_ipv4(f, ETH_LEN);
		return;
	}
	ip[0] = 0x60 | tos >> 4;
	ip[1] = (tos << 4 & 0xf0) | (ip[1] & 0x0f);
}

static void check_goldens(bool tc)
{
	static const size_t payloads[] = {0, 1, 11, 12, 1000};
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (int i = 0; i < 4 * 5 * 3; i++) {
		struct pkt_spec spec = spec_of(i & 1, protos[i / 4 % 3], payloads[i / 12], 0xb8);

		build(&spec, i & 2, &in, &inner);
		expect_inner(&env, &in, &inner);
	}
	close_env(&env);
}

static void check_outer_options(bool tc)
{
	static struct frame in, inner, with;
	struct env env;

	open_env(&env, tc);
	for (int words = 1; words <= 10; words++) {
		struct pkt_spec spec = spec_of(words % 2, IPPROTO_TCP, 30, 0);
		size_t more = words * 4;

		build(&spec, false, &in, &inner);
		with = in;
		with.len += more;
		memcpy(with.data + ETH_LEN + 20 + more, in.data + ETH_LEN + 20,
		       in.len - ETH_LEN - 20);
		memset(with.data + ETH_LEN + 20, 1, more);
		with.data[ETH_LEN] = 0x40 | (5 + words);
		pkt_set_ip_len(&with, with.len - ETH_LEN);
		expect_inner(&env, &with, &inner);
	}
	close_env(&env);
}

/* RFC 6040, figure 4: rows are the inner field, columns the outer one; 4: drop. */
static void check_ecn(bool tc)
{
	static const uint8_t becomes[4][4] = {
		[0] = {0, 0, 0, 4},
		[1] = {1, 1, 1, 3},
		[2] = {2, 1, 2, 3},
		[3] = {3, 3, 3, 3},
	};
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (int i = 0; i < 4 * 4 * 4; i++) {
		uint8_t inner_ecn = i & 3, outer_ecn = i >> 2 & 3;
		uint8_t expected = becomes[inner_ecn][outer_ecn];
		struct pkt_spec spec = spec_of(i & 16, IPPROTO_TCP, 20, 0x48 | inner_ecn);

		build(&spec, i & 32, &in, &inner);
		set_tos(&in, 0x20 | outer_ecn);
		if (expected == 4) {
			expect_drop(&env, &in, DECAP_DROP_CONGESTION);
			continue;
		}
		set_tos(&inner, 0x48 | expected);
		expect_inner(&env, &in, &inner);
	}
	close_env(&env);
}

static void check_not_ours(bool tc)
{
	static struct frame in, inner;
	struct pkt_spec spec;
	struct env env;

	open_env(&env, tc);
	for (int i = 0; i < 4; i++) {
		spec = spec_of(i & 1, IPPROTO_TCP, 20, 0);
		pkt_build(&spec, &in); /* no tunnel */
		expect_pass(&env, &in, DECAP_PASS);
		spec.dst = i & 1 ? "2001:db8::11" : "203.0.113.11";
		build(&spec, i & 2, &in, &inner);
		expect_pass(&env, &in, DECAP_PASS);
		spec = spec_of(i & 1, IPPROTO_TCP, 20, 0);
		build(&spec, i & 2, &in, &inner);
		in.data[0] |= 1; /* to a group */
		expect_pass(&env, &in, DECAP_PASS);
		build(&spec, i & 2, &in, &inner);
		in.data[i & 2 ? ETH_LEN + 40 : ETH_LEN + 20] =
			0x55; /* not what the outer one says */
		expect_pass(&env, &in, DECAP_PASS);
		build(&spec, i & 2, &in, &inner);
		pkt_put16(&in, 12, 0x0806);
		expect_pass(&env, &in, DECAP_PASS);
	}
	close_env(&env);
}

static void check_fragments(bool tc)
{
	struct pkt_spec spec = spec_of(false, IPPROTO_UDP, 20, 0);
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	build(&spec, false, &in, &inner);
	pkt_put16(&in, ETH_LEN + 6, 0x2000);
	pkt_fix_ipv4(&in, ETH_LEN);
	expect_pass(&env, &in, DECAP_PASS_FRAGMENT);
	pkt_put16(&in, ETH_LEN + 6, 0x0010);
	pkt_fix_ipv4(&in, ETH_LEN);
	expect_pass(&env, &in, DECAP_PASS_FRAGMENT);
	/* A fragment inside is the stack's business, and whole as far as the tunnel goes. */
	build(&spec, false, &in, &inner);
	pkt_put16(&in, ETH_LEN + 20 + 6, 0x2000);
	pkt_fix_ipv4(&in, ETH_LEN + 20);
	pkt_put16(&inner, ETH_LEN + 6, 0x2000);
	pkt_fix_ipv4(&inner, ETH_LEN);
	expect_inner(&env, &in, &inner);
	close_env(&env);
}

/* Whatever is cut off behind, nothing is unpacked. */
static void check_prefixes(bool tc)
{
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (int i = 0; i < 4; i++) {
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 5, 0);
		size_t whole, headers, outer_len = i & 2 ? 40 : 20;

		build(&spec, i & 2, &in, &inner);
		whole = in.len;
		headers = ETH_LEN + outer_len + (i & 1 ? 40 : 20);
		/* The kernel makes no socket buffer of less than an IP header. */
		for (in.len = ETH_LEN + (tc ? outer_len : 0); in.len < whole; in.len++) {
			if (in.len < headers)
				expect_pass(&env, &in, DECAP_PASS);
			else
				expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
		}
	}
	close_env(&env);
}

static void check_lying_lengths(bool tc)
{
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (int i = 0; i < 4; i++) {
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 5, 0);
		size_t outer_len = i & 2 ? 40 : 20;
		size_t field = ETH_LEN + outer_len + (i & 1 ? 4 : 2);

		build(&spec, i & 2, &in, &inner);
		pkt_put16(&in, field, pkt_get16(&in, field) + 1); /* more inside than outside */
		expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
		build(&spec, i & 2, &in, &inner);
		pkt_set_ip_len(&in, in.len - ETH_LEN + 1);
		expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
		pkt_set_ip_len(&in, outer_len);
		expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
		if (i & 1)
			continue;
		build(&spec, i & 2, &in, &inner);
		pkt_put16(&in, field, 19); /* less than a header */
		expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
	}
	close_env(&env);
}

/* Ethernet's padding stays behind the packet, where the stack cuts it off. */
static void check_padding(bool tc)
{
	struct pkt_spec spec = spec_of(false, IPPROTO_UDP, 0, 0);
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	build(&spec, false, &in, &inner);
	assert_int_equal(in.len, 62);
	memset(in.data + in.len, 0xee, 4);
	in.len += 4;
	memset(inner.data + inner.len, 0xee, 4);
	inner.len += 4;
	expect_inner(&env, &in, &inner);
	close_env(&env);
}

#define BOTH(check)                                                                                \
	static void test_xdp_##check(void **state)                                                 \
	{                                                                                          \
		(void)state;                                                                       \
		check_##check(false);                                                              \
	}                                                                                          \
	static void test_tc_##check(void **state)                                                  \
	{                                                                                          \
		(void)state;                                                                       \
		check_##check(true);                                                               \
	}

BOTH(goldens)
BOTH(outer_options)
BOTH(ecn)
BOTH(not_ours)
BOTH(fragments)
BOTH(prefixes)
BOTH(lying_lengths)
BOTH(padding)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xdp_goldens),	  cmocka_unit_test(test_tc_goldens),
		cmocka_unit_test(test_xdp_outer_options), cmocka_unit_test(test_tc_outer_options),
		cmocka_unit_test(test_xdp_ecn),		  cmocka_unit_test(test_tc_ecn),
		cmocka_unit_test(test_xdp_not_ours),	  cmocka_unit_test(test_tc_not_ours),
		cmocka_unit_test(test_xdp_fragments),	  cmocka_unit_test(test_tc_fragments),
		cmocka_unit_test(test_xdp_prefixes),	  cmocka_unit_test(test_tc_prefixes),
		cmocka_unit_test(test_xdp_lying_lengths), cmocka_unit_test(test_tc_lying_lengths),
		cmocka_unit_test(test_xdp_padding),	  cmocka_unit_test(test_tc_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
