/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bpf/pkt_build.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mac_router[6] = {0x02, 0, 0, 0, 0, 0x01};
static const uint8_t mac_balancer[6] = {0x02, 0, 0, 0, 0, 0x02};

static void require(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "pkt_build: %s\n", what);
	abort();
}

/* A frame under construction is appended to. */
static uint8_t *grow(struct frame *f, size_t len)
{
	uint8_t *at = f->data + f->len;

	require(f->len + len <= FRAME_MAX, "frame too long");
	memset(at, 0, len);
	f->len += len;
	return at;
}

static void store16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

static void store32(uint8_t *at, uint32_t value)
{
	store16(at, value >> 16);
	store16(at + 2, value & 0xffff);
}

static uint32_t sum16(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	return sum;
}

static uint16_t sum_close(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static int is_ipv6(const char *addr)
{
	return strchr(addr, ':') != NULL;
}

static void put_addr(uint8_t *at, const char *text)
{
	require(inet_pton(is_ipv6(text) ? AF_INET6 : AF_INET, text, at) == 1, text);
}

static void put_eth(struct frame *f, const uint8_t *dst, const uint8_t *src, uint16_t proto)
{
	uint8_t *eth = grow(f, ETH_LEN);

	memcpy(eth, dst, 6);
	memcpy(eth + 6, src, 6);
	store16(eth + 12, proto);
}

static void put_ipv4(struct frame *f, const struct pkt_spec *s)
{
	uint8_t *ip = grow(f, 20 + s->ip_options * 4);

	ip[0] = 0x40 | (5 + s->ip_options);
	ip[1] = s->tos;
	store16(ip + 4, 0x1234);
	ip[6] = 0x40;
	ip[8] = s->hops ? s->hops : 57;
	ip[9] = s->proto;
	put_addr(ip + 12, s->src);
	put_addr(ip + 16, s->dst);
	memset(ip + 20, 1, s->ip_options * 4); /* no-operation */
}

static void put_ipv6(struct frame *f, const struct pkt_spec *s)
{
	uint8_t *ip = grow(f, 40);

	store32(ip, 6U << 28 | (uint32_t)s->tos << 20 | 0xabcde);
	ip[6] = s->proto;
	ip[7] = s->hops ? s->hops : 57;
	put_addr(ip + 8, s->src);
	put_addr(ip + 24, s->dst);
}

static void put_tcp(struct frame *f, const struct pkt_spec *s)
{
	uint8_t *tcp = grow(f, 20 + s->tcp_options * 4);

	store16(tcp, s->sport);
	store16(tcp + 2, s->dport);
	store32(tcp + 4, 0x11223344);
	store32(tcp + 8, 0x55667788);
	tcp[12] = (5 + s->tcp_options) << 4;
	tcp[13] = s->tcp_flags;
	store16(tcp + 14, 64240);
	memset(tcp + 20, 1, s->tcp_options * 4); /* no-operation */
}

static void put_udp(struct frame *f, const struct pkt_spec *s)
{
	uint8_t *udp = grow(f, 8);

	store16(udp, s->sport);
	store16(udp + 2, s->dport);
	store16(udp + 4, 8 + s->payload_len);
}

/* The transport checksum over the pseudo header: addresses, protocol, length. */
static void fix_l4(struct frame *f, size_t l4, const struct pkt_spec *s)
{
	size_t len = f->len - l4, offset = s->proto == IPPROTO_TCP ? 16 : 6;
	size_t addr_len = is_ipv6(s->src) ? 16 : 4;
	uint8_t addrs[32];
	uint32_t sum = s->proto + len;

	put_addr(addrs, s->src);
	put_addr(addrs + addr_len, s->dst);
	sum = sum16(addrs, 2 * addr_len, sum);
	sum = sum16(f->data + l4, len, sum);
	store16(f->data + l4 + offset, sum_close(sum));
}

void pkt_build(const struct pkt_spec *s, struct frame *f)
{
	size_t l4;

	require(is_ipv6(s->src) == is_ipv6(s->dst), "addresses of two families");
	f->len = 0;
	put_eth(f, mac_balancer, mac_router, is_ipv6(s->src) ? 0x86dd : 0x0800);
	if (is_ipv6(s->src))
		put_ipv6(f, s);
	else
		put_ipv4(f, s);
	l4 = f->len;
	if (s->proto == IPPROTO_TCP)
		put_tcp(f, s);
	else if (s->proto == IPPROTO_UDP)
		put_udp(f, s);
	for (size_t i = 0; i < s->payload_len; i++)
		*grow(f, 1) = i * 7 + 3;
	if (s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP)
		fix_l4(f, l4, s);
	pkt_set_ip_len(f, f->len - ETH_LEN);
	while (f->len < s->frame_len)
		*grow(f, 1) = 0xee;
}

void pkt_turn(struct frame *f)
{
	uint8_t mac[6];

	memcpy(mac, f->data, 6);
	memcpy(f->data, f->data + 6, 6);
	memcpy(f->data + 6, mac, 6);
}

void pkt_error(const struct error_spec *e, const struct frame *about, struct frame *f)
{
	struct pkt_spec s = {.src = e->src, .dst = e->dst, .hops = e->hops};
	size_t quoted = e->quoted_len ? e->quoted_len : pkt_ip_len(about), l4;
	uint32_t sum = 0;
	uint8_t *icmp;

	s.proto = is_ipv6(e->src) ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	pkt_build(&s, f);
	l4 = f->len;
	icmp = grow(f, 8);
	icmp[0] = e->type;
	icmp[1] = e->code;
	store32(icmp + 4, e->rest);
	memcpy(grow(f, quoted), about->data + ETH_LEN, quoted);
	if (is_ipv6(e->src))
		sum = sum16(f->data + ETH_LEN + 8, 32, IPPROTO_ICMPV6 + (uint32_t)(8 + quoted));
	store16(icmp + 2, sum_close(sum16(icmp, 8 + quoted, sum)));
	pkt_set_ip_len(f, f->len - ETH_LEN);
	require(f->len == l4 + 8 + quoted, "an error's length");
}

static void put_outer_ipv4(struct frame *f, const struct outer_spec *o, uint8_t tos, uint8_t proto,
			   size_t inner_len)
{
	size_t l3 = f->len;
	uint8_t *ip = grow(f, 20);

	ip[0] = 0x45;
	ip[1] = tos;
	store16(ip + 2, 20 + inner_len);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = proto;
	put_addr(ip + 12, o->src);
	put_addr(ip + 16, o->dst);
	pkt_fix_ipv4(f, l3);
}

static void put_outer_ipv6(struct frame *f, const struct outer_spec *o, uint8_t tos, uint8_t proto,
			   size_t inner_len)
{
	uint8_t *ip = grow(f, 40);

	store32(ip, 6U << 28 | (uint32_t)tos << 20 | o->label);
	store16(ip + 4, inner_len);
	ip[6] = proto;
	ip[7] = 64;
	put_addr(ip + 8, o->src);
	put_addr(ip + 24, o->dst);
}

void pkt_encap(const struct frame *in, const struct outer_spec *o, struct frame *f)
{
	const uint8_t *ip = in->data + ETH_LEN;
	int inner6 = ip[0] >> 4 == 6;
	uint8_t tos = inner6 ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1];
	uint8_t proto = inner6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	size_t behind_eth = in->len - ETH_LEN;

	f->len = 0;
	put_eth(f, in->data + 6, in->data, is_ipv6(o->dst) ? 0x86dd : 0x0800);
	if (is_ipv6(o->dst))
		put_outer_ipv6(f, o, tos, proto, pkt_ip_len(in));
	else
		put_outer_ipv4(f, o, tos, proto, pkt_ip_len(in));
	memcpy(grow(f, behind_eth), ip, behind_eth);
}

void pkt_tag(struct frame *f, uint16_t type, uint16_t tci)
{
	if (f->len + 4 > sizeof(f->data))
		abort();
	memmove(f->data + 16, f->data + 12, f->len - 12);
	f->len += 4;
	pkt_put16(f, 12, type);
	pkt_put16(f, 14, tci);
}

void pkt_insert(struct frame *f, size_t offset, const void *bytes, size_t len)
{
	size_t behind = f->len - offset;

	require(offset <= f->len, "beyond the frame");
	grow(f, len);
	memmove(f->data + offset + len, f->data + offset, behind);
	memcpy(f->data + offset, bytes, len);
}

void pkt_fragment(const struct frame *whole, size_t offset, size_t len, int more, uint32_t id,
		  struct frame *f)
{
	size_t l4 = pkt_l4(whole);
	const uint8_t *part = whole->data + l4 + offset;
	uint8_t *ip = f->data + ETH_LEN;

	require(offset % 8 == 0 && l4 + offset + len <= whole->len, "no such fragment");
	memcpy(f->data, whole->data, l4);
	f->len = l4;
	if (ip[0] >> 4 == 6) {
		uint8_t *header = grow(f, 8);

		header[0] = ip[6];
		store16(header + 2, offset | !!more);
		store32(header + 4, id);
		ip[6] = 44;
	} else {
		store16(ip + 4, id & 0xffff);
		store16(ip + 6, offset / 8 | (more ? 0x2000 : 0));
	}
	memcpy(grow(f, len), part, len);
	pkt_set_ip_len(f, f->len - ETH_LEN);
}

void pkt_icmp(const struct icmp_spec *s, struct frame *f)
{
	uint8_t proto = is_ipv6(s->src) ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	struct pkt_spec spec = {.src = s->src, .dst = s->dst, .proto = proto, .tos = s->tos};
	size_t l4, addrs = is_ipv6(s->src) ? 32 : 0;
	uint32_t sum = 0;
	uint8_t *icmp;

	pkt_build(&spec, f);
	l4 = f->len;
	icmp = grow(f, 8);
	icmp[0] = s->type;
	icmp[1] = s->code;
	store32(icmp + 4, s->rest);
	memcpy(grow(f, s->body_len), s->body, s->body_len);
	if (addrs)
		sum = sum16(f->data + l4 - addrs, addrs, proto + (f->len - l4));
	store16(icmp + 2, sum_close(sum16(icmp, f->len - l4, sum)));
	if (s->ttl)
		f->data[ETH_LEN + (addrs ? 7 : 8)] = s->ttl;
	pkt_set_ip_len(f, f->len - ETH_LEN);
}

int pkt_sums_are_right(const struct frame *f, size_t l4, uint8_t proto)
{
	const uint8_t *ip = f->data + ETH_LEN;
	size_t len = ETH_LEN + pkt_ip_len(f) - l4;
	uint32_t sum = 0;

	if (ip[0] >> 4 == 6)
		sum = sum16(ip + 8, 32, proto + len);
	else if (sum_close(sum16(ip, (ip[0] & 0xf) * 4, 0)))
		return 0;
	else if (proto != IPPROTO_ICMP)
		sum = sum16(ip + 12, 8, proto + len);
	return sum_close(sum16(f->data + l4, len, sum)) == 0;
}

size_t pkt_l4(const struct frame *f)
{
	uint8_t first = f->data[ETH_LEN];

	return ETH_LEN + (first >> 4 == 6 ? 40 : (first & 0xf) * 4);
}

size_t pkt_ip_len(const struct frame *f)
{
	if (f->data[ETH_LEN] >> 4 == 6)
		return 40 + pkt_get16(f, ETH_LEN + 4);
	return pkt_get16(f, ETH_LEN + 2);
}

void pkt_put16(struct frame *f, size_t offset, uint16_t value)
{
	require(offset + 2 <= f->len, "beyond the frame");
	store16(f->data + offset, value);
}

uint16_t pkt_get16(const struct frame *f, size_t offset)
{
	require(offset + 2 <= f->len, "beyond the frame");
	return f->data[offset] << 8 | f->data[offset + 1];
}

void pkt_set_ip_len(struct frame *f, size_t len)
{
	if (f->data[ETH_LEN] >> 4 == 6) {
		pkt_put16(f, ETH_LEN + 4, len - 40);
		return;
	}
	pkt_put16(f, ETH_LEN + 2, len);
	pkt_fix_ipv4(f, ETH_LEN);
}

void pkt_fix_ipv4(struct frame *f, size_t l3)
{
	uint8_t *ip = f->data + l3;

	store16(ip + 10, 0);
	store16(ip + 10, sum_close(sum16(ip, (ip[0] & 0xf) * 4, 0)));
}
