/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packets of checks that go the way of clients' packets: a SYN or an echo request to a service's
 * own address, as the steering program would send it to a backend, and what comes back. Pure; any
 * thread.
 */
#ifndef HEALTH_VIA_PACKET_H
#define HEALTH_VIA_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/snapshot.h"
#include "core/addr.h"

struct via_question {
	enum forward way;      /* ipip, gue or l2 */
	struct addr outer_src; /* not for l2 */
	struct addr backend;   /* the outer destination */
	uint16_t gue_port;     /* gue: of the backend */
	struct addr own;       /* the source within, of vip's family */
	uint16_t own_port;     /* of a SYN */
	struct addr vip;
	uint16_t port;	/* 0: an echo request */
	uint32_t token; /* of any other question another one; it comes back in the answer */
};

/* IPv6 in UDP in IPv6, with a TCP header. */
#define VIA_PACKET_MAX (40 + 8 + 40 + 20)

/* Write it and return its length. */
size_t via_packet_ask(const struct via_question *q, uint8_t buf[VIA_PACKET_MAX]);
/* The RST that ends what an answer to a SYN has begun, likewise. */
size_t via_packet_reset(const struct via_question *q, uint8_t buf[VIA_PACKET_MAX]);

enum via_answer {
	VIA_ANSWER_NONE, /* the packet is none */
	VIA_ANSWER_GOOD,
	VIA_ANSWER_REFUSED, /* no server has the port */
};

/* An IP packet whose header comes first. Of NONE no token is set. */
uint32_t via_packet_token(const uint8_t *data, size_t len);
enum via_answer via_packet_read(const uint8_t *data, size_t len, const struct via_question *q);

#endif
