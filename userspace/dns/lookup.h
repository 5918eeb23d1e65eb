/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One question to DNS, asked and answered in a loop: the addresses of a name, or the hosts that the SRV
 * records of a name lead to. By UDP, by TCP where an answer does not fit, each time from other ports and
 * with other ids. The loop's thread.
 */
#ifndef DNS_LOOKUP_H
#define DNS_LOOKUP_H

#include <stdbool.h>
#include <uv.h>

#include "core/addr.h"

/* Most that one lookup may find, and most SRV records that it follows. */
#define DNS_HOSTS_MAX	4096
#define DNS_SERVICE_MAX 256

struct dns_question {
	const char *name;
	bool is_srv;
	bool families[2]; /* IPv4, IPv6 */
	const struct endpoint *resolvers;
	size_t resolver_count; /* 0: those of the host */
	unsigned timeout_ms;   /* of all of it */
};

struct dns_host {
	struct addr addr;
	uint16_t port, priority, weight; /* of SRV records; else 0 */
};

enum dns_status {
	DNS_ANSWERED, /* with hosts, or, if there are none, by a server that knows that there are none */
	DNS_FAILED,
};

struct dns_result {
	enum dns_status status;
	const struct dns_host *hosts;
	size_t count;
	uint32_t ttl_s;	 /* UINT32_MAX where nothing says it */
	bool unknown[2]; /* of these families there was no answer, of the other one there was */
	const char *why; /* in short, of what failed; NULL: nothing did */
};

typedef void (*dns_lookup_cb)(void *ctx, const struct dns_result *result);

struct dns_lookup;

/* 0: cb comes once, never before this returns, unless it is cancelled. -errno: it never comes. */
int dns_lookup_start(uv_loop_t *loop, const struct dns_question *q, dns_lookup_cb cb, void *ctx,
		     struct dns_lookup **ret_lookup);

/* Before its callback: that does not come. Its memory is its own, and gone when the loop has turned. */
void dns_lookup_cancel(struct dns_lookup *l);

/* For the whole process, before the first and after the last. */
int dns_start(void);
void dns_stop(void);

#endif
