/* SPDX-License-Identifier: BSD-2-Clause */
/* The packet parser of the kernel program, built natively: whatever stands on the wire, it reads
 * nothing behind the frame, and what it says of the packet's size fits the frame. What it finds no
 * fault with has room for the headers that it claims to have. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/parse.h"

#define NET_IP_ALIGN 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* By the bytes alone, and not by the parser's structs. */
static void check_sound(const struct pkt *p, const uint8_t *ip)
{
	size_t l3_len = p->l3_len;
	size_t ip_len = p->family == 4 ? ip[2] << 8 | ip[3] : 40 + (ip[4] << 8 | ip[5]);
	const uint8_t *l4 = ip + l3_len;

	assert(ip_len == p->ip_len);
	assert(ip[0] >> 4 == p->family);
	assert(p->family == 4 ? l3_len == (ip[0] & 0xfU) * 4 : l3_len >= 40);
	assert(l3_len + 8 <= ip_len);
	if (p->proto == IPPROTO_TCP) {
		assert(l4[12] >> 4 >= 5);
		assert(l3_len + (l4[12] >> 4) * 4U <= ip_len);
		assert(p->tcp_flags == l4[13]);
	} else {
		assert((l4[4] << 8 | l4[5]) >= 8);
		assert(l3_len + (l4[4] << 8 | l4[5]) <= ip_len);
		assert(p->tcp_flags == 0);
	}
	if (p->family == 4)
		assert(!(ip[6] & 0x3f) && !ip[7]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* A block that ends with the frame, so that the sanitizer sees the first byte too many; two
	 * bytes into it, so that the IP header is aligned as in a driver's buffer. */
	uint8_t *block = malloc(len + NET_IP_ALIGN), *frame = block + NET_IP_ALIGN;
	struct pkt p = {0};
	enum verdict v;

	if (!block)
		return 0;
	if (len)
		memcpy(frame, data, len);
	p.eth = (void *)frame;
	p.end = frame + len;
	p.defect = V_NEXT;
	v = parse_packet(&p);
	if (v == V_NEXT) {
		assert(p.family == 4 || p.family == 6);
		assert(p.proto == IPPROTO_TCP || p.proto == IPPROTO_UDP);
		assert(p.l2_len == 14 || p.l2_len == 18 || p.l2_len == 22);
		assert(p.ip_len + p.trail_len + p.l2_len == len);
		assert(p.defect == V_NEXT || p.defect >= V_DROP_FIRST);
		if (p.defect == V_NEXT)
			check_sound(&p, frame + p.l2_len);
	} else {
		assert((int)v < (int)SHUNT_VERDICT_COUNT);
	}
	free(block);
	return 0;
}
