/* SPDX-License-Identifier: BSD-2-Clause */
/* The limits of a service as the program reads them: see guard.h. */
#include <arpa/inet.h>
#include <string.h>

#include "l4/guard.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

#define IPV4_TCP_HLEN 40
#define IPV6_TCP_HLEN 60

const char *const guard_action_words[] = {
#define X(name, text) text,
	SHUNT_GUARD_ACTIONS(X)
#undef X
};
const char *const guard_origin_words[] = {
#define X(name, text) text,
	SHUNT_GUARD_ORIGINS(X)
#undef X
};
const char *const guard_reason_words[] = {
#define X(name, text) text,
	SHUNT_GUARD_REASONS(X)
#undef X
};

uint8_t guard_flags(const struct service *s)
{
	unsigned flags = 0;

	if (service_guard_limits(&s->guard))
		flags |= SHUNT_GUARDS_LIMITS;
	if (service_is_proxied(s) && s->guard.syn_cookies != SYN_COOKIES_OFF)
		flags |= SHUNT_GUARDS_COOKIES;
	return (uint8_t)flags;
}

static uint64_t time_of_one(uint32_t per_second)
{
	return per_second != 0 ? NS_PER_S / per_second : 0;
}

/* The first len bits of 32. */
static __be32 mask_word(unsigned len)
{
	if (len >= 32)
		return htonl(UINT32_MAX);
	return len == 0 ? 0 : htonl(UINT32_MAX << (32 - len));
}

static uint16_t mss_of(unsigned mtu, unsigned headers)
{
	return (uint16_t)(mtu > headers ? mtu - headers : 0);
}

static uint8_t cookies_of(enum syn_cookies mode)
{
	switch (mode) {
	case SYN_COOKIES_AUTO: return SHUNT_SYN_COOKIES_AUTO;
	case SYN_COOKIES_ALWAYS: return SHUNT_SYN_COOKIES_ALWAYS;
	case SYN_COOKIES_OFF: break;
	}
	return SHUNT_SYN_COOKIES_OFF;
}

void guard_fill(const struct service *s, unsigned mtu, struct shunt_svc_guard *ret_row)
{
	const struct service_guard *g = &s->guard;

	*ret_row = (struct shunt_svc_guard){
		.flow_ns = time_of_one(g->new_flows),
		.source_flow_ns = time_of_one(g->new_flows_per_source),
		.burst_ns = g->burst_ms * NS_PER_MS,
		.block_ns = g->block_ms * NS_PER_MS,
		.packets_per_source = g->packets_per_source,
		.syn_payload = g->syn_payload,
		.syn_cookies_over = g->syn_cookies_over,
		.mask4 = mask_word(g->source_prefix4),
		.mss4 = mss_of(mtu, IPV4_TCP_HLEN),
		.mss6 = mss_of(mtu, IPV6_TCP_HLEN),
		.prefix_len4 = (uint8_t)g->source_prefix4,
		.prefix_len6 = (uint8_t)g->source_prefix6,
		.bad_flags = g->bad_flags == FLAGS_DROP,
		.block_abuse = g->abuse == ABUSE_BLOCK,
		.syn_cookies = cookies_of(g->syn_cookies),
	};
	for (unsigned i = 0; i < 4; i++)
		ret_row->mask6[i] =
			mask_word(g->source_prefix6 > 32 * i ? g->source_prefix6 - 32 * i : 0);
}
