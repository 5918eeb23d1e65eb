/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/flow_query.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/maps.h"
#include "loader/maps_flows.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000LL

struct flow_query {
	struct loader *loader;
	uint32_t services, backends;
	struct shunt_svc_meta *service_names; /* [services] */
	struct shunt_be_meta *backend_names;  /* [backends] */
	bool *down;			      /* [backends] */
	uint32_t now_ticks;
};

const char *flow_state_name(uint8_t state)
{
	static const char *const names[SHUNT_FLOW_STATE_COUNT] = {
		[SHUNT_FLOW_SYN] = "syn",
		[SHUNT_FLOW_ESTABLISHED] = "established",
		[SHUNT_FLOW_FIN] = "fin",
		[SHUNT_FLOW_UDP] = "udp",
	};

	return state < SHUNT_FLOW_STATE_COUNT ? names[state] : "unknown";
}

static uint32_t ticks_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return SHUNT_TICKS((uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec);
}

/* A ring of source routes is called SERVICE@POOL: its flows are the service's. */
static void cut_route(char *name)
{
	char *at = strchr(name, '@');

	if (at)
		*at = '\0';
}

static int read_names(struct flow_query *q)
{
	struct shunt_backend *rows = calloc(q->backends, sizeof(*rows));
	int err = rows ? maps_backend_list(q->loader, 0, q->backends, rows) : -ENOMEM;

	if (err == 0)
		err = maps_backend_meta_list(q->loader, 0, q->backends, q->backend_names);
	if (err == 0)
		err = maps_service_meta_list(q->loader, 0, q->services, q->service_names);
	for (uint32_t i = 0; err == 0 && i < q->services; i++)
		cut_route(q->service_names[i].name);
	for (uint32_t i = 0; err == 0 && i < q->backends; i++)
		q->down[i] = rows[i].id == 0 || rows[i].state == SHUNT_BACKEND_DOWN;
	free(rows);
	return err;
}

int flow_query_new(struct loader *l, struct flow_query **ret_query)
{
	struct flow_query *q = calloc(1, sizeof(*q));
	struct loader_sizes sizes;
	int err = -ENOMEM;

	if (!q)
		return -ENOMEM;
	maps_sizes(l, &sizes);
	q->loader = l;
	q->services = sizes.services;
	q->backends = sizes.backends;
	q->service_names = calloc(q->services, sizeof(*q->service_names));
	q->backend_names = calloc(q->backends, sizeof(*q->backend_names));
	q->down = calloc(q->backends, sizeof(*q->down));
	if (q->service_names && q->backend_names && q->down)
		err = read_names(q);
	if (err < 0) {
		flow_query_free(q);
		return err;
	}
	q->now_ticks = ticks_now();
	*ret_query = q;
	return 0;
}

void flow_query_free(struct flow_query *q)
{
	if (!q)
		return;
	free(q->service_names);
	free(q->backend_names);
	free(q->down);
	free(q);
}

static void fill_ends(const struct maps_flow *f, struct flow_item *item)
{
	bool v4 = f->table == MAPS_PEND4 || f->table == MAPS_FLOW4;

	item->source.addr.family = item->destination.addr.family = v4 ? AF_INET : AF_INET6;
	if (v4) {
		memcpy(item->source.addr.bytes, &f->key4.saddr, 4);
		memcpy(item->destination.addr.bytes, &f->key4.daddr, 4);
	} else {
		memcpy(item->source.addr.bytes, f->key6.saddr, 16);
		memcpy(item->destination.addr.bytes, f->key6.daddr, 16);
	}
	item->source.port = ntohs(v4 ? f->key4.sport : f->key6.sport);
	item->destination.port = ntohs(v4 ? f->key4.dport : f->key6.dport);
}

static struct flow_item item_of(const struct flow_query *q, const struct maps_flow *f)
{
	uint32_t row = SHUNT_ID_INDEX(f->flow.backend);
	int32_t age = (int32_t)(q->now_ticks - f->flow.seen_ticks);
	struct flow_item item = {
		.proto = maps_flow_proto(f),
		.state = f->flow.state,
		.pending = f->table == MAPS_PEND4 || f->table == MAPS_PEND6,
		.stale = true,
		.service = "",
		.pool = "",
		.backend = "",
	};

	if (age > 0)
		item.age_ms = ((uint64_t)age << SHUNT_TICK_SHIFT) / NS_PER_MS;
	fill_ends(f, &item);
	if (f->flow.service < q->services)
		item.service = q->service_names[f->flow.service].name;
	if (row < q->backends && q->backend_names[row].id == f->flow.backend) {
		item.pool = q->backend_names[row].pool;
		item.backend = q->backend_names[row].name;
		item.stale = q->down[row];
	}
	return item;
}

static bool fits(const struct flow_filter *f, const struct flow_item *item)
{
	return flow_filter_has_service(f, item->service) &&
	       flow_filter_has_backend(f, item->pool, item->backend) &&
	       flow_filter_has_source(f, &item->source.addr);
}

int flow_query_each(struct flow_query *q, const struct flow_filter *filter, bool erase,
		    flow_item_cb cb, void *ctx)
{
	struct maps_flow_walk walk = {0};
	const struct maps_flow *flows;
	bool more = true;
	size_t count;
	int err = 0;

	while (more && (err = maps_flow_walk_next(q->loader, &walk, &flows, &count)) == 0) {
		for (size_t i = 0; i < count && more; i++) {
			struct flow_item item = item_of(q, &flows[i]);

			if (!fits(filter, &item))
				continue;
			/* It may have gone by itself. */
			if (erase && maps_flow_delete(q->loader, &flows[i]) < 0)
				continue;
			more = cb(ctx, &item);
		}
	}
	maps_flow_walk_end(&walk);
	return err == -ENOENT ? 0 : err;
}
