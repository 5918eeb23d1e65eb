/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of pools and backends: see metrics_int.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"
#include "control/metrics_int.h"
#include "control/objects.h"
#include "l4/l4.h"

struct row {
	const struct backend *backend;
	struct backend_counters proxied;
	struct shunt_be_stats l4;
	bool is_steered;
};

static void add_states(struct exposition *e, const struct snapshot *snap)
{
	static const char *const words[] = {"up", "down", "draining", "disabled"};

	exposition_family(e, "shunt_pool_backends", METRIC_GAUGE,
			  "Backends of a pool, by their state.");
	for (size_t i = 0; i < snap->pool_count; i++) {
		const struct pool *p = &snap->pools[i];

		for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
			uint64_t n = 0;

			for (size_t k = 0; k < p->backend_count; k++)
				n += !strcmp(backend_state_word(&p->backends[k]), words[w]);
			exposition_count(
				e,
				(const struct label[]){{"pool", p->name}, {"state", words[w]}, {0}},
				n);
		}
	}
}

/* Rows of the first max backends of all pools. Their number; *failed: out of memory. */
static size_t read_rows(const struct commands_env *env, const struct snapshot *snap, size_t max,
			struct row *rows, bool *failed)
{
	size_t count = 0;

	for (size_t i = 0; i < snap->pool_count && count < max; i++) {
		const struct pool *p = &snap->pools[i];
		bool is_steered = env->l4 && p->forward != FORWARD_PROXY;
		struct shunt_be_stats *stats = calloc(p->backend_count + 1, sizeof(*stats));

		if (!stats || (is_steered && l4_pool_stats(env->l4, p, stats)))
			*failed = true;
		for (size_t k = 0; !*failed && k < p->backend_count && count < max; k++) {
			struct row *r = &rows[count++];

			r->backend = &p->backends[k];
			r->is_steered = is_steered;
			r->l4 = stats[k];
			backend_rt_sum(r->backend->rt, &r->proxied);
		}
		free(stats);
	}
	return count;
}

#define LABELS(r)                                                                                  \
	((const struct label[]){                                                                   \
		{"pool", (r)->backend->pool->name}, {"backend", (r)->backend->name}, {0}})

#define EACH(name, kind, help, fits, value)                                                        \
	do {                                                                                       \
		exposition_family(e, name, kind, help);                                            \
		for (const struct row *r = rows; r < rows + count; r++)                            \
			if (fits)                                                                  \
				exposition_count(e, LABELS(r), value);                             \
	} while (0)

static void add_health(struct exposition *e, const struct row *rows, size_t count)
{
	EACH("shunt_backend_usable", METRIC_GAUGE, "1: it is given new flows or requests.", true,
	     backend_is_usable(r->backend));
	EACH("shunt_backend_healthy", METRIC_GAUGE, "0: its checks find it down.", true,
	     atomic_load(&r->backend->rt->health) != HEALTH_DOWN);
	EACH("shunt_backend_weight", METRIC_GAUGE, "Its weight.", true, r->backend->weight);
	EACH("shunt_backend_health_checks_total", METRIC_COUNTER, "Checks that were made.", true,
	     r->backend->rt->health_checks);
	EACH("shunt_backend_health_failures_total", METRIC_COUNTER, "Checks that failed.", true,
	     r->backend->rt->health_failures);
	EACH("shunt_backend_health_transitions_total", METRIC_COUNTER,
	     "Changes of what its checks find it to be.", true, r->backend->rt->health_transitions);
}

static void add_counters(struct exposition *e, const struct row *rows, size_t count)
{
	struct counter_name name;

#define PROXIED (r->backend->pool->forward == FORWARD_PROXY)
	EACH("shunt_backend_active_requests", METRIC_GAUGE, "Requests that it is at work at.",
	     PROXIED, r->proxied.active_up - r->proxied.active_down);
#define X(field, text)                                                                             \
	if (strncmp(text, "active-", 7) != 0)                                                      \
		EACH(counter_family(&name, "shunt_backend_", text), METRIC_COUNTER,                \
		     "Counted by the proxy for a backend: see shunt-metrics(7).", PROXIED,         \
		     r->proxied.field);
	BACKEND_COUNTERS(X)
#undef X
#undef PROXIED
	EACH("shunt_l4_backend_packets_total", METRIC_COUNTER, "Packets that it was sent.",
	     r->is_steered, r->l4.packets);
	EACH("shunt_l4_backend_sent_bytes_total", METRIC_COUNTER, "The same, in bytes.",
	     r->is_steered, r->l4.bytes);
	EACH("shunt_l4_backend_new_flows_total", METRIC_COUNTER, "Flows that began there.",
	     r->is_steered, r->l4.new_flows);
}

size_t metrics_backends(struct exposition *e, const struct commands_env *env,
			const struct snapshot *snap, size_t max, bool *failed)
{
	size_t all = 0, count;
	struct row *rows;

	for (size_t i = 0; i < snap->pool_count; i++)
		all += snap->pools[i].backend_count;
	if (max > all)
		max = all;
	add_states(e, snap);
	rows = aligned_alloc(_Alignof(struct row), (max + 1) * sizeof(*rows));
	if (!rows) {
		*failed = true;
		return 0;
	}
	memset(rows, 0, (max + 1) * sizeof(*rows));
	count = read_rows(env, snap, max, rows, failed);
	if (!*failed) {
		add_health(e, rows, count);
		add_counters(e, rows, count);
	}
	free(rows);
	return all - count;
}
