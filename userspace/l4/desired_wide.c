/* SPDX-License-Identifier: BSD-2-Clause */
/* Affinity, source routes and server ids as rows: see desired.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l4/desired.h"

/* A number in len octets, the highest first. */
static void put_octets(uint64_t n, unsigned len, uint8_t ret[SHUNT_SERVER_ID_MAX])
{
	memset(ret, 0, SHUNT_SERVER_ID_MAX);
	for (unsigned i = 0; i < len; i++)
		ret[i] = (uint8_t)(n >> 8 * (len - 1 - i));
}

void desired_record_wide(const struct service *s, struct shunt_service *record)
{
	const struct quic_conf *q = &s->quic;

	record->affinity = (uint8_t)s->affinity;
	record->routed = s->source_route_count > 0;
	record->cid = (uint8_t)q->cid;
	if (q->cid == QUIC_CID_NONE)
		return;
	record->cid_len = (uint8_t)q->cid_length;
	record->server_id_len = (uint8_t)q->server_id_length;
	if (q->cid == QUIC_CID_LB) {
		record->cid_config = (uint8_t)q->config_id;
		return;
	}
	record->cid_offset = (uint8_t)q->offset;
	put_octets(q->mask != 0 ? q->mask : UINT64_MAX, q->server_id_length,
		   record->server_id_mask);
}

/* ---- source routes ---- */

/* The row of the service's routes to the pool, made where there is none yet. */
static size_t route_row(struct desired *desired, const struct service *s, size_t first,
			const struct pool *pool, size_t *name_count)
{
	char name[ROUTE_NAME_MAX];
	struct desired_service *row;
	size_t at = first;

	service_route_name(s, pool, name);
	while (at < desired->service_count && strcmp(desired->services[at].name, name) != 0)
		at++;
	if (at < desired->service_count)
		return at;
	row = &desired->services[desired->service_count++];
	*row = (struct desired_service){.name = desired->names[*name_count], .is_route = true};
	memcpy(desired->names[(*name_count)++], name, strlen(name) + 1);
	row->record.action = SHUNT_ACTION_STEER;
	row->record.tracking = desired_tracking(s, IPPROTO_TCP);
	desired_use_pool(desired, row, s, pool);
	return at;
}

static int route_cmp(const void *va, const void *vb)
{
	const struct desired_route *a = va, *b = vb;

	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	if (a->len != b->len)
		return (int)b->len - (int)a->len;
	if (a->family != b->family)
		return (int)a->family - (int)b->family;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

static void add_routes(struct desired *desired, const struct service *s, size_t service,
		       size_t *name_count)
{
	size_t first = desired->service_count;

	for (size_t i = 0; i < s->source_route_count; i++) {
		const struct source_route *route = &s->source_routes[i];
		size_t ring = route_row(desired, s, first, route->pool, name_count);

		for (size_t k = 0; k < route->from_count; k++) {
			const struct source_prefix *from = &route->from[k];
			struct desired_route *r = &desired->routes[desired->route_count++];

			*r = (struct desired_route){.service = service, .ring = ring};
			r->family = from->addr.family == AF_INET ? 4 : 6;
			r->len = (uint8_t)from->len;
			memcpy(r->addr, from->addr.bytes, sizeof(r->addr));
		}
	}
}

/* ---- server ids ---- */

static void add_pool_ids(struct desired *desired, const struct service *s, size_t service,
			 const struct desired_service *row, const struct pool *pool)
{
	for (size_t i = 0; i < row->backend_count; i++) {
		size_t at = row->first_backend + i;
		const struct backend *b = pool_backend(pool, desired->backends[at].name);
		struct desired_server_id *id = &desired->server_ids[desired->server_id_count];

		if (b == NULL || !b->has_server_id)
			continue;
		*id = (struct desired_server_id){
			.service = service,
			.backend = at,
			.len = (uint8_t)s->quic.server_id_length,
		};
		put_octets(b->server_id, id->len, id->id);
		desired->server_id_count++;
	}
}

static void add_ids(struct desired *desired, const struct snapshot *snap, const struct service *s,
		    size_t service)
{
	struct desired_service row;

	if (s->quic.cid == QUIC_CID_NONE)
		return;
	for (size_t i = 0; i < snap->pool_count; i++) {
		if (!service_uses_pool(s, &snap->pools[i]))
			continue;
		row = (struct desired_service){0};
		desired_use_pool(desired, &row, s, &snap->pools[i]);
		add_pool_ids(desired, s, service, &row, &snap->pools[i]);
	}
}

/* ---- all ---- */

static int allocate(struct desired *desired, const struct snapshot *snap)
{
	size_t rows = 0, routes = 0, ids = 0;
	struct desired_service *services;

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		rows += s->source_route_count;
		for (size_t k = 0; k < s->source_route_count; k++)
			routes += s->source_routes[k].from_count;
		for (size_t k = 0; s->quic.cid != QUIC_CID_NONE && k < snap->pool_count; k++)
			ids += snap->pools[k].backend_count;
	}
	/* One more, so that "none" is no null pointer. */
	services = reallocarray(desired->services, desired->service_count + rows + 1,
				sizeof(*services));
	if (services != NULL)
		desired->services = services;
	desired->names = calloc(rows + 1, sizeof(*desired->names));
	desired->routes = calloc(routes + 1, sizeof(*desired->routes));
	desired->server_ids = calloc(ids + 1, sizeof(*desired->server_ids));
	if (services == NULL || desired->names == NULL || desired->routes == NULL ||
	    desired->server_ids == NULL)
		return -ENOMEM;
	return 0;
}

int desired_add_wide(struct desired *desired, const struct snapshot *snap, const size_t *positions)
{
	size_t name_count = 0;
	int err = allocate(desired, snap);

	if (err < 0)
		return err;
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (s->mode != SERVICE_L4 || positions[i] == SIZE_MAX)
			continue;
		add_routes(desired, s, positions[i], &name_count);
		add_ids(desired, snap, s, positions[i]);
	}
	qsort(desired->routes, desired->route_count, sizeof(*desired->routes), route_cmp);
	return 0;
}
