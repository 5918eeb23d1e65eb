/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/top_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fields.h"

static const char *const keys[TOP_COLUMN_COUNT] = {
#define X(name, key, heading) key,
	TOP_COLUMNS(X)
#undef X
};

enum top_column top_column_of(const char *key)
{
	enum top_column c = 0;

	while (c < TOP_COLUMN_COUNT && strcmp(keys[c], key) != 0)
		c++;
	return c;
}

const char *top_column_key(enum top_column column)
{
	return keys[column];
}

static void name_of(const json_t *o, char *buf, size_t len)
{
	/* A service has a pool too, but a backend has an address. */
	if (json_is_string(json_object_get(o, "address")))
		(void)snprintf(buf, len, "%s/%s", field_text(o, "pool"), field_text(o, "name"));
	else
		(void)snprintf(buf, len, "%s", field_text(o, "name"));
}

static double sum_of(const json_t *counters)
{
	const char *name;
	json_t *value;
	double sum = 0;

	json_object_foreach ((json_t *)counters, name, value) {
		sum += (double)json_integer_value(value);
	}
	return sum;
}

/* What is counted of a service or a backend, whichever part has it. */
static void read_values(const json_t *o, double values[TOP_COLUMN_COUNT])
{
	const json_t *l4 = json_object_get(o, "l4"), *http = json_object_get(o, "http");
	bool backend = json_is_string(json_object_get(o, "address"));
	const json_t *proxied = json_is_object(http) ? http : json_object_get(o, "relay");

	values[TOP_PACKETS] = (double)field_count(l4, "packets");
	values[TOP_FLOWS] =
		(double)(field_count(l4, "new_flows") + field_count(proxied, "connections"));
	values[TOP_REQUESTS] = (double)field_count(http, "requests");
	values[TOP_BYTES] =
		(double)(field_count(proxied, "bytes_in") + field_count(proxied, "bytes_out"));
	if (!json_is_object(proxied))
		values[TOP_BYTES] = (double)field_count(l4, "bytes");
	values[TOP_ERRORS] = sum_of(json_object_get(l4, "drops")) +
			     (double)field_count(http, "responses_5xx") +
			     (double)(backend ? field_count(http, "failures") : 0);
	values[TOP_ACTIVE] = (double)(backend ? field_count(http, "active_requests")
					      : field_count(proxied, "open_connections"));
	values[TOP_LATENCY] = (double)field_count(http, "latency_us");
}

/* Of the requests that ended since, in microseconds: within a bucket they are taken to lie evenly. What took
 * longer than all bounds counts as the last of them. */
static double quantile(const json_t *before, const json_t *now, double share)
{
	double total = 0, below = 0, from = 0, sought;
	const json_t *bucket;
	size_t i;

	json_array_foreach (now, i, bucket) {
		total += (double)field_count(bucket, "requests") -
			 (double)field_count(json_array_get(before, i), "requests");
	}
	if (total <= 0)
		return 0;
	sought = total * share;
	json_array_foreach (now, i, bucket) {
		double count = (double)field_count(bucket, "requests") -
			       (double)field_count(json_array_get(before, i), "requests");
		double to = (double)field_count(bucket, "at_most_ms");

		if (to > 0 && count > 0 && below + count >= sought)
			return (from + (to - from) * (sought - below) / count) * 1000;
		below += count;
		from = to > 0 ? to : from;
	}
	return from * 1000;
}

static const json_t *find(const json_t *list, const char *name)
{
	char other[sizeof(((struct top_row *)0)->name)];
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		name_of(o, other, sizeof(other));
		if (!strcmp(other, name))
			return o;
	}
	return NULL;
}

static void fill(const json_t *before, const json_t *o, double seconds, struct top_row *row)
{
	double then[TOP_COLUMN_COUNT];
	const char *state = json_string_value(json_object_get(o, "state"));
	const json_t *former;

	name_of(o, row->name, sizeof(row->name));
	(void)snprintf(row->state, sizeof(row->state), "%s", state ? state : field_text(o, "mode"));
	read_values(o, row->value);
	former = find(before, row->name);
	if (former)
		read_values(former, then);
	for (enum top_column c = 0; TOP_IS_RATE(c); c++) {
		double more = former ? row->value[c] - then[c] : 0;

		row->value[c] = more > 0 && seconds > 0 ? more / seconds : 0;
	}
	if (former) {
		former = json_object_get(json_object_get(former, "http"), "durations");
		o = json_object_get(json_object_get(o, "http"), "durations");
		row->value[TOP_P50] = quantile(former, o, 0.50);
		row->value[TOP_P99] = quantile(former, o, 0.99);
	}
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct top_row *x = a, *y = b;
	enum top_column sort = *(const enum top_column *)ctx;

	if (x->value[sort] != y->value[sort])
		return x->value[sort] < y->value[sort] ? 1 : -1;
	return strcmp(x->name, y->name);
}

bool top_rows(const json_t *before, const json_t *now, double seconds, enum top_column sort,
	      struct top_row **ret_rows, size_t *ret_count)
{
	size_t count = json_array_size(now), i;
	struct top_row *rows = calloc(count + 1, sizeof(*rows));
	const json_t *o;

	if (!rows)
		return false;
	json_array_foreach (now, i, o) {
		fill(before, o, seconds, &rows[i]);
	}
	qsort_r(rows, count, sizeof(*rows), compare, &sort);
	*ret_rows = rows;
	*ret_count = count;
	return true;
}
