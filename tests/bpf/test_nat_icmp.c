/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP errors through NAT, both ways: whole packet in, whole packet out. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

#include "tests/bpf/nat_env.h"

/* ---- ICMP errors ---- */

struct icmp_case {
	uint8_t type[2], code; /* by family */
	uint32_t rest;
};

static const struct icmp_case icmp_cases[] = {
	{{3, 1}, 4, 1300}, /* unreachable; code 4 of IPv4: fragmentation needed */
	{{11, 3}, 0, 0},   /* time exceeded */
	{{3, 2}, 0, 1280}, /* unreachable; packet too big */
	{{12, 4}, 0, 0},   /* parameter problem */
};

static struct error_spec error_of(const struct icmp_case *c, bool v6, const char *src,
				  const char *dst, size_t quoted)
{
	return (struct error_spec){.src = src,
				   .dst = dst,
				   .type = c->type[v6],
				   .code = c->code,
				   .rest = c->rest,
				   .quoted_len = quoted};
}

/* From a router behind us, about a packet to the backend: the client gets it as from the service. */
static void check_error_to_client(struct nat *n, bool v6, const struct icmp_case *c,
				  struct pkt_spec s, size_t quoted)
{
	static struct frame about, in, out, expected;
	struct error_spec e = error_of(c, v6, n->f->router, nat_seen_addr(n), quoted);

	nat_at_backend(n, 40000, s, &about);
	pkt_error(&e, &about, &in);
	env_expect(&n->env, &in, SHUNT_VERDICT_TX, &out);
	e = error_of(c, v6, n->f->vip, n->f->client, quoted);
	e.hops = HOPS - 1;
	nat_from_client(n, 40000, s, &about);
	pkt_error(&e, &about, &expected);
	nat_expect_frame(&out, &expected);
}

/* From a router on the client's side, about a reply: the backend gets it. */
static void check_error_to_backend(struct nat *n, bool v6, const struct icmp_case *c,
				   struct pkt_spec s, size_t quoted)
{
	static struct frame about, in, out, expected;
	struct error_spec e = error_of(c, v6, n->f->router, n->f->vip, quoted);

	nat_at_client(n, 40000, s, &about);
	pkt_error(&e, &about, &in);
	env_expect(&n->env, &in, SHUNT_VERDICT_TX, &out);
	e = error_of(c, v6, n->way == OURS ? n->f->source : n->f->router, n->f->backend, quoted);
	e.hops = HOPS - 1;
	nat_from_backend(n, 40000, s, &about);
	pkt_error(&e, &about, &expected);
	nat_expect_frame(&out, &expected);
}

static void test_icmp_errors(void **state)
{
	static const struct pkt_spec specs[] = {
		{.proto = IPPROTO_TCP, .tcp_flags = F_ACK, .payload_len = 100},
		{.proto = IPPROTO_UDP, .payload_len = 100},
	};

	(void)state;
	BOTH_WAYS(v6, way)
	{
		for (size_t k = 0; k < sizeof(specs) / sizeof(specs[0]); k++) {
			size_t head = v6 ? 40 : 20;
			struct nat n;

			nat_open(&n, v6, way);
			nat_send_there(&n, 40000, specs[k]);
			nat_send_back(&n, 40000, specs[k]);
			for (size_t i = 0; i < sizeof(icmp_cases) / sizeof(icmp_cases[0]); i++) {
				const struct icmp_case *c = &icmp_cases[i];
				/* Eight bytes of the transport; with and without its checksum; all. */
				size_t lens[] = {head + 8, head + 16, head + 18, head + 28, 0};

				for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++) {
					check_error_to_client(&n, v6, c, specs[k], lens[l]);
					check_error_to_backend(&n, v6, c, specs[k], lens[l]);
				}
			}
			nat_close(&n);
		}
	}
}

static void test_icmp_counters_and_options(void **state)
{
	struct pkt_spec s = {.proto = IPPROTO_TCP, .tcp_flags = F_ACK, .ip_options = 3};
	struct shunt_svc_stats before, after;
	struct nat n;

	(void)state;
	nat_open(&n, false, OURS);
	nat_send_there(&n, 40000, nat_tcp(F_ACK));
	before = env_svc_stats(&n.env);
	check_error_to_client(&n, false, &icmp_cases[0], s, 0); /* options in the quotation */
	check_error_to_backend(&n, false, &icmp_cases[0], s, 0);
	after = env_svc_stats(&n.env);
	assert_int_equal(after.count[SHUNT_COUNT_REPLY_PACKETS],
			 before.count[SHUNT_COUNT_REPLY_PACKETS] + 1);
	assert_int_equal(after.count[SHUNT_COUNT_PACKETS], before.count[SHUNT_COUNT_PACKETS] + 1);
	nat_close(&n);
}

/* What stands behind the error in its frame is no part of what it quotes, and stays as it is. */
static void test_a_trailer_is_not_quoted(void **state)
{
	static const size_t quoted_l4[] = {8, 4}; /* the latter is too little */

	(void)state;
	BOTH_WAYS(v6, way)
	{
		for (size_t i = 0; i < 2; i++) {
			static struct frame about, f, out, expected;
			size_t len = (v6 ? 40 : 20) + quoted_l4[i];
			struct error_spec e;
			struct nat n;

			nat_open(&n, v6, way);
			nat_send_there(&n, 40000, nat_tcp(F_SYN));
			nat_at_backend(&n, 40000, nat_tcp(F_SYN), &about);
			e = error_of(&icmp_cases[0], v6, n.f->router, nat_seen_addr(&n), len);
			pkt_error(&e, &about, &f);
			pkt_insert(&f, f.len, "a trailer, longer than TCP", 26);
			if (quoted_l4[i] < 8) {
				env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_PROTOCOL);
				nat_close(&n);
				continue;
			}
			env_expect(&n.env, &f, SHUNT_VERDICT_TX, &out);
			e = error_of(&icmp_cases[0], v6, n.f->vip, n.f->client, len);
			e.hops = HOPS - 1;
			nat_from_client(&n, 40000, nat_tcp(F_SYN), &about);
			pkt_error(&e, &about, &expected);
			pkt_insert(&expected, expected.len, "a trailer, longer than TCP", 26);
			nat_expect_frame(&out, &expected);
			nat_close(&n);
		}
	}
}

/* Errors about other packets, other messages, errors that are cut off: as they came. */
static void test_icmp_that_is_not_ours(void **state)
{
	(void)state;
	BOTH_WAYS(v6, way)
	{
		static struct frame about, f, cut, out;
		static const struct icmp_case echo = {{8, 128}, 0, 0x10001};
		struct error_spec e;
		struct nat n;

		nat_open(&n, v6, way);
		nat_send_there(&n, 40000, nat_tcp(F_SYN));
		nat_at_backend(&n, 40000, nat_tcp(F_SYN), &about);
		e = error_of(&echo, v6, n.f->router, nat_seen_addr(&n), 0);
		pkt_error(&e, &about, &f);
		env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_PROTOCOL);
		/* About no flow of ours, or sent to somebody else. */
		e = error_of(&icmp_cases[0], v6, n.f->router, nat_seen_addr(&n), 0);
		pkt_put16(&about, pkt_l4(&about), 5);
		pkt_error(&e, &about, &f);
		env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_PROTOCOL);
		nat_at_backend(&n, 40000, nat_tcp(F_SYN), &about);
		e.dst = n.f->router;
		pkt_error(&e, &about, &f);
		env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_PROTOCOL);
		/* A later fragment has no ports. */
		if (!v6) {
			nat_at_backend(&n, 40000, nat_tcp(F_SYN), &about);
			pkt_put16(&about, ETH_LEN + 6, 100);
			e.dst = nat_seen_addr(&n);
			pkt_error(&e, &about, &f);
			env_expect_pass(&n.env, &f, SHUNT_VERDICT_PASS_PROTOCOL);
		}
		nat_at_backend(&n, 40000, nat_tcp(F_SYN), &about);
		e.dst = nat_seen_addr(&n);
		pkt_error(&e, &about, &f);
		for (size_t len = ETH_LEN; len < f.len; len++) {
			cut = f;
			cut.len = len;
			assert_int_equal(env_run(&n.env, &cut, &out), XDP_PASS);
			assert_memory_equal(out.data, cut.data, len);
		}
		assert_int_equal(env_run(&n.env, &f, &out), XDP_TX);
		nat_close(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_icmp_errors),
		cmocka_unit_test(test_icmp_counters_and_options),
		cmocka_unit_test(test_a_trailer_is_not_quoted),
		cmocka_unit_test(test_icmp_that_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
