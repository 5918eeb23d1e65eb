/* SPDX-License-Identifier: BSD-2-Clause */
/* Prometheus' text format: see exposition.h. */
#include "admin/exposition.h"

#include <inttypes.h>
#include <stdio.h>

#define BOUND_TEXT 32

void exposition_init(struct exposition *e)
{
	strbuf_init(&e->text);
	e->family = "";
}

void exposition_family(struct exposition *e, const char *name, enum metric_kind kind,
		       const char *help)
{
	static const char *const kinds[] = {
		[METRIC_GAUGE] = "gauge",
		[METRIC_COUNTER] = "counter",
		[METRIC_HISTOGRAM] = "histogram",
	};

	e->family = name;
	strbuf_printf(&e->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kinds[kind]);
}

/* A value cannot end its quotes, nor its line. */
static void add_escaped(struct strbuf *b, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '\\': strbuf_add(b, "\\\\"); break;
		case '"': strbuf_add(b, "\\\""); break;
		case '\n': strbuf_add(b, "\\n"); break;
		default: strbuf_add_bytes(b, text, 1); break;
		}
	}
}

/* The series' name and labels, of which extra, if it has a name, is the last. */
static void add_series(struct exposition *e, const char *suffix, const struct label *labels,
		       struct label extra)
{
	const char *separator = "{";

	strbuf_printf(&e->text, "%s%s", e->family, suffix);
	for (; labels && labels->name; labels++) {
		strbuf_printf(&e->text, "%s%s=\"", separator, labels->name);
		add_escaped(&e->text, labels->value);
		strbuf_add(&e->text, "\"");
		separator = ",";
	}
	if (extra.name) {
		strbuf_printf(&e->text, "%s%s=\"%s\"", separator, extra.name, extra.value);
		separator = ",";
	}
	strbuf_add(&e->text, separator[0] == '{' ? " " : "} ");
}

void exposition_count(struct exposition *e, const struct label *labels, uint64_t value)
{
	add_series(e, "", labels, (struct label){0});
	strbuf_printf(&e->text, "%" PRIu64 "\n", value);
}

void exposition_number(struct exposition *e, const struct label *labels, double value)
{
	add_series(e, "", labels, (struct label){0});
	strbuf_printf(&e->text, "%.15g\n", value);
}

void exposition_histogram(struct exposition *e, const struct label *labels, const double *bounds,
			  const uint64_t *counts, unsigned bound_count, double sum)
{
	char bound[BOUND_TEXT];
	uint64_t total = 0;

	for (unsigned i = 0; i <= bound_count; i++) {
		total += counts[i];
		if (i < bound_count)
			(void)snprintf(bound, sizeof(bound), "%.10g", bounds[i]); /* fits */
		add_series(e, "_bucket", labels,
			   (struct label){"le", i < bound_count ? bound : "+Inf"});
		strbuf_printf(&e->text, "%" PRIu64 "\n", total);
	}
	add_series(e, "_sum", labels, (struct label){0});
	strbuf_printf(&e->text, "%.15g\n", sum);
	add_series(e, "_count", labels, (struct label){0});
	strbuf_printf(&e->text, "%" PRIu64 "\n", total);
}
