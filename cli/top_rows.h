/* SPDX-License-Identifier: BSD-2-Clause */
/* Rates of services or backends, from what the daemon counts at two moments. Pure. */
#ifndef CLI_TOP_ROWS_H
#define CLI_TOP_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is shown of each: X(NAME, "key", "HEADING"). Up to ERRORS they are counters, shown by the
 * second; ACTIVE and LATENCY (of backends) are as they are now; P50 and P99 are of the requests of services that
 * ended in between, in microseconds, as exact as the buckets that the daemon counts them in. */
#define TOP_COLUMNS(X)                                                                             \
	X(PACKETS, "packets", ">PACKETS/s")                                                        \
	X(FLOWS, "new_flows", ">FLOWS/s")                                                          \
	X(REQUESTS, "requests", ">REQUESTS/s")                                                     \
	X(BYTES, "bytes", ">BYTES/s")                                                              \
	X(ERRORS, "errors", ">ERRORS/s")                                                           \
	X(ACTIVE, "active", ">ACTIVE")                                                             \
	X(LATENCY, "latency_us", ">LATENCY")                                                       \
	X(P50, "p50_us", ">P50")                                                                   \
	X(P99, "p99_us", ">P99")

enum top_column {
#define X(name, key, heading) TOP_##name,
	TOP_COLUMNS(X)
#undef X
		TOP_COLUMN_COUNT
};

#define TOP_IS_RATE(column) ((column) < TOP_ACTIVE)

/* By its key; TOP_COLUMN_COUNT: there is none. */
enum top_column top_column_of(const char *key);
const char *top_column_key(enum top_column column);

struct top_row {
	char name[136];
	char state[32];
	double value[TOP_COLUMN_COUNT];
};

/* now, before: arrays of services or backends; before NULL: no rates, zero. Who was not there before has
 * none, and a counter that went back has none for once. ret_rows: malloc'ed, the greatest of `sort` first.
 * False: out of memory. */
bool top_rows(const json_t *before, const json_t *now, double seconds, enum top_column sort,
	      struct top_row **ret_rows, size_t *ret_count);

#endif
