/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of a captured packet (loader/capture.h). Main thread. */
#ifndef CONTROL_CAPTURE_JSON_H
#define CONTROL_CAPTURE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/capture_abi.h"

struct loader;
struct snapshot;

/* What names are found by; borrowed. */
struct capture_names {
	const struct snapshot *snap;
	struct loader *loader; /* NULL: services and backends have none */
	uint64_t epoch_ns;     /* of CLOCK_REALTIME, when that of the records was 0 */
	bool headers;	       /* lines for people, too */
};

/* A new value; NULL: out of memory. */
json_t *capture_json(const struct capture_names *names, const struct capture_record *record,
		     const uint8_t *before, const uint8_t *after);

#endif
