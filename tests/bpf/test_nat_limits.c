/* SPDX-License-Identifier: BSD-2-Clause */
/* NAT with full tables, without free ports, with flows that get into each other's way. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "tests/bpf/nat_env.h"

/* ---- full tables, taken ports ---- */

static void expect_refused(struct nat *n, uint16_t cport, enum shunt_drop reason)
{
	static struct frame f;

	nat_from_client(n, cport, nat_tcp(F_SYN), &f);
	env_expect_drop(&n->env, &f, reason);
}

static void test_full_table(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		struct env_opts opts = {.nat = 8};
		struct nat n;

		nat_open_sized(&n, v6, way, 1000, &opts);
		for (int i = 0; i < 8; i++)
			nat_send_there(&n, 40000 + i, nat_tcp(F_SYN));
		for (int i = 8; i < 20; i++)
			expect_refused(&n, 40000 + i, SHUNT_DROP_NAT_FULL);
		for (int i = 0; i < 8; i++) { /* nobody is displaced */
			nat_send_back(&n, 40000 + i, nat_tcp(F_SYN | F_ACK));
			nat_send_there(&n, 40000 + i, nat_tcp(F_ACK));
		}
		assert_int_equal(env_nat_count(&n.env), 8);
		assert_int_equal(env_nat_source_count(&n.env), 8);
		nat_close(&n);
	}
}

/* The second half of a pair finds no room: the first one is taken back. */
static void test_no_half_pairs(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct env_opts opts = {.nat = 64, .nat_sources = 4};
		struct nat n;

		nat_open_sized(&n, v6, OURS, 1000, &opts);
		for (int i = 0; i < 4; i++)
			nat_send_there(&n, 40000 + i, nat_tcp(F_SYN));
		for (int i = 4; i < 10; i++)
			expect_refused(&n, 40000 + i, SHUNT_DROP_NAT_FULL);
		assert_int_equal(env_nat_count(&n.env), 4);
		nat_close(&n);
	}
}

static void test_ports_run_out(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		static struct frame f;
		bool seen[5] = {0};
		struct nat n;

		nat_open_sized(&n, v6, OURS, 5, NULL);
		for (int i = 0; i < 5; i++) {
			uint16_t port;

			nat_send_there(&n, 40000 + i, nat_tcp(F_SYN));
			port = nat_seen_port(&n, 40000 + i);
			assert_in_range(port, PORT_LOW, PORT_LOW + 4);
			assert_false(seen[port - PORT_LOW]);
			seen[port - PORT_LOW] = true;
		}
		for (int i = 5; i < 9; i++)
			expect_refused(&n, 40000 + i, SHUNT_DROP_NAT_PORTS);
		/* The other protocol has ports of its own. */
		nat_from_client(&n, 40000, nat_packet(IPPROTO_UDP, 0, 3), &f);
		env_expect(&n.env, &f, SHUNT_VERDICT_TX, NULL);

		/* One is void: its port goes to another flow, with both of its halves. */
		nat_from_backend(&n, 40002, nat_tcp(F_ACK), &f);
		env_nat_age(&n.env, &f, IDLE_SYN_S + 2);
		nat_send_there(&n, 40005, nat_tcp(F_SYN));
		nat_send_back(&n, 40005, nat_tcp(F_SYN | F_ACK));
		expect_refused(&n, 40002, SHUNT_DROP_NAT_PORTS);
		assert_int_equal(env_nat_count(&n.env), 6);
		assert_int_equal(env_nat_source_count(&n.env), 6);
		nat_close(&n);
	}
}

/* Ports of each address of a prefix, and of no other. */
static void test_source_prefix(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		unsigned count[4] = {0};
		struct nat n;

		nat_open(&n, v6, OURS);
		n.be.entropy = 3;
		n.be.nat_port_count = 10;
		env_backend(&n.env, &n.be);
		for (int i = 0; i < 40; i++) {
			struct shunt_nat_source s;
			static struct frame f;

			nat_from_client(&n, 40000 + i, nat_tcp(F_SYN), &f);
			env_expect(&n.env, &f, SHUNT_VERDICT_TX, NULL);
			assert_true(env_nat_source(&n.env, &f, &s));
			/* ...9 with two free bits: 8 to 11 */
			count[ntohl(s.addr[v6 ? 3 : 0]) % 4]++;
			assert_int_equal((ntohl(s.addr[v6 ? 3 : 0]) & 0xff) / 4, 2);
		}
		for (int i = 0; i < 4; i++)
			assert_int_equal(count[i], 10);
		expect_refused(&n, 41000, SHUNT_DROP_NAT_PORTS);
		nat_close(&n);
	}
}

/* How full a range can be until flows are refused that a free port is there for. */
static void test_search_at_nine_tenths(void **state)
{
	struct env_opts opts = {.nat = 8192, .nat_sources = 8192, .flows = 8192, .pending = 8192};
	unsigned refused = 0;
	struct nat n;

	(void)state;
	nat_open_sized(&n, false, OURS, 4000, &opts);
	for (int i = 0; i < 4000; i++) {
		static struct frame f;

		nat_from_client(&n, 2000 + i, nat_tcp(F_SYN), &f);
		refused += env_run(&n.env, &f, NULL) != XDP_TX;
		if (i + 1 == 3600) {
			print_message("nat: %u of 3600 flows refused at nine tenths\n", refused);
			assert_true(refused <= 3);
		}
	}
	print_message("nat: %u of 4000 flows refused for 4000 ports\n", refused);
	assert_true(refused < 100);
	nat_close(&n);
}

/* One client port, two services, one backend that sees the client's own address. */
static void test_clash(void **state)
{
	const char *other = "203.0.113.11";
	static struct frame f;
	struct pkt_spec s = nat_tcp(F_SYN);
	struct nat n;

	(void)state;
	nat_open(&n, false, OWN);
	env_service(&n.env, other, 80, IPPROTO_TCP);
	nat_send_there(&n, 40000, nat_tcp(F_SYN));
	s.src = n.f->client;
	s.dst = other;
	s.sport = 40000;
	s.dport = 80;
	pkt_build(&s, &f);
	env_expect_drop(&n.env, &f, SHUNT_DROP_NAT_CLASH);
	nat_send_back(&n, 40000, nat_tcp(F_SYN | F_ACK));
	nat_send_back(&n, 40000, nat_tcp(F_RST)); /* over: it may */
	env_expect(&n.env, &f, SHUNT_VERDICT_TX, NULL);
	nat_close(&n);

	nat_open(&n, false, OURS); /* no such thing where sources differ */
	env_service(&n.env, other, 80, IPPROTO_TCP);
	nat_send_there(&n, 40000, nat_tcp(F_SYN));
	env_expect(&n.env, &f, SHUNT_VERDICT_TX, NULL);
	nat_close(&n);
}

/* Its backend died and the flow goes to another one, with a source for that. */
static void test_another_backend(void **state)
{
	static struct frame f;
	struct shunt_nat_source s;
	struct env_backend second;
	struct nat n;

	(void)state;
	nat_open(&n, false, OURS);
	nat_send_there(&n, 40000, nat_tcp(F_SYN));
	n.be.state = SHUNT_BACKEND_DOWN;
	env_backend(&n.env, &n.be);
	second = n.be;
	second.id = env_id(1, BE_ROW + 1);
	second.dst = "10.1.0.2";
	second.state = SHUNT_BACKEND_UP;
	env_backend(&n.env, &second);
	env_ring(&n.env, second.id);
	nat_from_client(&n, 40000, nat_tcp(F_ACK), &f);
	assert_int_equal(env_backend_of(&n.env, &f), 2);
	assert_true(env_nat_source(&n.env, &f, &s));
	assert_int_equal(s.backend, second.id);
	nat_expect_no_reply(&n, 40000); /* of the dead one */
	assert_int_equal(env_nat_count(&n.env), 2);

	/* Back again, while the second one lives: what it had there is free. */
	n.be.state = SHUNT_BACKEND_UP;
	env_backend(&n.env, &n.be);
	n.env.svc.tracking = SHUNT_TRACK_NEVER;
	env_service(&n.env, n.f->vip, 80, IPPROTO_TCP);
	env_ring(&n.env, n.be.id);
	assert_int_equal(env_backend_of(&n.env, &f), 1);
	assert_int_equal(env_nat_count(&n.env), 1);
	assert_int_equal(env_nat_source_count(&n.env), 1);
	assert_true(env_nat_source(&n.env, &f, &s));
	assert_int_equal(s.backend, n.be.id);
	nat_send_back(&n, 40000, nat_tcp(F_ACK));
	nat_close(&n);
}

/* A packet that the way to a backend by the routes does not take: the MTU of that way is told, and not
 * that of a former packet's. */
static void test_too_big(void **state)
{
	static const struct shunt_switches on = {.nat = 1, .icmp_rate = 1000};
	struct pkt_spec s = nat_packet(IPPROTO_TCP, F_ACK, 1400);

	(void)state;
	BOTH_WAYS(v6, way)
	{
		static struct frame f, out;
		struct nat n;

		nat_open(&n, v6, way);
		env_switches(&n.env, &on);
		n.be.next_hop = SHUNT_NEXT_HOP_FIB;
		n.be.mtu = 1300;
		env_backend(&n.env, &n.be);
		env_dirty_rooms(&n.env, 2);
		nat_from_client(&n, 40000, s, &f);
		env_expect(&n.env, &f, SHUNT_VERDICT_ANSWER, &out);
		assert_int_equal(out.data[pkt_l4(&out)], v6 ? 2 : 3);
		assert_int_equal(pkt_get16(&out, pkt_l4(&out) + 6), 1300);
		nat_close(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_no_half_pairs),
		cmocka_unit_test(test_ports_run_out),
		cmocka_unit_test(test_source_prefix),
		cmocka_unit_test(test_search_at_nine_tenths),
		cmocka_unit_test(test_clash),
		cmocka_unit_test(test_another_backend),
		cmocka_unit_test(test_too_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
