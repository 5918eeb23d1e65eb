/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/frame.h"

#include <arpa/inet.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#define MAC_LEN	    6
#define ETH_LEN	    14
#define TAG_LEN	    4
#define IP4_LEN	    20
#define IP6_LEN	    40
#define TCP_LEN	    20
#define UDP_LEN	    8
#define ICMP_LEN    8
#define TTL	    64
#define WINDOW	    0xffff
#define DF	    0x4000
#define OFFSET_MASK 0x1fff
#define MORE	    0x2000
#define ECHO4	    8
#define ECHO6	    128
#define LAYERS_MAX  8 /* headers that are told of */

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* ---- making one ---- */

static uint32_t sum(uint32_t start, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		start += get16(bytes + i);
	if (len % 2)
		start += (uint32_t)bytes[len - 1] << 8;
	return start;
}

static uint16_t fold(uint32_t value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return (uint16_t)~value;
}

static size_t addr_len(const struct addr *a)
{
	return a->family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

/* With the pseudo header. */
static uint16_t transport_sum(const struct frame_wish *w, uint8_t proto, const uint8_t *l4,
			      size_t len)
{
	uint32_t value = sum(0, w->source.addr.bytes, addr_len(&w->source.addr));

	value = sum(value, w->destination.addr.bytes, addr_len(&w->destination.addr));
	return fold(sum(value + proto + (uint32_t)len, l4, len));
}

/* All but the checksum, which is behind *ret_check. Returns the length of the header. */
static size_t put_transport(const struct frame_wish *w, uint8_t *l4, size_t *ret_check)
{
	bool v4 = w->source.addr.family == AF_INET;

	if (w->proto == IPPROTO_ICMP) {
		l4[0] = v4 ? ECHO4 : ECHO6;
		put16(l4 + 4, 1); /* id and number of the request */
		put16(l4 + 6, 1);
		*ret_check = 2;
		return ICMP_LEN;
	}
	put16(l4, w->source.port);
	put16(l4 + 2, w->destination.port);
	if (w->proto == IPPROTO_UDP) {
		put16(l4 + 4, UDP_LEN + w->payload_len);
		*ret_check = 6;
		return UDP_LEN;
	}
	l4[7] = 1; /* sequence number */
	l4[12] = TCP_LEN / 4 << 4;
	l4[13] = w->tcp_flags;
	put16(l4 + 14, WINDOW);
	*ret_check = 16;
	return TCP_LEN;
}

static size_t put_ip(const struct frame_wish *w, uint8_t proto, size_t l4_len, uint8_t *ip)
{
	if (w->source.addr.family == AF_INET) {
		ip[0] = 4 << 4 | IP4_LEN / 4;
		put16(ip + 2, (unsigned)(IP4_LEN + l4_len));
		put16(ip + 6, DF);
		ip[8] = TTL;
		ip[9] = proto;
		memcpy(ip + 12, w->source.addr.bytes, 4);
		memcpy(ip + 16, w->destination.addr.bytes, 4);
		put16(ip + 10, fold(sum(0, ip, IP4_LEN)));
		return IP4_LEN;
	}
	ip[0] = 6 << 4;
	put16(ip + 4, (unsigned)l4_len);
	ip[6] = proto;
	ip[7] = TTL;
	memcpy(ip + 8, w->source.addr.bytes, 16);
	memcpy(ip + 24, w->destination.addr.bytes, 16);
	return IP6_LEN;
}

size_t frame_make(const struct frame_wish *w, uint8_t buf[FRAME_MADE_MAX])
{
	/* To this host, from its router: of the range that is nobody's. */
	static const uint8_t macs[2 * MAC_LEN] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	static const uint8_t no_mac[MAC_LEN];
	bool v4 = w->source.addr.family == AF_INET;
	uint8_t proto = w->proto == IPPROTO_ICMP && !v4 ? IPPROTO_ICMPV6 : w->proto;
	uint8_t *at = buf + sizeof(macs), *l4;
	size_t check, len;
	uint16_t value;

	memset(buf, 0, FRAME_MADE_MAX);
	memcpy(buf, macs, sizeof(macs));
	if (memcmp(w->mac, no_mac, MAC_LEN) != 0)
		memcpy(buf, w->mac, MAC_LEN);
	if (w->vlan) {
		put16(at, ETH_P_8021Q);
		put16(at + 2, w->vlan);
		at += TAG_LEN;
	}
	put16(at, v4 ? ETH_P_IP : ETH_P_IPV6);
	at += 2;
	l4 = at + (v4 ? IP4_LEN : IP6_LEN);
	len = put_transport(w, l4, &check) + w->payload_len;
	value = proto == IPPROTO_ICMP ? fold(sum(0, l4, len)) : transport_sum(w, proto, l4, len);
	put16(l4 + check, !value && proto == IPPROTO_UDP ? 0xffff : value);
	(void)put_ip(w, proto, len, at);
	return (size_t)(l4 + len - buf);
}

/* ---- reading one ---- */

/* What is left of a frame, and what it is said to be. */
struct rest {
	const uint8_t *at;
	size_t len;
	uint16_t ethertype; /* 0: at is a transport's header */
	uint8_t proto;
	bool cut; /* a fragment that is not the first */
};

struct ip_header {
	size_t len;
	struct addr source, destination;
};

static void step(struct rest *r, size_t len)
{
	r->at += len;
	r->len -= len;
}

/* Steps over Ethernet and its tags. */
static bool take_ethernet(struct rest *r)
{
	if (r->len < ETH_LEN)
		return false;
	r->ethertype = get16(r->at + 2 * MAC_LEN);
	step(r, ETH_LEN);
	while ((r->ethertype == ETH_P_8021Q || r->ethertype == ETH_P_8021AD) && r->len >= TAG_LEN) {
		r->ethertype = get16(r->at + 2);
		step(r, TAG_LEN);
	}
	return true;
}

static bool read_ip4(struct rest *r, struct ip_header *h)
{
	h->len = r->len >= IP4_LEN ? (r->at[0] & 0xfU) * 4 : 0;
	if (h->len < IP4_LEN || h->len > r->len)
		return false;
	h->source.family = h->destination.family = AF_INET;
	memcpy(h->source.bytes, r->at + 12, 4);
	memcpy(h->destination.bytes, r->at + 16, 4);
	r->proto = r->at[9];
	r->cut = get16(r->at + 6) & OFFSET_MASK;
	return true;
}

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT;
}

static bool read_ip6(struct rest *r, struct ip_header *h)
{
	if (r->len < IP6_LEN)
		return false;
	h->len = IP6_LEN;
	h->source.family = h->destination.family = AF_INET6;
	memcpy(h->source.bytes, r->at + 8, 16);
	memcpy(h->destination.bytes, r->at + 24, 16);
	r->proto = r->at[6];
	while (is_extension(r->proto) && h->len + 8 <= r->len) {
		const uint8_t *ext = r->at + h->len;

		if (r->proto == IPPROTO_FRAGMENT && get16(ext + 2) >> 3)
			r->cut = true;
		h->len += r->proto == IPPROTO_FRAGMENT ? 8U : (ext[1] + 1U) * 8;
		r->proto = ext[0];
	}
	return h->len <= r->len;
}

static bool read_ip(struct rest *r, struct ip_header *h)
{
	*h = (struct ip_header){0};
	return r->ethertype == ETH_P_IP	    ? read_ip4(r, h)
	       : r->ethertype == ETH_P_IPV6 ? read_ip6(r, h)
					    : false;
}

bool frame_ends(const uint8_t *frame, size_t len, struct frame_ends *ret_ends)
{
	struct rest r = {.at = frame, .len = len};
	struct ip_header h;
	bool ports;

	if (!take_ethernet(&r) || !read_ip(&r, &h))
		return false;
	step(&r, h.len);
	ports = r.proto == IPPROTO_TCP || r.proto == IPPROTO_UDP;
	if (ports && (r.cut || r.len < 4))
		return false;
	*ret_ends = (struct frame_ends){
		.proto = r.proto,
		.source = {h.source, ports ? get16(r.at) : 0},
		.destination = {h.destination, ports ? get16(r.at + 2) : 0},
	};
	return true;
}

/* ---- telling of one ---- */

static void tell_ethernet(const uint8_t *frame, size_t len, struct strbuf *b)
{
	const uint8_t *at = frame + 2 * MAC_LEN;

	strbuf_printf(b,
		      "Ethernet %02x:%02x:%02x:%02x:%02x:%02x to "
		      "%02x:%02x:%02x:%02x:%02x:%02x",
		      frame[6], frame[7], frame[8], frame[9], frame[10], frame[11], frame[0],
		      frame[1], frame[2], frame[3], frame[4], frame[5]);
	while ((get16(at) == ETH_P_8021Q || get16(at) == ETH_P_8021AD) &&
	       at + TAG_LEN + 2 <= frame + len) {
		strbuf_printf(b, ", VLAN %u", get16(at + 2) & 0xfffU);
		at += TAG_LEN;
	}
	strbuf_add(b, "\n");
}

static void tell_ip(const struct rest *r, const struct ip_header *h, struct strbuf *b)
{
	bool v4 = h->source.family == AF_INET;
	char source[ADDR_STRLEN], destination[ADDR_STRLEN];

	strbuf_printf(b, "%s %s to %s, %s %u, %u bytes", v4 ? "IPv4" : "IPv6",
		      addr_format(&h->source, source, sizeof(source)),
		      addr_format(&h->destination, destination, sizeof(destination)),
		      v4 ? "TTL" : "hop limit", r->at[v4 ? 8 : 7],
		      v4 ? get16(r->at + 2) : IP6_LEN + get16(r->at + 4));
	if (v4 && get16(r->at + 6) & DF)
		strbuf_add(b, ", do not fragment");
	if (r->cut || (v4 && get16(r->at + 6) & MORE))
		strbuf_add(b, ", a fragment");
	strbuf_add(b, "\n");
}

static void tell_tcp(const struct rest *r, struct strbuf *b)
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"};

	strbuf_printf(b, "TCP port %u to %u", get16(r->at), get16(r->at + 2));
	for (unsigned i = 0; r->len > 13 && i < sizeof(names) / sizeof(names[0]); i++) {
		if (r->at[13] & 1U << i)
			strbuf_printf(b, " %s", names[i]);
	}
	strbuf_add(b, "\n");
}

/* False: nothing that is known follows. */
static bool tell_transport(struct rest *r, uint16_t gue_port, struct strbuf *b)
{
	switch (r->proto) {
	case IPPROTO_IPIP: r->ethertype = ETH_P_IP; return true;
	case IPPROTO_IPV6: r->ethertype = ETH_P_IPV6; return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (r->len >= 2)
			strbuf_printf(b, "%s type %u code %u\n",
				      r->proto == IPPROTO_ICMP ? "ICMP" : "ICMPv6", r->at[0],
				      r->at[1]);
		return false;
	case IPPROTO_TCP:
		if (r->len >= 4)
			tell_tcp(r, b);
		return false;
	case IPPROTO_UDP: break;
	default: strbuf_printf(b, "protocol %u\n", r->proto); return false;
	}
	if (r->len < UDP_LEN + 1)
		return false;
	strbuf_printf(b, "UDP port %u to %u%s\n", get16(r->at), get16(r->at + 2),
		      gue_port && get16(r->at + 2) == gue_port ? " (GUE)" : "");
	if (!gue_port || get16(r->at + 2) != gue_port)
		return false;
	step(r, UDP_LEN);
	r->ethertype = r->at[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	return true;
}

void frame_describe(const uint8_t *frame, size_t len, uint16_t gue_port, struct strbuf *b)
{
	struct rest r = {.at = frame, .len = len};
	struct ip_header h;

	if (!take_ethernet(&r))
		return;
	tell_ethernet(frame, len, b);
	for (int i = 0; i < LAYERS_MAX && read_ip(&r, &h); i++) {
		tell_ip(&r, &h, b);
		step(&r, h.len);
		if (r.cut || !tell_transport(&r, gue_port, b))
			break;
	}
}
