/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of services, pools, backends, health and changes: see objects.h. */
#include "control/objects.h"
#include "control/steering.h"

#include <string.h>

#include "conf/listen.h"
#include "conf/runtime.h"
#include "control/discover.h"
#include "control/json_build.h"
#include "core/clock.h"
#include "l4/l4.h"

const char *backend_state_word(const struct backend *b)
{
	if (b->admin == ADMIN_DISABLED)
		return "disabled";
	if (atomic_load(&b->rt->health) == HEALTH_DOWN)
		return "down";
	return b->admin == ADMIN_DRAIN ? "draining" : "up";
}

static json_t *age_ms(uint64_t when_ms)
{
	uint64_t now = clock_now_ms();

	return when_ms ? json_integer((json_int_t)(now - when_ms)) : json_null();
}

static json_t *listens_json(const struct service *s)
{
	char text[LISTEN_STRLEN];
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < s->listen_count && !failed; i++)
		json_push(list, json_string(listen_format(&s->listens[i], text, sizeof(text))),
			  &failed);
	return json_finish(list, failed);
}

/* ---- health ---- */

void object_put_checks(json_t *o, const struct backend *b, bool *failed)
{
	const struct backend_rt *rt = b->rt;
	enum health_state state = (enum health_state)atomic_load(&rt->health);

	json_put(o, "check", json_string(health_kind_name(b->pool->health.kind)), failed);
	json_put(o, "state", json_string(health_state_name(state)), failed);
	json_put(o, "result", json_string(rt->health_text), failed);
	json_put(o, "results_in_a_row", json_integer(rt->health_run), failed);
	json_put(o, "checked_ms_ago", age_ms(rt->health_checked_ms), failed);
	json_put(o, "changed_ms_ago", age_ms(rt->health_changed_ms), failed);
	json_put_int(o, "checks", rt->health_checks, failed);
	json_put_int(o, "failures", rt->health_failures, failed);
}

void object_put_identity(json_t *o, const struct backend *b, bool *failed)
{
	char text[ENDPOINT_STRLEN];

	json_put(o, "pool", json_string(b->pool->name), failed);
	json_put(o, "name", json_string(b->name), failed);
	json_put(o, "address", json_string(endpoint_format(&b->ep, text, sizeof(text))), failed);
}

json_t *object_health(const struct backend *b)
{
	json_t *o = json_object();
	bool failed = !o;

	object_put_identity(o, b, &failed);
	object_put_checks(o, b, &failed);
	return json_finish(o, failed);
}

json_t *object_backend_states(const struct snapshot *snap, const struct pool *pool)
{
	unsigned total = 0, usable = 0, down = 0, draining = 0, disabled = 0;

	for (size_t i = 0; i < snap->pool_count; i++) {
		const struct pool *p = &snap->pools[i];

		for (size_t j = 0; j < p->backend_count && (!pool || p == pool); j++) {
			const struct backend *b = &p->backends[j];
			const char *word = backend_state_word(b);

			total++;
			usable += backend_is_usable(b);
			down += !strcmp(word, "down");
			draining += !strcmp(word, "draining");
			disabled += !strcmp(word, "disabled");
		}
	}
	return json_pack("{s:i, s:i, s:i, s:i, s:i}", "total", (int)total, "usable", (int)usable,
			 "down", (int)down, "draining", (int)draining, "disabled", (int)disabled);
}

/* ---- pools ---- */

/* Each as [lowest, highest]. */
static json_t *statuses_json(const struct health_conf *h)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < h->status_count && !failed; i++)
		json_push(list,
			  json_pack("[i, i]", (int)h->statuses[i].low, (int)h->statuses[i].high),
			  &failed);
	return json_finish(list, failed);
}

static json_t *health_conf_json(const struct health_conf *h)
{
	json_t *o;
	bool failed;

	if (h->kind == HEALTH_NONE)
		return json_null();
	o = json_object();
	failed = !o;
	json_put(o, "check", json_string(health_kind_name(h->kind)), &failed);
	json_put(o, "port", h->port ? json_integer(h->port) : json_null(), &failed);
	if (h->kind == HEALTH_HTTP) {
		json_put(o, "path", json_string(h->path), &failed);
		json_put(o, "host", h->host ? json_string(h->host) : json_null(), &failed);
		json_put(o, "statuses", statuses_json(h), &failed);
		json_put(o, "body", h->body ? json_string(h->body) : json_null(), &failed);
		json_put(o, "body_regex", h->body_regex ? json_string(h->body_regex) : json_null(),
			 &failed);
	} else if (h->kind == HEALTH_GRPC) {
		json_put(o, "service", h->service ? json_string(h->service) : json_null(), &failed);
		json_put(o, "host", h->host ? json_string(h->host) : json_null(), &failed);
	}
	json_put(o, "every_ms", json_integer(h->every_ms), &failed);
	json_put(o, "timeout_ms", json_integer(h->timeout_ms), &failed);
	json_put(o, "every_changing_ms",
		 json_integer(h->changing_ms ? h->changing_ms : h->every_ms), &failed);
	json_put(o, "via", json_string(health_via_name(h->via)), &failed);
	json_put(o, "damping_ms", json_integer(h->damping_ms), &failed);
	json_put(o, "rise", json_integer(h->rise), &failed);
	json_put(o, "fall", json_integer(h->fall), &failed);
	return json_finish(o, failed);
}

/* A list of addresses and prefixes, "auto", or null. */
static json_t *source_nat_json(const struct pool *p)
{
	char text[ADDR_STRLEN];
	json_t *list;
	bool failed;

	if (p->source_nat == SOURCE_NAT_NONE)
		return json_null();
	if (p->source_nat == SOURCE_NAT_AUTO)
		return json_string("auto");
	list = json_array();
	failed = !list;
	for (size_t i = 0; i < 2; i++)
		if (p->source_addr[i].family)
			json_push(list,
				  json_sprintf("%s/%u",
					       addr_format(&p->source_addr[i], text, sizeof(text)),
					       p->source_len[i]),
				  &failed);
	return json_finish(list, failed);
}

/* Those that the pool serves, if only some of their sources. */
static json_t *pool_services(const struct snapshot *snap, const struct pool *pool)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < snap->service_count; i++)
		if (service_has_pool(&snap->services[i], pool))
			json_push(list, json_string(snap->services[i].name), &failed);
	return json_finish(list, failed);
}

json_t *object_pool(const struct commands_env *env, const struct snapshot *snap,
		    const struct pool *p)
{
	json_t *o = json_object(), *backends;
	bool failed = !o;

	json_put(o, "name", json_string(p->name), &failed);
	json_put(o, "forward", json_string(forward_name(p->forward)), &failed);
	json_put(o, "health", health_conf_json(&p->health), &failed);
	if (forward_is_kernel(p->forward)) {
		json_put(o, "source_nat", source_nat_json(p), &failed);
		json_put(o, "source_ports",
			 p->source_nat != SOURCE_NAT_NONE
				 ? json_sprintf("%u-%u", p->source_port_low, p->source_port_high)
				 : json_null(),
			 &failed);
		json_put(o, "next_hop", json_string(next_hop_name(p->next_hop)), &failed);
		json_put(o, "gue_port", json_integer(p->gue_port), &failed);
		json_put(o, "tunnel_mtu", p->tunnel_mtu ? json_integer(p->tunnel_mtu) : json_null(),
			 &failed);
	} else {
		json_put(o, "connect_timeout_ms", json_integer(p->connect_ms), &failed);
		json_put(o, "idle_timeout_ms", json_integer(p->idle_ms), &failed);
		json_put(o, "idle_connections_max", json_integer(p->idle_max), &failed);
		json_put(o, "proxy_protocol", json_string(proxy_out_words[p->proxy_out]), &failed);
		json_put(o, "balance", object_balance(p), &failed);
		object_put_resilience(o, p, &failed);
	}
	json_put(o, "discover", discover_json(env->discover, p), &failed);
	json_put(o, "services", pool_services(snap, p), &failed);
	json_put(o, "backend_states", object_backend_states(snap, p), &failed);
	backends = json_array();
	failed |= !backends;
	object_push_backends(backends, env, snap, p, &failed);
	json_put(o, "backends", backends, &failed);
	return json_finish(o, failed);
}

/* ---- services ---- */

static json_t *idle_json(const struct service *s)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "syn", (json_int_t)s->idle_s[SHUNT_FLOW_SYN],
			 "established", (json_int_t)s->idle_s[SHUNT_FLOW_ESTABLISHED], "fin",
			 (json_int_t)s->idle_s[SHUNT_FLOW_FIN], "udp",
			 (json_int_t)s->idle_s[SHUNT_FLOW_UDP]);
}

/* Of the protocols that it has listen addresses of. */
static json_t *tracking_json(const struct service *s)
{
	json_t *o = json_object();
	bool failed = !o;

	for (size_t i = 0; i < s->listen_count && !failed; i++) {
		uint8_t proto = s->listens[i].proto;

		if (!json_object_get(o, proto_name(proto)))
			json_put(o, proto_name(proto),
				 json_string(tracking_name(service_tracking(s, proto))), &failed);
	}
	return json_finish(o, failed);
}

static json_t *quic_json(const struct quic_conf *q)
{
	json_t *o;
	bool failed;

	if (q->cid == QUIC_CID_NONE)
		return json_null();
	o = json_object();
	failed = !o;
	json_put(o, "cid", json_string(quic_cid_name(q->cid)), &failed);
	json_put_int(o, "server_id_length", q->server_id_length, &failed);
	json_put(o, "cid_length", q->cid_length ? json_integer(q->cid_length) : json_null(),
		 &failed);
	if (q->cid == QUIC_CID_LB) {
		json_put_int(o, "config_id", q->config_id, &failed);
	} else {
		json_put_int(o, "offset", q->offset, &failed);
		json_put(o, "mask",
			 q->mask ? json_sprintf("0x%llx", (unsigned long long)q->mask)
				 : json_null(),
			 &failed);
	}
	return json_finish(o, failed);
}

static json_t *moves_json(const struct commands_env *env, const struct service *s)
{
	struct l4_moves m = {0};
	json_t *o = json_object();
	bool failed = !o;

	if (env->l4)
		(void)l4_service_moves(env->l4, s->name, &m); /* no row: nothing moves */
	json_put_int(o, "slots_settled", m.settled, &failed);
	json_put_int(o, "slots_moving", m.moving, &failed);
	json_put(o, "oldest_seconds",
		 m.oldest_s ? json_integer((json_int_t)m.oldest_s) : json_null(), &failed);
	json_put(o, "flow_entries", m.counted ? json_integer((json_int_t)m.entries) : json_null(),
		 &failed);
	json_put(o, "counted_seconds_ago",
		 m.counted ? json_integer((json_int_t)m.counted_s) : json_null(), &failed);
	return json_finish(o, failed);
}

static bool has_nat(const struct service *s)
{
	for (size_t i = 0; i < s->pool->backend_count; i++) {
		if (s->pool->backends[i].forward == FORWARD_NAT)
			return true;
	}
	return false;
}

/* What it has of the tables of NAT, of each family; null: it does not use them. */
static json_t *nat_json(const struct commands_env *env, const struct service *s)
{
	static const char *const families[] = {"ipv4", "ipv6"};
	struct shunt_nat_share share = {0}, common = {0};
	json_t *o;
	bool failed;

	if (!has_nat(s))
		return json_null();
	if (env->l4)
		(void)l4_nat_share(env->l4, s->name, &share, &common); /* no row: has nothing */
	o = json_object();
	failed = !o;
	for (int i = 0; i < 2; i++)
		json_put(o, families[i],
			 json_pack("{s:I, s:I, s:I, s:I}", "flows", (json_int_t)share.flows[i],
				   "own", (json_int_t)share.own[i], "common",
				   (json_int_t)common.own[i], "common_used",
				   (json_int_t)common.flows[i]),
			 &failed);
	return json_finish(o, failed);
}

static json_t *sources_json(const struct source_route *route)
{
	json_t *list = json_array();
	bool failed = !list;
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < route->from_count; i++)
		json_push(list,
			  json_sprintf("%s/%u",
				       addr_format(&route->from[i].addr, text, sizeof(text)),
				       route->from[i].len),
			  &failed);
	return json_finish(list, failed);
}

static json_t *source_routes_json(const struct snapshot *snap, const struct service *s)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < s->source_route_count; i++) {
		const struct source_route *route = &s->source_routes[i];
		json_t *o = json_object();
		bool bad = !o;

		json_put(o, "from", sources_json(route), &bad);
		json_put(o, "pool", json_string(route->pool->name), &bad);
		json_put(o, "backend_states", object_backend_states(snap, route->pool), &bad);
		json_push(list, json_finish(o, bad), &failed);
	}
	return json_finish(list, failed);
}

static json_t *service_l4(const struct commands_env *env, const struct snapshot *snap,
			  const struct service *s)
{
	struct shunt_svc_stats stats = {0};
	json_t *o, *drops;
	bool failed;

	if (s->mode != SERVICE_L4)
		return json_null();
	if (env->l4)
		(void)l4_service_stats(env->l4, s->name, &stats); /* no row: nothing counted */
	o = json_object();
	drops = json_object();
	failed = !o || !drops;
	json_put(o, "tracking", tracking_json(s), &failed);
	json_put(o, "moves", moves_json(env, s), &failed);
	json_put(o, "nat", nat_json(env, s), &failed);
	json_put(o, "affinity", json_string(affinity_name(s->affinity)), &failed);
	json_put(o, "quic", quic_json(&s->quic), &failed);
	json_put(o, "source_routes", source_routes_json(snap, s), &failed);
	json_put(o, "ring_size", json_integer(s->ring_size), &failed);
	json_put(o, "idle_seconds", idle_json(s), &failed);
#define X(name, text) json_put_counter(o, text, stats.count[SHUNT_COUNT_##name], &failed);
	SHUNT_SVC_COUNTERS(X)
#undef X
#define X(name, text) json_put_counter(drops, text, stats.drop[SHUNT_DROP_##name], &failed);
	SHUNT_DROPS(X)
#undef X
	json_put(o, "drops", drops, &failed);
	return json_finish(o, failed);
}

static json_t *timeouts_json(const struct http_timeouts *t)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "request_header_ms",
			 (json_int_t)t->request_header, "request_body_ms",
			 (json_int_t)t->request_body, "idle_ms", (json_int_t)t->idle,
			 "response_header_ms", (json_int_t)t->response_header, "response_body_ms",
			 (json_int_t)t->response_body, "tunnel_ms", (json_int_t)t->tunnel,
			 "write_ms", (json_int_t)t->write, "tls_handshake_ms",
			 (json_int_t)t->tls_handshake);
}

/* Zero stands for "no limit", as in the configuration. */
static json_t *limits_json(const struct http_limits *l)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"request_line_bytes", l->request_line},
		{"header_bytes", l->header_bytes},
		{"header_count", l->header_count},
		{"body_bytes", l->body},
		{"chunk_extension_bytes", l->chunk_extensions},
		{"trailer_bytes", l->trailer_bytes},
		{"trailer_count", l->trailer_count},
		{"client_rate_bytes", l->client_rate},
		{"requests_per_connection", l->requests},
		{"pipelined_requests", l->pipelined},
		{"streams", l->streams},
		{"resets_per_second", l->resets},
		{"control_frames_per_second", l->control_frames},
		{"continuations", l->continuations},
		{"connections_per_worker", l->connections},
		{"tls_handshakes_per_worker", l->tls_handshakes},
	};
	json_t *o = json_object();
	bool failed = !o;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_put_int(o, rows[i].name, rows[i].value, &failed);
	return json_finish(o, failed);
}

/* A histogram: what lies between a bound and the one before. The last one has no bound. */
static json_t *durations_json(const struct service_counters *sum)
{
	json_t *list = json_array();
	bool failed = !list;

	for (unsigned i = 0; i <= DURATION_BOUNDS; i++)
		json_push(list,
			  json_pack("{s:o, s:I}", "at_most_ms",
				    i < DURATION_BOUNDS ? json_integer(duration_bounds_ms[i])
							: json_null(),
				    "requests", (json_int_t)sum->durations[i]),
			  &failed);
	return json_finish(list, failed);
}

static json_t *service_http(const struct service *s)
{
	struct service_counters sum;
	json_t *o;
	bool failed;

	if (s->mode != SERVICE_HTTP)
		return json_null();
	service_rt_sum(s->rt, &sum);
	o = json_object();
	failed = !o;
	json_put_int(o, "open_connections", (sum.connections - sum.closed), &failed);
	json_put_int(o, "open_tls_handshakes", (sum.tls_begun - sum.tls_ended), &failed);
#define X(name, text) json_put_counter(o, text, sum.name, &failed);
	SERVICE_COUNTERS(X)
#undef X
	json_put(o, "durations", durations_json(&sum), &failed);
	json_put_int(o, "killed", sum.killed, &failed);
	json_put(o, "timeouts", timeouts_json(&s->timeouts), &failed);
	json_put(o, "limits", limits_json(&s->limits), &failed);
	json_put(o, "tls", object_tls(s), &failed);
	return json_finish(o, failed);
}

json_t *object_service(const struct commands_env *env, const struct snapshot *snap,
		       const struct service *s)
{
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "name", json_string(s->name), &failed);
	json_put(o, "mode", json_string(service_mode_name(s->mode)), &failed);
	json_put(o, "listen", listens_json(s), &failed);
	json_put(o, "pool", s->pool ? json_string(s->pool->name) : json_null(), &failed);
	json_put(o, "backend_states", s->pool ? object_backend_states(snap, s->pool) : json_null(),
		 &failed);
	json_put(o, "l4", service_l4(env, snap, s), &failed);
	json_put(o, "http", service_http(s), &failed);
	json_put(o, "relay", object_relay(snap, s), &failed);
	json_put(o, "proxy_protocol", object_proxy_in(s), &failed);
	json_put(o, "guard", object_service_guard(env, s), &failed);
	json_put(o, "socket_program", steering_service_json(env->steering, s), &failed);
	return json_finish(o, failed);
}

/* ---- changes ---- */

static const char *change_kind_word(enum change_kind kind)
{
	switch (kind) {
	case CHANGE_ADDED: return "added";
	case CHANGE_REMOVED: return "removed";
	case CHANGE_CHANGED: return "changed";
	}
	return "changed";
}

json_t *object_changes(const struct change_list *changes)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < changes->count && !failed; i++) {
		const struct change *c = &changes->items[i];

		json_push(list,
			  json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:b}", "kind",
				    change_kind_word(c->kind), "object", c->object, "field",
				    c->field, "old", c->old_text, "new", c->new_text,
				    "needs_restart", c->restart),
			  &failed);
	}
	return json_finish(list, failed);
}
