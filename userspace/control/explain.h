/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of what became of a packet in a rehearsal (loader/rehearse.h), in words too. Main thread. */
#ifndef CONTROL_EXPLAIN_H
#define CONTROL_EXPLAIN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct rehearse_result;
struct snapshot;

/* A new value; NULL: out of memory. */
json_t *explain_result(const struct snapshot *snap, const uint8_t *frame, size_t len,
		       const struct rehearse_result *result);

#endif
