/* SPDX-License-Identifier: BSD-2-Clause */
/* Which failures a configuration wants requests to be tried again after, and when. Pure. */
#ifndef L7_RETRY_H
#define L7_RETRY_H

#include "conf/resilience.h"
#include "l7/failure.h"

struct head;

/* Of a try without a response. */
bool retry_wants(const struct retry_conf *c, enum failure_cause cause);

/* Of one with it. */
bool retry_wants_response(const struct retry_conf *c, const struct head *h);

/* After so many tries, with all 64 bits of random by chance: how long to wait, by chance, too. */
uint64_t retry_backoff_ms(const struct retry_conf *c, unsigned tries, uint64_t random);

/* Must a request's body be kept for it? has_streams: of HTTP/2, which backends can refuse. */
bool retry_needs_body(const struct retry_conf *c, bool is_idempotent, bool has_streams);

#endif
