/* SPDX-License-Identifier: BSD-2-Clause */
/* What an answer of DNS says: a strict reader of its bytes. Pure; any thread. */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define DNS_NAME_SIZE 256 /* with a terminating zero */

#define DNS_CLASS_IN 1
enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_SOA = 6, DNS_AAAA = 28, DNS_SRV = 33 };

struct dns_record {
	struct addr addr;		 /* A, AAAA */
	uint16_t priority, weight, port; /* SRV */
	char target[DNS_NAME_SIZE];	 /* the same; empty: the service is not there */
};

/* -errno ends the reading. */
typedef int (*dns_record_fn)(void *ctx, const struct dns_record *record);

/*
 * Call back for each record of the type that the answer has of the name, or of what that is an alias of.
 * ret_ttl: the least number of seconds that any of them is good for, aliases included; as it was where there
 * is none. 0, -EBADMSG for an answer that is not whole, or contradicts itself, or what the callback returned.
 */
int dns_answer_read(const uint8_t *packet, size_t len, const char *name, enum dns_type type,
		    dns_record_fn fn, void *ctx, uint32_t *ret_ttl);

/* How many seconds it is good that there is nothing, as the zone has it (RFC 2308). False: it does not say. */
bool dns_answer_negative(const uint8_t *packet, size_t len, uint32_t *ret_ttl);

#endif
