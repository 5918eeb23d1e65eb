/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of pools whose backends are found: see metrics_int.h. */
#include "control/discover_int.h"
#include "control/metrics_int.h"

typedef uint64_t (*source_value)(const struct source *s);

static uint64_t found_of(const struct source *s)
{
	const struct found_set *set = source_current(s);

	return set ? set->count : 0;
}

static uint64_t failing_of(const struct source *s)
{
	return s->error[0] != 0;
}

#define X(name)                                                                                    \
	static uint64_t name##_of(const struct source *s)                                          \
	{                                                                                          \
		return s->name;                                                                    \
	}
DISCOVER_COUNTERS(X)
#undef X

static const struct {
	const char *name, *help;
	enum metric_kind kind;
	source_value value;
} families[] = {
	{"shunt_discover_backends", "Backends that were found for a pool.", METRIC_GAUGE, found_of},
	{"shunt_discover_failing", "1: the last answer, or list, was not good.", METRIC_GAUGE,
	 failing_of},
#define X(name)                                                                                    \
	{"shunt_discover_" #name "_total", "Counted of a pool's discovery: see shunt-metrics(7).", \
	 METRIC_COUNTER, name##_of},
	DISCOVER_COUNTERS(X)
#undef X
};

void metrics_discover(struct exposition *e, const struct discover *d, size_t max)
{
	for (size_t f = 0; d && d->count && f < sizeof(families) / sizeof(families[0]); f++) {
		exposition_family(e, families[f].name, families[f].kind, families[f].help);
		for (size_t i = 0; i < d->count && i < max; i++) {
			const struct source *s = d->sources[i];

			exposition_count(
				e,
				(const struct label[]){{"pool", s->pool},
						       {"kind", discover_kind_name(s->conf.kind)},
						       {0}},
				families[f].value(s));
		}
	}
}
