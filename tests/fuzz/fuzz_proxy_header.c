/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands at the front of a connection from a proxy. Fewer bytes of a header that is taken ask
 * for more; and what is taken, and written anew, says the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l7/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool same_ends(const struct proxy_header *a, const struct proxy_header *b)
{
	return a->has_endpoints == b->has_endpoints && !endpoint_cmp(&a->source, &b->source) &&
	       !endpoint_cmp(&a->destination, &b->destination);
}

static void check_written(const struct proxy_header *h)
{
	char out[PROXY_WRITE_MAX];
	struct proxy_header again;
	size_t n = proxy_header_write_v1(out, h);

	assert(proxy_header_read(out, n, &again) == (int)n);
	assert(same_ends(h, &again));
	n = proxy_header_write_v2(out, h);
	assert(proxy_header_read(out, n, &again) == (int)n);
	assert(same_ends(h, &again));
	assert(!h->has_endpoints ||
	       (slice_eq(again.alpn, h->alpn) && slice_eq(again.authority, h->authority) &&
		slice_eq(again.unique_id, h->unique_id)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct proxy_header h, part;
	char *bytes = malloc(len + 1); /* of its own, for the sanitizer to see its end */
	int n;

	if (!bytes)
		return 0;
	if (len)
		memcpy(bytes, data, len);
	n = proxy_header_read(bytes, len, &h);
	assert(n <= (int)len);
	if (n > 0) {
		assert(proxy_header_read(bytes, (size_t)n, &part) == n);
		assert(proxy_header_read(bytes, (size_t)n - 1, &part) == PROXY_HEADER_MORE);
		check_written(&h);
	}
	free(bytes);
	return 0;
}
