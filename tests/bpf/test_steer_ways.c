/* SPDX-License-Identifier: BSD-2-Clause */
/* What few packets need (fragments, errors, messages about sizes) where the way to the backend is not
 * IP in IP, and that it leaves the accounts of guards and flows alone. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include <bpf/libbpf.h>

#include "tests/bpf/nat_env.h"
#include "tests/bpf/steer_env.h"
#include "tests/bpf/steer_xdp.skel.h"

#define VIP4	 "203.0.113.10"
#define VIP6	 "2001:db8::10"
#define CLIENT4	 "198.51.100.7"
#define CLIENT6	 "2001:db8:c::7"
#define ROUTER4	 "192.0.2.99"
#define ROUTER6	 "2001:db8:9::9"
#define LB4	 "10.0.0.1"
#define LB6	 "fd00::1"
#define GUE_PORT 6080
#define MTU	 1400

/* A way on, and how many bytes it adds. */
struct way_case {
	uint8_t forward, next_hop;
	bool outer6;
	unsigned adds;
};

static const struct way_case ways[] = {
	{SHUNT_FORWARD_GUE, SHUNT_NEXT_HOP_REFLECT, false, 28},
	{SHUNT_FORWARD_GUE, SHUNT_NEXT_HOP_REFLECT, true, 48},
	{SHUNT_FORWARD_GUE, SHUNT_NEXT_HOP_FIB, false, 28},
	{SHUNT_FORWARD_IPIP, SHUNT_NEXT_HOP_FIB, false, 20},
	{SHUNT_FORWARD_IPIP, SHUNT_NEXT_HOP_FIB, true, 40},
	{SHUNT_FORWARD_L2, SHUNT_NEXT_HOP_FIB, false, 0},
};

#define EACH_WAY(w)                                                                                \
	for (const struct way_case *w = ways; w < ways + sizeof(ways) / sizeof(*ways); w++)

static const struct shunt_switches talkative = {.echo = 1, .icmp_rate = 60000};

static void open_env(struct env *env, const struct way_case *w)
{
	struct env_backend be = {.id = env_id(1, 1),
				 .src = w->outer6 ? LB6 : LB4,
				 .dst = w->outer6 ? "fd00:1::1" : "10.1.0.1",
				 .mtu = MTU,
				 .forward = w->forward,
				 .next_hop = w->next_hop,
				 .port = GUE_PORT};

	env_open(env, NULL);
	env_backend(env, &be);
	env_ring(env, be.id);
	env_switches(env, &talkative);
	for (int v6 = 0; v6 < 2; v6++) {
		env_service(env, v6 ? VIP6 : VIP4, 80, IPPROTO_TCP);
		env_service(env, v6 ? VIP6 : VIP4, 80, IPPROTO_UDP);
		env_addr(env, v6 ? VIP6 : VIP4, 0);
	}
}

static struct pkt_spec spec_of(bool v6, uint8_t proto, size_t ip_len)
{
	return (struct pkt_spec){.src = v6 ? CLIENT6 : CLIENT4,
				 .dst = v6 ? VIP6 : VIP4,
				 .sport = 40000,
				 .dport = 80,
				 .proto = proto,
				 .tcp_flags = F_ACK,
				 .payload_len =
					 ip_len - (v6 ? 40 : 20) - (proto == IPPROTO_TCP ? 20 : 8)};
}

/* An error to `to` that a packet is too big, or (mtu 0) that it does not arrive, with len bytes of it. */
static void error_about(const struct frame *about, size_t len, const char *to, uint32_t mtu,
			struct frame *ret_frame)
{
	bool v6 = strchr(to, ':') != NULL;
	struct icmp_spec spec = {.src = v6 ? ROUTER6 : ROUTER4,
				 .dst = to,
				 .type = !v6   ? 3
					 : mtu ? 2
					       : 1,
				 .code = !v6 && mtu ? 4 : 0,
				 .rest = mtu,
				 .body = about->data + ETH_LEN,
				 .body_len = len};

	pkt_icmp(&spec, ret_frame);
}

/* Is it a message to the client that its packets may have so many bytes? */
static void expect_told(const struct frame *out, const struct frame *client, bool v6, uint32_t mtu)
{
	size_t l4 = pkt_l4(out), quoted = pkt_ip_len(out) - (l4 - ETH_LEN) - 8;

	assert_int_equal(out->data[l4], v6 ? 2 : 3);
	assert_int_equal(out->data[l4 + 1], v6 ? 0 : 4);
	assert_int_equal(pkt_get16(out, l4 + 6), mtu);
	assert_memory_equal(out->data + l4 + 8, client->data + ETH_LEN, quoted);
	assert_memory_equal(out->data + ETH_LEN + (v6 ? 24 : 16),
			    client->data + ETH_LEN + (v6 ? 8 : 12), v6 ? 16 : 4);
	assert_true(pkt_sums_are_right(out, l4, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP));
}

static void test_too_big(void **state)
{
	static struct frame in, tagged, out;
	struct env env;

	(void)state;
	EACH_WAY(w)
	{
		open_env(&env, w);
		for (int v6 = 0; v6 < 2; v6++) {
			struct pkt_spec spec = spec_of(v6, IPPROTO_UDP, MTU - w->adds + 1);

			pkt_build(&spec, &in);
			env_expect(&env, &in, SHUNT_VERDICT_ANSWER, &out);
			expect_told(&out, &in, v6, MTU - w->adds);
			/* With its tag, which a route would have taken off. */
			tagged = in;
			pkt_tag(&tagged, 0x8100, 7);
			env_expect(&env, &tagged, SHUNT_VERDICT_ANSWER, &out);
			assert_int_equal(pkt_get16(&out, 12), 0x8100);
			assert_int_equal(pkt_get16(&out, 14), 7);
			assert_int_equal(out.data[18] >> 4, v6 ? 6 : 4);
		}
		assert_int_equal(env_svc_stats(&env).drop[SHUNT_DROP_TOO_BIG], 4);
		assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_ICMP_SENT], 4);
		env_close(&env);
	}
}

/* The largest that fits goes on: by GUE it is sent, by a route (there are none here) it is dropped for
 * that reason. */
static void test_not_too_big(void **state)
{
	static struct frame in;
	struct env env;

	(void)state;
	EACH_WAY(w)
	{
		struct pkt_spec spec = spec_of(false, IPPROTO_UDP, MTU - w->adds);

		open_env(&env, w);
		pkt_build(&spec, &in);
		if (w->next_hop == SHUNT_NEXT_HOP_REFLECT)
			env_expect(&env, &in, SHUNT_VERDICT_TX, NULL);
		else
			env_expect_drop(&env, &in, SHUNT_DROP_NO_ROUTE);
		env_close(&env);
	}
}

static void syn_with_mss(bool v6, uint16_t mss, struct frame *f)
{
	struct pkt_spec spec = spec_of(v6, IPPROTO_TCP, v6 ? 60 : 40);

	spec.tcp_flags = F_SYN;
	spec.tcp_options = 1;
	pkt_build(&spec, f);
	pkt_put16(f, pkt_l4(f) + 20, 0x0204);
	pkt_put16(f, pkt_l4(f) + 22, mss);
}

static void test_mss(void **state)
{
	static struct frame in;
	struct env env;

	(void)state;
	EACH_WAY(w)
	{
		open_env(&env, w);
		env.svc.mss = SHUNT_MSS_AUTO;
		for (int v6 = 0; v6 < 2; v6++) {
			uint16_t fits = MTU - w->adds - (v6 ? 60 : 40);
			uint64_t before = env_svc_stats(&env).count[SHUNT_COUNT_MSS_LOWERED];

			env_service(&env, v6 ? VIP6 : VIP4, 80, IPPROTO_TCP);
			syn_with_mss(v6, fits, &in);
			(void)env_run(&env, &in, NULL);
			assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_MSS_LOWERED],
					 before);
			syn_with_mss(v6, fits + 1, &in);
			(void)env_run(&env, &in, NULL);
			assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_MSS_LOWERED],
					 before + 1);
		}
		env_close(&env);
	}
}

/* ---- GUE ---- */

/* Behind the outer headers the packet as it came, and over IPv6 a checksum that is right. */
static void expect_gue(const struct frame *in, const struct frame *out, const struct way_case *w)
{
	size_t at = ETH_LEN + w->adds;

	assert_int_equal(out->len, in->len + w->adds);
	assert_memory_equal(out->data + at, in->data + ETH_LEN, in->len - ETH_LEN);
	if (w->outer6)
		assert_true(pkt_sums_are_right(out, pkt_l4(out), IPPROTO_UDP));
}

static void test_gue_takes_them(void **state)
{
	static struct frame whole, part, reply, error, out;
	struct env env;

	(void)state;
	for (int i = 0; i < 8; i++) {
		const struct way_case *w = &ways[i & 1];
		bool v6 = i & 2;
		uint8_t proto = i & 4 ? IPPROTO_UDP : IPPROTO_TCP;
		struct pkt_spec spec = spec_of(v6, proto, 1000), back = spec;
		size_t len, l4;

		open_env(&env, w);
		pkt_build(&spec, &whole);
		l4 = pkt_l4(&whole);
		len = whole.len - l4;
		pkt_fragment(&whole, 0, 480, 1, 77, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, &out);
		expect_gue(&part, &out, w);
		pkt_fragment(&whole, 480, len - 480, 0, 77, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, &out);
		expect_gue(&part, &out, w);

		back.src = spec.dst;
		back.dst = spec.src;
		back.sport = spec.dport;
		back.dport = spec.sport;
		pkt_build(&back, &reply);
		error_about(&reply, l4 - ETH_LEN + 8, spec.dst, 0, &error);
		env_expect(&env, &error, SHUNT_VERDICT_TX, &out);
		expect_gue(&error, &out, w);
		assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_ICMP_ERRORS], 1);
		env_close(&env);
	}
}

static void test_errors_about_gue(void **state)
{
	static struct frame in, sent, error, out;
	struct env env;

	(void)state;
	for (int i = 0; i < 4; i++) {
		const struct way_case *w = &ways[i & 1];
		bool v6 = i & 2;
		struct pkt_spec spec = spec_of(v6, IPPROTO_TCP, 1000);
		size_t inner = v6 ? 48 : 28;

		open_env(&env, w);
		pkt_build(&spec, &in);
		env_expect(&env, &in, SHUNT_VERDICT_TX, &sent);
		for (size_t more = 0; more < 40; more += 4) {
			error_about(&sent, w->adds + inner + more, w->outer6 ? LB6 : LB4, 1300,
				    &error);
			env_expect(&env, &error, SHUNT_VERDICT_ANSWER, &out);
			expect_told(&out, &in, v6, 1300 - w->adds);
		}
		/* Too little of it; not to the backend of the flow; of another kind. */
		error_about(&sent, w->adds + inner - 1, w->outer6 ? LB6 : LB4, 1300, &error);
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		error_about(&sent, 200, w->outer6 ? LB6 : LB4, 0, &error);
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		error_about(&sent, 200, w->outer6 ? LB6 : LB4, 1300, &error);
		error.data[ETH_LEN + (w->outer6 ? 48 + 39 : 28 + 19)] ^= 0x40;
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		env_close(&env);
	}
}

/* ---- NAT ---- */

/* ---- accounts ---- */

static void error_for(bool v6, uint8_t proto, struct frame *ret_error)
{
	struct pkt_spec spec = spec_of(v6, proto, 1000), back = spec;
	static struct frame reply;

	back.src = spec.dst;
	back.dst = spec.src;
	back.sport = spec.dport;
	back.dport = spec.sport;
	pkt_build(&back, &reply);
	error_about(&reply, v6 ? 48 : 28, spec.dst, 0, ret_error);
}

/* Anyone can send an error about anyone's flow. */
static void test_errors_take_no_limits(void **state)
{
	struct shunt_svc_guard g = {.scope = 5,
				    .burst_ns = 1,
				    .flow_ns = 1000000000,
				    .source_flow_ns = 1000000000,
				    .packets_per_source = 3,
				    .block_ns = 1000000000,
				    .bad_flags = 1,
				    .block_abuse = 1,
				    .prefix_len4 = 32,
				    .prefix_len6 = 128,
				    .mask4 = 0xffffffff,
				    .mask6 = {~0U, ~0U, ~0U, ~0U}};
	static struct frame in, error;
	uint32_t row = SVC_ROW;
	struct env env;

	(void)state;
	for (int i = 0; i < 4; i++) {
		uint8_t proto = i & 2 ? IPPROTO_UDP : IPPROTO_TCP;
		struct pkt_spec spec = spec_of(i & 1, proto, 100);

		open_env(&env, &ways[0]);
		assert_int_equal(bpf_map__update_elem(env.skel->maps.sh_svc_guard, &row,
						      sizeof(row), &g, sizeof(g), BPF_ANY),
				 0);
		env.svc.guard = SHUNT_GUARDS_LIMITS;
		env.svc.insert_ns = 1;
		env.svc.tracking = SHUNT_TRACK_ALWAYS;
		env_service(&env, spec.dst, 80, proto);
		error_for(i & 1, proto, &error);
		for (int n = 0; n < 10; n++)
			env_expect(&env, &error, SHUNT_VERDICT_TX, NULL);
		pkt_build(&spec, &in);
		env_expect(&env, &in, SHUNT_VERDICT_TX, NULL);
		assert_int_equal(env_flow_count(&env, TABLE_PENDING), 1);
		env_close(&env);
	}
}

/* A later fragment has no flags that could be bad. */
static void test_later_fragments_are_no_abuse(void **state)
{
	struct shunt_svc_guard g = {.scope = 5, .bad_flags = 1};
	static struct frame whole, part;
	uint32_t row = SVC_ROW;
	struct env env;

	(void)state;
	open_env(&env, &ways[0]);
	assert_int_equal(bpf_map__update_elem(env.skel->maps.sh_svc_guard, &row, sizeof(row), &g,
					      sizeof(g), BPF_ANY),
			 0);
	env.svc.guard = SHUNT_GUARDS_LIMITS;
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, IPPROTO_TCP, 1000);

		env_service(&env, spec.dst, 80, IPPROTO_TCP);
		pkt_build(&spec, &whole);
		pkt_fragment(&whole, 0, 480, 1, 9, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, NULL);
		pkt_fragment(&whole, 480, 480, 1, 9, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, NULL);
		/* The flags of the first are looked at. */
		spec.tcp_flags = F_SYN | F_FIN;
		pkt_build(&spec, &whole);
		pkt_fragment(&whole, 0, 480, 1, 10, &part);
		env_expect_drop(&env, &part, SHUNT_DROP_ABUSE);
	}
	env_close(&env);
}

/* An error about a flow of a moving slot goes where its packets go, and is none of them. */
static void test_errors_do_not_hold_a_moving_slot(void **state)
{
	struct shunt_stamp stamp = {.since_ticks = 1};
	static struct frame error, in;
	struct env env;

	(void)state;
	for (int i = 0; i < 4; i++) {
		uint8_t proto = i & 2 ? IPPROTO_UDP : IPPROTO_TCP;
		struct env_backend old = {.id = env_id(1, 2), .src = LB4, .dst = "10.1.0.2"};
		struct pkt_spec spec = spec_of(i & 1, proto, 100);

		open_env(&env, &ways[0]);
		env_backend(&env, &old);
		env.svc.tracking = SHUNT_TRACK_ON_CHANGE;
		env_service(&env, spec.dst, 80, proto);
		for (unsigned slot = 0; slot < RING_SIZE; slot++)
			env_slot_move(&env, slot, env_id(1, 1), old.id, &stamp);
		error_for(i & 1, proto, &error);
		assert_int_equal(env_backend_of(&env, &error), 2);
		for (unsigned slot = 0; slot < RING_SIZE; slot++)
			assert_int_equal(env_stamp(&env, slot).old_ticks, 0);
		assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
		pkt_build(&spec, &in);
		assert_int_equal(env_backend_of(&env, &in), 2);
		env_close(&env);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_not_too_big),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_gue_takes_them),
		cmocka_unit_test(test_errors_about_gue),
		cmocka_unit_test(test_errors_take_no_limits),
		cmocka_unit_test(test_later_fragments_are_no_abuse),
		cmocka_unit_test(test_errors_do_not_hold_a_moving_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
