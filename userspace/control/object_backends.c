/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of backends: see objects.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "core/clock.h"
#include "l4/l4.h"

/* A ring of a service, or of its source routes, that the pool is in. */
struct ring_view {
	char name[ROUTE_NAME_MAX];
	uint32_t size;
};

/* What the kernel has of the backends of a pool. */
struct kernel_view {
	struct shunt_be_stats *stats; /* in the pool's order; NULL: it is not steered to */
	struct ring_view *rings;      /* that it is in */
	uint32_t *slots;	      /* a row for each ring, in the pool's order */
	size_t ring_count;
	uint64_t ring_slots; /* of all of them */
	const struct l4 *l4;
};

static void view_deinit(struct kernel_view *v)
{
	free(v->stats);
	free(v->rings);
	free(v->slots);
}

/* At most two of a service. */
static void find_rings(const struct snapshot *snap, const struct pool *pool, struct kernel_view *v)
{
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (s->mode == SERVICE_L4 && s->pool == pool) {
			struct ring_view *r = &v->rings[v->ring_count++];

			(void)snprintf(r->name, sizeof(r->name), "%s", s->name);
			r->size = s->ring_size;
		}
		if (s->mode == SERVICE_L4 && service_routes_to(s, pool)) {
			struct ring_view *r = &v->rings[v->ring_count++];

			service_route_name(s, pool, r->name);
			r->size = s->ring_size;
		}
	}
}

/* False: out of memory. */
static bool view_read(const struct commands_env *env, const struct snapshot *snap,
		      const struct pool *pool, struct kernel_view *v)
{
	size_t n = pool->backend_count;

	if (!env->l4 || pool->forward == FORWARD_PROXY)
		return true;
	v->l4 = env->l4;
	v->stats = calloc(n + 1, sizeof(*v->stats));
	v->rings = calloc(2 * snap->service_count + 1, sizeof(*v->rings));
	if (v->rings)
		find_rings(snap, pool, v);
	v->slots = calloc(v->ring_count * n + 1, sizeof(*v->slots));
	if (!v->stats || !v->rings || !v->slots || l4_pool_stats(env->l4, pool, v->stats))
		return false;
	for (size_t i = 0; i < v->ring_count; i++) {
		l4_ring_slots(env->l4, v->rings[i].name, pool, v->slots + i * n);
		v->ring_slots += v->rings[i].size;
	}
	return true;
}

/* What NAT has of source ports towards a backend; null where it needs none. */
static json_t *nat_ports_json(const struct l4 *l4, const struct backend *b)
{
	struct l4_nat_ports ports;

	l4_nat_ports(l4, b->pool, b, &ports);
	if (ports.all == 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "tcp", (json_int_t)ports.taken[0], "udp",
			 (json_int_t)ports.taken[1], "all", (json_int_t)ports.all);
}

static json_t *backend_l4(const struct commands_env *env, const struct kernel_view *v,
			  const struct pool *pool, size_t place)
{
	const char *next_hop;
	json_t *o, *slots;
	uint64_t held = 0;
	bool failed;

	if (!v->stats)
		return json_null();
	next_hop = l4_next_hop(env->l4, &pool->backends[place]);
	o = json_object();
	slots = json_object();
	failed = !o || !slots;
	for (size_t i = 0; i < v->ring_count; i++) {
		uint32_t n = v->slots[i * pool->backend_count + place];

		held += n;
		json_put_int(slots, v->rings[i].name, n, &failed);
	}
	json_put(o, "next_hop", next_hop ? json_string(next_hop) : json_null(), &failed);
	json_put_int(o, "packets", v->stats[place].packets, &failed);
	json_put_int(o, "bytes", v->stats[place].bytes, &failed);
	json_put_int(o, "new_flows", v->stats[place].new_flows, &failed);
	json_put(o, "nat_ports", nat_ports_json(v->l4, &pool->backends[place]), &failed);
	json_put(o, "slots", slots, &failed);
	json_put(o, "share_percent",
		 v->ring_slots ? json_real(100.0 * (double)held / (double)v->ring_slots)
			       : json_null(),
		 &failed);
	return json_finish(o, failed);
}

static json_t *backend_http(const struct backend *b)
{
	struct backend_counters sum;
	json_t *o;
	bool failed;

	if (b->pool->forward != FORWARD_PROXY)
		return json_null();
	backend_rt_sum(b->rt, &sum);
	o = json_object();
	failed = !o;
	json_put_int(o, "active_requests", (sum.active_up - sum.active_down), &failed);
	json_put_int(o, "open_connections", atomic_load(&b->rt->connections), &failed);
	json_put_int(o, "priority", b->priority, &failed);
	json_put(o, "zone", b->zone ? json_string(b->zone) : json_null(), &failed);
	object_put_outlier(o, b, &failed);
	json_put(o, "latency_us",
		 pool_times(b->pool)
			 ? json_integer((json_int_t)backend_rt_latency_us(b->rt, clock_now_ms()))
			 : json_null(),
		 &failed);
#define X(name, text)                                                                              \
	if (strncmp(text, "active-", 7) != 0)                                                      \
		json_put_counter(o, text, sum.name, &failed);
	BACKEND_COUNTERS(X)
#undef X
	return json_finish(o, failed);
}

/* As text: a number of 64 bits is more than some readers keep. */
static json_t *server_id_json(const struct backend *b)
{
	return b->has_server_id ? json_sprintf("0x%llx", (unsigned long long)b->server_id)
				: json_null();
}

static json_t *object_backend(const struct commands_env *env, const struct kernel_view *v,
			      const struct pool *pool, size_t place)
{
	const struct backend *b = &pool->backends[place];
	json_t *o = json_object(), *health = json_object();
	bool failed = !o || !health;

	object_put_identity(o, b, &failed);
	json_put(o, "origin", json_string(discover_kind_name(b->origin)), &failed);
	json_put(o, "forward", json_string(forward_name(b->forward)), &failed);
	json_put(o, "weight", json_integer(b->weight), &failed);
	json_put(o, "state", json_string(backend_state_word(b)), &failed);
	json_put(o, "admin_state", json_string(admin_state_name(b->admin)), &failed);
	json_put(o, "usable", json_boolean(backend_is_usable(b)), &failed);
	object_put_checks(health, b, &failed);
	json_put(o, "health", health, &failed);
	json_put(o, "server_id", server_id_json(b), &failed);
	json_put(o, "l4", backend_l4(env, v, pool, place), &failed);
	json_put(o, "http", backend_http(b), &failed);
	return json_finish(o, failed);
}

void object_push_backends(json_t *list, const struct commands_env *env, const struct snapshot *snap,
			  const struct pool *pool, bool *failed)
{
	struct kernel_view view = {0};

	if (!view_read(env, snap, pool, &view))
		*failed = true;
	for (size_t i = 0; !*failed && i < pool->backend_count; i++)
		json_push(list, object_backend(env, &view, pool, i), failed);
	view_deinit(&view);
}
