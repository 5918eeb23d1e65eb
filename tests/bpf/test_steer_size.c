/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that are too big for a tunnel: what the client is told, and SYNs that are made to ask for
 * smaller ones. */
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

static const struct shunt_switches talkative = {.icmp_rate = 60000};

static void open_env(struct env *env, bool outer6, uint16_t mtu)
{
	struct env_backend be = {.id = env_id(1, 1),
				 .src = outer6 ? LB6 : LB4,
				 .dst = outer6 ? BE6 : BE4,
				 .mtu = mtu};

	env_open(env, NULL);
	env_backend(env, &be);
	env_ring(env, be.id);
	env_services(env, VIP4, VIP6);
	env_switches(env, &talkative);
}

static struct pkt_spec spec_of(bool v6, uint8_t proto, size_t ip_len)
{
	struct pkt_spec spec = {.src = v6 ? CLIENT6 : CLIENT4,
				.dst = v6 ? VIP6 : VIP4,
				.sport = 40000,
				.dport = 80,
				.proto = proto,
				.tcp_flags = F_ACK,
				.tos = 0x0a};

	spec.payload_len = ip_len - (v6 ? 40 : 20) - (proto == IPPROTO_TCP ? 20 : 8);
	return spec;
}

/* The message that answers a packet. */
static void told(const struct frame *in, bool v6, uint32_t mtu, struct frame *ret_frame)
{
	size_t most = v6 ? 1232 : 548, len = in->len - ETH_LEN;
	struct icmp_spec spec = {.src = v6 ? VIP6 : VIP4,
				 .dst = v6 ? CLIENT6 : CLIENT4,
				 .type = v6 ? 2 : 3,
				 .code = v6 ? 0 : 4,
				 .rest = mtu,
				 .body = in->data + ETH_LEN,
				 .body_len = (len < most ? len : most) & ~(size_t)3,
				 .tos = 0xc0,
				 .ttl = 64};

	pkt_icmp(&spec, ret_frame);
	memcpy(ret_frame->data, in->data + 6, 6);
	memcpy(ret_frame->data + 6, in->data, 6);
	if (v6) {
		ret_frame->data[ETH_LEN + 1] &= 0xf0; /* no flow label */
		ret_frame->data[ETH_LEN + 2] = ret_frame->data[ETH_LEN + 3] = 0;
	} else {
		pkt_put16(ret_frame, ETH_LEN + 4, 0); /* no id */
		pkt_fix_ipv4(ret_frame, ETH_LEN);
	}
}

static void check_told(bool v6, bool outer6, uint8_t proto, size_t mtu)
{
	size_t fits = mtu - (outer6 ? 40 : 20);
	static struct frame in, out, expected;
	struct shunt_svc_stats s;
	struct pkt_spec spec;
	struct env env;
	unsigned count = 0;

	open_env(&env, outer6, mtu);
	spec = spec_of(v6, proto, fits);
	pkt_build(&spec, &in);
	env_expect(&env, &in, SHUNT_VERDICT_TX, NULL);
	for (size_t len = fits + 1; len < fits + 700; len += len < fits + 5 ? 1 : 97, count++) {
		spec = spec_of(v6, proto, len);
		pkt_build(&spec, &in);
		told(&in, v6, fits, &expected);
		env_expect(&env, &in, SHUNT_VERDICT_ANSWER, &out);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, expected.len);
		assert_true(
			pkt_sums_are_right(&out, pkt_l4(&out), v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP));
	}
	s = env_svc_stats(&env);
	assert_int_equal(s.drop[SHUNT_DROP_TOO_BIG], count);
	assert_int_equal(s.count[SHUNT_COUNT_ICMP_SENT], count);
	assert_int_equal(s.count[SHUNT_COUNT_PACKETS], count + 1);
	assert_int_equal(env_be_stats(&env, 1).packets, 1);
	env_close(&env);
}

static void test_the_client_is_told(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		check_told(i & 1, i & 2, i & 4 ? IPPROTO_UDP : IPPROTO_TCP, 1500);
		check_told(i & 1, i & 2, i & 4 ? IPPROTO_UDP : IPPROTO_TCP, 1320);
		check_told(i & 1, i & 2, i & 4 ? IPPROTO_UDP : IPPROTO_TCP, 300);
	}
}

static void test_tags_stay(void **state)
{
	static struct frame in, out, expected;
	struct env env;

	(void)state;
	open_env(&env, false, 1300);
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, IPPROTO_TCP, 1400);

		pkt_build(&spec, &in);
		told(&in, v6, 1280, &expected);
		pkt_tag(&in, 0x8100, 7);
		pkt_tag(&expected, 0x8100, 7);
		env_expect(&env, &in, SHUNT_VERDICT_ANSWER, &out);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, expected.len);
		pkt_tag(&in, 0x88a8, 9);
		pkt_tag(&expected, 0x88a8, 9);
		env_expect(&env, &in, SHUNT_VERDICT_ANSWER, &out);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, expected.len);
	}
	env_close(&env);
}

/* What stands behind the packet is not quoted. */
static void test_padding_is_not_quoted(void **state)
{
	struct pkt_spec spec = spec_of(false, IPPROTO_TCP, 400);
	static struct frame in, out, expected;
	struct env env;

	(void)state;
	open_env(&env, false, 300);
	pkt_build(&spec, &in);
	told(&in, false, 280, &expected);
	spec.frame_len = 1000;
	pkt_build(&spec, &in);
	env_expect(&env, &in, SHUNT_VERDICT_ANSWER, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
	env_close(&env);
}

/* Dropped without a word: packets that may be fragmented, later fragments, errors, packets from no
 * host, and all that is over the rate. */
static void test_nobody_is_told(void **state)
{
	static const char *const odd[] = {"224.0.0.1", "127.0.0.1", "0.0.0.0", "ff02::1", "::"};
	struct shunt_switches quiet = {.icmp_rate = 0};
	struct pkt_spec spec = spec_of(false, IPPROTO_UDP, 1400);
	static struct frame in, part, error;
	struct env env;

	(void)state;
	open_env(&env, false, 1000);
	pkt_build(&spec, &in);
	pkt_put16(&in, ETH_LEN + 6, 0);
	pkt_fix_ipv4(&in, ETH_LEN);
	env_expect_drop(&env, &in, SHUNT_DROP_TOO_BIG);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		bool v6 = strchr(odd[i], ':');

		spec = spec_of(v6, IPPROTO_UDP, 1400);
		spec.src = odd[i];
		pkt_build(&spec, &in);
		env_expect_drop(&env, &in, SHUNT_DROP_TOO_BIG);
	}
	for (int v6 = 0; v6 < 2; v6++) {
		struct icmp_spec about = {.src = v6 ? "2001:db8:f::1" : "192.0.2.1",
					  .dst = v6 ? VIP6 : VIP4,
					  .type = v6 ? 1 : 3,
					  .body_len = 1200};

		spec = spec_of(v6, IPPROTO_UDP, 2400);
		pkt_build(&spec, &in);
		pkt_fragment(&in, 0, 800, 1, 1, &part);
		env_expect(&env, &part, SHUNT_VERDICT_TX, NULL);
		pkt_fragment(&in, 800, 1200, 1, 1, &part);
		if (!v6)
			pkt_put16(&part, ETH_LEN + 6, 0x6000 | 100);
		env_expect_drop(&env, &part, SHUNT_DROP_TOO_BIG);

		spec.src = about.dst;
		spec.dst = v6 ? CLIENT6 : CLIENT4;
		spec.sport = 80;
		spec.dport = 40000;
		pkt_build(&spec, &in);
		about.body = in.data + ETH_LEN;
		pkt_icmp(&about, &error);
		env_expect_drop(&env, &error, SHUNT_DROP_TOO_BIG);
	}
	env_switches(&env, &quiet);
	spec = spec_of(false, IPPROTO_UDP, 1400);
	pkt_build(&spec, &in);
	env_expect_drop(&env, &in, SHUNT_DROP_TOO_BIG);
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_ICMP_SENT], 0);
	env_close(&env);
}

static void test_rate(void **state)
{
	struct shunt_switches on = {.icmp_rate = 2};
	struct pkt_spec spec = spec_of(true, IPPROTO_TCP, 1400);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env, false, 1300);
	env_switches(&env, &on);
	pkt_build(&spec, &in);
	env_expect(&env, &in, SHUNT_VERDICT_ANSWER, NULL);
	env_expect(&env, &in, SHUNT_VERDICT_ANSWER, NULL);
	env_expect_drop(&env, &in, SHUNT_DROP_TOO_BIG);
	env_close(&env);
}

/* ---- MSS ---- */

/* Options, and where the MSS option is among them; -1: there is none that counts. */
static const struct options {
	const char *name;
	uint8_t bytes[40];
	uint8_t words;
	int at;
} options[] = {
	{"first", {2, 4, 0xff, 0xff}, 1, 0},
	{"as Linux has it",
	 {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7},
	 5,
	 0},
	{"last", {1, 3, 3, 7, 4, 2, 1, 1, 2, 4, 0x05, 0xb4}, 3, 8},
	{"at an odd place", {1, 2, 4, 0x23, 0x45, 1, 1, 1}, 2, 1},
	{"at an odd place, behind others", {3, 3, 7, 2, 4, 0xff, 0xee, 0}, 2, 3},
	{"behind 36 that do nothing",
	 {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,    1,
	  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 0x05, 0xb4},
	 10,
	 36},
	{"none", {1, 1, 1, 1}, 1, -1},
	{"behind the end", {0, 2, 4, 0xff, 0xff, 0, 0, 0}, 2, -1},
	{"too short", {2, 3, 0xff, 0xff}, 1, -1},
	{"too long", {2, 5, 0xff, 0xff, 0xff, 0, 0, 0}, 2, -1},
	{"behind one without a length", {8, 0, 2, 4, 0xff, 0xff, 0, 0}, 2, -1},
	{"cut off", {1, 1, 2, 4}, 1, -1},
};

static void put_options(struct frame *f, const struct options *o)
{
	size_t l4 = pkt_l4(f);

	memcpy(f->data + l4 + 20, o->bytes, (size_t)o->words * 4);
	pkt_put16(f, l4 + 16, 0);
	for (unsigned sum = 0; !pkt_sums_are_right(f, l4, IPPROTO_TCP); sum++)
		pkt_put16(f, l4 + 16, sum);
}

static void check_mss(struct env *env, const struct options *o, bool v6, uint16_t limit)
{
	struct outer_spec outer = {.src = LB4, .dst = BE4};
	struct pkt_spec spec = spec_of(v6, IPPROTO_TCP, v6 ? 60 : 40);
	static struct frame in, out, lowered_in, expected;
	uint64_t before = env_svc_stats(env).count[SHUNT_COUNT_MSS_LOWERED];
	bool lower;

	spec.tcp_flags = F_SYN;
	spec.tcp_options = o->words;
	spec.ip_options = v6 ? 0 : 2;
	pkt_build(&spec, &in);
	put_options(&in, o);
	lowered_in = in;
	lower = o->at >= 0 && (o->bytes[o->at + 2] << 8 | o->bytes[o->at + 3]) > limit;
	if (lower) {
		struct options lowered = *o;

		lowered.bytes[o->at + 2] = limit >> 8;
		lowered.bytes[o->at + 3] = limit & 0xff;
		put_options(&lowered_in, &lowered);
	}
	pkt_encap(&lowered_in, &outer, &expected);
	env_expect(env, &in, SHUNT_VERDICT_TX, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
	assert_int_equal(env_svc_stats(env).count[SHUNT_COUNT_MSS_LOWERED], before + lower);
}

static void test_mss(void **state)
{
	struct env env;

	(void)state;
	open_env(&env, false, 1400);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		print_message("  %s\n", options[i].name);
		for (int v6 = 0; v6 < 2; v6++) {
			static const uint16_t limits[] = {536, 1459, 1460, 1461, SHUNT_MSS_AUTO};

			for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++) {
				env.svc.mss = limits[k];
				env_service(&env, v6 ? VIP6 : VIP4, 80, IPPROTO_TCP);
				check_mss(&env, &options[i], v6,
					  limits[k] != SHUNT_MSS_AUTO ? limits[k]
					  : v6			      ? 1400 - 20 - 60
								      : 1400 - 20 - 40);
			}
		}
	}
	env_close(&env);
}

/* Only what opens a connection is touched, and only where the service asks for it. */
static void test_mss_stays(void **state)
{
	struct outer_spec outer = {.src = LB4, .dst = BE4};
	struct pkt_spec spec = spec_of(false, IPPROTO_TCP, 40);
	static struct frame in, out, expected;
	struct env env;

	(void)state;
	open_env(&env, false, 1400);
	spec.tcp_options = 1;
	for (int i = 0; i < 2; i++) {
		spec.tcp_flags = i ? F_SYN : F_ACK;
		env.svc.mss = i ? 0 : 536;
		env_service(&env, VIP4, 80, IPPROTO_TCP);
		pkt_build(&spec, &in);
		put_options(&in, &options[0]);
		pkt_encap(&in, &outer, &expected);
		env_expect(&env, &in, SHUNT_VERDICT_TX, &out);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, expected.len);
	}
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_client_is_told),
		cmocka_unit_test(test_tags_stay),
		cmocka_unit_test(test_padding_is_not_quoted),
		cmocka_unit_test(test_nobody_is_told),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_mss_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
