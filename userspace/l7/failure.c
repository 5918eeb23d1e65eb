/* SPDX-License-Identifier: BSD-2-Clause */
/* What went wrong: see failure.h. */
#include "l7/failure.h"

#include "core/log.h"
#include "l7/request_int.h"

const char *failure_phase_text(enum failure_phase phase)
{
	static const char *const words[] = {
#define X(name, text) text,
		FAILURE_PHASES(X)
#undef X
	};

	return words[phase];
}

struct failure failure_of(const struct request *r, enum reason reason)
{
	struct failure f = r->failure;

	f.route = r->route;
	f.pool = r->pool;
	f.backend = r->backend;
	f.attempt = r->tried_count;
	f.attempts = (uint8_t)r->retry->attempts;
	f.reason = reason;
	if (!r->tried_count)
		f.phase = FAILURE_PHASE_PICK;
	return f;
}

static _Atomic uint64_t *counter_of(struct service_counters *n, enum reason reason)
{
	switch (reason) {
	case REASON_CONNECT_FAILED:
	case REASON_CONNECT_TIMEOUT: return &n->failed_connect;
	case REASON_BACKEND_CLOSED: return &n->failed_reset;
	case REASON_SEND_TIMEOUT:
	case REASON_RESPONSE_TIMEOUT: return &n->failed_timeout;
	case REASON_BAD_RESPONSE:
	case REASON_LARGE_RESPONSE: return &n->failed_response;
	case REASON_NO_BACKEND:
	case REASON_BACKENDS_FULL: return &n->failed_no_backend;
	case REASON_POOL_CONNECTIONS:
	case REASON_POOL_PENDING:
	case REASON_POOL_REQUESTS: return &n->failed_limit;
	default: return NULL;
	}
}

void failure_tell(const struct request *r, enum reason reason)
{
	_Atomic uint64_t *counter = counter_of(request_counters(r), reason);
	struct failure f = failure_of(r, reason);
	unsigned held;

	if (counter)
		counter_add(counter, 1);
	if (!counter || !log_limit_ok(&r->client.conn->l7->failure_limit, &held))
		return;
	log_warning("l7: request failed service=%s route=%s pool=%s backend=%s attempt=%u/%u "
		    "phase=%s error=%d reason=\"%s\" held_back=%u",
		    r->client.service->name, f.route ? f.route : "-", f.pool->name,
		    f.backend ? f.backend->name : "-", f.attempt, f.attempts,
		    failure_phase_text(f.phase), -f.error, reason_text(reason), held);
}
