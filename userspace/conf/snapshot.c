/* SPDX-License-Identifier: BSD-2-Clause */
/* A checked configuration, counted by reference: see snapshot.h. */
#include "conf/snapshot.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/health_pattern.h"
#include "conf/listen.h"
#include "conf/route_set.h"
#include "conf/runtime.h"
#include "conf/tree.h"
#include "core/arena.h"
#include "log/sink.h"
#include "tls/authorities.h"
#include "tls/staple.h"
#include "route/mem.h"

struct snapshot_memory {
	struct snapshot snap;
	struct arena arena;
	atomic_uint refs;
};

struct snapshot *snapshot_new(void)
{
	struct snapshot_memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	arena_init(&m->arena);
	atomic_init(&m->refs, 1);
	m->snap.priv = m;
	return &m->snap;
}

struct arena *snapshot_arena(struct snapshot *s)
{
	struct snapshot_memory *m = s->priv;

	return &m->arena;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	struct snapshot_memory *m = s->priv;

	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return s;
}

/* Half-built ones come here too: arrays may hold rows that are still zero. */
void snapshot_unref(struct snapshot *s)
{
	struct snapshot_memory *m;

	if (!s)
		return;
	m = s->priv;
	if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < s->pool_count; i++) {
		for (size_t j = 0; j < s->pools[i].backend_count; j++)
			backend_rt_unref(s->pools[i].backends[j].rt);
		tls_authorities_unref(s->pools[i].tls.authorities);
		tls_cert_unref(s->pools[i].tls.cert);
		health_pattern_free(s->pools[i].health.pattern);
	}
	for (size_t i = 0; i < s->service_count; i++) {
		route_set_free(s->services[i].routes);
		service_rt_unref(s->services[i].rt);
		log_sink_unref(s->services[i].access.sink);
		tls_authorities_unref(s->services[i].tls.clients.authorities);
		tls_authorities_unref(s->services[i].tls.clients.crls);
		for (size_t j = 0; j < s->services[i].tls.certificate_count; j++) {
			tls_cert_unref(s->services[i].tls.loaded[j]);
			tls_staple_unref(s->services[i].tls.staples[j]);
		}
	}
	if (s->pool_rules)
		route_mem_deinit(s->pool_rules);
	free(s->pool_rules);
	for (size_t i = 0; i < s->rate_limit_count; i++)
		limit_rt_unref(s->rate_limits[i].rt);
	tree_free(s->document);
	arena_deinit(&m->arena);
	free(m);
}

bool pool_is_checked_by_tls(const struct pool *p)
{
	if (!pool_has_tls(p) || p->forward != FORWARD_PROXY || p->health.kind == HEALTH_NONE)
		return false;
	return p->health.tls == HEALTH_TLS_ON ||
	       (p->health.tls == HEALTH_TLS_AUTO && !p->health.port);
}

/* All lists are sorted, and all structs start with their name. */
static int compare_name(const void *key, const void *row)
{
	return strcmp(key, *(const char *const *)row);
}

_Static_assert(!offsetof(struct pool, name) && !offsetof(struct service, name) &&
		       !offsetof(struct backend, name) && !offsetof(struct rate_limit, name),
	       "the name stands first");

const struct pool *snapshot_pool(const struct snapshot *s, const char *name)
{
	if (!s->pool_count)
		return NULL;
	return bsearch(name, s->pools, s->pool_count, sizeof(*s->pools), compare_name);
}

const struct service *snapshot_service(const struct snapshot *s, const char *name)
{
	if (!s->service_count)
		return NULL;
	return bsearch(name, s->services, s->service_count, sizeof(*s->services), compare_name);
}

const struct rate_limit *snapshot_rate_limit(const struct snapshot *s, const char *name)
{
	if (!s->rate_limit_count)
		return NULL;
	return bsearch(name, s->rate_limits, s->rate_limit_count, sizeof(*s->rate_limits),
		       compare_name);
}

const struct backend *pool_backend(const struct pool *p, const char *name)
{
	if (!p->backend_count)
		return NULL;
	return bsearch(name, p->backends, p->backend_count, sizeof(*p->backends), compare_name);
}

char *service_route_name(const struct service *s, const struct pool *p, char buf[ROUTE_NAME_MAX])
{
	snprintf(buf, ROUTE_NAME_MAX, "%s@%s", s->name, p->name);
	return buf;
}

bool service_routes_to(const struct service *s, const struct pool *p)
{
	for (size_t i = 0; i < s->source_route_count; i++)
		if (s->source_routes[i].pool == p)
			return true;
	return false;
}

bool service_uses_pool(const struct service *s, const struct pool *p)
{
	return s->mode == SERVICE_L4 && (s->pool == p || service_routes_to(s, p));
}

struct pool_span service_pools(const struct snapshot *snap, const struct service *s)
{
	size_t first = s->pool ? (size_t)(s->pool - snap->pools) : 0;

	if (s->mode != SERVICE_L4)
		return (struct pool_span){0, 0};
	if (s->source_route_count)
		return (struct pool_span){0, snap->pool_count};
	return (struct pool_span){first, s->pool ? first + 1 : first};
}

bool service_has_pool(const struct service *s, const struct pool *p)
{
	for (size_t i = 0; i < s->sni_route_count; i++)
		if (s->sni_routes[i].pool == p)
			return true;
	return s->pool == p || service_uses_pool(s, p) || route_set_has_pool(s->routes, p);
}

bool service_is_proxied(const struct service *s)
{
	return s->mode != SERVICE_L4;
}

bool source_is_among(const struct addr *a, const struct source_prefix *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (a->family == list[i].addr.family &&
		    addr_in_prefix(a, &list[i].addr, list[i].len))
			return true;
	return false;
}

bool forward_is_kernel(enum forward v)
{
	return v != FORWARD_PROXY;
}

bool forward_is_tunnel(enum forward v)
{
	return v == FORWARD_IPIP || v == FORWARD_GUE;
}

bool forward_keeps_port(enum forward v)
{
	return forward_is_tunnel(v) || v == FORWARD_L2 || v == FORWARD_LOCAL;
}

bool backend_is_routed(const struct backend *b)
{
	if (b->forward == FORWARD_L2)
		return true;
	return forward_is_kernel(b->forward) && b->forward != FORWARD_LOCAL &&
	       b->pool->next_hop == NEXT_HOP_FIB;
}

bool backend_is_ejected(const struct backend *b, uint64_t now_ms)
{
	return outlier_is_on(&b->pool->outlier) &&
	       now_ms < atomic_load_explicit(&b->rt->outlier.until_ms, memory_order_relaxed);
}

bool backend_is_usable(const struct backend *b)
{
	return b->admin == ADMIN_UP && b->weight > 0 &&
	       atomic_load_explicit(&b->rt->health, memory_order_relaxed) != HEALTH_DOWN;
}

enum tracking service_tracking(const struct service *s, uint8_t proto)
{
	if (s->tracking != TRACKING_AUTO)
		return s->tracking;
	return proto == IPPROTO_UDP ? TRACKING_ALWAYS : TRACKING_ON_CHANGE;
}

const char *const xdp_mode_words[] = {"native", "generic", NULL};
const char *const fragments_words[] = {"follow", "drop", "pass", NULL};
const char *const echo_words[] = {"on", "off", NULL};
const char *const steer_sockets_words[] = {"auto", "on", "off", NULL};
const char *const io_uring_words[] = {"auto", "off", NULL};
const char *const forward_words[] = {"ipip", "gue", "l2", "local", "nat", "proxy", NULL};
const char *const next_hop_words[] = {"reflect", "fib", NULL};
const char *const admin_state_words[] = {"up", "drain", "disabled", NULL};
const char *const service_mode_words[] = {"l4", "http", "tcp", "tls", NULL};
const char *const balance_words[] = {"round-robin", "least-request", "ewma",
				     "random",	    "maglev",	     NULL};
const char *const pool_protocol_words[] = {"http1", "http2", NULL};
const char *const proxy_out_words[] = {"off", "v1", "v2", NULL};
const char *const proxy_header_rule_words[] = {"required", "optional", NULL};
const char *const tracking_words[] = {"auto", "on-change", "always", "never", NULL};
const char *const affinity_words[] = {"flow", "source-destination", "source", NULL};
const char *const quic_cid_words[] = {"none", "lb", "offset", NULL};
const char *const client_verify_words[] = {"required", "optional", NULL};
const char *const meter_words[] = {"token-bucket", "sliding-window", "leaky-bucket", NULL};
const char *const priority_words[] = {"low", "normal", "high", NULL};
const char *const limit_per_words[] = {"node", "service", "route", NULL};
const char *const health_kind_words[] = {"none", "tcp", "http", "grpc", NULL};
const char *const health_via_words[] = {"direct", "tunnel", "both", NULL};

const char *forward_name(enum forward v)
{
	return forward_words[v];
}

const char *next_hop_name(enum next_hop v)
{
	return next_hop_words[v];
}

const char *admin_state_name(enum admin_state v)
{
	return admin_state_words[v];
}

const char *service_mode_name(enum service_mode v)
{
	return service_mode_words[v];
}

const char *tracking_name(enum tracking v)
{
	return tracking_words[v];
}

const char *affinity_name(enum affinity v)
{
	return affinity_words[v];
}

const char *quic_cid_name(enum quic_cid v)
{
	return quic_cid_words[v];
}

const char *health_kind_name(enum health_kind v)
{
	return health_kind_words[v];
}

const char *health_via_name(enum health_via v)
{
	return health_via_words[v];
}

const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_UDP ? "udp" : "tcp";
}

bool service_guard_limits(const struct service_guard *g)
{
	return g->new_flows || g->new_flows_per_source || g->packets_per_source || g->syn_payload ||
	       g->bad_flags != FLAGS_PASS;
}

int guard_prefix_cmp(const struct guard_prefix *a, const struct guard_prefix *b)
{
	int c = addr_cmp(&a->addr, &b->addr);

	if (c)
		return c;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return (int)a->allow - (int)b->allow;
}

char *prefix_format(const struct addr *addr, unsigned len, char *buf, size_t buf_len)
{
	char text[ADDR_STRLEN];

	(void)snprintf(buf, buf_len, "%s/%u", addr_format(addr, text, sizeof(text)), len);
	return buf;
}
