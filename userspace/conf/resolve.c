/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration leaves to be found from other rows: see draft.h. */
#include "conf/draft.h"

#include "conf/route_set.h"
#include "conf/schema.h"
#include "core/text.h"

/* A range is several ports. */
static void note_tcp_port(struct pool_draft *pd, const struct service *s)
{
	for (size_t i = 0; i < s->listen_count; i++) {
		const struct listen *l = &s->listens[i];

		if (l->proto != IPPROTO_TCP)
			continue;
		if (l->port_hi || (pd->tcp_port && pd->tcp_port != l->ep.port))
			pd->tcp_port = -1;
		else
			pd->tcp_port = l->ep.port;
	}
}

static void note_user(struct draft *dr, const struct pool *pool, size_t service)
{
	const struct snapshot *snap = dr->snap;
	const struct service *s = &snap->services[service];
	struct pool_draft *pd = &dr->pools[pool - snap->pools];
	size_t *user = s->mode == SERVICE_L4 ? &pd->l4_user : &pd->proxy_user;

	if (!*user)
		*user = service + 1;
	note_tcp_port(pd, s);
}

static void find_users(struct draft *dr)
{
	const struct snapshot *snap = dr->snap;

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (!draft_knows_mode(dr, s))
			continue;
		if (s->pool)
			note_user(dr, s->pool, i);
		for (size_t k = 0; s->mode == SERVICE_L4 && k < s->source_route_count; k++)
			if (s->source_routes[k].pool)
				note_user(dr, s->source_routes[k].pool, i);
		for (size_t k = 0; s->mode == SERVICE_TLS && k < s->sni_route_count; k++)
			if (s->sni_routes[k].pool)
				note_user(dr, s->sni_routes[k].pool, i);
		for (size_t k = 0; s->mode == SERVICE_HTTP && k < route_set_pool_count(s->routes);
		     k++)
			note_user(dr, route_set_pool(s->routes, k), i);
	}
}

/* Where neither the pool nor a service says it, backends with a port speak for the proxy. */
static enum forward guess_forward(const struct pool *p)
{
	return p->backend_count && p->backends[0].ep.port ? FORWARD_PROXY : FORWARD_IPIP;
}

static void resolve_forward(const struct pool_draft *pd, struct pool *p)
{
	if (tree_get(pd->node, "forward"))
		return;
	if (pd->l4_user)
		p->forward = FORWARD_IPIP;
	else if (pd->proxy_user)
		p->forward = FORWARD_PROXY;
	else
		p->forward = guess_forward(p);
}

static void resolve_backends(const struct pool_draft *pd, struct pool *p)
{
	for (size_t i = 0; i < p->backend_count; i++)
		if (!tree_get(pd->backend_nodes[i], "forward"))
			p->backends[i].forward = p->forward;
}

/* Each backend is checked where its packets go. */
static bool have_own_ports(const struct pool *p)
{
	for (size_t i = 0; i < p->backend_count; i++)
		if (forward_keeps_port(p->backends[i].forward) || !p->backends[i].ep.port)
			return false;
	return p->backend_count > 0 || (p->discover.port && !forward_keeps_port(p->forward));
}

static void resolve_health_port(struct draft *dr, const struct pool_draft *pd, struct pool *p)
{
	const struct tree *health = tree_get(pd->node, "health");

	if (p->health.kind == HEALTH_NONE || p->health.port || p->forward == FORWARD_PROXY ||
	    have_own_ports(p))
		return;
	if (p->health.via == HEALTH_VIA_TUNNEL && pd->l4_user)
		return; /* the ports are those of the services */
	if (pd->tcp_port > 0)
		p->health.port = (uint16_t)pd->tcp_port;
	else if (!pd->l4_user && !pd->proxy_user)
		p->health.kind = HEALTH_NONE; /* nothing to check it for */
	else
		diag_error(dr->reader.diag, &health->pos, "pool %s: health.%s.port is needed: %s",
			   p->name, health_kind_name(p->health.kind),
			   pd->tcp_port ? "its services have several TCP ports"
					: "its services have no TCP port");
}

static void resolve_health(struct draft *dr, const struct pool_draft *pd, struct pool *p)
{
	const struct tree *health = tree_get(pd->node, "health");

	if (!health) {
		p->health.kind = p->forward == FORWARD_PROXY ? HEALTH_TCP : HEALTH_NONE;
		if (pd->l4_user && forward_is_kernel(p->forward))
			diag_warning(dr->reader.diag, &pd->node->key_pos,
				     "pool %s: without health a dead backend keeps its share of "
				     "new flows; write a check, or \"health: none\"",
				     p->name);
		return;
	}
	if (!tree_get(health, "timeout") && p->health.timeout_ms > p->health.every_ms)
		p->health.timeout_ms = p->health.every_ms;
	if (!p->health.changing_ms)
		p->health.changing_ms = p->health.every_ms;
	resolve_health_port(dr, pd, p);
}

void draft_resolve(struct draft *dr)
{
	find_users(dr);
	for (size_t i = 0; i < dr->snap->pool_count; i++) {
		resolve_forward(&dr->pools[i], &dr->snap->pools[i]);
		resolve_backends(&dr->pools[i], &dr->snap->pools[i]);
		if (dr->snap->pools[i].discover.kind != DISCOVER_NONE)
			draft_settle_found(dr, &dr->pools[i], &dr->snap->pools[i]);
		resolve_health(dr, &dr->pools[i], &dr->snap->pools[i]);
		dr->snap->pools[i].local_zone = dr->snap->node.zone;
	}
}
