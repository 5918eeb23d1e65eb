/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bpf/nat_env.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include <cmocka.h>

const struct family families[2] = {
	{"203.0.113.10", "198.51.100.7", "10.1.0.1", "10.0.0.9", "10.9.9.9"},
	{"2001:db8::10", "2001:db8:c::7", "fd00:1::1", "fd00::9", "fd00:9::9"},
};

void nat_set_backend(struct nat *n, uint16_t ports)
{
	n->be = (struct env_backend){
		.id = env_id(1, BE_ROW),
		.src = n->f->source,
		.dst = n->f->backend,
		.forward = SHUNT_FORWARD_NAT,
		.port = n->be_port,
		.nat_port_low = n->way == OURS ? PORT_LOW : 0,
		.nat_port_count = n->way == OURS ? ports : 0,
	};
	env_backend(&n->env, &n->be);
	env_ring(&n->env, n->be.id);
}

void nat_open_sized(struct nat *n, bool v6, enum way way, uint16_t ports,
		    const struct env_opts *opts)
{
	*n = (struct nat){.f = &families[v6], .way = way, .be_port = BE_PORT};
	env_open(&n->env, opts);
	nat_set_backend(n, ports);
	env_nat_switch(&n->env, true);
	env_service(&n->env, n->f->vip, 80, IPPROTO_TCP);
	env_service(&n->env, n->f->vip, 80, IPPROTO_UDP);
}

void nat_open(struct nat *n, bool v6, enum way way)
{
	nat_open_sized(n, v6, way, 1000, NULL);
}

void nat_close(struct nat *n)
{
	env_close(&n->env);
}

/* ---- packets of a flow, at its four places ---- */

struct pkt_spec nat_packet(uint8_t proto, uint8_t flags, size_t payload)
{
	return (struct pkt_spec){.proto = proto, .tcp_flags = flags, .payload_len = payload};
}

struct pkt_spec nat_tcp(uint8_t flags)
{
	return nat_packet(IPPROTO_TCP, flags, 5);
}

static uint16_t backend_port(const struct nat *n)
{
	return n->be_port ? n->be_port : 80;
}

/* From client to service. */
void nat_from_client(const struct nat *n, uint16_t cport, struct pkt_spec s, struct frame *f)
{
	s.src = n->f->client;
	s.dst = n->f->vip;
	s.sport = cport;
	s.dport = 80;
	pkt_build(&s, f);
}

/* The port that the backend sees; that of the client, or of its source. */
uint16_t nat_seen_port(struct nat *n, uint16_t cport)
{
	struct shunt_nat_source source;
	static struct frame f;

	if (n->way == OWN)
		return cport;
	nat_from_client(n, cport, nat_tcp(F_SYN), &f);
	if (!env_nat_source(&n->env, &f, &source)) {
		nat_from_client(n, cport, nat_packet(IPPROTO_UDP, 0, 5), &f);
		assert_true(env_nat_source(&n->env, &f, &source));
	}
	return ntohs(source.port);
}

const char *nat_seen_addr(const struct nat *n)
{
	return n->way == OWN ? n->f->client : n->f->source;
}

/* The same at the backend. */
void nat_at_backend(struct nat *n, uint16_t cport, struct pkt_spec s, struct frame *f)
{
	s.src = nat_seen_addr(n);
	s.dst = n->f->backend;
	s.sport = nat_seen_port(n, cport);
	s.dport = backend_port(n);
	pkt_build(&s, f);
}

void nat_from_backend(struct nat *n, uint16_t cport, struct pkt_spec s, struct frame *f)
{
	s.src = n->f->backend;
	s.dst = nat_seen_addr(n);
	s.sport = backend_port(n);
	s.dport = nat_seen_port(n, cport);
	pkt_build(&s, f);
}

void nat_at_client(const struct nat *n, uint16_t cport, struct pkt_spec s, struct frame *f)
{
	s.src = n->f->vip;
	s.dst = n->f->client;
	s.sport = 80;
	s.dport = cport;
	pkt_build(&s, f);
}

void nat_expect_frame(const struct frame *got, struct frame *expected)
{
	pkt_turn(expected);
	assert_int_equal(got->len, expected->len);
	assert_memory_equal(got->data, expected->data, expected->len);
}

/* A packet from the client arrives at the backend, as the whole frame says. */
void nat_send_there(struct nat *n, uint16_t cport, struct pkt_spec s)
{
	static struct frame in, out, expected;

	nat_from_client(n, cport, s, &in);
	env_expect(&n->env, &in, SHUNT_VERDICT_TX, &out);
	s.hops = (s.hops ? s.hops : HOPS) - 1;
	nat_at_backend(n, cport, s, &expected);
	nat_expect_frame(&out, &expected);
}

void nat_send_back(struct nat *n, uint16_t cport, struct pkt_spec s)
{
	static struct frame in, out, expected;

	nat_from_backend(n, cport, s, &in);
	env_expect(&n->env, &in, SHUNT_VERDICT_TX, &out);
	s.hops = (s.hops ? s.hops : HOPS) - 1;
	nat_at_client(n, cport, s, &expected);
	nat_expect_frame(&out, &expected);
}

struct shunt_nat nat_entry_of(struct nat *n, uint16_t cport)
{
	static struct frame f;
	struct shunt_nat e;

	nat_from_backend(n, cport, nat_tcp(F_ACK), &f);
	assert_true(env_nat(&n->env, &f, &e));
	return e;
}

void nat_expect_no_reply(struct nat *n, uint16_t cport)
{
	static struct frame f;

	nat_from_backend(n, cport, nat_tcp(F_ACK), &f);
	env_expect_pass(&n->env, &f, SHUNT_VERDICT_PASS_NO_SERVICE);
}
