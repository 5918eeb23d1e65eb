/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/flow_rows.h"

#include <stdio.h>

#include "control/json_build.h"
#include "l4/flow_query.h"
#include "l4/l4.h"
#include "l7/conn_walk.h"

#define STEERED "steered"
#define PROXIED "proxied"

void flow_rows_init(struct flow_rows *r, uint64_t limit)
{
	*r = (struct flow_rows){.limit = limit,
				.list = json_array(),
				.by_service = json_object(),
				.by_backend = json_object(),
				.by_state = json_object()};
	r->failed = !r->list || !r->by_service || !r->by_backend || !r->by_state;
}

void flow_rows_deinit(struct flow_rows *r)
{
	json_decref(r->list);
	json_decref(r->by_service);
	json_decref(r->by_backend);
	json_decref(r->by_state);
}

static void count(json_t *groups, const char *name, bool *failed)
{
	const char *key = name[0] ? name : "-";
	json_int_t n = json_integer_value(json_object_get(groups, key));

	json_put(groups, key, json_integer(n + 1), failed);
}

static void count_all(struct flow_rows *r, const char *service, const char *pool,
		      const char *backend, const char *state)
{
	char both[2 * SHUNT_NAME_MAX] = "";

	if (backend[0])
		(void)snprintf(both, sizeof(both), "%s/%s", pool, backend);
	count(r->by_service, service, &r->failed);
	count(r->by_backend, both, &r->failed);
	count(r->by_state, state, &r->failed);
}

/* ---- rows ---- */

static json_t *steered_json(const struct flow_item *i)
{
	char source[ENDPOINT_STRLEN], destination[ENDPOINT_STRLEN];

	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:b, s:b, s:I, s:o, s:o}", "datapath",
			 STEERED, "protocol", proto_name(i->proto), "source",
			 endpoint_format(&i->source, source, sizeof(source)), "destination",
			 endpoint_format(&i->destination, destination, sizeof(destination)),
			 "service", json_text(i->service), "state", flow_state_name(i->state),
			 "pending", i->pending, "stale", i->stale, "idle_ms", (json_int_t)i->age_ms,
			 "pool", json_text(i->pool), "backend", json_text(i->backend));
}

static json_t *proxied_json(const struct conn_item *i)
{
	char source[ENDPOINT_STRLEN], destination[ENDPOINT_STRLEN];
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:s, s:b, s:b, s:I, s:o, s:o, s:b, s:I, s:I, s:I}",
		"datapath", PROXIED, "protocol", conn_protocol_name(i->protocol), "source",
		endpoint_format(&i->source, source, sizeof(source)), "destination",
		endpoint_format(&i->destination, destination, sizeof(destination)), "service",
		json_text(i->service), "state", conn_activity_name(i->activity), "pending", 0,
		"stale", 0, "idle_ms", (json_int_t)i->idle_ms, "pool", json_text(i->pool),
		"backend", json_text(i->backend), "tls", i->is_tls, "age_ms", (json_int_t)i->age_ms,
		"bytes_in", (json_int_t)i->bytes_in, "bytes_out", (json_int_t)i->bytes_out);
	bool failed = !o;

	if (o && i->is_http)
		json_put_int(o, "requests", i->requests, &failed);
	if (o && i->protocol == CONN_PROTOCOL_H2)
		json_put_int(o, "streams", i->streams, &failed);
	return json_finish(o, failed);
}

void flow_rows_add_steered(struct flow_rows *r, const struct flow_item *i)
{
	uint64_t at = r->steered++;

	count_all(r, i->service, i->pool, i->backend,
		  i->pending ? "pending" : flow_state_name(i->state));
	if (at >= r->offset && at - r->offset < r->limit)
		json_push(r->list, steered_json(i), &r->failed);
}

void flow_rows_add_proxied(struct flow_rows *r, const struct conn_item *i)
{
	r->proxied++;
	count_all(r, i->service, i->pool, i->backend, conn_activity_name(i->activity));
	if (i->is_listed)
		json_push(r->list, proxied_json(i), &r->failed);
}

/* ---- fields ---- */

void flow_rows_put_list(const struct flow_rows *r, json_t *object, bool *failed)
{
	json_put_int(object, "matched", r->steered + r->proxied, failed);
	json_put_int(object, "offset", r->offset, failed);
	json_put(object, "flows", json_incref(r->list), failed);
}

void flow_rows_put_counts(const struct flow_rows *r, json_t *object, bool *failed)
{
	json_t *by = json_pack("{s:I, s:I}", STEERED, (json_int_t)r->steered, PROXIED,
			       (json_int_t)r->proxied);

	json_put(object, "by_datapath", by, failed);
	json_put(object, "by_service", json_incref(r->by_service), failed);
	json_put(object, "by_backend", json_incref(r->by_backend), failed);
	json_put(object, "by_state", json_incref(r->by_state), failed);
}
