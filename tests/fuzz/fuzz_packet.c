/* SPDX-License-Identifier: BSD-2-Clause */
/* The packet parser of the kernel program, built natively: whatever stands on the wire, it reads
 * nothing behind the frame, and what it says of the packet's size fits the frame. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/parse.h"

#define NET_IP_ALIGN 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

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
		assert(p.ip_len + p.trail_len + ETH_HLEN == len);
		assert(p.defect == V_NEXT || p.defect >= V_DROP_FIRST);
	} else {
		assert((int)v < (int)SHUNT_VERDICT_COUNT);
	}
	free(block);
	return 0;
}
