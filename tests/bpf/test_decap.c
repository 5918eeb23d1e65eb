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

#define GUE_PORT 6080

struct env {
	struct decap_bpf *skel;
	bool tc;
	uint32_t gso_size; /* of the socket buffer, TC only */
};

/* How a packet is wrapped: protocol 4 or 41, or GUE without and with a header of its own. */
struct wrap {
	bool gue, header;
	uint8_t words; /* of optional fields in the header */
};

static const struct wrap wraps[] = {
	{},
	{.gue = true},
	{.gue = true, .header = true},
	{.gue = true, .header = true, .words = 1},
	{.gue = true, .header = true, .words = 31},
};
#define WRAPS (sizeof(wraps) / sizeof(wraps[0]))

static size_t wrap_len(const struct wrap *w)
{
	return !w->gue ? 0 : 8 + (w->header ? 4 + w->words * 4 : 0);
}

static void add_service(struct env *env, const char *addr)
{
	struct decap_key key = {.family = strchr(addr, ':') ? 6 : 4};
	uint32_t value = 1;

	assert_int_equal(inet_pton(key.family == 6 ? AF_INET6 : AF_INET, addr, key.addr), 1);
	assert_int_equal(bpf_map__update_elem(env->skel->maps.dc_services, &key, sizeof(key),
					      &value, sizeof(value), BPF_ANY),
			 0);
}

static void set_port(struct env *env, uint16_t port)
{
	struct decap_settings settings = {.gue_port = htons(port)};
	uint32_t zero = 0;

	assert_int_equal(bpf_map__update_elem(env->skel->maps.dc_settings, &zero, sizeof(zero),
					      &settings, sizeof(settings), BPF_ANY),
			 0);
}

static void open_env(struct env *env, bool tc)
{
	*env = (struct env){.skel = decap_bpf__open_and_load(), .tc = tc};
	assert_non_null(env->skel);
	add_service(env, VIP4);
	add_service(env, VIP6);
	set_port(env, GUE_PORT);
}

static void close_env(struct env *env)
{
	decap_bpf__destroy(env->skel);
}

static uint64_t counter(struct env *env, uint32_t at)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = calloc(cpus, sizeof(*values)), sum = 0;

	assert_non_null(values);
	assert_int_equal(bpf_map__lookup_elem(env->skel->maps.dc_counters, &at, sizeof(at), values,
					      cpus * sizeof(*values), 0),
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
	struct __sk_buff skb = {.gso_size = env->gso_size};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->data, .data_size_in = in->len,
		    .data_out = ret_out->data, .data_size_out = sizeof(ret_out->data), .repeat = 1);

	if (env->gso_size) {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(prog), &opts), 0);
	ret_out->len = opts.data_size_out;
	return opts.retval;
}

/* Run, and expect this result of this kind of packet, and no other, to be counted. Returns what the
 * program returned. */
static uint32_t run_counted(struct env *env, const struct frame *in, uint32_t kind, uint32_t result,
			    struct frame *ret_out)
{
	uint64_t before[DECAP_COUNTERS];
	uint32_t retval;

	for (uint32_t i = 0; i < DECAP_COUNTERS; i++)
		before[i] = counter(env, i);
	retval = run(env, in, ret_out);
	for (uint32_t i = 0; i < DECAP_COUNTERS; i++)
		assert_int_equal(counter(env, i) - before[i], i == DECAP_COUNTER(kind, result));
	return retval;
}

/* Read off the frame; the tests spoil other fields than these. */
static uint32_t kind_of(const struct frame *f)
{
	bool v6 = f->len > ETH_LEN && f->data[ETH_LEN] >> 4 == 6;
	uint8_t proto = f->data[ETH_LEN + (v6 ? 6 : 9)];
	size_t port = ETH_LEN + (v6 ? 40 : (f->data[ETH_LEN] & 15) * 4) + 2;
	bool first = v6 || !(pkt_get16(f, ETH_LEN + 6) & 0x1fff);

	if (f->data[0] & 1 || pkt_get16(f, 12) != (v6 ? 0x86dd : 0x0800))
		return DECAP_KIND_OTHER;
	if (proto == IPPROTO_UDP && first && pkt_get16(f, port) == GUE_PORT)
		return DECAP_KIND_GUE;
	return proto == IPPROTO_IPIP || proto == IPPROTO_IPV6 ? DECAP_KIND_IPIP : DECAP_KIND_OTHER;
}

static void expect_drop(struct env *env, const struct frame *in, uint32_t result)
{
	static struct frame out;

	assert_int_equal(run_counted(env, in, kind_of(in), result, &out),
			 env->tc ? TC_ACT_SHOT : XDP_DROP);
}

static void expect_pass_of(struct env *env, const struct frame *in, uint32_t kind, uint32_t result)
{
	static struct frame out;

	assert_int_equal(run_counted(env, in, kind, result, &out), env->tc ? TC_ACT_OK : XDP_PASS);
	assert_int_equal(out.len, in->len);
	assert_memory_equal(out.data, in->data, in->len);
}

static void expect_pass(struct env *env, const struct frame *in, uint32_t result)
{
	expect_pass_of(env, in, kind_of(in), result);
}

/* In TC, the family that changes means another round through the stack's entrance. */
static void expect_inner(struct env *env, const struct frame *in, const struct frame *expected)
{
	static struct frame out;
	bool same_family = !memcmp(in->data + 12, expected->data + 12, 2);
	uint32_t retval = run_counted(env, in, kind_of(in), DECAP_DECAPSULATED, &out);

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

/* The UDP checksum at its place behind an IPv6 header; the field counts as zero. */
static void fix_udp6(struct frame *f)
{
	size_t udp = ETH_LEN + 40, len = f->len - udp;
	uint32_t sum = IPPROTO_UDP + len;

	pkt_put16(f, udp + 6, 0);
	for (size_t i = ETH_LEN + 8; i < f->len; i++)
		sum += (i - ETH_LEN) % 2 ? f->data[i] : (uint32_t)f->data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	pkt_put16(f, udp + 6, sum == 0xffff ? sum : ~sum);
}

/* Protocol 4 or 41 becomes UDP, with GUE's header where the wrap has one. */
static void make_gue(struct frame *f, const struct wrap *w)
{
	bool v6 = f->data[ETH_LEN] >> 4 == 6;
	size_t at = pkt_l4(f), more = wrap_len(w);
	uint8_t *proto = &f->data[ETH_LEN + (v6 ? 6 : 9)], inner = *proto;

	memmove(f->data + at + more, f->data + at, f->len - at);
	f->len += more;
	memset(f->data + at, 0xa5, more);
	*proto = IPPROTO_UDP;
	pkt_put16(f, at, 0xc123);
	pkt_put16(f, at + 2, GUE_PORT);
	pkt_put16(f, at + 4, f->len - at);
	pkt_put16(f, at + 6, 0);
	if (w->header) {
		f->data[at + 8] = w->words;
		f->data[at + 9] = inner;
		pkt_put16(f, at + 10, 0);
	}
	pkt_set_ip_len(f, f->len - ETH_LEN);
	if (v6)
		fix_udp6(f);
}

/* A packet in its tunnel, and as it should come out: with the Ethernet addresses of the tunnel. */
static void build_as(const struct wrap *w, const struct pkt_spec *spec, bool outer6,
		     struct frame *ret_in, struct frame *ret_inner)
{
	struct outer_spec outer = {.src = outer6 ? LB6 : LB4, .dst = outer6 ? BE6 : BE4};

	pkt_build(spec, ret_inner);
	pkt_encap(ret_inner, &outer, ret_in);
	if (w->gue)
		make_gue(ret_in, w);
	memcpy(ret_inner->data, ret_in->data, 12);
}

static void build(const struct pkt_spec *spec, bool outer6, struct frame *ret_in,
		  struct frame *ret_inner)
{
	build_as(&wraps[0], spec, outer6, ret_in, ret_inner);
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
	for (size_t i = 0; i < 4 * 3 * 5 * WRAPS; i++) {
		struct pkt_spec spec =
			spec_of(i & 1, protos[i / 4 % 3], payloads[i / 12 % 5], 0xb8);

		build_as(&wraps[i / 60], &spec, i & 2, &in, &inner);
		expect_inner(&env, &in, &inner);
	}
	close_env(&env);
}

static void check_outer_options(bool tc)
{
	static struct frame in, inner, with;
	struct env env;

	open_env(&env, tc);
	for (size_t i = 0; i < 10 * WRAPS; i++) {
		size_t words = i % 10 + 1, more = words * 4;
		struct pkt_spec spec = spec_of(words % 2, IPPROTO_TCP, 30, 0);

		build_as(&wraps[i / 10], &spec, false, &in, &inner);
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
	for (int i = 0; i < 4 * 4 * 4 * 3; i++) {
		uint8_t inner_ecn = i & 3, outer_ecn = i >> 2 & 3;
		uint8_t expected = becomes[inner_ecn][outer_ecn];
		struct pkt_spec spec = spec_of(i & 16, IPPROTO_TCP, 20, 0x48 | inner_ecn);

		build_as(&wraps[i / 64], &spec, i & 32, &in, &inner);
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

/* Nothing that looks like GUE, but is for no service, for another port, or no IP inside. */
static void check_not_our_gue(bool tc)
{
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (size_t i = 0; i < 4 * (WRAPS - 1); i++) {
		const struct wrap *w = &wraps[i / 4 + 1];
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 20, 0);
		size_t udp = ETH_LEN + (i & 2 ? 40 : 20);

		build_as(w, &spec, i & 2, &in, &inner);
		pkt_put16(&in, udp + 2, GUE_PORT + 1);
		expect_pass_of(&env, &in, DECAP_KIND_OTHER, DECAP_PASS);
		set_port(&env, GUE_PORT + 1);
		assert_int_equal(run_counted(&env, &in, DECAP_KIND_GUE, DECAP_DECAPSULATED, &inner),
				 !tc			? XDP_PASS
				 : !(i & 1) == !(i & 2) ? TC_ACT_OK
							: TC_ACT_REDIRECT);
		set_port(&env, 0);
		pkt_put16(&in, udp + 2, 0);
		expect_pass_of(&env, &in, DECAP_KIND_OTHER, DECAP_PASS);
		set_port(&env, GUE_PORT);

		spec.dst = i & 1 ? "2001:db8::11" : "203.0.113.11";
		build_as(w, &spec, i & 2, &in, &inner);
		expect_pass(&env, &in, DECAP_PASS);
		if (w->header)
			pkt_put16(&in, udp + 10, 0x8001); /* flags, but for somebody else */
		expect_pass(&env, &in, DECAP_PASS);
	}
	close_env(&env);
}

/* Every first byte of GUE, over a packet for a service. */
static void check_gue_versions(bool tc)
{
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (int i = 0; i < 4; i++) {
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 200, 0);
		size_t gue = ETH_LEN + (i & 2 ? 40 : 20) + 8;

		for (int first = 0; first < 256; first++) {
			build_as(&wraps[2], &spec, i & 2, &in, &inner);
			in.data[gue] = first;
			if (first >> 6 == 0 && first & 0x20)
				expect_pass(&env, &in, DECAP_PASS_CONTROL);
			else if (first != 0)
				expect_pass(&env, &in, DECAP_PASS);
		}
		/* What the header says to follow is not what follows, or not IP. */
		for (int proto = 0; proto < 256; proto++) {
			build_as(&wraps[2], &spec, i & 2, &in, &inner);
			if (proto == in.data[gue + 1])
				continue;
			in.data[gue + 1] = proto;
			expect_pass(&env, &in, DECAP_PASS);
		}
	}
	close_env(&env);
}

/* A flag may change what the packet means: none is known, so none is let through to a service. */
static void check_gue_flags(bool tc)
{
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (size_t i = 0; i < 4 * 16; i++) {
		const struct wrap *w = &wraps[2 + i % 3];
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 20, 0);

		build_as(w, &spec, i & 2, &in, &inner);
		pkt_put16(&in, ETH_LEN + (i & 2 ? 40 : 20) + 10, 1 << i / 4);
		expect_drop(&env, &in, DECAP_DROP_FLAGS);
	}
	close_env(&env);
}

/* Over IPv6 too, zero and wrong ones. */
static void check_gue_checksums(bool tc)
{
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (int i = 0; i < 8; i++) {
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 20, 0);

		build_as(&wraps[1], &spec, i & 2, &in, &inner);
		pkt_put16(&in, ETH_LEN + (i & 2 ? 40 : 20) + 6, i & 4 ? 0 : 0xbeef);
		expect_inner(&env, &in, &inner);
	}
	close_env(&env);
}

static void check_fragments(bool tc)
{
	struct pkt_spec spec = spec_of(false, IPPROTO_UDP, 20, 0);
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (size_t i = 0; i < WRAPS; i++) {
		size_t outer_len = 20 + wrap_len(&wraps[i]);

		build_as(&wraps[i], &spec, false, &in, &inner);
		pkt_put16(&in, ETH_LEN + 6, 0x2000);
		pkt_fix_ipv4(&in, ETH_LEN);
		expect_pass(&env, &in, DECAP_PASS_FRAGMENT);
		pkt_put16(&in, ETH_LEN + 6, 0x0010);
		pkt_fix_ipv4(&in, ETH_LEN);
		/* A later fragment has no port. */
		expect_pass(&env, &in, wraps[i].gue ? DECAP_PASS : DECAP_PASS_FRAGMENT);
		/* A fragment inside is the stack's business, and whole as far as the tunnel goes. */
		build_as(&wraps[i], &spec, false, &in, &inner);
		pkt_put16(&in, ETH_LEN + outer_len + 6, 0x2000);
		pkt_fix_ipv4(&in, ETH_LEN + outer_len);
		pkt_put16(&inner, ETH_LEN + 6, 0x2000);
		pkt_fix_ipv4(&inner, ETH_LEN);
		expect_inner(&env, &in, &inner);
	}
	close_env(&env);
}

/* Whatever is cut off behind, nothing is unpacked. */
static void check_prefixes(bool tc)
{
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (size_t i = 0; i < 4 * WRAPS; i++) {
		const struct wrap *w = &wraps[i / 4];
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 5, 0);
		size_t whole, headers, outer_len = i & 2 ? 40 : 20;

		build_as(w, &spec, i & 2, &in, &inner);
		whole = in.len;
		headers = ETH_LEN + outer_len + wrap_len(w) + (i & 1 ? 40 : 20);
		/* The kernel makes no socket buffer of less than an IP header. */
		for (in.len = ETH_LEN + (tc ? outer_len : 0); in.len < whole; in.len++) {
			bool known = in.len >= ETH_LEN + outer_len + (w->gue ? 8 : 0);
			uint32_t kind = w->gue ? DECAP_KIND_GUE : DECAP_KIND_IPIP;

			if (in.len < headers)
				expect_pass_of(&env, &in, known ? kind : DECAP_KIND_OTHER,
					       DECAP_PASS);
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
	for (size_t i = 0; i < 4 * WRAPS; i++) {
		const struct wrap *w = &wraps[i / 4];
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 5, 0);
		size_t outer_len = (i & 2 ? 40 : 20) + wrap_len(w);
		size_t field = ETH_LEN + outer_len + (i & 1 ? 4 : 2);

		build_as(w, &spec, i & 2, &in, &inner);
		pkt_put16(&in, field, pkt_get16(&in, field) + 1); /* more inside than outside */
		expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
		build_as(w, &spec, i & 2, &in, &inner);
		pkt_set_ip_len(&in, in.len - ETH_LEN + 1);
		expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
		pkt_set_ip_len(&in, outer_len);
		expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
		if (i & 1)
			continue;
		build_as(w, &spec, i & 2, &in, &inner);
		pkt_put16(&in, field, 19); /* less than a header */
		expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
	}
	close_env(&env);
}

/* UDP's own length: more than there is, less than what is inside, less than its header. */
static void check_lying_udp(bool tc)
{
	static struct frame in, inner;
	struct env env;

	open_env(&env, tc);
	for (size_t i = 0; i < 4 * (WRAPS - 1); i++) {
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 5, 0);
		size_t field = ETH_LEN + (i & 2 ? 40 : 20) + 4;
		uint16_t right;

		build_as(&wraps[i / 4 + 1], &spec, i & 2, &in, &inner);
		right = pkt_get16(&in, field);
		for (int lie = 0; lie < 5; lie++) {
			const uint16_t lies[] = {right + 1, right - 1, 8, 0, 0xffff};

			pkt_put16(&in, field, lies[lie]);
			expect_drop(&env, &in, DECAP_DROP_TRUNCATED);
		}
	}
	close_env(&env);
}

/* GRO for forwarding puts datagrams together; only one would come out. */
static void test_tc_merged(void **state)
{
	static struct frame in, inner, two;
	struct env env;

	(void)state;
	open_env(&env, true);
	for (size_t i = 0; i < 4 * WRAPS; i++) {
		const struct wrap *w = &wraps[i / 4];
		struct pkt_spec spec = spec_of(i & 1, IPPROTO_TCP, 100, 0);
		size_t udp;

		build_as(w, &spec, i & 2, &in, &inner);
		env.gso_size = 0;
		expect_inner(&env, &in, &inner);
		env.gso_size = in.len - pkt_l4(&in) - 8;
		if (!w->gue)
			continue;
		udp = pkt_l4(&in);
		two = in;
		memcpy(two.data + two.len, in.data + udp + 8, in.len - udp - 8);
		two.len += in.len - udp - 8;
		pkt_put16(&two, udp + 4, two.len - udp);
		pkt_set_ip_len(&two, two.len - ETH_LEN);
		expect_drop(&env, &two, DECAP_DROP_MERGED);
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
BOTH(not_our_gue)
BOTH(gue_versions)
BOTH(gue_flags)
BOTH(gue_checksums)
BOTH(fragments)
BOTH(prefixes)
BOTH(lying_lengths)
BOTH(lying_udp)
BOTH(padding)

int main(void)
{
#define PAIR(check) cmocka_unit_test(test_xdp_##check), cmocka_unit_test(test_tc_##check)
	const struct CMUnitTest tests[] = {
		PAIR(goldens),	     PAIR(outer_options),
		PAIR(ecn),	     PAIR(not_ours),
		PAIR(not_our_gue),   PAIR(gue_versions),
		PAIR(gue_flags),     PAIR(gue_checksums),
		PAIR(fragments),     PAIR(prefixes),
		PAIR(lying_lengths), PAIR(lying_udp),
		PAIR(padding),	     cmocka_unit_test(test_tc_merged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
