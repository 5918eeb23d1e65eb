/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of what tcp and tls services have alone, and of PROXY headers: see objects.h. */
#include "conf/runtime.h"
#include "control/json_build.h"
#include "control/objects.h"

static json_t *strings_json(const char *const *list, size_t count)
{
	json_t *a = json_array();
	bool failed = !a;

	for (size_t i = 0; i < count; i++)
		json_push(a, json_string(list[i]), &failed);
	return json_finish(a, failed);
}

static json_t *routes_json(const struct snapshot *snap, const struct service *s)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < s->sni_route_count; i++) {
		const struct sni_route *route = &s->sni_routes[i];
		json_t *o = json_object();
		bool bad = !o;

		json_put(o, "sni", strings_json(route->names, route->name_count), &bad);
		json_put(o, "alpn", strings_json(route->protocols, route->protocol_count), &bad);
		json_put(o, "pool", json_string(route->pool->name), &bad);
		json_put(o, "backend_states", object_backend_states(snap, route->pool), &bad);
		json_push(list, json_finish(o, bad), &failed);
	}
	return json_finish(list, failed);
}

json_t *object_relay(const struct snapshot *snap, const struct service *s)
{
	struct service_counters sum;
	json_t *o;
	bool failed;

	if (s->mode != SERVICE_TCP && s->mode != SERVICE_TLS)
		return json_null();
	service_rt_sum(s->rt, &sum);
	o = json_object();
	failed = !o;
	json_put_int(o, "open_connections", sum.connections - sum.closed, &failed);
	json_put_int(o, "connections", sum.connections, &failed);
	json_put_int(o, "closed", sum.closed, &failed);
	json_put_int(o, "refused", sum.refused, &failed);
	json_put_int(o, "accept_failures", sum.accept_failures, &failed);
	json_put_int(o, "aborted", sum.aborted, &failed);
	json_put_int(o, "retries", sum.retries, &failed);
	json_put_int(o, "bytes_in", sum.bytes_in, &failed);
	json_put_int(o, "bytes_out", sum.bytes_out, &failed);
#define X(name, text) json_put_counter(o, text, sum.name, &failed);
	RELAY_COUNTERS(X)
#undef X
	json_put(o, "sni_routes", routes_json(snap, s), &failed);
	json_put_int(o, "idle_ms", s->relay.idle_ms, &failed);
	json_put_int(o, "half_closed_ms", s->relay.half_closed_ms, &failed);
	json_put_int(o, "client_hello_ms", s->relay.client_hello_ms, &failed);
	json_put_int(o, "connections_per_worker", s->relay.connections, &failed);
	return json_finish(o, failed);
}

json_t *object_proxy_in(const struct service *s)
{
	struct service_counters sum;
	char text[PREFIX_STRLEN];
	json_t *o, *from;
	bool failed;

	if (!s->proxy_in.from_count)
		return json_null();
	service_rt_sum(s->rt, &sum);
	o = json_object();
	from = json_array();
	failed = !o || !from;
	for (size_t i = 0; i < s->proxy_in.from_count; i++) {
		const struct source_prefix *p = &s->proxy_in.from[i];

		json_push(from, json_string(prefix_format(&p->addr, p->len, text, sizeof(text))),
			  &failed);
	}
	json_put(o, "from", from, &failed);
	json_put(o, "header", json_string(proxy_header_rule_words[s->proxy_in.header]), &failed);
	json_put_int(o, "timeout_ms", s->proxy_in.timeout_ms, &failed);
	json_put_int(o, "untrusted", sum.proxy_untrusted, &failed);
	json_put_int(o, "invalid", sum.proxy_invalid, &failed);
	json_put_int(o, "timeouts", sum.proxy_timeouts, &failed);
	return json_finish(o, failed);
}
