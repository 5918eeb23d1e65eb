/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first bytes of a TLS connection. The first byte of the input says how the rest is cut into
 * reads: however it is cut, the outcome is the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l7/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
	int whole;
	enum tls_alert alert;
	struct client_hello hello;
};

static struct outcome read_hello(const char *bytes, size_t len, size_t step, char *scratch)
{
	struct client_hello_scan s = {0};
	struct outcome o = {.whole = 0};

	for (size_t n = step; o.whole == 0; n += step) {
		o.whole = client_hello_scan(&s, bytes, n < len ? n : len, &o.alert);
		if (n >= len)
			break;
	}
	if (o.whole == 1) {
		assert(s.next <= len && s.whole <= CLIENT_HELLO_MAX);
		o.alert = client_hello_read(&s, bytes, scratch, &o.hello);
	}
	return o;
}

static void check_hello(struct client_hello *h, const char *scratch)
{
	struct slice protocol;

	assert(h->name_len <= SERVER_NAME_MAX && strlen(h->name) == h->name_len);
	assert(!h->alpn.len ||
	       (h->alpn.ptr >= scratch && h->alpn.ptr + h->alpn.len <= scratch + CLIENT_HELLO_MAX));
	while (client_hello_next_alpn(&h->alpn, &protocol))
		assert(protocol.len > 0);
	assert(!h->alpn.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *scratch = malloc(CLIENT_HELLO_MAX), *bytes;
	struct outcome a, b;

	if (len < 2 || len > 4 * CLIENT_HELLO_MAX || !scratch) {
		free(scratch);
		return 0;
	}
	bytes = malloc(len - 1);
	if (bytes) {
		memcpy(bytes, data + 1, len - 1);
		a = read_hello(bytes, len - 1, 1U + data[0], scratch);
		b = read_hello(bytes, len - 1, len - 1, scratch);
		/* Too long is only known to be so once it is here. */
		assert(a.whole == b.whole || len - 1 > CLIENT_HELLO_MAX);
		if (a.whole == b.whole)
			assert(a.alert == b.alert);
		if (b.whole == 1 && b.alert == TLS_ALERT_NONE)
			check_hello(&b.hello, scratch);
		if (a.whole == 1 && b.whole == 1 && b.alert == TLS_ALERT_NONE)
			assert(!strcmp(a.hello.name, b.hello.name));
	}
	free(bytes);
	free(scratch);
	return 0;
}
