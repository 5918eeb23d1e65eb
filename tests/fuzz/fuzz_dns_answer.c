/* SPDX-License-Identifier: BSD-2-Clause */
/* What DNS answers. Whatever it is: names are whole, and nothing is read that is not there. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "dns/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int note(void *ctx, const struct dns_record *r)
{
	enum dns_type type = *(const enum dns_type *)ctx;

	assert(memchr(r->target, 0, sizeof(r->target)));
	assert(r->addr.family == (type == DNS_A ? AF_INET : type == DNS_AAAA ? AF_INET6 : 0));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_SRV};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		enum dns_type type = types[i];
		uint32_t ttl = UINT32_MAX;

		(void)dns_answer_read(data, len, "web.test", type, note, &type, &ttl);
		(void)dns_answer_negative(data, len, &ttl);
	}
	return 0;
}
