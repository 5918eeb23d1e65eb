/* SPDX-License-Identifier: BSD-2-Clause */
/* Which addresses are asked for in checks through a tunnel: see via.h. */
#include "health/via.h"

static bool goes_to(const struct service *s, const struct pool *pool)
{
	if (s->pool == pool)
		return true;
	for (size_t i = 0; i < s->source_route_count; i++)
		if (s->source_routes[i].pool == pool)
			return true;
	return false;
}

/* An address once; with the TCP port that is met first. */
static void add(struct via_vips *vips, const struct listen *l)
{
	uint16_t port = l->proto == IPPROTO_TCP ? l->ep.port : 0;

	if (!l->ep.addr.family)
		return;
	for (size_t i = 0; i < vips->count; i++) {
		struct endpoint *ep = &vips->list[i];

		if (addr_cmp(&ep->addr, &l->ep.addr))
			continue;
		if (!ep->port)
			ep->port = port;
		return;
	}
	if (vips->count < VIA_VIPS_MAX)
		vips->list[vips->count++] = (struct endpoint){.addr = l->ep.addr, .port = port};
}

bool via_is_for(const struct backend *b)
{
	if (b->pool->health.via == HEALTH_VIA_DIRECT)
		return false;
	return b->forward == FORWARD_IPIP || b->forward == FORWARD_GUE || b->forward == FORWARD_L2;
}

void via_vips_of(const struct snapshot *snap, const struct pool *pool, struct via_vips *ret_vips)
{
	ret_vips->count = 0;
	if (pool->health.via == HEALTH_VIA_DIRECT)
		return;
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (s->mode != SERVICE_L4 || !goes_to(s, pool))
			continue;
		for (size_t j = 0; j < s->listen_count; j++)
			add(ret_vips, &s->listens[j]);
	}
}
