/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of services: see metrics_int.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"
#include "control/metrics_int.h"
#include "l4/l4.h"
#include "tls/cert.h"

/* What is counted of a service, read once for all families. */
struct service_sums {
	struct service_counters proxied;
	struct shunt_svc_stats l4;
};

static bool is_l4(const struct service *s)
{
	return s->mode == SERVICE_L4;
}

static bool is_http(const struct service *s)
{
	return s->mode == SERVICE_HTTP;
}

/* ---- http, tcp, tls ---- */

static void add_gauges(struct exposition *e, const struct snapshot *snap, size_t count,
		       const struct service_sums *sums)
{
	exposition_family(e, "shunt_service_open_connections", METRIC_GAUGE,
			  "Client connections that are open.");
	for (size_t i = 0; i < count; i++)
		if (!is_l4(&snap->services[i]))
			exposition_count(
				e, (const struct label[]){{"service", snap->services[i].name}, {0}},
				sums[i].proxied.connections - sums[i].proxied.closed);
	exposition_family(e, "shunt_service_open_tls_handshakes", METRIC_GAUGE,
			  "TLS handshakes under way.");
	for (size_t i = 0; i < count; i++)
		if (service_has_tls(&snap->services[i]))
			exposition_count(
				e, (const struct label[]){{"service", snap->services[i].name}, {0}},
				sums[i].proxied.tls_begun - sums[i].proxied.tls_ended);
}

static void add_responses(struct exposition *e, const struct snapshot *snap, size_t count,
			  const struct service_sums *sums)
{
	exposition_family(e, "shunt_service_responses_total", METRIC_COUNTER,
			  "Responses to clients, by the class of their status.");
	for (size_t i = 0; i < count; i++) {
		const struct service_counters *n = &sums[i].proxied;
		const uint64_t of[] = {n->responses_1xx, n->responses_2xx, n->responses_3xx,
				       n->responses_4xx, n->responses_5xx};
		static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

		for (size_t k = 0; is_http(&snap->services[i]) && k < 5; k++)
			exposition_count(e,
					 (const struct label[]){{"service", snap->services[i].name},
								{"code", classes[k]},
								{0}},
					 of[k]);
	}
}

static void add_durations(struct exposition *e, const struct snapshot *snap, size_t count,
			  const struct service_sums *sums)
{
	double bounds[DURATION_BOUNDS];
	uint64_t counts[DURATION_BOUNDS + 1];

	for (unsigned k = 0; k < DURATION_BOUNDS; k++)
		bounds[k] = duration_bounds_ms[k] / 1e3;
	exposition_family(e, "shunt_service_request_duration_seconds", METRIC_HISTOGRAM,
			  "From the end of a request's header to the end of its response.");
	for (size_t i = 0; i < count; i++) {
		if (!is_http(&snap->services[i]))
			continue;
		for (unsigned k = 0; k <= DURATION_BOUNDS; k++)
			counts[k] = sums[i].proxied.durations[k];
		exposition_histogram(
			e, (const struct label[]){{"service", snap->services[i].name}, {0}}, bounds,
			counts, DURATION_BOUNDS, (double)sums[i].proxied.duration_ms / 1e3);
	}
}

static void add_counter(struct exposition *e, const struct snapshot *snap, size_t count,
			const struct service_sums *sums, const char *text, size_t offset,
			bool (*fits)(const struct service *s))
{
	struct counter_name name;

	if (counter_is_of_class(text))
		return;
	exposition_family(e, counter_family(&name, "shunt_service_", text), METRIC_COUNTER,
			  "Counted by the proxy for a service: see shunt-metrics(7).");
	for (size_t i = 0; i < count; i++)
		if (!is_l4(&snap->services[i]) && (!fits || fits(&snap->services[i])))
			exposition_count(
				e, (const struct label[]){{"service", snap->services[i].name}, {0}},
				*(const _Atomic uint64_t *)((const char *)&sums[i].proxied +
							    offset));
}

static void add_proxied(struct exposition *e, const struct snapshot *snap, size_t count,
			const struct service_sums *sums)
{
#define X(name, text)                                                                              \
	add_counter(e, snap, count, sums, text, offsetof(struct service_counters, name), is_http);
	SERVICE_COUNTERS(X)
#undef X
#define X(name, text)                                                                              \
	add_counter(e, snap, count, sums, text, offsetof(struct service_counters, name), NULL);
	RELAY_COUNTERS(X)
#undef X
	add_responses(e, snap, count, sums);
	add_durations(e, snap, count, sums);
	add_gauges(e, snap, count, sums);
}

/* ---- l4 ---- */

static void add_l4_counter(struct exposition *e, const struct snapshot *snap, size_t count,
			   const struct service_sums *sums, const char *text, unsigned which)
{
	struct counter_name name;

	exposition_family(e, counter_family(&name, "shunt_l4_", text), METRIC_COUNTER,
			  "Counted by the kernel's program for a service: see shunt-metrics(7).");
	for (size_t i = 0; i < count; i++)
		if (is_l4(&snap->services[i]))
			exposition_count(
				e, (const struct label[]){{"service", snap->services[i].name}, {0}},
				sums[i].l4.count[which]);
}

static void add_drops(struct exposition *e, const struct snapshot *snap, size_t count,
		      const struct service_sums *sums)
{
	static const char *const reasons[] = {
#define X(name, text) text,
		SHUNT_DROPS(X)
#undef X
	};

	exposition_family(e, "shunt_l4_drops_total", METRIC_COUNTER,
			  "Packets for a service that were dropped, by why.");
	for (size_t i = 0; i < count; i++)
		for (unsigned k = 0; is_l4(&snap->services[i]) && k < SHUNT_DROP_COUNT; k++)
			exposition_count(e,
					 (const struct label[]){{"service", snap->services[i].name},
								{"reason", reasons[k]},
								{0}},
					 sums[i].l4.drop[k]);
}

static void add_slots(struct exposition *e, const struct commands_env *env,
		      const struct snapshot *snap, size_t count)
{
	struct l4_moves m;

	exposition_family(e, "shunt_l4_ring_slots", METRIC_GAUGE,
			  "Slots of a service's ring: moving ones remember where flows began.");
	for (size_t i = 0; i < count; i++) {
		const char *name = snap->services[i].name;

		if (!is_l4(&snap->services[i]) || l4_service_moves(env->l4, name, &m))
			continue;
		exposition_count(
			e, (const struct label[]){{"service", name}, {"state", "settled"}, {0}},
			m.settled);
		exposition_count(
			e, (const struct label[]){{"service", name}, {"state", "moving"}, {0}},
			m.moving);
	}
}

static void add_l4(struct exposition *e, const struct commands_env *env,
		   const struct snapshot *snap, size_t count, const struct service_sums *sums)
{
	if (!env->l4)
		return;
#define X(name, text) add_l4_counter(e, snap, count, sums, text, SHUNT_COUNT_##name);
	SHUNT_SVC_COUNTERS(X)
#undef X
	add_drops(e, snap, count, sums);
	add_slots(e, env, snap, count);
}

/* ---- all of them ---- */

void metrics_services(struct exposition *e, const struct commands_env *env,
		      const struct snapshot *snap, size_t count, bool *failed)
{
	struct service_sums *sums =
		aligned_alloc(_Alignof(struct service_sums), (count + 1) * sizeof(*sums));

	if (!sums) {
		*failed = true;
		return;
	}
	memset(sums, 0, (count + 1) * sizeof(*sums));
	exposition_family(e, "shunt_service_info", METRIC_GAUGE, "A service, always 1.");
	for (size_t i = 0; i < count; i++) {
		const struct service *s = &snap->services[i];

		if (is_l4(s) && env->l4)
			(void)l4_service_stats(env->l4, s->name, &sums[i].l4); /* no row: zeros */
		else if (!is_l4(s))
			service_rt_sum(s->rt, &sums[i].proxied);
		exposition_count(e,
				 (const struct label[]){{"service", s->name},
							{"mode", service_mode_name(s->mode)},
							{0}},
				 1);
	}
	add_proxied(e, snap, count, sums);
	add_l4(e, env, snap, count, sums);
	free(sums);
}
