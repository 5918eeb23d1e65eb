/* SPDX-License-Identifier: BSD-2-Clause */
/* Which flow a frame is of, and what the live tables have of it. See rehearse.h. */
#include <bpf/bpf.h>
#include <string.h>

#include "bpf/parse.h"
#include "loader/rehearse_int.h"

#define ICMP4_HEADER	 8
#define ICMP4_UNREACH	 3
#define ICMP4_TIMEOUT	 11
#define ICMP4_PARAMETER	 12
#define ICMP6_ERRORS_END 128 /* types of errors are below */
#define PORTS_LEN	 4

/* ---- which flow ---- */

static void fill(struct rehearse_flow *f, const uint8_t *saddr, const uint8_t *daddr,
		 const uint8_t *ports, uint8_t proto)
{
	f->has_ports = true;
	if (f->family == 4) {
		memcpy(&f->key.v4.saddr, saddr, 4);
		memcpy(&f->key.v4.daddr, daddr, 4);
		memcpy(&f->key.v4.sport, ports, 2);
		memcpy(&f->key.v4.dport, ports + 2, 2);
		f->key.v4.proto = proto;
	} else {
		memcpy(f->key.v6.saddr, saddr, 16);
		memcpy(f->key.v6.daddr, daddr, 16);
		memcpy(&f->key.v6.sport, ports, 2);
		memcpy(&f->key.v6.dport, ports + 2, 2);
		f->key.v6.proto = proto;
	}
}

/* An ICMP error quotes a packet that went the other way: its flow is the quoted one's, reversed. */
static bool quoted_flow(const uint8_t *icmp, size_t len, struct rehearse_flow *f)
{
	const uint8_t *ip = icmp + ICMP4_HEADER, *l4;
	size_t addr_len = f->family == 4 ? 4 : 16;
	size_t header = f->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	uint8_t proto, ports[PORTS_LEN];
	const uint8_t *saddr;

	if (len < ICMP4_HEADER + header)
		return false;
	if (f->family == 4 ? icmp[0] != ICMP4_UNREACH && icmp[0] != ICMP4_TIMEOUT &&
				     icmp[0] != ICMP4_PARAMETER
			   : icmp[0] >= ICMP6_ERRORS_END)
		return false;
	if (f->family == 4)
		header = (ip[0] & 0xfU) * 4;
	proto = ip[f->family == 4 ? 9 : 6];
	saddr = ip + (f->family == 4 ? 12 : 8);
	if (!has_ports(proto) || len < ICMP4_HEADER + header + PORTS_LEN)
		return false;
	l4 = ip + header;
	memcpy(ports, l4 + 2, 2);
	memcpy(ports + 2, l4, 2);
	fill(f, saddr + addr_len, saddr, ports, proto);
	return true;
}

static void fragment_key(const struct pkt *p, struct rehearse_flow *f)
{
	const uint8_t *ip = (const uint8_t *)p->eth + p->l2_len, *ext;

	f->is_fragment = true;
	if (f->family == 4) {
		memcpy(&f->frag.v4.saddr, ip + 12, 4);
		memcpy(&f->frag.v4.daddr, ip + 16, 4);
		memcpy(&f->frag.v4.id, ip + 4, 2);
		f->frag.v4.proto = p->proto;
		return;
	}
	memcpy(f->frag.v6.saddr, ip + 8, 16);
	memcpy(f->frag.v6.daddr, ip + 24, 16);
	ext = ip + sizeof(struct ipv6hdr);
	ext += ext_walk((void *)ext, p->end, ip[6]).frag_at;
	if (ext + sizeof(struct ext_fragment) <= (const uint8_t *)p->end)
		f->frag.v6.id = ((const struct ext_fragment *)ext)->id;
}

bool rehearse_flow_of(const uint8_t *frame, size_t len, struct rehearse_flow *ret_flow)
{
	struct pkt p = {.eth = (struct ethhdr *)frame, .end = (void *)(frame + len)};
	enum verdict v = parse_packet(&p);
	const uint8_t *l4 = frame + p.l2_len + p.l3_len;

	*ret_flow = (struct rehearse_flow){.family = p.family};
	if (p.family == 0)
		return false;
	if (v == V_PASS_FRAGMENT) {
		fragment_key(&p, ret_flow);
		return true;
	}
	if (v == V_PASS_PROTOCOL && l4 < frame + len)
		return quoted_flow(l4, (size_t)(frame + len - l4), ret_flow);
	if (v != V_NEXT)
		return false;
	ret_flow->has_ports = true;
	if (p.family == 4)
		ret_flow->key.v4 = p.flow4;
	else
		ret_flow->key.v6 = p.flow6;
	return true;
}

/* ---- the copies ---- */

/* Of tables whose key is of the family: the IPv4 one, or the one behind it in LOADER_MAPS. */
static enum loader_map of_family(enum loader_map map4, uint8_t family)
{
	return family == 4 ? map4 : map4 + 1;
}
_Static_assert(LOADER_MAP_FLOW6 == LOADER_MAP_FLOW4 + 1 &&
		       LOADER_MAP_PEND6 == LOADER_MAP_PEND4 + 1 &&
		       LOADER_MAP_NAT_FWD6 == LOADER_MAP_NAT_FWD4 + 1 &&
		       LOADER_MAP_NAT_REV6 == LOADER_MAP_NAT_REV4 + 1 &&
		       LOADER_MAP_FRAGS6 == LOADER_MAP_FRAGS4 + 1,
	       "of_family()");

/* Values of all tables that are copied from by key. */
union value {
	struct shunt_flow flow;
	struct shunt_nat nat;
	struct shunt_nat_source source;
	struct shunt_frag frag;
	struct shunt_source account;
	struct shunt_svc_flood flood;
};

/* False: neither the rehearsal nor the live table has it. */
static bool copy(struct rehearsal *r, enum loader_map map, const void *key, union value *ret_value)
{
	if (!bpf_map_lookup_elem(r->fds[map], key, ret_value))
		return true;
	return !bpf_map_lookup_elem(r->l->map_fds[map], key, ret_value) &&
	       !bpf_map_update_elem(r->fds[map], key, ret_value, BPF_ANY);
}

/* Addresses as struct shunt_nat has them, IPv4 in word 0. */
static void key_of(uint8_t family, uint8_t proto, const __be32 *saddr, __be16 sport,
		   const __be32 *daddr, __be16 dport, struct rehearse_flow *ret_flow)
{
	const __be16 ports[2] = {sport, dport};

	*ret_flow = (struct rehearse_flow){.family = family};
	fill(ret_flow, (const uint8_t *)saddr, (const uint8_t *)daddr, (const uint8_t *)ports,
	     proto);
}

static uint8_t proto_of(const struct rehearse_flow *f)
{
	return f->family == 4 ? f->key.v4.proto : f->key.v6.proto;
}

/* A packet to a backend: its half of the pair says where the other one is. */
static bool copy_nat_to_backend(struct rehearsal *r, const struct rehearse_flow *f)
{
	uint32_t index;
	struct shunt_backend be;
	struct rehearse_flow reply;
	union value v;
	__be16 port;

	if (!copy(r, of_family(LOADER_MAP_NAT_FWD4, f->family), &f->key, &v))
		return false;
	index = SHUNT_ID_INDEX(v.source.backend);
	if (bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_BACKENDS], &index, &be))
		return false;
	port = be.port ? be.port : f->family == 4 ? f->key.v4.dport : f->key.v6.dport;
	key_of(f->family, proto_of(f), f->family == 4 ? &be.dst[3] : be.dst, port, v.source.addr,
	       v.source.port, &reply);
	return copy(r, of_family(LOADER_MAP_NAT_REV4, f->family), &reply.key, &v);
}

static void copy_nat_reply(struct rehearsal *r, const struct rehearse_flow *f)
{
	struct rehearse_flow client;
	union value v;

	if (!copy(r, of_family(LOADER_MAP_NAT_REV4, f->family), &f->key, &v))
		return;
	key_of(f->family, proto_of(f), v.nat.client, v.nat.client_port, v.nat.service,
	       v.nat.service_port, &client);
	(void)copy(r, of_family(LOADER_MAP_NAT_FWD4, f->family), &client.key, &v);
}

/* The accounts of guarded services, and of the packet's source there. */
static void copy_accounts(struct rehearsal *r, const struct rehearse_flow *f)
{
	const __be32 *saddr = f->family == 4 ? &f->key.v4.saddr : f->key.v6.saddr;
	union value v;

	for (uint32_t row = 0; row < r->services; row++) {
		struct shunt_source_key key = {.family = f->family};
		struct shunt_svc_guard g;

		if (bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_SVC_GUARD], &row, &g) ||
		    g.scope == SHUNT_SCOPE_NODE)
			continue;
		if (!bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_SVC_FLOOD], &row, &v))
			(void)bpf_map_update_elem(r->fds[LOADER_MAP_SVC_FLOOD], &row, &v, BPF_ANY);
		key.scope = g.scope;
		for (int i = 0; i < (f->family == 4 ? 1 : 4); i++)
			key.addr[i] = saddr[i] & (f->family == 4 ? g.mask4 : g.mask6[i]);
		(void)copy(r, LOADER_MAP_SOURCES, &key, &v);
	}
}

void rehearse_copy(struct rehearsal *r, const struct rehearse_flow *f)
{
	union value v;

	if (f->is_fragment)
		(void)copy(r, of_family(LOADER_MAP_FRAGS4, f->family), &f->frag, &v);
	if (!f->has_ports)
		return;
	(void)copy(r, of_family(LOADER_MAP_FLOW4, f->family), &f->key, &v);
	(void)copy(r, of_family(LOADER_MAP_PEND4, f->family), &f->key, &v);
	if (!copy_nat_to_backend(r, f))
		copy_nat_reply(r, f);
	copy_accounts(r, f);
}

enum rehearse_entry rehearse_entry_of(const struct rehearsal *r, const struct rehearse_flow *f,
				      uint32_t *ret_backend)
{
	static const struct {
		enum loader_map map;
		enum rehearse_entry entry;
	} tables[] = {{LOADER_MAP_FLOW4, REHEARSE_ENTRY_FLOW},
		      {LOADER_MAP_PEND4, REHEARSE_ENTRY_PENDING},
		      {LOADER_MAP_NAT_FWD4, REHEARSE_ENTRY_NAT},
		      {LOADER_MAP_NAT_REV4, REHEARSE_ENTRY_NAT}};
	union value v;

	*ret_backend = 0;
	if (f->is_fragment &&
	    !bpf_map_lookup_elem(r->fds[of_family(LOADER_MAP_FRAGS4, f->family)], &f->frag, &v)) {
		*ret_backend = v.frag.backend;
		return REHEARSE_ENTRY_FRAGMENT;
	}
	for (size_t i = 0; f->has_ports && i < sizeof(tables) / sizeof(tables[0]); i++) {
		enum loader_map map = of_family(tables[i].map, f->family);

		if (bpf_map_lookup_elem(r->fds[map], &f->key, &v))
			continue;
		*ret_backend = tables[i].map == LOADER_MAP_NAT_FWD4   ? v.source.backend
			       : tables[i].map == LOADER_MAP_NAT_REV4 ? v.nat.backend
								      : v.flow.backend;
		return tables[i].entry;
	}
	return REHEARSE_ENTRY_NONE;
}
