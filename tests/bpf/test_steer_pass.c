/* SPDX-License-Identifier: BSD-2-Clause */
/* What is for no service passes as it came, whatever it is; what is for one and bad is counted. */
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

static void open_env(struct env *env)
{
	struct env_backend be = {.id = env_id(1, 1), .src = "10.0.0.1", .dst = "10.1.0.1"};

	env_open(env, NULL);
	env_backend(env, &be);
	env_ring(env, be.id);
	env_services(env, VIP4, VIP6);
}

static struct pkt_spec spec4(uint8_t proto)
{
	return (struct pkt_spec){.src = CLIENT4,
				 .dst = VIP4,
				 .sport = 40000,
				 .dport = 80,
				 .proto = proto,
				 .tcp_flags = F_ACK,
				 .payload_len = 20};
}

static struct pkt_spec spec6(uint8_t proto)
{
	struct pkt_spec spec = spec4(proto);

	spec.src = CLIENT6;
	spec.dst = VIP6;
	return spec;
}

static void test_other_addresses_ports_protocols(void **state)
{
	static struct frame in;
	struct pkt_spec spec;
	struct env env;

	(void)state;
	open_env(&env);
	spec = spec4(IPPROTO_TCP);
	spec.dst = "203.0.113.11";
	pkt_build(&spec, &in);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
	spec = spec4(IPPROTO_UDP);
	spec.dport = 81;
	pkt_build(&spec, &in);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
	spec = spec6(IPPROTO_TCP);
	spec.dst = "2001:db8::11";
	pkt_build(&spec, &in);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
	spec = spec6(IPPROTO_ICMPV6);
	pkt_build(&spec, &in);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_PROTOCOL);
	spec = spec4(IPPROTO_ICMP);
	pkt_build(&spec, &in);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_PROTOCOL);
	spec = spec4(IPPROTO_IPIP);
	pkt_build(&spec, &in);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_PROTOCOL);
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_PACKETS], 0);
	env_close(&env);
}

/* The family is part of a service's key: 203.0.113.10 is not cb00:710a::. */
static void test_family_is_in_the_key(void **state)
{
	struct pkt_spec spec = spec6(IPPROTO_TCP);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	spec.dst = "cb00:710a::";
	pkt_build(&spec, &in);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
	env_close(&env);
}

static void test_not_ip(void **state)
{
	static const uint16_t types[] = {0x0806, 0x8100, 0x88a8, 0x8847, 0x88cc, 0x0000, 0xffff};
	struct pkt_spec spec = spec4(IPPROTO_TCP);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		pkt_build(&spec, &in);
		pkt_put16(&in, 12, types[i]);
		env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NOT_IP);
	}
	env_close(&env);
}

static void test_headers_that_name_no_service(void **state)
{
	struct pkt_spec v4 = spec4(IPPROTO_TCP), v6 = spec6(IPPROTO_TCP);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	for (int version = 0; version < 16; version++) {
		pkt_build(&v4, &in);
		in.data[ETH_LEN] = version << 4 | 5;
		if (version != 4)
			env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_MALFORMED);
		pkt_build(&v6, &in);
		in.data[ETH_LEN] = version << 4;
		if (version != 6)
			env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_MALFORMED);
	}
	for (int ihl = 0; ihl < 5; ihl++) {
		pkt_build(&v4, &in);
		in.data[ETH_LEN] = 0x40 | ihl;
		env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_MALFORMED);
	}
	pkt_build(&v4, &in);
	for (size_t len = 0; len < 24; len++) { /* ports are not part of the packet */
		pkt_set_ip_len(&in, len);
		env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_MALFORMED);
	}
	pkt_build(&v6, &in);
	for (size_t len = 40; len < 44; len++) {
		pkt_set_ip_len(&in, len);
		env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_MALFORMED);
	}
	env_close(&env);
}

/* Lengths that say more, or less, than is there. */
static void check_lying_ip_len(struct env *env, const struct pkt_spec *spec, size_t l4_header)
{
	static struct frame in;
	size_t real, smallest;

	pkt_build(spec, &in);
	real = in.len - ETH_LEN;
	smallest = pkt_l4(&in) - ETH_LEN + l4_header;
	for (size_t len = pkt_l4(&in) - ETH_LEN + 4; len <= real + 3; len++) {
		pkt_set_ip_len(&in, len);
		if (len < smallest || len > real)
			env_expect_drop(env, &in, SHUNT_DROP_TRUNCATED);
		else
			env_expect(env, &in, SHUNT_VERDICT_TX, NULL);
	}
	pkt_set_ip_len(&in, 65535);
	env_expect_drop(env, &in, SHUNT_DROP_TRUNCATED);
}

static void test_lying_ip_length(void **state)
{
	struct pkt_spec spec;
	struct env env;

	(void)state;
	open_env(&env);
	spec = spec4(IPPROTO_TCP);
	check_lying_ip_len(&env, &spec, 20);
	spec.ip_options = 2;
	spec.tcp_options = 3;
	check_lying_ip_len(&env, &spec, 32);
	spec = spec6(IPPROTO_TCP);
	check_lying_ip_len(&env, &spec, 20);
	spec = spec4(IPPROTO_UDP);
	check_lying_ip_len(&env, &spec, 28); /* the datagram's own length */
	spec = spec6(IPPROTO_UDP);
	check_lying_ip_len(&env, &spec, 28);
	env_close(&env);
}

/* A header that the packet has no room for is not looked at, even where padding stands there. */
static void test_header_in_the_padding(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	for (size_t i = 0; i < sizeof(protos); i++) {
		struct pkt_spec spec = spec4(protos[i]);
		size_t l4;

		pkt_build(&spec, &in);
		l4 = pkt_l4(&in);
		memset(in.data + l4 + 4, 0, in.len - l4 - 4);
		for (size_t len = 4; len < (protos[i] == IPPROTO_TCP ? 20 : 8); len++) {
			pkt_set_ip_len(&in, l4 - ETH_LEN + len);
			env_expect_drop(&env, &in, SHUNT_DROP_TRUNCATED);
		}
	}
	env_close(&env);
}

static void check_lying_tcp(struct env *env, const struct pkt_spec *spec)
{
	static struct frame in;

	for (unsigned doff = 0; doff < 16; doff++) {
		pkt_build(spec, &in); /* 40 bytes of TCP */
		in.data[pkt_l4(&in) + 12] = doff << 4;
		if (doff < 5)
			env_expect_drop(env, &in, SHUNT_DROP_BAD_HEADER);
		else if (doff > 10)
			env_expect_drop(env, &in, SHUNT_DROP_TRUNCATED);
		else
			env_expect(env, &in, SHUNT_VERDICT_TX, NULL);
	}
}

static void check_lying_udp(struct env *env, const struct pkt_spec *spec)
{
	static struct frame in;

	pkt_build(spec, &in); /* 28 bytes of UDP */
	for (unsigned len = 0; len < 40; len++) {
		pkt_put16(&in, pkt_l4(&in) + 4, len);
		if (len < 8)
			env_expect_drop(env, &in, SHUNT_DROP_BAD_HEADER);
		else if (len > 28)
			env_expect_drop(env, &in, SHUNT_DROP_TRUNCATED);
		else
			env_expect(env, &in, SHUNT_VERDICT_TX, NULL);
	}
}

static void test_lying_transport_length(void **state)
{
	struct pkt_spec spec;
	struct env env;

	(void)state;
	open_env(&env);
	spec = spec4(IPPROTO_TCP);
	check_lying_tcp(&env, &spec);
	spec = spec6(IPPROTO_TCP);
	check_lying_tcp(&env, &spec);
	spec = spec4(IPPROTO_UDP);
	check_lying_udp(&env, &spec);
	spec = spec6(IPPROTO_UDP);
	check_lying_udp(&env, &spec);
	env_close(&env);
}

/* A frame to a group is not for this host, even if the packet in it is for a service. */
static void test_group_frames(void **state)
{
	struct pkt_spec spec = spec4(IPPROTO_TCP);
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	pkt_build(&spec, &in);
	memset(in.data, 0xff, 6);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
	in.data[0] = 0x01;
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_NO_SERVICE);
	env_close(&env);
}

/* Terminated here: counted, and passed as it is, even if bad. */
static void test_local_service(void **state)
{
	struct pkt_spec spec = spec4(IPPROTO_TCP);
	static struct frame in;
	struct shunt_svc_stats s;
	struct env env;

	(void)state;
	open_env(&env);
	env.svc.action = SHUNT_ACTION_LOCAL;
	env_ring_publish(&env, 0, 0);
	env_service(&env, VIP4, 80, IPPROTO_TCP);
	pkt_build(&spec, &in);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_LOCAL);
	s = env_svc_stats(&env);
	assert_int_equal(s.count[SHUNT_COUNT_PACKETS], 1);
	assert_int_equal(s.count[SHUNT_COUNT_BYTES], 60);
	pkt_put16(&in, ETH_LEN + 6, 0x2000);
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_LOCAL);
	in.len -= 30;
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_LOCAL);
	s = env_svc_stats(&env);
	assert_int_equal(s.count[SHUNT_COUNT_PACKETS], 3);
	assert_int_equal(s.count[SHUNT_COUNT_BYTES], 60 + 60 + 30);
	assert_int_equal(s.count[SHUNT_COUNT_NEW_FLOWS], 0);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
	env_close(&env);
}

/* Bytes from a generator (xorshift; the seed is fixed): never sent, and never dropped unless the
 * service that it hit by chance counted it. */
static void test_garbage(void **state)
{
	static const uint16_t types[] = {0x0800, 0x86dd};
	uint64_t x = 88172645463325252ULL, drops = 0;
	static struct frame in, out;
	struct env env;

	(void)state;
	open_env(&env);
	for (int i = 0; i < 4000; i++) {
		in.len = ETH_LEN + i % 100;
		for (size_t b = 0; b < in.len; b++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			in.data[b] = x >> 32;
		}
		if (i % 3)
			pkt_put16(&in, 12, types[i % 2]);
		if (i % 3 && in.len > ETH_LEN)
			in.data[ETH_LEN] = i % 2 ? 0x60 : 0x45;
		assert_int_equal(env_run(&env, &in, &out), XDP_PASS);
		assert_int_equal(out.len, in.len);
		assert_memory_equal(out.data, in.data, in.len);
	}
	for (int i = 0; i < SHUNT_DROP_COUNT; i++)
		drops += env_svc_stats(&env).drop[i];
	assert_int_equal(drops, env_verdict(&env, SHUNT_VERDICT_DROP));
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_addresses_ports_protocols),
		cmocka_unit_test(test_family_is_in_the_key),
		cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_headers_that_name_no_service),
		cmocka_unit_test(test_lying_ip_length),
		cmocka_unit_test(test_header_in_the_padding),
		cmocka_unit_test(test_lying_transport_length),
		cmocka_unit_test(test_group_frames),
		cmocka_unit_test(test_local_service),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
