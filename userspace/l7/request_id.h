/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one request is called in logs, answers and by the backend: taken from a proxy that is trusted,
 * else a UUID of version 7 (RFC 9562), which sorts by time. Unique, and not a secret. Pure.
 */
#ifndef L7_REQUEST_ID_H
#define L7_REQUEST_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

#define REQUEST_ID_FIELD SLICE("X-Request-Id")
#define REQUEST_ID_MADE	 36U  /* bytes of one that is made here */
#define REQUEST_ID_MAX	 128U /* of one that is taken */

/* May one that came be taken? It is put into headers, JSON and logs as it is. */
bool request_id_is_good(struct slice id);

/* unix_ms: now. random: two numbers, other ones each time. */
struct slice request_id_make(char out[REQUEST_ID_MADE], uint64_t unix_ms, const uint64_t random[2]);

#endif
