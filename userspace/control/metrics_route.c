/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of routes: see metrics_int.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/route_label.h"
#include "conf/route_set.h"
#include "conf/runtime.h"
#include "control/metrics_int.h"

#define CLASSES		4
#define LABELS_OF_ROUTE 1000 /* of all workers together */

static const char *const classes[CLASSES] = {"2xx", "3xx", "4xx", "5xx"};

struct row {
	const char *service, *route;
	const struct route_rt *rt;  /* NULL: it has no labels */
	char number[ROUTE_KEY_MAX]; /* what route points to where there is no name */
	struct route_counters sum;
};

/* Of a route, by a text of its requests. */
struct label_row {
	const struct row *of;
	struct route_label sum;
};

static size_t routes_of(const struct service *s)
{
	return s->routes ? s->routes->table.count : 0;
}

static size_t read_rows(const struct snapshot *snap, size_t max, struct row *rows)
{
	size_t count = 0;

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; k < routes_of(s) && count < max; k++) {
			const struct route *r = &s->routes->table.routes[k];
			const struct route_action *a = r->action;
			struct row *row = &rows[count++];

			row->service = s->name;
			row->rt = a->label ? a->rt : NULL;
			row->route = route_key(s->routes, r, row->number);
			route_rt_sum(a->rt, &row->sum);
		}
	}
	return count;
}

static void add_counter(struct exposition *e, const struct row *rows, size_t count,
			const char *text, size_t offset)
{
	struct counter_name name;

	if (counter_is_of_class(text))
		return;
	exposition_family(e, counter_family(&name, "shunt_route_", text), METRIC_COUNTER,
			  "Counted by the proxy for a route: see shunt-metrics(7).");
	for (size_t i = 0; i < count; i++)
		exposition_count(e,
				 (const struct label[]){{"service", rows[i].service},
							{"route", rows[i].route},
							{0}},
				 *(const _Atomic uint64_t *)((const char *)&rows[i].sum + offset));
}

static void add_responses(struct exposition *e, const struct row *rows, size_t count)
{
	exposition_family(e, "shunt_route_responses_total", METRIC_COUNTER,
			  "Responses to requests of a route, by the class of their status.");
	for (size_t i = 0; i < count; i++) {
		const struct route_counters *n = &rows[i].sum;
		const uint64_t of[CLASSES] = {n->responses_2xx, n->responses_3xx, n->responses_4xx,
					      n->responses_5xx};

		for (size_t k = 0; k < CLASSES; k++)
			exposition_count(e,
					 (const struct label[]){{"service", rows[i].service},
								{"route", rows[i].route},
								{"code", classes[k]},
								{0}},
					 of[k]);
	}
}

static void add_label_requests(struct exposition *e, const struct label_row *rows, size_t count)
{
	exposition_family(e, "shunt_route_label_requests_total", METRIC_COUNTER,
			  "Requests of a route by the text that its label makes of them.");
	for (size_t i = 0; i < count; i++)
		exposition_count(e,
				 (const struct label[]){{"service", rows[i].of->service},
							{"route", rows[i].of->route},
							{"label", rows[i].sum.text},
							{0}},
				 rows[i].sum.requests);
}

static void add_label_responses(struct exposition *e, const struct label_row *rows, size_t count)
{
	exposition_family(e, "shunt_route_label_responses_total", METRIC_COUNTER,
			  "Responses to them, by the class of their status.");
	for (size_t i = 0; i < count; i++) {
		const struct route_label *n = &rows[i].sum;

		for (size_t k = 0; k < ROUTE_LABEL_CLASSES; k++)
			exposition_count(e,
					 (const struct label[]){{"service", rows[i].of->service},
								{"route", rows[i].of->route},
								{"label", n->text},
								{"code", classes[k]},
								{0}},
					 n->responses[k]);
	}
}

/* What finds no room within a route is its (other). ret_left: routes that have none at all. */
static size_t read_labels(const struct row *rows, size_t count, size_t max, struct label_row *to,
			  size_t *ret_left)
{
	static struct route_label sums[LABELS_OF_ROUTE]; /* main thread alone */
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		size_t room = max - found < LABELS_OF_ROUTE ? max - found : LABELS_OF_ROUTE, n = 0;

		if (rows[i].rt && room)
			n = route_rt_sum_labels(rows[i].rt, sums, room);
		else if (rows[i].rt)
			++*ret_left;
		for (size_t k = 0; k < n; k++)
			to[found++] = (struct label_row){&rows[i], sums[k]};
	}
	return found;
}

/* Up to `max` of all routes together. */
static void add_labels(struct exposition *e, const struct row *rows, size_t count, size_t max,
		       size_t *ret_left, bool *failed)
{
	struct label_row *labels;
	size_t labelled = 0, found;

	for (size_t i = 0; i < count; i++)
		labelled += rows[i].rt != NULL;
	if (!labelled)
		return;
	if (max > labelled * LABELS_OF_ROUTE)
		max = labelled * LABELS_OF_ROUTE;
	labels = calloc(max + 1, sizeof(*labels));
	if (!labels) {
		*failed = true;
		return;
	}
	found = read_labels(rows, count, max, labels, ret_left);
	add_label_requests(e, labels, found);
	add_label_responses(e, labels, found);
	free(labels);
}

size_t metrics_routes(struct exposition *e, const struct snapshot *snap, size_t max,
		      size_t *ret_labels, bool *failed)
{
	struct row *rows;
	size_t total = 0, count;

	*ret_labels = 0;
	for (size_t i = 0; i < snap->service_count; i++)
		total += routes_of(&snap->services[i]);
	count = total < max ? total : max;
	rows = aligned_alloc(_Alignof(struct row), (count + 1) * sizeof(*rows));
	if (!rows) {
		*failed = true;
		return 0;
	}
	count = read_rows(snap, count, rows);
#define X(name, text) add_counter(e, rows, count, text, offsetof(struct route_counters, name));
	ROUTE_COUNTERS(X)
#undef X
	add_responses(e, rows, count);
	add_labels(e, rows, count, max, ret_labels, failed);
	free(rows);
	return total - count;
}
