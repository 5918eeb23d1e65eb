/* SPDX-License-Identifier: BSD-2-Clause */
/* QUIC packets go to the backend that their connection id names, whatever the flow is; all others, and
 * those that it names none for, by the flow. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <bpf/libbpf.h>
#include <cmocka.h>

#include "tests/bpf/steer_env.h"
#include "tests/bpf/steer_xdp.skel.h"

#define LB4 "10.0.0.1"

static const char *const vips[] = {"203.0.113.10", "2001:db8::10"};
static const char *const clients[] = {"198.51.100.7", "2001:db8:c::7"};

#define BY_FLOW 1 /* the ring's only backend */
#define BY_CID	2 /* that of server id 0a0b */

static void set_backend(struct env *env, uint32_t generation, uint32_t index, uint8_t state)
{
	char dst[32];
	struct env_backend be = {
		.id = env_id(generation, index), .src = LB4, .dst = dst, .state = state};

	(void)snprintf(dst, sizeof(dst), "10.1.0.%u", index);
	env_backend(env, &be);
}

static void set_server_id(struct env *env, uint32_t service, const char *id, size_t len,
			  uint32_t backend)
{
	struct shunt_server_id key = {.service = service, .len = (uint8_t)len};

	memcpy(key.id, id, len);
	assert_int_equal(bpf_map__update_elem(env->skel->maps.sh_server_ids, &key, sizeof(key),
					      &backend, sizeof(backend), BPF_ANY),
			 0);
}

static void open_env(struct env *env)
{
	env_open(env, NULL);
	set_backend(env, 1, BY_FLOW, SHUNT_BACKEND_UP);
	set_backend(env, 1, BY_CID, SHUNT_BACKEND_UP);
	env_ring(env, env_id(1, BY_FLOW));
	set_server_id(env, SVC_ROW, "\x0a\x0b", 2, env_id(1, BY_CID));
	env->svc.cid = SHUNT_CID_LB;
	env->svc.cid_config = 1;
	env->svc.server_id_len = 2;
	for (int f = 0; f < 2; f++) {
		env_service(env, vips[f], 443, IPPROTO_UDP);
		env_service(env, vips[f], 443, IPPROTO_TCP);
	}
}

/* A datagram with data and then zeroes up to 100 bytes. The checksum is not right; nobody looks. */
static void build(int family, uint16_t sport, uint8_t ip_options, const void *data, size_t len,
		  struct frame *ret_in)
{
	struct pkt_spec spec = {.src = clients[family],
				.dst = vips[family],
				.sport = sport,
				.dport = 443,
				.proto = IPPROTO_UDP,
				.ip_options = ip_options,
				.payload_len = 100};

	pkt_build(&spec, ret_in);
	memset(ret_in->data + pkt_l4(ret_in) + 8, 0, 100);
	memcpy(ret_in->data + pkt_l4(ret_in) + 8, data, len);
}

/* Whole packet in, whole packet out. */
static void expect_at(struct env *env, const struct frame *in, unsigned backend)
{
	static struct frame out, expected;
	struct outer_spec outer = {.src = LB4};
	char dst[32];

	(void)snprintf(dst, sizeof(dst), "10.1.0.%u", backend);
	outer.dst = dst;
	pkt_encap(in, &outer, &expected);
	env_expect(env, in, SHUNT_VERDICT_TX, &out);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, expected.len);
}

static void expect_counts(struct env *env, uint64_t cid, uint64_t unknown, uint64_t new_flows)
{
	struct shunt_svc_stats s = env_svc_stats(env);

	assert_int_equal(s.count[SHUNT_COUNT_CID], cid);
	assert_int_equal(s.count[SHUNT_COUNT_CID_UNKNOWN], unknown);
	assert_int_equal(s.count[SHUNT_COUNT_NEW_FLOWS], new_flows);
}

#define SHORT	     "\x40\x25\x0a\x0b\x01\x02\x03"
#define LONG	     "\xe0\0\0\0\1\6\x25\x0a\x0b\x01\x02\x03"
#define INITIAL	     "\xc0\0\0\0\1\x08random-8"
#define UNKNOWN	     "\x40\x25\x0a\x0c\x01\x02\x03"
#define OTHER_CONFIG "\x40\x45\x0a\x0b\x01\x02\x03"

static void test_by_connection_id(void **state)
{
	static struct frame in;
	struct env env;

	(void)state;
	for (int f = 0; f < 2; f++) {
		open_env(&env);
		build(f, 1000, 0, SHORT, sizeof(SHORT) - 1, &in);
		expect_at(&env, &in, BY_CID);
		build(f, 1000, 0, LONG, sizeof(LONG) - 1, &in);
		expect_at(&env, &in, BY_CID);
		/* The client moved: another port, the same connection. */
		build(f, 2000, 0, SHORT, sizeof(SHORT) - 1, &in);
		expect_at(&env, &in, BY_CID);
		if (f == 0) {
			build(f, 2000, 10, SHORT, sizeof(SHORT) - 1, &in);
			expect_at(&env, &in, BY_CID);
		}
		expect_counts(&env, f == 0 ? 4 : 3, 0, 0);
		assert_int_equal(env_flow_count(&env, TABLE_PENDING), 0);
		env_close(&env);
	}
}

static void test_by_flow(void **state)
{
	struct pkt_spec tcp = {.src = clients[0],
			       .dst = vips[0],
			       .sport = 1000,
			       .dport = 443,
			       .proto = IPPROTO_TCP,
			       .tcp_flags = F_ACK,
			       .payload_len = 50};
	static struct frame in;
	struct env env;

	(void)state;
	for (int f = 0; f < 2; f++) {
		open_env(&env);
		build(f, 1000, 0, INITIAL, sizeof(INITIAL) - 1, &in);
		expect_at(&env, &in, BY_FLOW);
		expect_counts(&env, 0, 0, 1);
		build(f, 1000, 0, UNKNOWN, sizeof(UNKNOWN) - 1, &in);
		expect_at(&env, &in, BY_FLOW);
		expect_counts(&env, 0, 1, 1);
		build(f, 1000, 0, OTHER_CONFIG, sizeof(OTHER_CONFIG) - 1, &in);
		expect_at(&env, &in, BY_FLOW);
		expect_counts(&env, 0, 2, 1);
		env_close(&env);
	}
	/* TCP's payload is nobody's connection id. */
	open_env(&env);
	pkt_build(&tcp, &in);
	memcpy(in.data + pkt_l4(&in) + 8, SHORT, sizeof(SHORT) - 1);
	in.data[pkt_l4(&in) + 12] = 0x50;
	in.data[pkt_l4(&in) + 13] = F_ACK;
	expect_at(&env, &in, BY_FLOW);
	expect_counts(&env, 0, 0, 1);
	env_close(&env);
}

/* An empty datagram, and every way to cut one short: by the flow. */
static void test_short_datagrams(void **state)
{
	struct pkt_spec spec = {.src = clients[0],
				.dst = vips[0],
				.sport = 1000,
				.dport = 443,
				.proto = IPPROTO_UDP};
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	for (size_t len = 0; len < sizeof(SHORT) - 1; len++) {
		spec.payload_len = len;
		pkt_build(&spec, &in);
		memcpy(in.data + pkt_l4(&in) + 8, SHORT, len);
		expect_at(&env, &in, BY_FLOW);
	}
	spec.payload_len = sizeof(SHORT) - 1;
	spec.frame_len = 60;
	pkt_build(&spec, &in);
	memcpy(in.data + pkt_l4(&in) + 8, SHORT, sizeof(SHORT) - 1);
	expect_at(&env, &in, BY_CID);
	/* The frame has more, the datagram has not. */
	spec.payload_len--;
	pkt_build(&spec, &in);
	memcpy(in.data + pkt_l4(&in) + 8, SHORT, sizeof(SHORT) - 1);
	expect_at(&env, &in, BY_FLOW);
	spec.payload_len = 0;
	pkt_build(&spec, &in);
	memcpy(in.data + pkt_l4(&in) + 8, SHORT, sizeof(SHORT) - 1);
	expect_at(&env, &in, BY_FLOW);
	expect_counts(&env, 1, sizeof(SHORT) - 2 + 1, 1);
	env_close(&env);
}

static void test_draining_keeps_its_connections(void **state)
{
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	build(0, 1000, 0, SHORT, sizeof(SHORT) - 1, &in);
	set_backend(&env, 1, BY_CID, SHUNT_BACKEND_DRAINING);
	expect_at(&env, &in, BY_CID);
	expect_counts(&env, 1, 0, 0);
	set_backend(&env, 1, BY_CID, SHUNT_BACKEND_DOWN);
	expect_at(&env, &in, BY_FLOW);
	expect_counts(&env, 1, 1, 1);
	env_close(&env);
}

/* The row went to another backend, and the entry has not gone yet. */
static void test_another_generation_is_another_backend(void **state)
{
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	set_backend(&env, 2, BY_CID, SHUNT_BACKEND_UP);
	build(0, 1000, 0, SHORT, sizeof(SHORT) - 1, &in);
	expect_at(&env, &in, BY_FLOW);
	expect_counts(&env, 0, 1, 1);
	env_close(&env);
}

/* The same id means another backend, or none, for another service and with another length. */
static void test_ids_are_a_services_own(void **state)
{
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	set_backend(&env, 1, 3, SHUNT_BACKEND_UP);
	set_server_id(&env, SVC_ROW + 1, "\x0a\x0c", 2, env_id(1, 3));
	set_server_id(&env, SVC_ROW, "\x0a\x0c\0", 3, env_id(1, 3));
	build(0, 1000, 0, UNKNOWN, sizeof(UNKNOWN) - 1, &in);
	expect_at(&env, &in, BY_FLOW);
	env_close(&env);
}

static void test_id_at_an_offset(void **state)
{
	static struct frame in;
	struct env env;

	(void)state;
	open_env(&env);
	env.svc.cid = SHUNT_CID_OFFSET;
	env.svc.cid_offset = 3;
	memcpy(env.svc.server_id_mask, "\xff\x0f", 2);
	env_service(&env, vips[0], 443, IPPROTO_UDP);
	build(0, 1000, 0, "\x40...\x0a\xfb", 6, &in);
	expect_at(&env, &in, BY_CID);
	build(0, 1000, 0, "\xc0\0\0\0\1\x08...\x0a\x5b...", 14, &in);
	expect_at(&env, &in, BY_CID);
	build(0, 1000, 0, "\x40...\x0a\xfc", 6, &in);
	expect_at(&env, &in, BY_FLOW);
	expect_counts(&env, 2, 1, 1);
	env_close(&env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_connection_id),
		cmocka_unit_test(test_by_flow),
		cmocka_unit_test(test_short_datagrams),
		cmocka_unit_test(test_draining_keeps_its_connections),
		cmocka_unit_test(test_another_generation_is_another_backend),
		cmocka_unit_test(test_ids_are_a_services_own),
		cmocka_unit_test(test_id_at_an_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
