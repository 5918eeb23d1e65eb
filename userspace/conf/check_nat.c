/* SPDX-License-Identifier: BSD-2-Clause */
/* What belongs together where backends are reached by NAT: see draft.h. */
#include "bpf/abi.h"
#include "conf/draft.h"
#include "conf/listen.h"
#include "conf/schema.h"

static bool has_nat(const struct pool *p)
{
	for (size_t i = 0; i < p->backend_count; i++)
		if (p->backends[i].forward == FORWARD_NAT)
			return true;
	return false;
}

static unsigned version(const struct addr *a)
{
	return a->family == AF_INET ? 4 : 6;
}

/* An IPv4 packet stays one: each backend must be of the family of all addresses of its services. */
static void check_families(struct draft *dr, const struct service *s, size_t pool)
{
	const struct pool_draft *pd = &dr->pools[pool];
	const struct pool *p = &dr->snap->pools[pool];

	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *b = &p->backends[i];
		size_t j = 0;

		if (b->forward != FORWARD_NAT || !b->ep.addr.family)
			continue;
		while (j < s->listen_count && (!s->listens[j].ep.addr.family ||
					       s->listens[j].ep.addr.family == b->ep.addr.family))
			j++;
		if (j < s->listen_count)
			diag_error(
				dr->reader.diag, draft_key_pos(pd->backend_nodes[i], "address"),
				"backend %s/%s: forward: nat cannot bring packets for an IPv%u "
				"address of service %s to an IPv%u address; make a service and a "
				"pool of each family",
				p->name, b->name, version(&s->listens[j].ep.addr), s->name,
				version(&b->ep.addr));
	}
}

static void check_source_families(struct draft *dr, const struct pool_draft *pd,
				  const struct pool *p)
{
	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *b = &p->backends[i];

		if (b->forward != FORWARD_NAT || !b->ep.addr.family ||
		    p->source_addr[b->ep.addr.family == AF_INET6].family)
			continue;
		diag_error(dr->reader.diag, draft_key_pos(pd->node, "source_nat"),
			   "pool %s: source_nat has no IPv%u address for backend %s", p->name,
			   version(&b->ep.addr), b->name);
		return;
	}
}

/* Answers of a backend to one of the ports that are given out would be taken for a client's packet. */
static void check_source_listens(struct draft *dr, const struct pool_draft *pd,
				 const struct pool *p)
{
	char text[ENDPOINT_STRLEN];

	for (size_t i = 0; i < dr->snap->service_count; i++) {
		const struct service *s = &dr->snap->services[i];

		for (size_t j = 0; j < s->listen_count; j++) {
			const struct listen *l = &s->listens[j];
			const struct endpoint *ep = &l->ep;
			unsigned slot = ep->addr.family == AF_INET6;

			if (!ep->addr.family || !p->source_addr[slot].family ||
			    !listen_overlaps(l, &p->source_addr[slot], p->source_len[slot],
					     p->source_port_low, p->source_port_high))
				continue;
			diag_error(
				dr->reader.diag, draft_key_pos(pd->node, "source_nat"),
				"pool %s: service %s listens on %s, which is one of its sources: "
				"another address, or source_ports without that port",
				p->name, s->name, endpoint_format(ep, text, sizeof(text)));
		}
	}
}

static void check_pool(struct draft *dr, const struct pool_draft *pd, const struct pool *p)
{
	static const char *const keys[] = {"source_nat", "source_ports"};
	bool nat = has_nat(p);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *needed = !nat ? "forward: nat" : "source_nat";

		if (tree_get(pd->node, keys[i]) &&
		    (!nat || (i == 1 && p->source_nat == SOURCE_NAT_NONE)))
			diag_warning(dr->reader.diag, draft_key_pos(pd->node, keys[i]),
				     "pool %s: %s has no effect without %s", p->name, keys[i],
				     needed);
	}
	if (nat && p->source_nat == SOURCE_NAT_GIVEN) {
		check_source_families(dr, pd, p);
		check_source_listens(dr, pd, p);
	}
}

void draft_check_nat(struct draft *dr, bool within)
{
	const struct snapshot *snap = dr->snap;

	for (size_t i = 0; i < snap->pool_count; i++)
		check_pool(dr, &dr->pools[i], &snap->pools[i]);
	for (size_t i = 0; i < snap->service_count && within; i++) {
		struct pool_span span = service_pools(snap, &snap->services[i]);

		for (size_t k = span.first; k < span.end; k++)
			if (service_uses_pool(&snap->services[i], &snap->pools[k]))
				check_families(dr, &snap->services[i], k);
	}
}
