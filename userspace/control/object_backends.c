/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of backends: see objects.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "l4/l4.h"

/* What the kernel has of the backends of a pool. */
struct kernel_view {
	struct shunt_be_stats *stats;	 /* in the pool's order; NULL: it is not steered to */
	const struct service **services; /* those that steer to it */
	uint32_t *slots;		 /* a row for each service, in the pool's order */
	size_t service_count;
	uint64_t ring_slots; /* of all the services */
};

static void view_deinit(struct kernel_view *v)
{
	free(v->stats);
	free(v->services);
	free(v->slots);
}

/* False: out of memory. */
static bool view_read(const struct commands_env *env, const struct snapshot *snap,
		      const struct pool *pool, struct kernel_view *v)
{
	size_t n = pool->backend_count;

	if (!env->l4 || pool->forward == FORWARD_PROXY)
		return true;
	v->stats = calloc(n + 1, sizeof(*v->stats));
	v->services = calloc(snap->service_count + 1, sizeof(*v->services));
	for (size_t i = 0; v->services && i < snap->service_count; i++)
		if (snap->services[i].mode == SERVICE_L4 && snap->services[i].pool == pool)
			v->services[v->service_count++] = &snap->services[i];
	v->slots = calloc(v->service_count * n + 1, sizeof(*v->slots));
	if (!v->stats || !v->services || !v->slots || l4_pool_stats(env->l4, pool, v->stats))
		return false;
	for (size_t i = 0; i < v->service_count; i++) {
		l4_service_slots(env->l4, v->services[i], v->slots + i * n);
		v->ring_slots += v->services[i]->ring_size;
	}
	return true;
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
	for (size_t i = 0; i < v->service_count; i++) {
		uint32_t n = v->slots[i * pool->backend_count + place];

		held += n;
		json_put_int(slots, v->services[i]->name, n, &failed);
	}
	json_put(o, "next_hop", next_hop ? json_string(next_hop) : json_null(), &failed);
	json_put_int(o, "packets", v->stats[place].packets, &failed);
	json_put_int(o, "bytes", v->stats[place].bytes, &failed);
	json_put_int(o, "new_flows", v->stats[place].new_flows, &failed);
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
#define X(name, text)                                                                              \
	if (strncmp(text, "active-", 7) != 0)                                                      \
		json_put_counter(o, text, sum.name, &failed);
	BACKEND_COUNTERS(X)
#undef X
	return json_finish(o, failed);
}

static json_t *object_backend(const struct commands_env *env, const struct kernel_view *v,
			      const struct pool *pool, size_t place)
{
	const struct backend *b = &pool->backends[place];
	json_t *o = json_object(), *health = json_object();
	bool failed = !o || !health;

	object_put_identity(o, b, &failed);
	json_put(o, "forward", json_string(forward_name(b->forward)), &failed);
	json_put(o, "weight", json_integer(b->weight), &failed);
	json_put(o, "state", json_string(backend_state_word(b)), &failed);
	json_put(o, "admin_state", json_string(admin_state_name(b->admin)), &failed);
	json_put(o, "usable", json_boolean(backend_is_usable(b)), &failed);
	object_put_checks(health, b, &failed);
	json_put(o, "health", health, &failed);
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
