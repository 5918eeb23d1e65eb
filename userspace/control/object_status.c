/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of the whole daemon: see objects.h. */
#include <stdlib.h>
#include <unistd.h>

#include "control/message.h"
#include "control/config_file.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "control/steering.h"
#include "control/takeover.h"
#include "control/upgrade.h"
#include "core/clock.h"
#include "l4/l4.h"
#include "l4/nat_sweep.h"
#include "l4/reconcile.h"
#include "loader/loader.h"
#include "loader/maps.h"
#include "worker/worker.h"

static json_t *attachments_json(struct loader *l)
{
	struct attachment *list = NULL;
	size_t count = 0;
	json_t *out;
	bool failed;

	if (loader_attachments(l, &list, &count))
		return json_null(); /* the kernel did not say */
	out = json_array();
	failed = !out;
	for (size_t i = 0; i < count; i++) {
		const struct attachment *a = &list[i];

		json_push(out,
			  json_pack("{s:s, s:i, s:s, s:s, s:I}", "name", a->ifname, "ifindex",
				    a->ifindex, "mode",
				    a->mode == ATTACH_NATIVE ? "native" : "generic", "kind",
				    a->kind == ATTACH_DISPATCHER ? "dispatcher" : "single",
				    "program_id", (json_int_t)a->prog_id),
			  &failed);
	}
	free(list);
	return json_finish(out, failed);
}

static json_t *tables_json(struct loader *l, bool flows)
{
	struct loader_sizes sizes = {0};
	uint64_t established = 0, pending = 0;
	bool counted = flows && !maps_flow_count(l, &established, &pending);
	json_t *o = json_object();
	bool failed = !o;

	maps_sizes(l, &sizes);
	json_put_int(o, "services_max", sizes.services, &failed);
	json_put_int(o, "backends_max", sizes.backends, &failed);
	json_put_int(o, "ring_slots_max", sizes.ring_slots, &failed);
	json_put_int(o, "flows_max", sizes.flows, &failed);
	json_put_int(o, "pending_flows_max", sizes.pending, &failed);
	json_put_int(o, "nat_flows_max", sizes.nat, &failed);
	json_put_int(o, "memory_bytes", maps_memory(l), &failed);
	json_put(o, "flows", counted ? json_integer((json_int_t)established) : json_null(),
		 &failed);
	json_put(o, "pending_flows", counted ? json_integer((json_int_t)pending) : json_null(),
		 &failed);
	return json_finish(o, failed);
}

/* As the last sweep has found it; null: there was none, as without NAT. */
static json_t *nat_json(const struct nat_use *use)
{
	char text[ADDR_STRLEN];
	json_t *o, *sources;
	bool failed;

	if (!use)
		return json_null();
	o = json_object();
	sources = json_array();
	failed = !o || !sources;
	for (size_t i = 0; i < use->source_count && !failed; i++) {
		const struct nat_source_use *s = &use->sources[i];

		json_push(sources,
			  json_pack("{s:s, s:I, s:I}", "address",
				    addr_format(&s->addr, text, sizeof(text)), "tcp",
				    (json_int_t)s->flows[0], "udp", (json_int_t)s->flows[1]),
			  &failed);
	}
	json_put_int(o, "flows", use->flows[0] + use->flows[1], &failed);
	json_put(o, "sources", sources, &failed);
	return json_finish(o, failed);
}

static json_t *verdicts_json(struct loader *l)
{
	uint64_t sum[SHUNT_VERDICT_COUNT];
	json_t *o;
	bool failed;

	if (maps_verdicts(l, sum))
		return json_null();
	o = json_object();
	failed = !o;
#define X(name, text) json_put_counter(o, text, sum[SHUNT_VERDICT_##name], &failed);
	SHUNT_VERDICTS(X)
#undef X
	return json_finish(o, failed);
}

/* What was found changed by another in the kernel's tables. */
static json_t *drift_json(const struct reconcile *r)
{
	json_t *o = json_object();
	bool failed = !o;

	json_put_int(o, "passes", r->runs, &failed);
	json_put_int(o, "repaired", r->repaired, &failed);
	json_put(o, "last", r->repaired_ms ? json_text(r->repaired_row) : json_null(), &failed);
	json_put(o, "last_age_ms",
		 r->repaired_ms ? json_integer((json_int_t)(clock_now_ms() - r->repaired_ms))
				: json_null(),
		 &failed);
	return json_finish(o, failed);
}

static json_t *l4_json(const struct commands_env *env, const struct snapshot *snap, bool flows)
{
	struct loader *l;
	json_t *o;
	bool failed;

	if (!env->l4)
		return json_null();
	l = l4_loader(env->l4);
	o = json_object();
	failed = !o;
	json_put(o, "interfaces", attachments_json(l), &failed);
	json_put(o, "pin_path", json_string(snap->node.pin_path), &failed);
	json_put(o, "tables_adopted", json_boolean(loader_adopted(l)), &failed);
	json_put(o, "program_replaced", json_boolean(loader_replaced(l)), &failed);
	json_put(o, "tables", tables_json(l, flows), &failed);
	json_put(o, "nat", nat_json(l4_nat_use(env->l4)), &failed);
	json_put(o, "verdicts", verdicts_json(l), &failed);
	json_put(o, "drift", drift_json(l4_reconciled(env->l4)), &failed);
	json_put_int(o, "lingering_backends", reload_lingering(env->reload), &failed);
	return json_finish(o, failed);
}

/* state: whose requests are refused, some or all: those of that priority and below. */
static json_t *overload_json(const struct workers_status *w)
{
	static const char *const states[] = {"none", "low", "normal", "high"};
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "state", json_string(states[(w->pressure + OVERLOAD_STEP - 1) / OVERLOAD_STEP]),
		 &failed);
	json_put_int(o, "pressure_permille", w->pressure, &failed);
	json_put_int(o, "lag_us", w->lag_us, &failed);
	json_put_int(o, "memory_bytes", w->memory, &failed);
	json_put_int(o, "waiting_requests", w->waiting, &failed);
	json_put_int(o, "workers_not_accepting", w->full, &failed);
	return json_finish(o, failed);
}

static json_t *proxy_json(const struct commands_env *env, const struct snapshot *snap)
{
	struct workers_status w = {0};
	json_t *o = json_object();
	bool failed = !o;

	workers_status(env->workers, &w);
	json_put_int(o, "workers", w.count, &failed);
	json_put_int(o, "oldest_generation", w.generation, &failed);
	json_put_int(o, "open_connections", w.connections, &failed);
	json_put_int(o, "idle_backend_connections", w.upstream_idle, &failed);
	json_put_int(o, "buffer_bytes", w.buffer_bytes, &failed);
	json_put(o, "overload", overload_json(&w), &failed);
	json_put(o, "socket_program", steering_json(env->steering, snap), &failed);
	return json_finish(o, failed);
}

static json_t *upgrade_json(const struct commands_env *env)
{
	const char *failure = upgrade_last_failure(env->upgrade);
	const struct takeover *from = env->takeover;
	pid_t pid;
	const char *state = upgrade_state(env->upgrade, &pid);
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "state", json_string(state), &failed);
	json_put(o, "pid", pid ? json_integer(pid) : json_null(), &failed);
	json_put(o, "last_failure", failure ? json_text(failure) : json_null(), &failed);
	json_put(o, "took_over_from_pid",
		 takeover_is_wanted(from) ? json_integer(from->from.pid) : json_null(), &failed);
	json_put(o, "took_over_from_version",
		 takeover_is_wanted(from) ? json_text(from->from.version) : json_null(), &failed);
	return json_finish(o, failed);
}

json_t *object_version(void)
{
	return json_pack("{s:s, s:i, s:i}", "version", SHUNT_VERSION, "api", API_VERSION, "abi",
			 SHUNT_ABI_VERSION);
}

json_t *object_status(const struct commands_env *env, const struct snapshot *snap, bool unsaved,
		      bool flows)
{
	json_t *o = object_version();
	bool failed = !o;

	json_put_int(o, "pid", (uint64_t)getpid(), &failed);
	json_put(o, "state", json_string(env->stopping ? "stopping" : "running"), &failed);
	json_put(o, "upgrade", upgrade_json(env), &failed);
	json_put_int(o, "uptime_seconds", (clock_now_ms() - env->started_ms) / 1000, &failed);
	json_put_int(o, "generation", snap->generation, &failed);
	json_put(o, "config_file", json_text(env->config_path), &failed);
	json_put(o, "started_from_generation",
		 env->file->fallback ? json_integer((json_int_t)env->file->fallback) : json_null(),
		 &failed);
	json_put(o, "unsaved_changes", json_boolean(unsaved), &failed);
	json_put(o, "restart_needed_for", object_changes(reload_restart_changes(env->reload)),
		 &failed);
	json_put_int(o, "services", snap->service_count, &failed);
	json_put_int(o, "pools", snap->pool_count, &failed);
	json_put(o, "backend_states", object_backend_states(snap, NULL), &failed);
	json_put(o, "proxy", proxy_json(env, snap), &failed);
	json_put(o, "l4", l4_json(env, snap, flows), &failed);
	return json_finish(o, failed);
}
