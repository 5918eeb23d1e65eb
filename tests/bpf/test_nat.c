/* SPDX-License-Identifier: BSD-2-Clause */
/* NAT there and back: whole packet in, whole packet out, and the state of its flow. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "tests/bpf/nat_env.h"
#include "tests/bpf/steer_xdp.skel.h"

/* ---- whole packets ---- */

static void test_golden_there_and_back(void **state)
{
	static const struct pkt_spec specs[] = {
		{.proto = IPPROTO_TCP, .tcp_flags = F_SYN, .tcp_options = 5},
		{.proto = IPPROTO_TCP, .tcp_flags = F_ACK, .payload_len = 101},
		{.proto = IPPROTO_TCP,
		 .tcp_flags = F_ACK | F_PSH,
		 .payload_len = 1400,
		 .tos = 0xb9},
		{.proto = IPPROTO_UDP},
		{.proto = IPPROTO_UDP, .payload_len = 333, .hops = 2},
		{.proto = IPPROTO_UDP, .payload_len = 4, .frame_len = 60},
	};

	(void)state;
	BOTH_WAYS(v6, way)
	{
		for (int other_port = 0; other_port < 2; other_port++) {
			struct nat n;

			nat_open(&n, v6, way);
			n.be_port = other_port ? BE_PORT : 0;
			nat_set_backend(&n, 1000);
			for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
				/* A port of its own for each, so that all kinds of sums come up. */
				nat_send_there(&n, 40000 + i, specs[i]);
				nat_send_back(&n, 40000 + i, specs[i]);
				nat_send_there(&n, 40000 + i, specs[i]);
			}
			nat_close(&n);
		}
	}
}

static void test_ipv4_options(void **state)
{
	struct pkt_spec s = {.proto = IPPROTO_TCP,
			     .tcp_flags = F_ACK,
			     .ip_options = 10,
			     .tcp_options = 10,
			     .payload_len = 3};

	(void)state;
	for (enum way way = OWN; way <= OURS; way++) {
		struct nat n;

		nat_open(&n, false, way);
		nat_send_there(&n, 40000, s);
		nat_send_back(&n, 40000, s);
		nat_close(&n);
	}
}

/* Of many client ports and contents each sum comes out as if it were made anew. */
static void test_checksums_of_many(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct nat n;

		nat_open_sized(&n, v6, way, 30000,
			       &(struct env_opts){.nat = 4096, .nat_sources = 4096});
		for (unsigned i = 0; i < 1000; i++) {
			uint8_t proto = i % 2 ? IPPROTO_UDP : IPPROTO_TCP;

			nat_send_there(&n, 1 + i * 65,
				       nat_packet(proto, proto == IPPROTO_TCP ? F_ACK : 0, i));
			nat_send_back(&n, 1 + i * 65,
				      nat_packet(proto, proto == IPPROTO_TCP ? F_ACK : 0, i));
		}
		nat_close(&n);
	}
}

/* No UDP checksum stays none. */
static void test_udp_without_checksum(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		static struct frame f, out;
		struct nat n;

		nat_open(&n, v6, way);
		nat_from_client(&n, 40000, nat_packet(IPPROTO_UDP, 0, 9), &f);
		pkt_put16(&f, pkt_l4(&f) + 6, 0);
		env_expect(&n.env, &f, SHUNT_VERDICT_TX, &out);
		assert_int_equal(pkt_get16(&out, pkt_l4(&out) + 6), 0);
		nat_from_backend(&n, 40000, nat_packet(IPPROTO_UDP, 0, 9), &f);
		pkt_put16(&f, pkt_l4(&f) + 6, 0);
		env_expect(&n.env, &f, SHUNT_VERDICT_TX, &out);
		assert_int_equal(pkt_get16(&out, pkt_l4(&out) + 6), 0);
		nat_close(&n);
	}
}

/* A sum that comes out as 0 is sent in its other form: payloads are tried until one does. */
static void test_udp_checksum_that_becomes_zero(void **state)
{
	static struct frame f, out, expected;
	unsigned zeros = 0;
	struct nat n;

	(void)state;
	nat_open(&n, false, OWN);
	for (unsigned x = 0; x < 0x10000; x++) {
		uint32_t sum;

		nat_from_client(&n, 40000, nat_packet(IPPROTO_UDP, 0, 2), &f);
		nat_at_backend(&n, 40000, nat_packet(IPPROTO_UDP, 0, 2), &expected);
		/* Put x into the payload and take the difference out of the checksum of each. */
		sum = pkt_get16(&expected, pkt_l4(&expected) + 6) +
		      pkt_get16(&expected, pkt_l4(&expected) + 8) + (uint16_t)~x;
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		if (sum != 0 && sum != 0xffff)
			continue;
		zeros++;
		sum = pkt_get16(&f, pkt_l4(&f) + 6) + pkt_get16(&f, pkt_l4(&f) + 8) + (uint16_t)~x;
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		pkt_put16(&f, pkt_l4(&f) + 6, sum);
		pkt_put16(&f, pkt_l4(&f) + 8, x);
		env_expect(&n.env, &f, SHUNT_VERDICT_TX, &out);
		assert_int_equal(pkt_get16(&out, pkt_l4(&out) + 6), 0xffff);
	}
	assert_true(zeros > 0);
	nat_close(&n);
}

static void test_counters(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct shunt_svc_stats s;
		struct shunt_be_stats b;
		struct nat n;
		size_t head = v6 ? 60 : 40;

		nat_open(&n, v6, way);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		nat_send_back(&n, 40000, nat_tcp(F_SYN | F_ACK));
		nat_send_back(&n, 40000, nat_packet(IPPROTO_TCP, F_ACK, 100));
		s = env_svc_stats(&n.env);
		b = env_be_stats(&n.env, BE_ROW);
		assert_int_equal(s.count[SHUNT_COUNT_PACKETS], 1);
		assert_int_equal(s.count[SHUNT_COUNT_BYTES], head + 5);
		assert_int_equal(s.count[SHUNT_COUNT_NEW_FLOWS], 1);
		assert_int_equal(s.count[SHUNT_COUNT_REPLY_PACKETS], 2);
		assert_int_equal(s.count[SHUNT_COUNT_REPLY_BYTES], 2 * head + 105);
		assert_int_equal(b.packets, 1);
		assert_int_equal(b.new_flows, 1);
		nat_close(&n);
	}
}

/* A program that does not know how a service is tracked still finds the way back. */
static void test_without_tracking(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct nat n;

		nat_open(&n, v6, way);
		n.env.svc.tracking = SHUNT_TRACK_NEVER;
		env_service(&n.env, n.f->vip, 80, IPPROTO_TCP);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		nat_send_back(&n, 40000, nat_tcp(F_SYN | F_ACK));
		nat_send_there(&n, 40000, nat_tcp(F_ACK));
		assert_int_equal(env_nat_count(&n.env), 1);
		nat_close(&n);
	}
}

static void put(struct bpf_map *map, const void *key, size_t key_len, const void *value, size_t len)
{
	assert_int_equal(bpf_map__update_elem(map, key, key_len, value, len, BPF_ANY), 0);
}

/* The service listens on ports 70 to 90 of a prefix, and on no key of its own. */
static struct shunt_vip_key listen_widely(struct nat *n, bool v6)
{
	struct shunt_vip_key key = env_key(n->f->vip, 80, IPPROTO_TCP);
	struct shunt_addr value = {
		.range_count = 1,
		.ranges = {{.lo = 70, .hi = 90, .proto = IPPROTO_TCP, .prefix_len = v6 ? 64 : 24}}};
	struct shunt_lpm_key lpm = {.prefixlen = SHUNT_LPM_SCOPE_BITS + value.ranges[0].prefix_len,
				    .scope = SHUNT_LPM_SCOPE(0, v6 ? 6 : 4)};
	struct shunt_switches switches = {.nat = 1, .prefixes = 1};
	uint32_t zero = 0;

	assert_int_equal(bpf_map__delete_elem(n->env.skel->maps.sh_services, &key, sizeof(key), 0),
			 0);
	if (v6)
		key.addr[2] = key.addr[3] = 0;
	else
		key.addr[0] &= htonl(0xffffff00);
	key.port = htons(70);
	key.port_hi = htons(90);
	key.prefix_len = value.ranges[0].prefix_len;
	env_key_set(&n->env, &key);
	memcpy(lpm.addr, key.addr, sizeof(lpm.addr));
	put(n->env.skel->maps.sh_prefixes, &lpm, sizeof(lpm), &value, sizeof(value));
	put(n->env.skel->maps.sh_switches, &zero, sizeof(zero), &switches, sizeof(switches));
	return key;
}

static void test_ranges_and_prefixes(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct shunt_vip_key key;
		struct shunt_nat e;
		struct nat n;

		nat_open(&n, v6, way);
		key = listen_widely(&n, v6);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		nat_send_back(&n, 40000, nat_tcp(F_SYN | F_ACK));
		e = nat_entry_of(&n, 40000);
		assert_int_equal(e.vip_port, htons(70));
		assert_int_equal(e.vip_port_hi, htons(90));
		assert_int_equal(env_svc_stats(&n.env).count[SHUNT_COUNT_REPLY_PACKETS], 1);
		assert_int_equal(
			bpf_map__delete_elem(n.env.skel->maps.sh_services, &key, sizeof(key), 0),
			0);
		nat_expect_no_reply(&n, 40000); /* its service is gone */
		nat_close(&n);
	}
}

/* ---- what is refused, and what is not ours ---- */

static void test_hops(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		static struct frame f;
		struct pkt_spec s = nat_tcp(F_SYN);
		struct nat n;

		nat_open(&n, v6, way);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		s.hops = 1;
		nat_from_client(&n, 40000, s, &f);
		env_expect_drop(&n.env, &f, SHUNT_DROP_TTL);
		nat_from_backend(&n, 40000, s, &f);
		env_expect(&n.env, &f, SHUNT_VERDICT_DROP, NULL);
		assert_int_equal(env_svc_stats(&n.env).drop[SHUNT_DROP_TTL], 2);
		s.hops = 2;
		nat_send_there(&n, 40000, s);
		nat_send_back(&n, 40000, s);
		nat_close(&n);
	}
}

static void test_other_family(void **state)
{
	static struct frame f;
	struct pkt_spec s = nat_tcp(F_SYN);
	struct nat n;

	(void)state;
	nat_open(&n, false, OWN);
	env_service(&n.env, families[1].vip, 80, IPPROTO_TCP);
	s.src = families[1].client;
	s.dst = families[1].vip;
	s.sport = 40000;
	s.dport = 80;
	pkt_build(&s, &f);
	env_expect_drop(&n.env, &f, SHUNT_DROP_FAMILY);
	nat_close(&n);
}

static void test_what_is_no_reply_passes(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		static struct frame f;
		struct nat n;

		nat_open(&n, v6, way);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		nat_send_back(&n, 40000, nat_tcp(F_SYN | F_ACK));
		/* Another port of the backend's, another protocol, another station on the wire. */
		nat_from_backend(&n, 40000, nat_tcp(F_ACK), &f);
		pkt_put16(&f, pkt_l4(&f), 8081);
		env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_NO_SERVICE);
		nat_from_backend(&n, 40000, nat_packet(IPPROTO_UDP, 0, 9), &f);
		env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_NO_SERVICE);
		nat_from_backend(&n, 40000, nat_tcp(F_ACK), &f);
		f.data[5] ^= 4;
		env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_NO_SERVICE);
		f.data[5] ^= 4;
		f.data[0] |= 1;
		env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_NO_SERVICE);
		/* The backend is dead, the flow was quiet for too long, nobody does NAT. */
		n.be.state = SHUNT_BACKEND_DOWN;
		env_backend(&n.env, &n.be);
		nat_expect_no_reply(&n, 40000);
		n.be.state = SHUNT_BACKEND_DRAINING;
		env_backend(&n.env, &n.be);
		nat_send_back(&n, 40000, nat_tcp(F_ACK));
		nat_from_backend(&n, 40000, nat_tcp(F_ACK), &f);
		env_nat_age(&n.env, &f, IDLE_ESTABLISHED_S + 2);
		nat_expect_no_reply(&n, 40000);
		env_nat_age(&n.env, &f, 0);
		nat_send_back(&n, 40000, nat_tcp(F_ACK));
		env_nat_switch(&n.env, false);
		nat_expect_no_reply(&n, 40000);
		nat_close(&n);
	}
}

/* Every packet that is cut off is dropped by name or passed as it is, never sent. */
static void test_prefixes(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		static struct frame f, cut, out;
		struct nat n;

		nat_open(&n, v6, way);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		nat_from_backend(&n, 40000, nat_tcp(F_ACK), &f);
		for (size_t len = ETH_LEN; len < f.len; len++) {
			uint32_t action;

			cut = f;
			cut.len = len;
			action = env_run(&n.env, &cut, &out);
			assert_int_not_equal(action, XDP_TX);
			assert_int_equal(out.len, len);
			assert_memory_equal(out.data, cut.data, len);
		}
		nat_close(&n);
	}
}

/* ---- the flow's state ---- */

static void expect_state(struct nat *n, uint8_t flow_state)
{
	assert_int_equal(nat_entry_of(n, 40000).state, flow_state);
}

static void test_states_of_a_connection(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct nat n;

		nat_open(&n, v6, way);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		nat_send_there(&n, 40000,
			       nat_tcp(F_ACK)); /* nobody has answered: a flood looks so */
		expect_state(&n, SHUNT_FLOW_SYN);
		nat_send_back(&n, 40000, nat_tcp(F_SYN | F_ACK));
		expect_state(&n, SHUNT_FLOW_SYN);
		nat_send_there(&n, 40000, nat_tcp(F_ACK));
		expect_state(&n, SHUNT_FLOW_ESTABLISHED);
		nat_send_there(&n, 40000,
			       nat_tcp(F_FIN | F_ACK)); /* half closed: it may go on for long */
		nat_send_back(&n, 40000, nat_tcp(F_ACK));
		expect_state(&n, SHUNT_FLOW_ESTABLISHED);
		nat_send_back(&n, 40000, nat_tcp(F_FIN | F_ACK));
		nat_send_there(&n, 40000, nat_tcp(F_ACK));
		expect_state(&n, SHUNT_FLOW_FIN);
		nat_send_there(&n, 40000, nat_tcp(F_SYN)); /* from the same port once more */
		expect_state(&n, SHUNT_FLOW_SYN);
		assert_int_equal(nat_entry_of(&n, 40000).flags, way == OURS ? SHUNT_NAT_SOURCE : 0);
		nat_send_back(&n, 40000, nat_tcp(F_RST | F_ACK));
		expect_state(&n, SHUNT_FLOW_FIN);
		assert_int_equal(env_nat_count(&n.env), 1);
		assert_int_equal(env_nat_source_count(&n.env), 1);
		nat_close(&n);
	}
}

static void test_udp_and_age(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		static struct frame f;
		uint64_t before;
		struct shunt_nat e;
		struct nat n;

		nat_open(&n, v6, way);
		nat_send_there(&n, 40000, nat_packet(IPPROTO_UDP, 0, 9));
		nat_from_backend(&n, 40000, nat_packet(IPPROTO_UDP, 0, 9), &f);
		env_nat_age(&n.env, &f, 5);
		assert_true(env_nat(&n.env, &f, &e));
		assert_int_equal(e.state, SHUNT_FLOW_UDP);
		before = e.seen_ns;
		nat_send_back(&n, 40000, nat_packet(IPPROTO_UDP, 0, 9));
		assert_true(env_nat(&n.env, &f, &e));
		assert_true(e.seen_ns > before);
		env_nat_age(&n.env, &f, IDLE_UDP_S + 2);
		env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_NO_SERVICE);
		/* The client goes on: a flow anew, and the way back is there again. */
		nat_send_there(&n, 40000, nat_packet(IPPROTO_UDP, 0, 9));
		nat_send_back(&n, 40000, nat_packet(IPPROTO_UDP, 0, 9));
		nat_close(&n);
	}
}

/* The client's packets come by another router, then in a VLAN: replies follow them. */
static void test_way_back_follows_the_client(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		static struct frame f, out, expected;
		struct nat n;

		nat_open(&n, v6, way);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		nat_from_client(&n, 40000, nat_tcp(F_ACK), &f);
		f.data[11] = 0x77;
		env_expect(&n.env, &f, SHUNT_VERDICT_TX, &out);
		nat_from_backend(&n, 40000, nat_tcp(F_ACK), &f);
		env_expect(&n.env, &f, SHUNT_VERDICT_TX, &out);
		assert_int_equal(out.data[5], 0x77);

		nat_from_client(&n, 40000, nat_tcp(F_ACK), &f);
		pkt_tag(&f, 0x8100, 42);
		env_expect(&n.env, &f, SHUNT_VERDICT_TX, &out);
		assert_int_equal(pkt_get16(&out, 14), 42);
		for (int tags = 0; tags < 3; tags++) { /* whatever those of the backend have */
			struct pkt_spec s = nat_tcp(F_ACK);

			nat_from_backend(&n, 40000, s, &f);
			for (int i = 0; i < tags; i++)
				pkt_tag(&f, i ? 0x88a8 : 0x8100, 7);
			env_expect(&n.env, &f, SHUNT_VERDICT_TX, &out);
			s.hops = HOPS - 1;
			nat_at_client(&n, 40000, s, &expected);
			pkt_tag(&expected, 0x8100, 42);
			nat_expect_frame(&out, &expected);
		}
		nat_close(&n);
	}
}

static void test_another_interface(void **state)
{
	static struct frame f;
	uint32_t ifindex = 4711, lo = 1;
	struct shunt_nat e;
	struct nat n;

	(void)state;
	nat_open(&n, false, OWN);
	nat_send_there(&n, 40000, nat_tcp(F_SYN));
	nat_from_backend(&n, 40000, nat_tcp(F_SYN | F_ACK), &f);
	assert_true(env_nat(&n.env, &f, &e));
	e.ifindex = ifindex;
	env_nat_set(&n.env, &f, &e);
	env_expect(&n.env, &f, SHUNT_VERDICT_DROP, NULL);
	assert_int_equal(env_svc_stats(&n.env).drop[SHUNT_DROP_NO_ROUTE], 1);
	assert_int_equal(bpf_map__update_elem(n.env.skel->maps.sh_devices, &ifindex,
					      sizeof(ifindex), &lo, sizeof(lo), BPF_ANY),
			 0);
	env_expect(&n.env, &f, SHUNT_VERDICT_REDIRECT, NULL);
	nat_close(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_there_and_back),
		cmocka_unit_test(test_ipv4_options),
		cmocka_unit_test(test_checksums_of_many),
		cmocka_unit_test(test_udp_without_checksum),
		cmocka_unit_test(test_udp_checksum_that_becomes_zero),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_without_tracking),
		cmocka_unit_test(test_ranges_and_prefixes),
		cmocka_unit_test(test_hops),
		cmocka_unit_test(test_other_family),
		cmocka_unit_test(test_what_is_no_reply_passes),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_states_of_a_connection),
		cmocka_unit_test(test_udp_and_age),
		cmocka_unit_test(test_way_back_follows_the_client),
		cmocka_unit_test(test_another_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
