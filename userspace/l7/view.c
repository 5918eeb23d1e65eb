/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's view of a snapshot: see view.h. */
#include "l7/view.h"

#include <errno.h>
#include <stdlib.h>

#include "conf/route_set.h"
#include "conf/service_tls.h"
#include "l7/balance.h"
#include "l7/upstream.h"

struct pool_view *view_pool(const struct view *v, const struct pool *pool)
{
	return &v->pools[pool - v->snap->pools];
}

struct upstream *view_upstream(const struct view *v, const struct backend *be)
{
	return view_pool(v, be->pool)->upstreams[be - be->pool->backends];
}

struct tls_server *view_tls(const struct view *v, const struct service *s)
{
	return v->tls[s - v->snap->services];
}

/* The connections to the same backend (pool, name, address) in the view before. */
static struct upstream *find_upstream(const struct view *before, const struct pool *was,
				      const struct backend *be)
{
	const struct backend *b = was ? pool_backend(was, be->name) : NULL;

	if (!b || b->rt != be->rt || !view_pool(before, was)->balancer)
		return NULL;
	return view_upstream(before, b);
}

/* Carried over where it need not change: sessions, and kept connections, are of it. */
static int fill_client(struct pool_view *pv, const struct pool *pool, const struct pool_view *was)
{
	struct tls_client_conf conf;

	if (!pool_has_tls(pool))
		return 0;
	conf = pool_tls_conf(pool);
	if (!was || !was->tls || !tls_client_is_of(was->tls, &conf))
		return tls_client_new(&conf, &pv->tls);
	pv->tls = tls_client_ref(was->tls);
	return 0;
}

static int fill_pool(struct view *v, const struct pool *pool, const struct view *before)
{
	const struct pool *was = before ? snapshot_pool(before->snap, pool->name) : NULL;
	struct pool_view *pv = view_pool(v, pool);

	if (pv->balancer) /* another service uses it too */
		return 0;
	pv->balancer = balancer_new(pool, was ? view_pool(before, was)->balancer : NULL,
				    v->l7->env.worker);
	pv->upstreams = calloc(pool->backend_count + 1, sizeof(struct upstream *));
	if (!pv->balancer || !pv->upstreams)
		return -ENOMEM;
	if (fill_client(pv, pool, was ? view_pool(before, was) : NULL) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < pool->backend_count; i++) {
		struct upstream *up = find_upstream(before, was, &pool->backends[i]);

		pv->upstreams[i] =
			up ? upstream_ref(up) : upstream_new(v->l7, pool->backends[i].rt);
		if (!pv->upstreams[i])
			return -ENOMEM;
	}
	return 0;
}

/* Contexts that need not change are carried over: sessions are kept in them. */
static int fill_tls(struct view *v, const struct service *s, const struct view *before)
{
	const struct service *was = before ? snapshot_service(before->snap, s->name) : NULL;
	struct tls_server *old = was ? view_tls(before, was) : NULL;
	struct tls_server **tls = &v->tls[s - v->snap->services];
	struct tls_server_conf conf;
	size_t bad;

	if (!service_has_tls(s))
		return 0;
	conf = service_tls_conf(s);
	if (!old || !tls_server_is_of(old, &conf))
		return tls_server_new(&conf, &v->l7->resumer, tls, &bad);
	*tls = tls_server_ref(old);
	return 0;
}

struct view *view_new(struct l7 *l7, struct snapshot *snap, const struct view *before)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->l7 = l7;
	v->refs = 1;
	v->snap = snapshot_ref(snap);
	v->pools = calloc(snap->pool_count + 1, sizeof(*v->pools));
	v->tls = calloc(snap->service_count + 1, sizeof(struct tls_server *));
	if (!v->pools || !v->tls)
		goto fail;
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (!service_is_proxied(s))
			continue;
		if ((s->pool && fill_pool(v, s->pool, before) < 0) || fill_tls(v, s, before) < 0)
			goto fail;
		for (size_t k = 0; k < s->sni_route_count; k++)
			if (fill_pool(v, s->sni_routes[k].pool, before) < 0)
				goto fail;
		for (size_t k = 0; k < route_set_pool_count(s->routes); k++)
			if (fill_pool(v, route_set_pool(s->routes, k), before) < 0)
				goto fail;
	}
	return v;
fail:
	view_unref(v);
	return NULL;
}

struct view *view_ref(struct view *v)
{
	v->refs++;
	return v;
}

/* For each upstream of v: its backend goes with it. */
static void for_each(struct view *v, void (*call)(struct upstream *up, const struct backend *be))
{
	for (size_t p = 0; v->pools && p < v->snap->pool_count; p++)
		for (size_t b = 0; v->pools[p].upstreams && b < v->snap->pools[p].backend_count;
		     b++)
			call(v->pools[p].upstreams[b], &v->snap->pools[p].backends[b]);
}

static void unref_one(struct upstream *up, const struct backend *be)
{
	(void)be;
	upstream_unref(up);
}

void view_unref(struct view *v)
{
	if (!v || --v->refs)
		return;
	for_each(v, unref_one);
	for (size_t p = 0; v->pools && p < v->snap->pool_count; p++) {
		balancer_free(v->pools[p].balancer);
		tls_client_unref(v->pools[p].tls);
		free(v->pools[p].upstreams);
	}
	for (size_t s = 0; v->tls && s < v->snap->service_count; s++)
		tls_server_unref(v->tls[s]);
	free(v->tls);
	free(v->pools);
	snapshot_unref(v->snap);
	free(v);
}

static void forget(struct upstream *up, const struct backend *be)
{
	(void)be;
	up->keep = false;
}

static void allow(struct upstream *up, const struct backend *be)
{
	up->limits = be->pool->limits;
	up->keep = be->admin == ADMIN_UP;
}

static void close_unwanted(struct upstream *up, const struct backend *be)
{
	(void)be;
	if (!up->keep)
		upstream_close_idle(up);
}

/* From now on its backends are spoken to like this. */
static void set_clients(struct view *v)
{
	for (size_t p = 0; p < v->snap->pool_count; p++)
		for (size_t b = 0; v->pools[p].upstreams && b < v->snap->pools[p].backend_count;
		     b++)
			upstream_set_tls(v->pools[p].upstreams[b], v->pools[p].tls);
}

/* Contexts that were carried over have OCSP responses of the snapshot before. */
static void staple(struct view *v)
{
	for (size_t s = 0; s < v->snap->service_count; s++) {
		struct tls_server_conf conf;

		if (!v->tls[s])
			continue;
		conf = service_tls_conf(&v->snap->services[s]);
		tls_server_staple(v->tls[s], &conf);
	}
}

void view_activate(struct view *v, const struct view *before)
{
	if (before)
		for_each((struct view *)before, forget);
	for_each(v, allow);
	set_clients(v);
	staple(v);
	if (before)
		for_each((struct view *)before, close_unwanted);
}
