/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of checks through a tunnel, made and read: see via_packet.h. */
#include "health/via_packet.h"

#include <netinet/in.h>
#include <string.h>

#define IPV4_LEN 20
#define IPV6_LEN 40
#define UDP_LEN	 8
#define TCP_LEN	 20
#define ECHO_LEN 8
#define TTL	 64
#define DF	 0x4000

#define TCP_SYN	   0x02
#define TCP_RST	   0x04
#define TCP_ACK	   0x10
#define TCP_OFFSET (TCP_LEN / 4 << 12)
#define WINDOW	   65535

#define ECHO_REQUEST4 8
#define ECHO_REPLY4   0
#define ECHO_REQUEST6 128
#define ECHO_REPLY6   129

/* Any port of the dynamic ones does: paths need not tell checks apart. */
#define GUE_SOURCE_PORT 0xc000

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

static size_t addr_len(const struct addr *addr)
{
	return addr->family == AF_INET ? sizeof(addr->v4) : sizeof(addr->v6);
}

static size_t ip_len(const struct addr *addr)
{
	return addr->family == AF_INET ? IPV4_LEN : IPV6_LEN;
}

/* len: even. */
static uint32_t add_words(uint32_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i += 2)
		sum += get16(data + i);
	return sum;
}

static uint32_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* With the pseudo header that TCP, UDP and ICMPv6 share. */
static uint32_t checksum_of(const struct addr *src, const struct addr *dst, uint8_t proto,
			    const uint8_t *data, size_t len)
{
	uint32_t sum = add_words(proto + (uint32_t)len, data, len);

	sum = add_words(sum, src->bytes, addr_len(src));
	return checksum(add_words(sum, dst->bytes, addr_len(dst)));
}

static void put_ip(uint8_t *at, const struct addr *src, const struct addr *dst, uint8_t proto,
		   size_t payload_len)
{
	if (dst->family == AF_INET) {
		memset(at, 0, IPV4_LEN);
		at[0] = 0x45;
		put16(at + 2, (uint32_t)(IPV4_LEN + payload_len));
		put16(at + 6, DF);
		at[8] = TTL;
		at[9] = proto;
		memcpy(at + 12, &src->v4, sizeof(src->v4));
		memcpy(at + 16, &dst->v4, sizeof(dst->v4));
		put16(at + 10, checksum(add_words(0, at, IPV4_LEN)));
	} else {
		put32(at, 0x60000000);
		put16(at + 4, (uint32_t)payload_len);
		at[6] = proto;
		at[7] = TTL;
		memcpy(at + 8, &src->v6, sizeof(src->v6));
		memcpy(at + 24, &dst->v6, sizeof(dst->v6));
	}
}

static size_t put_tcp(const struct via_question *q, uint32_t seq, uint8_t flags, uint8_t *at)
{
	uint8_t *tcp = at + ip_len(&q->vip);

	put_ip(at, &q->own, &q->vip, IPPROTO_TCP, TCP_LEN);
	memset(tcp, 0, TCP_LEN);
	put16(tcp, q->own_port);
	put16(tcp + 2, q->port);
	put32(tcp + 4, seq);
	put16(tcp + 12, TCP_OFFSET | flags);
	put16(tcp + 14, flags & TCP_SYN ? WINDOW : 0);
	put16(tcp + 16, checksum_of(&q->own, &q->vip, IPPROTO_TCP, tcp, TCP_LEN));
	return ip_len(&q->vip) + TCP_LEN;
}

/* Identifier and sequence number are the token's halves. */
static size_t put_echo(const struct via_question *q, uint8_t *at)
{
	bool v4 = q->vip.family == AF_INET;
	uint8_t proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	uint8_t *icmp = at + ip_len(&q->vip);

	put_ip(at, &q->own, &q->vip, proto, ECHO_LEN);
	memset(icmp, 0, ECHO_LEN);
	icmp[0] = v4 ? ECHO_REQUEST4 : ECHO_REQUEST6;
	put32(icmp + 4, q->token);
	put16(icmp + 2, v4 ? checksum(add_words(0, icmp, ECHO_LEN))
			   : checksum_of(&q->own, &q->vip, proto, icmp, ECHO_LEN));
	return ip_len(&q->vip) + ECHO_LEN;
}

/* What goes in front of a packet, at; returns how long it is. */
static size_t outer_len(const struct via_question *q)
{
	switch (q->way) {
	case FORWARD_IPIP: return ip_len(&q->backend);
	case FORWARD_GUE: return ip_len(&q->backend) + UDP_LEN;
	default: return 0;
	}
}

static void put_outer(const struct via_question *q, uint8_t *at, size_t inner_len)
{
	uint8_t inner_proto = q->vip.family == AF_INET ? IPPROTO_IPIP : IPPROTO_IPV6;
	uint8_t *udp = at + ip_len(&q->backend);
	uint32_t check;

	if (q->way == FORWARD_IPIP) {
		put_ip(at, &q->outer_src, &q->backend, inner_proto, inner_len);
	} else if (q->way == FORWARD_GUE) {
		put_ip(at, &q->outer_src, &q->backend, IPPROTO_UDP, UDP_LEN + inner_len);
		put16(udp, GUE_SOURCE_PORT);
		put16(udp + 2, q->gue_port);
		put16(udp + 4, (uint32_t)(UDP_LEN + inner_len));
		put16(udp + 6, 0);
		if (q->backend.family == AF_INET6) { /* which has no packets without */
			check = checksum_of(&q->outer_src, &q->backend, IPPROTO_UDP, udp,
					    UDP_LEN + inner_len);
			put16(udp + 6, check ? check : 0xffff);
		}
	}
}

size_t via_packet_ask(const struct via_question *q, uint8_t buf[VIA_PACKET_MAX])
{
	uint8_t *inner = buf + outer_len(q);
	size_t len = q->port ? put_tcp(q, q->token, TCP_SYN, inner) : put_echo(q, inner);

	put_outer(q, buf, len);
	return outer_len(q) + len;
}

size_t via_packet_reset(const struct via_question *q, uint8_t buf[VIA_PACKET_MAX])
{
	size_t len = put_tcp(q, q->token + 1, TCP_RST, buf + outer_len(q));

	put_outer(q, buf, len);
	return outer_len(q) + len;
}

/* What is known of a packet that may be an answer. */
struct parts {
	struct addr src, dst;
	uint8_t proto;
	const uint8_t *l4;
	size_t l4_len;
};

/* False: it is no packet, or has what no answer has. */
static bool take_apart(const uint8_t *data, size_t len, struct parts *ret_parts)
{
	struct parts p = {.proto = 0};
	size_t header;

	if (len >= IPV4_LEN && data[0] >> 4 == 4) {
		header = (size_t)(data[0] & 0xf) * 4;
		if (header < IPV4_LEN || get16(data + 6) & 0x3fff) /* a fragment */
			return false;
		p.proto = data[9];
		p.src.family = p.dst.family = AF_INET;
		memcpy(&p.src.v4, data + 12, sizeof(p.src.v4));
		memcpy(&p.dst.v4, data + 16, sizeof(p.dst.v4));
	} else if (len >= IPV6_LEN && data[0] >> 4 == 6) {
		header = IPV6_LEN;
		p.proto = data[6];
		p.src.family = p.dst.family = AF_INET6;
		memcpy(&p.src.v6, data + 8, sizeof(p.src.v6));
		memcpy(&p.dst.v6, data + 24, sizeof(p.dst.v6));
	} else {
		return false;
	}
	if (header > len)
		return false;
	p.l4 = data + header;
	p.l4_len = len - header;
	*ret_parts = p;
	return p.l4_len >= (p.proto == IPPROTO_TCP ? TCP_LEN : ECHO_LEN);
}

uint32_t via_packet_token(const uint8_t *data, size_t len)
{
	struct parts p;

	if (!take_apart(data, len, &p))
		return 0;
	/* A SYN is acknowledged with the number after its own. */
	return p.proto == IPPROTO_TCP ? get32(p.l4 + 8) - 1 : get32(p.l4 + 4);
}

static enum via_answer read_tcp(const uint8_t *tcp, const struct via_question *q)
{
	uint8_t flags = tcp[13] & (TCP_SYN | TCP_RST | TCP_ACK);

	if (get16(tcp) != q->port || get16(tcp + 2) != q->own_port || !(flags & TCP_ACK))
		return VIA_ANSWER_NONE;
	if (flags & TCP_RST)
		return VIA_ANSWER_REFUSED;
	return flags & TCP_SYN ? VIA_ANSWER_GOOD : VIA_ANSWER_NONE;
}

enum via_answer via_packet_read(const uint8_t *data, size_t len, const struct via_question *q)
{
	struct parts p;

	if (!take_apart(data, len, &p) || addr_cmp(&p.src, &q->vip) || addr_cmp(&p.dst, &q->own) ||
	    via_packet_token(data, len) != q->token)
		return VIA_ANSWER_NONE;
	if (p.proto == IPPROTO_TCP)
		return q->port ? read_tcp(p.l4, q) : VIA_ANSWER_NONE;
	if (q->port || (p.proto == IPPROTO_ICMP && p.l4[0] != ECHO_REPLY4) ||
	    (p.proto == IPPROTO_ICMPV6 && p.l4[0] != ECHO_REPLY6))
		return VIA_ANSWER_NONE;
	return p.proto == IPPROTO_ICMP || p.proto == IPPROTO_ICMPV6 ? VIA_ANSWER_GOOD
								    : VIA_ANSWER_NONE;
}
