/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of the decapsulating program, built natively: it reads nothing behind the frame, and a
 * packet that it calls whole lies in its tunnel, and the tunnel in the frame. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/decap.h"

#define NET_IP_ALIGN 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_whole(const struct tunnel *t, const uint8_t *frame, size_t len)
{
	const uint8_t *inner = frame + ETH_HLEN + t->outer_len;
	uint8_t tos;

	assert(t->outer_len >= 20 && t->outer_len <= DECAP_OUTER_MAX && t->outer_len % 4 == 0);
	assert(t->kind == DECAP_KIND_IPIP ? t->outer_len <= 60 : t->kind == DECAP_KIND_GUE);
	assert(ETH_HLEN + t->outer_len + t->inner_total <= len);
	assert(inner[0] >> 4 == (int)t->dst.family);
	assert(t->inner_total >= (t->dst.family == 4 ? 20 : 40));
	if (tunnel_ecn(t, &tos))
		assert((tos & ~3) == (t->inner_tos & ~3));
	else
		assert((t->inner_tos & 3) == 0 && (t->outer_tos & 3) == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* As in fuzz_packet.c: the block ends with the frame, the IP header is aligned. */
	uint8_t *block = malloc(len + NET_IP_ALIGN), *frame = block + NET_IP_ALIGN;
	struct tunnel t = {0};
	uint32_t result;

	if (!block)
		return 0;
	if (len)
		memcpy(frame, data, len);
	result = tunnel_parse(frame, frame + len, bpf_htons(DECAP_GUE_PORT_DEFAULT), &t);
	assert(result == DECAP_FOUND || result == DECAP_PASS || result == DECAP_PASS_FRAGMENT ||
	       result == DECAP_PASS_CONTROL);
	if (result == DECAP_FOUND && tunnel_is_whole(&t, len))
		check_whole(&t, frame, len);
	free(block);
	return 0;
}
