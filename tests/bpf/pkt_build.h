/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets for tests, built field by field and without any code of bpf/, so that what the program
 * emits is compared with an independent opinion. Functions abort on impossible input.
 */
#ifndef TESTS_BPF_PKT_BUILD_H
#define TESTS_BPF_PKT_BUILD_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 3000
#define ETH_LEN	  14

struct frame {
	size_t len;
	uint8_t data[FRAME_MAX];
};

#define F_FIN 0x01
#define F_SYN 0x02
#define F_RST 0x04
#define F_PSH 0x08
#define F_ACK 0x10

/* What is not named is zero. The family is that of src; dst must be of the same. */
struct pkt_spec {
	const char *src, *dst;
	uint16_t sport, dport;
	uint8_t proto;	   /* IPPROTO_*; TCP and UDP get a header, others only the payload */
	uint8_t tcp_flags; /* F_* */
	uint8_t tos;
	uint8_t hops;	     /* TTL or hop limit; 0: 57 */
	uint8_t ip_options;  /* IPv4 options, in words of 4 bytes, up to 10 */
	uint8_t tcp_options; /* in words of 4 bytes, up to 10 */
	size_t payload_len;
	size_t frame_len; /* padded to this with 0xee; 0: not */
};

/* Ethernet from router (02:..:01) to balancer (02:..:02), IP, transport; all checksums right. */
void pkt_build(const struct pkt_spec *spec, struct frame *ret_frame);

struct outer_spec {
	const char *src, *dst; /* the outer family is theirs */
	uint32_t label;	       /* IPv6 flow label */
};

/* The frame that in becomes: MACs swapped, outer header in front of the IP packet, ECN and DSCP
 * copied. What stands behind the IP packet is kept. */
void pkt_encap(const struct frame *in, const struct outer_spec *outer, struct frame *ret_frame);

/* Put a tag right behind the addresses, in front of those that are there. */
void pkt_tag(struct frame *f, uint16_t type, uint16_t tci);

/* A frame the other way: the MAC addresses change places. */
void pkt_turn(struct frame *f);

/* An ICMP or ICMPv6 error from one address to another, by router to balancer, about the IP packet of
 * a frame, of which it holds quoted_len bytes (0: all). All checksums right. */
struct error_spec {
	const char *src, *dst;
	uint8_t type, code;
	uint8_t hops;  /* 0: 57 */
	uint32_t rest; /* the second word: an MTU, say */
	size_t quoted_len;
};
void pkt_error(const struct error_spec *spec, const struct frame *about, struct frame *ret_frame);

/* Put bytes into a frame at offset. Lengths in its headers stay as they are. */
void pkt_insert(struct frame *f, size_t offset, const void *bytes, size_t len);

/* A fragment of the packet: len bytes of the IP payload from offset (a multiple of 8) on. IPv6 gets a
 * fragment header right behind the first. id: IPv4 takes the lower 16 bits. */
void pkt_fragment(const struct frame *whole, size_t offset, size_t len, int more, uint32_t id,
		  struct frame *ret_frame);

/* ICMP or ICMPv6, by the addresses: four bytes of rest behind the checksum, then the body. */
struct icmp_spec {
	const char *src, *dst;
	uint8_t type, code;
	uint32_t rest;
	const void *body;
	size_t body_len;
	uint8_t tos, ttl; /* ttl 0: 57 */
};
void pkt_icmp(const struct icmp_spec *spec, struct frame *ret_frame);

/* Is the checksum of the transport right (of ICMP: proto IPPROTO_ICMP, IPPROTO_ICMPV6), and that of the
 * IPv4 header? The transport is at l4. */
int pkt_sums_are_right(const struct frame *f, size_t l4, uint8_t proto);

/* Offset of the transport header, and the length of the IP packet by its own header. */
size_t pkt_l4(const struct frame *f);
size_t pkt_ip_len(const struct frame *f);

void pkt_put16(struct frame *f, size_t offset, uint16_t value);
uint16_t pkt_get16(const struct frame *f, size_t offset);

/* Set the IP length field so that the packet, header included, claims to have len bytes. */
void pkt_set_ip_len(struct frame *f, size_t len);

/* Make an IPv4 header's checksum right again after a change. */
void pkt_fix_ipv4(struct frame *f, size_t l3);

#endif
