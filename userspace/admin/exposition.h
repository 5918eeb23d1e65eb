/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metrics as Prometheus reads them (text format 0.0.4): families, one after another, each with all its
 * series. Pure; the caller's thread.
 */
#ifndef ADMIN_EXPOSITION_H
#define ADMIN_EXPOSITION_H

#include <stdint.h>

#include "core/strbuf.h"

enum metric_kind { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM };

/* A label; the last one of a list has no name. */
struct label {
	const char *name, *value;
};

struct exposition {
	struct strbuf text;
	const char *family; /* the one that is being written; borrowed */
};

/* strbuf_deinit() or strbuf_take() of text ends it. */
void exposition_init(struct exposition *e);

/* The next family; what follows belongs to it. name must live as long as it is being written. */
void exposition_family(struct exposition *e, const char *name, enum metric_kind kind,
		       const char *help);

/* One series. labels may be NULL. */
void exposition_count(struct exposition *e, const struct label *labels, uint64_t value);
void exposition_number(struct exposition *e, const struct label *labels, double value);

/* counts: of each bucket alone, with one more for what is over the last bound. bounds: seconds. */
void exposition_histogram(struct exposition *e, const struct label *labels, const double *bounds,
			  const uint64_t *counts, unsigned bound_count, double sum);

#endif
