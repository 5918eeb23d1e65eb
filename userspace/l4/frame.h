/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet frames as values: made from a description, and told to a person header by header. Pure; any
 * thread. */
#ifndef L4_FRAME_H
#define L4_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/strbuf.h"

#define FRAME_PAYLOAD_MAX 1400
#define FRAME_MADE_MAX	  (18 + 40 + 20 + FRAME_PAYLOAD_MAX)
#define FRAME_VLAN_MAX	  4094

/* TCP flags by their bits. */
#define FRAME_TCP_FIN 0x01
#define FRAME_TCP_SYN 0x02
#define FRAME_TCP_RST 0x04
#define FRAME_TCP_ACK 0x10

/* What a frame is to be. Both ends are of one family. */
struct frame_wish {
	uint8_t proto; /* IPPROTO_TCP, _UDP; IPPROTO_ICMP: an echo request of either family */
	struct endpoint source, destination; /* ICMP: ports are not looked at */
	uint8_t tcp_flags;
	uint16_t vlan;	      /* 0: no tag */
	uint8_t mac[6];	      /* that it is sent to; all zero: one that is made up */
	uint16_t payload_len; /* bytes of zero, up to FRAME_PAYLOAD_MAX */
};

/* Returns its length. Checksums are right; the MAC address that it comes from is made up. */
size_t frame_make(const struct frame_wish *wish, uint8_t buf[FRAME_MADE_MAX]);

/* The outermost IP packet of a frame. False: it has none that can be read, or no port where the
 * protocol has some (a fragment). */
struct frame_ends {
	uint8_t proto;
	struct endpoint source, destination; /* port 0: the protocol has none */
};
bool frame_ends(const uint8_t *frame, size_t len, struct frame_ends *ret_ends);

/* A line for each header, as far as they are known: Ethernet, its tags, IP in IP, and GUE where it is
 * spoken at gue_port (0: nowhere). */
void frame_describe(const uint8_t *frame, size_t len, uint16_t gue_port, struct strbuf *b);

#endif
