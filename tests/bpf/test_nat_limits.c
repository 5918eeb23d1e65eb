/* SPDX-License-Identifier: BSD-2-Clause */
/* NAT with full tables, without free ports, with flows that get into each other's way. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <bpf/libbpf.h>
#include <cmocka.h>

#include "tests/bpf/nat_env.h"
#include "tests/bpf/steer_xdp.skel.h"

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

/* ---- shares of the tables ---- */

#define OTHER_ROW 5

static struct shunt_nat_share share_of(struct nat *n, uint32_t row)
{
	struct shunt_nat_share share;

	assert_int_equal(bpf_map__lookup_elem(n->env.skel->maps.sh_nat_shares, &row, sizeof(row),
					      &share, sizeof(share), 0),
			 0);
	return share;
}

static void set_share(struct nat *n, uint32_t row, uint32_t own)
{
	struct shunt_nat_share share = {.own = {own, own}};

	assert_int_equal(bpf_map__update_elem(n->env.skel->maps.sh_nat_shares, &row, sizeof(row),
					      &share, sizeof(share), BPF_ANY),
			 0);
}

static void expect_flows(struct nat *n, bool v6, uint32_t service, uint32_t other, uint32_t common)
{
	assert_int_equal(share_of(n, SVC_ROW).flows[v6], service);
	assert_int_equal(share_of(n, OTHER_ROW).flows[v6], other);
	assert_int_equal(share_of(n, SHUNT_NAT_COMMON).flows[v6], common);
	assert_int_equal(share_of(n, SVC_ROW).flows[!v6], 0);
}

/* A client of the other service. */
static void to_other(struct nat *n, const char *addr, uint16_t cport, struct frame *f)
{
	struct pkt_spec s = nat_tcp(F_SYN);

	s.src = n->f->client;
	s.dst = addr;
	s.sport = cport;
	s.dport = 80;
	pkt_build(&s, f);
}

/* Whoever floods one service does not take from another what is its own. */
static void test_shares(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		const char *addr = v6 ? "2001:db8:9::11" : "203.0.113.11";
		static struct frame f;
		struct nat n;

		nat_open(&n, v6, way);
		n.env.svc.index = OTHER_ROW;
		env_service(&n.env, addr, 80, IPPROTO_TCP);
		env_ring_publish_of(&n.env, OTHER_ROW, RING_BASE, RING_SIZE);
		set_share(&n, SVC_ROW, 4);
		set_share(&n, OTHER_ROW, 3);
		set_share(&n, SHUNT_NAT_COMMON, 6);

		for (int i = 0; i < 10; i++)
			nat_send_there(&n, 40000 + i, nat_tcp(F_SYN));
		for (int i = 10; i < 30; i++)
			expect_refused(&n, 40000 + i, SHUNT_DROP_NAT_FULL);
		expect_flows(&n, v6, 10, 0, 6);
		for (int i = 0; i < 5; i++) {
			to_other(&n, addr, 50000 + i, &f);
			assert_int_equal(env_run(&n.env, &f, NULL), i < 3 ? XDP_TX : XDP_DROP);
		}
		expect_flows(&n, v6, 10, 3, 6);
		nat_send_back(&n, 40003,
			      nat_tcp(F_SYN | F_ACK)); /* flows that live are not asked */
		nat_send_there(&n, 40003, nat_tcp(F_ACK));
		assert_int_equal(env_nat_count(&n.env), 13);
		nat_close(&n);
	}
}

/* An account follows its entries: from one backend to another, from one flow to the next. */
static void test_accounts(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		static struct frame f;
		struct env_backend second;
		struct nat n;

		nat_open_sized(&n, v6, OURS, 3, NULL);
		set_share(&n, SVC_ROW, 2);
		set_share(&n, SHUNT_NAT_COMMON, 9);
		for (int i = 0; i < 3; i++)
			nat_send_there(&n, 40000 + i, nat_tcp(F_SYN));
		expect_flows(&n, v6, 3, 0, 1);
		expect_refused(&n, 40003, SHUNT_DROP_NAT_PORTS); /* takes nothing */
		expect_flows(&n, v6, 3, 0, 1);

		nat_from_backend(&n, 40001, nat_tcp(F_ACK), &f); /* a port is taken over */
		env_nat_age(&n.env, &f, IDLE_SYN_S + 2);
		nat_send_there(&n, 40003, nat_tcp(F_SYN));
		expect_flows(&n, v6, 3, 0, 1);

		second = n.be;
		second.id = env_id(1, BE_ROW + 1);
		second.dst = v6 ? "fd00:1::2" : "10.1.0.2";
		env_backend(&n.env, &second);
		env_ring(&n.env, second.id);
		n.env.svc.tracking = SHUNT_TRACK_NEVER;
		env_service(&n.env, n.f->vip, 80, IPPROTO_TCP);
		nat_from_client(&n, 40000, nat_tcp(F_ACK), &f);
		assert_int_equal(env_run(&n.env, &f, NULL), XDP_TX);
		assert_int_equal(env_nat_count(&n.env), 3);
		expect_flows(&n, v6, 3, 0, 1);
		nat_close(&n);
	}
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
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_another_backend),
		cmocka_unit_test(test_too_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
