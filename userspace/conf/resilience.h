/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the configuration says of failures: which requests are tried again, and when a backend is
 * left out or spared. Parts of struct service, struct pool and of routes. Immutable, any thread.
 */
#ifndef CONF_RESILIENCE_H
#define CONF_RESILIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define RETRY_ATTEMPTS_MAX 8 /* tries of one request, the first included */

/* What may have happened to one try: bits of retry_conf.on. */
enum retry_on {
	RETRY_ON_CONNECT = 1 << 0,
	RETRY_ON_REFUSED = 1 << 1, /* a stream of HTTP/2 that the backend says it did not look at */
	RETRY_ON_RESET = 1 << 2,
	RETRY_ON_TIMEOUT = 1 << 3,
	RETRY_ON_5XX = 1 << 4,
	RETRY_ON_GATEWAY = 1 << 5, /* 502, 503 and 504 */
};

/* The backend has seen nothing of the request, or done nothing about it. */
#define RETRY_ON_SAFE (RETRY_ON_CONNECT | RETRY_ON_REFUSED)

#define RETRY_STATUS_MIN   400U
#define RETRY_STATUS_MAX   599U
#define RETRY_STATUS_WORDS 4 /* of 64 statuses each */
#define RETRY_GRPC_MAX	   16U

enum non_idempotent { NON_IDEMPOTENT_OFF, NON_IDEMPOTENT_ON };

struct retry_conf {
	unsigned attempts;			  /* in all, default 3 */
	unsigned on;				  /* enum retry_on, default safe */
	uint64_t statuses[RETRY_STATUS_WORDS];	  /* bits, from RETRY_STATUS_MIN */
	unsigned grpc;				  /* bits: statuses of gRPC */
	unsigned per_try_ms;			  /* 0: none */
	unsigned backoff_base_ms, backoff_max_ms; /* default 25 ms, 250 ms */
	unsigned budget_percent, budget_min;	  /* default 20, 3 */
	enum non_idempotent non_idempotent;	  /* default off */
	uint64_t body;				  /* bytes that are kept, default 64 KiB */
};

/* A second try beside one that takes long. */
struct hedge_conf {
	unsigned after_ms; /* 0: none */
	unsigned max;	   /* of one request, default 1 */
};

#define HEDGE_MAX 3

/* When a backend is left out for what became of its requests. 0: never. */
struct outlier_conf {
	unsigned consecutive;	  /* failures and 5xx in a row */
	unsigned gateway;	  /* failures and 502, 503, 504 in a row */
	unsigned error_rate;	  /* percent of the requests of an interval */
	unsigned latency;	  /* percent of what the others take on average */
	unsigned min_requests;	  /* of an interval, for the last two, default 50 */
	unsigned interval_ms;	  /* default 10 s */
	unsigned base_ms, max_ms; /* default 30 s, 5 min */
	unsigned max_ejected;	  /* percent of the pool, default 30 */
};

static inline bool outlier_is_on(const struct outlier_conf *o)
{
	return (o->consecutive | o->gateway | o->error_rate | o->latency) != 0;
}

/* Most of each at a time, all workers together. 0: any. */
struct pool_limits {
	unsigned connections, pending, requests, retries;
	unsigned backend_connections; /* of each backend */
};

/* What pool_limits and others of a pool have turned away: X(NAME, "name"). */
#define POOL_REFUSALS(X)                                                                           \
	X(CONNECTIONS, "connections")                                                              \
	X(PENDING, "pending")                                                                      \
	X(REQUESTS, "requests")                                                                    \
	X(RETRIES, "retries")                                                                      \
	X(BUDGET, "budget")                                                                        \
	X(EJECTIONS, "ejections") /* of backends, that would have left too few */

enum pool_refusal {
#define X(name, text) POOL_REFUSAL_##name,
	POOL_REFUSALS(X)
#undef X
		POOL_REFUSAL_COUNT
};

/* Why a backend was left out: X(NAME, "words"). */
#define OUTLIER_REASONS(X)                                                                         \
	X(CONSECUTIVE, "failures in a row")                                                        \
	X(GATEWAY_ERRORS, "gateway errors in a row")                                               \
	X(ERROR_RATE, "share of failures")                                                         \
	X(LATENCY, "latency")                                                                      \
	X(PROBE, "still failing")

enum outlier_reason {
#define X(name, text) OUTLIER_##name,
	OUTLIER_REASONS(X)
#undef X
		OUTLIER_REASON_COUNT
};

#endif
