/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP that comes for a service: errors about its flows and about its tunnels, and echo requests. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "tests/bpf/steer_env.h"

#define VIP4	"203.0.113.10"
#define VIP6	"2001:db8::10"
#define CLIENT4 "198.51.100.7"
#define CLIENT6 "2001:db8:c::7"
#define ROUTER4 "192.0.2.1"
#define ROUTER6 "2001:db8:f::1"

#define LB4 "10.0.0.1"
#define LB6 "fd00::1"

static void open_env(struct env *env, bool outer6)
{
	env_open(env, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		char dst[16];
		struct env_backend be = {.id = env_id(1, i), .src = outer6 ? LB6 : LB4, .dst = dst};

		snprintf(dst, sizeof(dst), outer6 ? "fd00:1::%u" : "10.1.0.%u", i);
		env_backend(env, &be);
		for (unsigned slot = i - 1; slot < RING_SIZE; slot += 3)
			env_ring_slot(env, slot, be.id);
	}
	env_services(env, VIP4, VIP6);
	env_addr(env, VIP4, 0);
	env_addr(env, VIP6, 0);
}

static struct pkt_spec spec_of(bool v6, uint8_t proto, uint16_t sport)
{
	return (struct pkt_spec){.src = v6 ? CLIENT6 : CLIENT4,
				 .dst = v6 ? VIP6 : VIP4,
				 .sport = sport,
				 .dport = 80,
				 .proto = proto,
				 .tcp_flags = F_ACK,
				 .payload_len = 700};
}

/* What the backend sends to the client of such a packet. */
static struct pkt_spec reply_of(const struct pkt_spec *s)
{
	struct pkt_spec reply = *s;

	reply.src = s->dst;
	reply.dst = s->src;
	reply.sport = s->dport;
	reply.dport = s->sport;
	return reply;
}

/* An error from a router to `to` about a packet, of which it quotes len bytes behind Ethernet. */
static void error_about(const struct frame *about, size_t len, const char *to, uint8_t type,
			uint8_t code, uint32_t rest, struct frame *ret_frame)
{
	struct icmp_spec spec = {.src = strchr(to, ':') ? ROUTER6 : ROUTER4,
				 .dst = to,
				 .type = type,
				 .code = code,
				 .rest = rest,
				 .body = about->data + ETH_LEN,
				 .body_len = len,
				 .tos = 0xc0};

	pkt_icmp(&spec, ret_frame);
}

static const uint8_t types4[] = {3, 4, 11, 12}, types6[] = {1, 2, 3, 4, 100, 127};

/* With no more than 8 bytes of the transport, whole packet in, whole packet out. */
static void check_owner(struct env *env, bool v6, bool outer6, uint8_t proto)
{
	static struct frame in, reply, error, out, expected;
	unsigned seen = 0;

	for (unsigned i = 0; i < 24; i++) {
		struct pkt_spec spec = spec_of(v6, proto, 2000 + i), back = reply_of(&spec);
		uint8_t type = v6 ? types6[i % sizeof(types6)] : types4[i % sizeof(types4)];
		struct outer_spec outer = {.src = outer6 ? LB6 : LB4};
		char dst[16];
		unsigned be;

		pkt_build(&spec, &in);
		be = env_backend_of(env, &in);
		seen |= 1U << be;
		back.ip_options = v6 ? 0 : i % 4;
		pkt_build(&back, &reply);
		error_about(&reply, pkt_l4(&reply) - ETH_LEN + 8, spec.dst, type, i % 16, 0,
			    &error);
		snprintf(dst, sizeof(dst), outer6 ? "fd00:1::%u" : "10.1.0.%u", be);
		outer.dst = dst;
		if (outer6)
			outer.label = (uint32_t)env_hash(&in) >> 12;
		pkt_encap(&error, &outer, &expected);
		env_expect(env, &error, SHUNT_VERDICT_TX, &out);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, expected.len);
	}
	assert_int_equal(seen, 0xe);
}

static void test_errors_reach_the_owner(void **state)
{
	struct env env;

	(void)state;
	for (int i = 0; i < 8; i++) {
		open_env(&env, i & 2);
		check_owner(&env, i & 1, i & 2, i & 4 ? IPPROTO_UDP : IPPROTO_TCP);
		assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_ICMP_ERRORS], 24);
		assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_NEW_FLOWS], 24);
		assert_int_equal(env_flow_count(&env, TABLE_PENDING), 24);
		assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 0);
		env_close(&env);
	}
}

/* A flow that moved would be the ring's; an error follows the table, and leaves no trace in it. */
static void test_errors_follow_the_table(void **state)
{
	struct pkt_spec spec = spec_of(false, IPPROTO_UDP, 1000), back = reply_of(&spec);
	static struct frame in, reply, error;
	struct shunt_flow before, after;
	struct env env;

	(void)state;
	open_env(&env, false);
	env_ring(&env, env_id(1, 1));
	pkt_build(&spec, &in);
	assert_int_equal(env_backend_of(&env, &in), 1);
	env_ring(&env, env_id(1, 2));
	env_flow_age(&env, TABLE_PENDING, &in, 5);
	assert_true(env_flow(&env, TABLE_PENDING, &in, &before));
	pkt_build(&back, &reply);
	error_about(&reply, 28, VIP4, 3, 4, 1400, &error);
	assert_int_equal(env_backend_of(&env, &error), 1);
	assert_true(env_flow(&env, TABLE_PENDING, &in, &after));
	assert_memory_equal(&before, &after, sizeof(before));

	/* Of no flow that is known: by the ring, and not entered. */
	back.dport = 1001;
	pkt_build(&back, &reply);
	error_about(&reply, 28, VIP4, 3, 4, 1400, &error);
	assert_int_equal(env_backend_of(&env, &error), 2);
	assert_int_equal(env_flow_count(&env, TABLE_PENDING), 1);
	assert_int_equal(env_flow_count(&env, TABLE_FLOWS), 0);
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_NEW_FLOWS], 1);
	env_close(&env);
}

static void test_quoted_extension_headers(void **state)
{
	static const uint8_t options[8] = {IPPROTO_TCP, 0, 1, 4};
	struct pkt_spec spec = spec_of(true, IPPROTO_TCP, 1000), back = reply_of(&spec);
	static struct frame in, reply, error;
	struct env env;

	(void)state;
	open_env(&env, false);
	pkt_build(&spec, &in);
	pkt_build(&back, &reply);
	pkt_insert(&reply, ETH_LEN + 40, options, 8);
	reply.data[ETH_LEN + 6] = 60;
	error_about(&reply, 40 + 8 + 8, VIP6, 2, 0, 1280, &error);
	assert_int_equal(env_backend_of(&env, &error), env_backend_of(&env, &in));
	env_close(&env);
}

/* One byte less, at any place, and nobody knows whose it is. */
static void test_short_quotations_pass(void **state)
{
	static struct frame reply, error;
	struct env env;

	(void)state;
	open_env(&env, false);
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, IPPROTO_TCP, 1000), back = reply_of(&spec);
		size_t least = v6 ? 48 : 28, whole;

		pkt_build(&back, &reply);
		for (size_t len = 0; len < least; len++) {
			error_about(&reply, len, spec.dst, v6 ? 1 : 3, 1, 0, &error);
			env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		}
		error_about(&reply, least, spec.dst, v6 ? 1 : 3, 1, 0, &error);
		env_expect(&env, &error, SHUNT_VERDICT_TX, NULL);
		whole = error.len;
		for (error.len = ETH_LEN; error.len < whole; error.len++)
			assert_int_equal(env_run(&env, &error, NULL), XDP_PASS);
	}
	env_close(&env);
}

static void test_errors_for_others_pass(void **state)
{
	static struct frame reply, error;
	struct env env;

	(void)state;
	open_env(&env, false);
	for (int v6 = 0; v6 < 2; v6++) {
		struct pkt_spec spec = spec_of(v6, IPPROTO_TCP, 1000), back = reply_of(&spec);
		size_t len = v6 ? 48 : 28;
		uint8_t type = v6 ? 1 : 3;

		/* About another port, another address. */
		back.sport = 81;
		pkt_build(&back, &reply);
		error_about(&reply, len, spec.dst, type, 1, 0, &error);
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		back.sport = 80;
		back.src = v6 ? "2001:db8::11" : "203.0.113.11";
		pkt_build(&back, &reply);
		error_about(&reply, len, back.src, type, 1, 0, &error);
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		/* Sent to another than who sent the packet. */
		back.src = spec.dst;
		pkt_build(&back, &reply);
		error_about(&reply, len, v6 ? "2001:db8::11" : "203.0.113.11", type, 1, 0, &error);
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		/* To a group; about a later fragment; of a kind that is no error; about ICMP. */
		error_about(&reply, len, spec.dst, type, 1, 0, &error);
		error.data[0] = 1;
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		pkt_fragment(&reply, 64, 64, 1, 1, &reply);
		error_about(&reply, len + 8, spec.dst, type, 1, 0, &error);
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		pkt_build(&back, &reply);
		for (unsigned other = 0; other < 256; other++) {
			if (v6 ? other && other < 128 : memchr(types4, other, 4) != NULL)
				continue;
			error_about(&reply, len, spec.dst, other, 1, 0, &error);
			env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
		}
		back.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		pkt_build(&back, &reply);
		error_about(&reply, len, spec.dst, type, 1, 0, &error);
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
	}
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_PACKETS], 0);
	env_close(&env);
}

/* An error about a service that this host terminates is the stack's. */
static void test_local_service(void **state)
{
	struct pkt_spec spec = spec_of(false, IPPROTO_TCP, 1000), back = reply_of(&spec);
	static struct frame reply, error;
	struct env env;

	(void)state;
	open_env(&env, false);
	env.svc.action = SHUNT_ACTION_LOCAL;
	env_service(&env, VIP4, 80, IPPROTO_TCP);
	pkt_build(&back, &reply);
	error_about(&reply, 28, VIP4, 3, 1, 0, &error);
	env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_LOCAL);
	env_close(&env);
}

/* ---- about tunnels ---- */

struct tunnel_case {
	bool inner6, outer6;
};

/* The client's packet, what we made of it, and an error about that. */
static void tunnel_error(struct env *env, const struct tunnel_case *c, const struct pkt_spec *spec,
			 size_t quoted, uint32_t mtu, struct frame *ret_client,
			 struct frame *ret_error)
{
	static struct frame sent;

	pkt_build(spec, ret_client);
	env_expect(env, ret_client, SHUNT_VERDICT_TX, &sent);
	error_about(&sent, quoted, c->outer6 ? LB6 : LB4, c->outer6 ? 2 : 3, c->outer6 ? 0 : 4, mtu,
		    ret_error);
}

/* What the client is told: its own packet, as much as was quoted in whole words, back from the
 * service's address. */
static void expect_told(const struct frame *out, const struct frame *client, bool v6, size_t quoted,
			uint32_t mtu)
{
	static struct frame expected;
	struct icmp_spec spec = {.src = v6 ? VIP6 : VIP4,
				 .dst = v6 ? CLIENT6 : CLIENT4,
				 .type = v6 ? 2 : 3,
				 .code = v6 ? 0 : 4,
				 .rest = mtu,
				 .body = client->data + ETH_LEN,
				 .body_len = quoted & ~(size_t)3,
				 .tos = 0xc0,
				 .ttl = 64};

	pkt_icmp(&spec, &expected);
	memcpy(expected.data, client->data + 6, 6);
	memcpy(expected.data + 6, client->data, 6);
	if (v6) {
		expected.data[ETH_LEN + 1] &= 0xf0; /* no flow label */
		expected.data[ETH_LEN + 2] = expected.data[ETH_LEN + 3] = 0;
	} else {
		pkt_put16(&expected, ETH_LEN + 4, 0); /* no id */
		pkt_fix_ipv4(&expected, ETH_LEN);
	}
	assert_int_equal(out->len, expected.len);
	assert_memory_equal(out->data, expected.data, expected.len);
	assert_true(pkt_sums_are_right(out, pkt_l4(out), v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP));
}

static const struct shunt_switches talkative = {.echo = 1, .icmp_rate = 60000};

static void check_tunnel(const struct tunnel_case *c)
{
	struct pkt_spec spec = spec_of(c->inner6, IPPROTO_TCP, 1000);
	size_t outer = c->outer6 ? 40 : 20, inner = c->inner6 ? 40 : 20;
	static struct frame client, error, out;
	struct env env;

	open_env(&env, c->outer6);
	env_switches(&env, &talkative);
	for (size_t quoted = inner + 8; quoted < inner + 600; quoted += quoted < 80 ? 1 : 31) {
		tunnel_error(&env, c, &spec, outer + quoted, 1400, &client, &error);
		env_expect(&env, &error, SHUNT_VERDICT_ANSWER, &out);
		expect_told(&out, &client, c->inner6, c->inner6 || quoted < 548 ? quoted : 548,
			    1400 - outer);
	}
	for (int i = 0; i < SHUNT_DROP_COUNT; i++)
		assert_int_equal(env_svc_stats(&env).drop[i], 0);
	/* Too little to tell whose. */
	for (size_t quoted = 0; quoted < inner + 8; quoted++) {
		tunnel_error(&env, c, &spec, outer + quoted, 1400, &client, &error);
		env_expect_pass(&env, &error,
				quoted < 8 ? SHUNT_VERDICT_PASS_PROTOCOL
					   : SHUNT_VERDICT_PASS_TUNNEL);
	}
	env_close(&env);
}

static void test_tunnel_errors_are_translated(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		check_tunnel(&(struct tunnel_case){.inner6 = i & 1, .outer6 = i & 2});
}

/* All that is not as we would have sent it, or that no client can do anything about. */
static void test_other_tunnel_errors_pass(void **state)
{
	struct tunnel_case c = {0};
	struct pkt_spec spec = spec_of(false, IPPROTO_TCP, 1000);
	static struct frame client, error, sent;
	struct env env;
	uint64_t errors;

	(void)state;
	open_env(&env, false);
	env_switches(&env, &talkative);
	tunnel_error(&env, &c, &spec, 100, 1400, &client, &error);
	env_expect(&env, &client, SHUNT_VERDICT_TX, &sent);
	/* To a backend that the flow does not go to. */
	error.data[ETH_LEN + 28 + 19] ^= 0x40;
	env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
	/* An MTU that says nothing, or nonsense. */
	for (uint32_t mtu = 0; mtu < 20 + 68; mtu++) {
		tunnel_error(&env, &c, &spec, 100, mtu, &client, &error);
		env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
	}
	/* Other errors: counted. */
	errors = env_svc_stats(&env).count[SHUNT_COUNT_TUNNEL_ERRORS];
	error_about(&sent, 100, LB4, 3, 1, 0, &error);
	env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
	error_about(&sent, 100, LB4, 11, 0, 0, &error);
	env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_TUNNEL_ERRORS], errors + 2);
	/* A client that has its packets fragmented is not told. */
	pkt_put16(&sent, ETH_LEN + 20 + 6, 0);
	error_about(&sent, 100, LB4, 3, 4, 1400, &error);
	env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
	/* For no service. */
	spec.dport = 81;
	pkt_build(&spec, &client);
	pkt_encap(&client, &(struct outer_spec){.src = LB4, .dst = "10.1.0.1"}, &sent);
	error_about(&sent, 100, LB4, 3, 4, 1400, &error);
	env_expect_pass(&env, &error, SHUNT_VERDICT_PASS_PROTOCOL);
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_ICMP_SENT], 0);
	env_close(&env);
}

/* ---- echo ---- */

/* All values of the checksum; the answer is compared whole with one that is built anew. */
static void check_every_checksum(bool v6)
{
	static struct frame in, out, expected;
	uint8_t body[32] = {0};
	struct icmp_spec spec = {.src = v6 ? CLIENT6 : CLIENT4,
				 .dst = v6 ? VIP6 : VIP4,
				 .type = v6 ? 128 : 8,
				 .rest = 0x12340001,
				 .body = body,
				 .body_len = sizeof(body)};
	struct icmp_spec answer = {.src = spec.dst,
				   .dst = spec.src,
				   .type = v6 ? 129 : 0,
				   .rest = spec.rest,
				   .body = body,
				   .body_len = sizeof(body),
				   .ttl = 64};
	uint8_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	static bool seen[65536];
	unsigned values = 0;
	struct env env;

	memset(seen, 0, sizeof(seen));
	open_env(&env, false);
	for (unsigned word = 0; word < 65536; word++) {
		uint16_t sum;

		if (word % 50000 == 0)
			env_switches(&env, &talkative);
		body[10] = word >> 8;
		body[11] = word & 0xff;
		pkt_icmp(&spec, &in);
		sum = pkt_get16(&in, pkt_l4(&in) + 2);
		values += !seen[sum];
		seen[sum] = true;
		while (env_run(&env, &in, &out) == XDP_DROP)
			; /* over the rate; time brings more */
		pkt_icmp(&answer, &expected);
		memcpy(expected.data, in.data + 6, 6);
		memcpy(expected.data + 6, in.data, 6);
		assert_true(pkt_sums_are_right(&out, pkt_l4(&out), proto));
		/* 0 and 0xffff are one number. */
		if (pkt_get16(&expected, pkt_l4(&expected) + 2) == 0 && !v6)
			pkt_put16(&expected, pkt_l4(&expected) + 2, 0xffff);
		assert_int_equal(out.len, expected.len);
		assert_memory_equal(out.data, expected.data, expected.len);
	}
	/* 0xffff is the checksum of zeros alone, which no request is. */
	assert_int_equal(values, 65535);
	env_close(&env);
}

static void test_echo_with_every_checksum(void **state)
{
	(void)state;
	check_every_checksum(false);
	check_every_checksum(true);
}

/* A request whose answer is all zeros, but for its checksum. */
static void test_echo_of_zeros(void **state)
{
	struct icmp_spec spec = {.src = CLIENT4, .dst = VIP4, .type = 8, .body = "", .body_len = 0};
	static struct frame in, out;
	struct env env;

	(void)state;
	open_env(&env, false);
	env_switches(&env, &talkative);
	pkt_icmp(&spec, &in);
	env_expect(&env, &in, SHUNT_VERDICT_ANSWER, &out);
	assert_int_equal(pkt_get16(&out, ETH_LEN + 20 + 2), 0xffff);
	env_close(&env);
}

static void test_echo_sizes_and_tags(void **state)
{
	static struct frame in, out;
	static uint8_t body[1472];
	struct env env;

	(void)state;
	open_env(&env, false);
	env_switches(&env, &talkative);
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = i * 11;
	for (size_t len = 0; len <= sizeof(body); len += 147) {
		for (int v6 = 0; v6 < 2; v6++) {
			struct icmp_spec spec = {.src = v6 ? CLIENT6 : CLIENT4,
						 .dst = v6 ? VIP6 : VIP4,
						 .type = v6 ? 128 : 8,
						 .body = body,
						 .body_len = len};

			pkt_icmp(&spec, &in);
			pkt_tag(&in, 0x8100, 0x1064);
			env_expect(&env, &in, SHUNT_VERDICT_ANSWER, &out);
			assert_int_equal(out.len, in.len);
			assert_memory_equal(out.data, in.data + 6, 6);
			assert_memory_equal(out.data + 6, in.data, 6);
			assert_memory_equal(out.data + 12, in.data + 12, 6);
			memmove(out.data + 12, out.data + 16, out.len - 16);
			assert_true(pkt_sums_are_right(&out, pkt_l4(&out),
						       v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP));
		}
	}
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_ECHOES], 22);
	env_close(&env);
}

static void expect_no_answer(struct env *env, const struct icmp_spec *spec)
{
	static struct frame in;

	pkt_icmp(spec, &in);
	env_expect_pass(env, &in, SHUNT_VERDICT_PASS_PROTOCOL);
}

static void test_echo_passes(void **state)
{
	struct icmp_spec spec = {
		.src = CLIENT4, .dst = VIP4, .type = 8, .body = "abc", .body_len = 3};
	struct icmp_spec spec6 = {
		.src = CLIENT6, .dst = VIP6, .type = 128, .body = "abc", .body_len = 3};
	static const char *const odd4[] = {"224.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255"};
	static struct frame in;
	size_t whole;
	struct env env;

	(void)state;
	open_env(&env, false);
	/* Off. */
	expect_no_answer(&env, &spec);
	expect_no_answer(&env, &spec6);
	env_switches(&env, &talkative);
	/* From no host, to another address, with another code, cut short, to a group. */
	for (size_t i = 0; i < 4; i++) {
		spec.src = odd4[i];
		expect_no_answer(&env, &spec);
	}
	spec.src = CLIENT4;
	spec6.src = "ff02::1";
	expect_no_answer(&env, &spec6);
	spec6.src = "::";
	expect_no_answer(&env, &spec6);
	spec6.src = CLIENT6;
	spec.dst = "203.0.113.11";
	expect_no_answer(&env, &spec);
	spec6.dst = "2001:db8::11";
	expect_no_answer(&env, &spec6);
	spec.dst = VIP4;
	spec6.dst = VIP6;
	spec.code = spec6.code = 1;
	expect_no_answer(&env, &spec);
	spec.code = 0;
	pkt_icmp(&spec, &in);
	whole = in.len;
	for (in.len = ETH_LEN; in.len < whole; in.len++)
		assert_int_equal(env_run(&env, &in, NULL), XDP_PASS);
	in.len = whole;
	in.data[0] |= 1;
	env_expect_pass(&env, &in, SHUNT_VERDICT_PASS_PROTOCOL);
	/* An answer to one; an address that is this host's. */
	spec.type = 0;
	expect_no_answer(&env, &spec);
	spec.type = 8;
	env_addr(&env, VIP4, SHUNT_VIP_LOCAL);
	expect_no_answer(&env, &spec);
	assert_int_equal(env_svc_stats(&env).count[SHUNT_COUNT_PACKETS], 0);
	env_close(&env);
}

static void test_echo_rate(void **state)
{
	struct icmp_spec spec = {
		.src = CLIENT4, .dst = VIP4, .type = 8, .body = "abc", .body_len = 3};
	struct shunt_switches on = {.echo = 1, .icmp_rate = 3};
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env, false);
	env_switches(&env, &on);
	pkt_icmp(&spec, &in);
	for (int i = 0; i < 3; i++)
		env_expect(&env, &in, SHUNT_VERDICT_ANSWER, NULL);
	env_expect_drop(&env, &in, SHUNT_DROP_ICMP_RATE);
	on.icmp_rate = 0;
	env_switches(&env, &on);
	env_expect_drop(&env, &in, SHUNT_DROP_ICMP_RATE);
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_reach_the_owner),
		cmocka_unit_test(test_errors_follow_the_table),
		cmocka_unit_test(test_quoted_extension_headers),
		cmocka_unit_test(test_short_quotations_pass),
		cmocka_unit_test(test_errors_for_others_pass),
		cmocka_unit_test(test_local_service),
		cmocka_unit_test(test_tunnel_errors_are_translated),
		cmocka_unit_test(test_other_tunnel_errors_pass),
		cmocka_unit_test(test_echo_with_every_checksum),
		cmocka_unit_test(test_echo_of_zeros),
		cmocka_unit_test(test_echo_sizes_and_tags),
		cmocka_unit_test(test_echo_passes),
		cmocka_unit_test(test_echo_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
