/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of every kind that the program knows, with bytes changed at random (xorshift; the seed is
 * fixed). Whatever they have become: what passes is as it was, what is dropped is counted, and what we
 * answer with is a message with right checksums.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
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

#define SEEDS  13
#define ROUNDS 1500
#define MTU    1000

static uint64_t draw(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x >> 16;
}

static struct pkt_spec spec_of(bool v6, uint8_t proto, size_t payload, bool reply)
{
	struct pkt_spec spec = {.proto = proto, .tcp_flags = F_ACK, .payload_len = payload};

	spec.src = reply ? (v6 ? VIP6 : VIP4) : (v6 ? CLIENT6 : CLIENT4);
	spec.dst = reply ? (v6 ? CLIENT6 : CLIENT4) : (v6 ? VIP6 : VIP4);
	spec.sport = reply ? 80 : 40000;
	spec.dport = reply ? 40000 : 80;
	return spec;
}

static void error_about(const struct frame *about, bool v6, const char *to, struct frame *f)
{
	struct icmp_spec spec = {.src = v6 ? "2001:db8:f::1" : "192.0.2.1",
				 .dst = to,
				 .type = v6 ? 2 : 3,
				 .code = v6 ? 0 : 4,
				 .rest = 900,
				 .body = about->data + ETH_LEN,
				 .body_len = 100};

	pkt_icmp(&spec, f);
}

/* v6 does for both families what the last bit of n says. */
static void make_seed(unsigned n, struct frame *f)
{
	static const uint8_t options[8] = {IPPROTO_UDP, 0, 1, 4};
	static struct frame other, sent;
	bool v6 = n & 1;
	struct pkt_spec spec = spec_of(v6, IPPROTO_UDP, 300, false);
	struct icmp_spec echo = {.src = spec.src,
				 .dst = spec.dst,
				 .type = v6 ? 128 : 8,
				 .body = "0123456789",
				 .body_len = 10};

	switch (n / 2) {
	case 0: /* a SYN, in two tags */
		spec.proto = IPPROTO_TCP;
		spec.tcp_flags = F_SYN;
		spec.tcp_options = 3;
		pkt_build(&spec, f);
		memcpy(f->data + pkt_l4(f) + 20, (uint8_t[]){1, 2, 4, 5, 180}, 5);
		pkt_tag(f, 0x8100, 7);
		pkt_tag(f, 0x88a8, 8);
		return;
	case 1: /* a first fragment */
	case 2: /* and a later one */
		pkt_build(&spec, &other);
		pkt_fragment(&other, n / 2 == 1 ? 0 : 104, 104, 1, 7, f);
		return;
	case 3: pkt_icmp(&echo, f); return;
	case 4: /* about an answer */
		spec = spec_of(v6, IPPROTO_UDP, 300, true);
		pkt_build(&spec, &other);
		error_about(&other, v6, spec.src, f);
		return;
	case 5: /* about a tunnel, which is IPv4 */
		pkt_build(&spec, &other);
		pkt_encap(&other, &(struct outer_spec){.src = LB4, .dst = BE4}, &sent);
		error_about(&sent, false, LB4, f);
		return;
	default: /* with an extension header, and too big */
		spec = spec_of(true, IPPROTO_UDP, 1100, false);
		pkt_build(&spec, f);
		pkt_insert(f, ETH_LEN + 40, options, 8);
		f->data[ETH_LEN + 6] = 60;
		pkt_set_ip_len(f, f->len - ETH_LEN);
		return;
	}
}

static void open_env(struct env *env)
{
	struct env_backend be = {.id = env_id(1, 1), .src = LB4, .dst = BE4, .mtu = MTU};
	struct shunt_switches on = {.echo = 1, .icmp_rate = 65535};

	env_open(env, NULL);
	env_backend(env, &be);
	env_ring(env, be.id);
	env->svc.mss = 536;
	env_services(env, VIP4, VIP6);
	env_addr(env, VIP4, 0);
	env_addr(env, VIP6, 0);
	env_switches(env, &on);
}

static uint64_t all_drops(struct env *env)
{
	struct shunt_svc_stats s = env_svc_stats(env);
	uint64_t sum = 0;

	for (int i = 0; i < SHUNT_DROP_COUNT; i++)
		sum += s.drop[i];
	return sum;
}

static void change(struct frame *f)
{
	unsigned changes = 1 + draw() % 4;

	while (changes--) {
		size_t at = 12 + draw() % (f->len - 12 < 110 ? f->len - 12 : 110);

		if (draw() % 2)
			f->data[at] ^= 1U << draw() % 8;
		else
			f->data[at] = draw();
	}
	if (draw() % 8 == 0)
		f->len = ETH_LEN + draw() % (f->len - ETH_LEN);
}

/* Answers of ours carry no more tags than what they answer, so the IP header is where it was. */
static void check_errors_of_ours(const struct frame *out)
{
	const uint8_t *ip = out->data + ETH_LEN;

	if (pkt_get16(out, 12) == 0x0800 && ip[9] == IPPROTO_ICMP && ip[20] == 3)
		assert_true(pkt_sums_are_right(out, pkt_l4(out), IPPROTO_ICMP));
	if (pkt_get16(out, 12) == 0x86dd && ip[6] == IPPROTO_ICMPV6 && ip[40] == 2)
		assert_true(pkt_sums_are_right(out, pkt_l4(out), IPPROTO_ICMPV6));
}

static void test_mutations(void **state)
{
	static struct frame seed, in, out;
	uint64_t counted, sent = 0;
	struct env env;

	(void)state;
	open_env(&env);
	for (unsigned i = 0; i < SEEDS * ROUNDS; i++) {
		uint32_t action;

		make_seed(i % SEEDS, &seed);
		in = seed;
		if (i >= SEEDS)
			change(&in);
		counted = all_drops(&env);
		action = env_run(&env, &in, &out);
		sent += action == XDP_TX;
		if (action == XDP_PASS) {
			assert_int_equal(out.len, in.len);
			assert_memory_equal(out.data, in.data, in.len);
			assert_int_equal(all_drops(&env), counted);
		} else if (action == XDP_TX) {
			check_errors_of_ours(&out);
		} else {
			assert_int_equal(action, XDP_DROP);
			assert_int_equal(all_drops(&env), counted + 1);
		}
	}
	assert_true(sent > SEEDS * ROUNDS / 10);
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
