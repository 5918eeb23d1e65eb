/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>
#include <string.h>

#define IPV4_DONT_FRAGMENT 0x4000
#define TTL		   60

static void addr(int af, const char *text, void *ret_addr)
{
	(void)inet_pton(af, text, ret_addr); /* our own literals */
}

void frame_service(uint8_t family, uint8_t last, void *ret_addr)
{
	if (family == 4)
		addr(AF_INET, "203.0.113.0", ret_addr);
	else
		addr(AF_INET6, "2001:db8::", ret_addr);
	((uint8_t *)ret_addr)[family == 4 ? 3 : 15] = last;
}

static void put_l4(enum packet_kind kind, uint8_t *l4, uint16_t len)
{
	uint16_t dport = htons(kind == PACKET_OTHER_PORT ? OTHER_PORT : SERVICE_PORT);
	struct udphdr udp = {.source = htons(1024), .dest = dport, .len = htons(len)};
	struct tcphdr tcp = {
		.source = htons(1024),
		.dest = dport,
		.doff = sizeof(tcp) / 4,
		.syn = kind == PACKET_TCP_SYN,
		.ack = kind != PACKET_TCP_SYN,
		.window = htons(512),
	};

	if (kind == PACKET_UDP)
		memcpy(l4, &udp, sizeof(udp));
	else
		memcpy(l4, &tcp, sizeof(tcp));
}

static uint16_t ip_checksum(const struct iphdr *ip)
{
	uint16_t words[sizeof(*ip) / 2];
	uint32_t sum = 0;

	memcpy(words, ip, sizeof(*ip));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

void frame_build(enum packet_kind kind, uint8_t family, struct frame *ret_frame)
{
	static const uint8_t macs[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	uint8_t *data = ret_frame->data, *l3 = data + ETH_HLEN;
	uint8_t last = kind == PACKET_OTHER_ADDRESS ? SERVICE_NONE : SERVICE_MEASURED;
	uint8_t proto = kind == PACKET_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	uint16_t ethertype = htons(family == 4 ? ETH_P_IP : ETH_P_IPV6);
	uint16_t len = FRAME_LEN - ETH_HLEN;

	memset(data, 0, FRAME_LEN);
	memcpy(data, macs, sizeof(macs));
	memcpy(data + sizeof(macs), &ethertype, sizeof(ethertype));
	if (family == 4) {
		struct iphdr ip = {.version = 4,
				   .ihl = sizeof(ip) / 4,
				   .tot_len = htons(len),
				   .frag_off = htons(IPV4_DONT_FRAGMENT),
				   .ttl = TTL,
				   .protocol = proto};

		addr(AF_INET, "10.0.0.0", &ip.saddr);
		frame_service(family, last, &ip.daddr);
		ip.check = ip_checksum(&ip);
		memcpy(l3, &ip, sizeof(ip));
		put_l4(kind, l3 + sizeof(ip), len - sizeof(ip));
	} else {
		struct ipv6hdr ip = {.version = 6,
				     .payload_len = htons(len - sizeof(ip)),
				     .nexthdr = proto,
				     .hop_limit = TTL};

		addr(AF_INET6, "2001:db8:c::", &ip.saddr);
		frame_service(family, last, &ip.daddr);
		memcpy(l3, &ip, sizeof(ip));
		put_l4(kind, l3 + sizeof(ip), len - sizeof(ip));
	}
}
