/* SPDX-License-Identifier: BSD-2-Clause */
/* When to try again: see retry.h. */
#include "l7/retry.h"

#include <stddef.h>

#include "l7/http1_parse.h"

bool retry_wants(const struct retry_conf *c, enum failure_cause cause)
{
	switch (cause) {
	case FAILURE_CONNECT: return c->on & RETRY_ON_CONNECT;
	case FAILURE_REFUSED: return c->on & RETRY_ON_REFUSED;
	case FAILURE_RESET:
	case FAILURE_RESPONSE: return c->on & RETRY_ON_RESET;
	case FAILURE_TIMEOUT: return c->on & RETRY_ON_TIMEOUT;
	case FAILURE_NONE:
	case FAILURE_LIMIT:
	case FAILURE_OURS:
	case FAILURE_STATUS: break;
	}
	return false;
}

/* A status of gRPC in the header: there is no message then. */
static bool wants_grpc(const struct retry_conf *c, const struct head *h)
{
	for (unsigned i = 0; c->grpc && i < h->count; i++) {
		struct slice value = h->fields[i].value;
		unsigned status = 0;

		if (!slice_eq_nocase(h->fields[i].name, SLICE("grpc-status")))
			continue;
		for (size_t k = 0; k < value.len; k++) {
			if (value.ptr[k] < '0' || value.ptr[k] > '9' || status > RETRY_GRPC_MAX)
				return false;
			status = status * 10 + (unsigned)(value.ptr[k] - '0');
		}
		return status <= RETRY_GRPC_MAX && c->grpc >> status & 1;
	}
	return false;
}

bool retry_wants_response(const struct retry_conf *c, const struct head *h)
{
	unsigned at = h->status - RETRY_STATUS_MIN;

	if (h->status < RETRY_STATUS_MIN)
		return wants_grpc(c, h);
	if (h->status > RETRY_STATUS_MAX)
		return false;
	if (h->status >= 500 && c->on & RETRY_ON_5XX)
		return true;
	if (h->status >= 502 && h->status <= 504 && c->on & RETRY_ON_GATEWAY)
		return true;
	return c->statuses[at / 64] >> at % 64 & 1;
}

uint64_t retry_backoff_ms(const struct retry_conf *c, unsigned tries, uint64_t random)
{
	uint64_t most = c->backoff_base_ms;

	for (unsigned i = 1; i < tries && most < c->backoff_max_ms; i++)
		most *= 2;
	if (most > c->backoff_max_ms)
		most = c->backoff_max_ms;
	return random % (most + 1);
}

bool retry_needs_body(const struct retry_conf *c, bool is_idempotent, bool has_streams)
{
	uint64_t statuses = c->grpc;

	if (c->attempts == 1)
		return false;
	if (has_streams && c->on & RETRY_ON_REFUSED)
		return true;
	for (size_t i = 0; i < RETRY_STATUS_WORDS; i++)
		statuses |= c->statuses[i];
	return (c->on & ~(unsigned)RETRY_ON_SAFE || statuses) &&
	       (is_idempotent || c->non_idempotent == NON_IDEMPOTENT_ON);
}
