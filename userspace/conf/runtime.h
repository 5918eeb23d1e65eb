/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What changes while a configuration stays: health and counters of backends and services, found
 * again by identity (service name, pool/backend name and address) when a new snapshot is built.
 *
 * Threads: runtime_*() calls and every plain field: main thread. Health is written by the main
 * thread and read by all. Each worker adds to its own row of counters with counter_add(); anyone
 * may sum them.
 */
#ifndef CONF_RUNTIME_H
#define CONF_RUNTIME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/resilience.h"
#include "core/addr.h"
#include "core/slice.h"
#include "limit/table.h"

#define RUNTIME_MAX_WORKERS 64

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN }; /* unknown is usable */

/* What a worker counts for a backend: X(name, "name"). */
#define BACKEND_COUNTERS(X)                                                                        \
	X(requests, "requests")	      /* sent, retries included */                                 \
	X(failures, "failures")	      /* no usable answer came: connect, reset, time-out */        \
	X(connections, "connections") /* opened */                                                 \
	X(reused, "reused")	      /* requests sent on a kept connection */                     \
	X(bytes_in, "bytes-in")	      /* from the backend */                                       \
	X(bytes_out, "bytes-out")     /* to the backend */                                         \
	X(active_up, "active-up")     /* active requests = up - down */                            \
	X(active_down, "active-down")                                                              \
	/* of the failures, and what counts for outliers beside them */                            \
	X(connect_failures, "connect-failures")                                                    \
	X(resets, "resets") /* the connection ended before a whole response */                     \
	X(timeouts, "timeouts")                                                                    \
	X(bad_responses, "bad-responses")                                                          \
	X(responses_5xx, "responses-5xx")

/* What a worker counts for a proxied service. */
#define SERVICE_COUNTERS(X)                                                                        \
	X(connections, "connections")	      /* accepted */                                       \
	X(closed, "closed")		      /* open = connections - closed */                    \
	X(refused, "refused")		      /* over limits.connections */                        \
	X(accept_failures, "accept-failures") /* want of descriptors or memory */                  \
	X(requests, "requests")                                                                    \
	X(responses_1xx, "responses-1xx")                                                          \
	X(responses_2xx, "responses-2xx")                                                          \
	X(responses_3xx, "responses-3xx")                                                          \
	X(responses_4xx, "responses-4xx")                                                          \
	X(responses_5xx, "responses-5xx")                                                          \
	X(local_errors, "local-errors") /* answers that the proxy made itself */                   \
	X(aborted, "aborted")		/* the client went away before its answer was whole */     \
	X(killed_requests,                                                                         \
	  "killed-requests") /* under way on connections that were closed by a command */          \
	X(retries, "retries")                                                                      \
	X(retries_withheld, "retries-withheld") /* by a budget or a limit */                       \
	X(hedges, "hedges")			/* second tries beside a first one */              \
	X(hedges_won, "hedges-won")		/* of them, those whose response was passed on */  \
	X(failed_connect, "failed-connect")	/* requests: no connection could be made */        \
	X(failed_reset, "failed-reset")		/* the connection ended before a response */       \
	X(failed_timeout, "failed-timeout")	/* no response in time */                          \
	X(failed_response, "failed-response")	/* a malformed one */                              \
	X(failed_no_backend, "failed-no-backend")                                                  \
	X(failed_limit, "failed-limit")	  /* over a limit of the pool */                           \
	X(sticky_forged, "sticky-forged") /* cookies that we did not sign */                       \
	X(sticky_stale, "sticky-stale")	  /* too old, or of a backend that is gone */              \
	X(sticky_moved, "sticky-moved")	  /* good, but the backend cannot serve */                 \
	X(route_limits, "route-limits")	  /* regular expressions that gave up */                   \
	X(tunnels, "tunnels")		  /* opened: upgrades, and CONNECT */                      \
	X(bytes_in, "bytes-in")		  /* from clients */                                       \
	X(bytes_out, "bytes-out")                                                                  \
	X(http2_connections, "http2-connections") /* of the connections */                         \
	X(http2_floods, "http2-floods")	    /* ended for sending too many frames that only cost */ \
	X(tls_handshakes, "tls-handshakes") /* done */                                             \
	X(tls_resumed, "tls-resumed")	    /* of them, by an earlier session */                   \
	X(tls_failures, "tls-failures")	    /* not done */                                         \
	X(tls_begun, "tls-begun")	    /* under way = begun - ended */                        \
	X(tls_ended, "tls-ended")                                                                  \
	X(tls_refused, "tls-refused")		  /* over limits.tls_handshakes */                 \
	X(tls_early, "tls-early")		  /* of the handshakes, with early data */         \
	X(tls_early_refused, "tls-early-refused") /* early data was not taken */                   \
	X(ocsp_stapled, "ocsp-stapled")		  /* clients that asked for a response got one */  \
	X(ocsp_withheld, "ocsp-withheld")	  /* there is one, but expired, or not good */     \
	X(pipelined_over, "pipelined-over")	  /* closed for limits.pipelined */                \
	X(access_lines, "access-lines")		  /* lines of the access log */                    \
	X(access_lost, "access-lost")	/* of them, those that were lost for want of room */       \
	X(rate_limited, "rate-limited") /* requests refused by rate limits */                      \
	X(shed_low, "shed-low")		/* requests refused for want of time or memory */          \
	X(shed_normal, "shed-normal")                                                              \
	X(shed_high, "shed-high")

/* And for a tcp or tls service beside those; the first three and the last for http services too. */
#define RELAY_COUNTERS(X)                                                                          \
	X(proxy_untrusted, "proxy-untrusted") /* refused: only others may connect */               \
	X(proxy_invalid, "proxy-invalid")     /* PROXY header missing or against the rules */      \
	X(proxy_timeouts, "proxy-timeouts")   /* PROXY header not whole in time */                 \
	X(hello_invalid, "hello-invalid")     /* no ClientHello, or one against the rules */       \
	X(hello_timeouts, "hello-timeouts")   /* ClientHello not whole in time */                  \
	X(unrecognized_names, "unrecognized-names") /* no route and no pool for it */              \
	X(connect_failures, "connect-failures")	    /* no backend, or none that took it */         \
	X(idle_timeouts, "idle-timeouts")                                                          \
	X(resets, "resets") /* connections that one side broke off */                              \
	X(killed, "killed") /* connections that were closed by a command */

/* How long requests of an http service took, by the upper bound of their bucket; one bucket more for
 * those that took longer. The loop's clock has milliseconds. */
#define DURATION_BOUNDS 15
extern const unsigned duration_bounds_ms[DURATION_BOUNDS];
/* And for a rate limit. */
#define LIMIT_COUNTERS(X)                                                                          \
	X(hits, "hits")	      /* requests that it was asked about */                               \
	X(limited, "limited") /* of them, refused, or with dry_run would have been */              \
	X(delayed, "delayed") /* of them, taken after a wait */                                    \
	X(evicted, "evicted") /* keys that were forgotten too early, for want of entries */

/* And for a route. */
#define ROUTE_COUNTERS(X)                                                                          \
	X(requests, "requests") /* that it was found for */                                        \
	X(responses_2xx, "responses-2xx")                                                          \
	X(responses_3xx, "responses-3xx")                                                          \
	X(responses_4xx, "responses-4xx")                                                          \
	X(responses_5xx, "responses-5xx")                                                          \
	X(local_errors, "local-errors") /* of the responses, errors that the proxy made itself */  \
	X(aborted, "aborted")		/* the client went away before its answer was whole */     \
	X(fallbacks, "fallbacks") /* requests for the other pool, as the first had no backend */   \
	X(mirrored, "mirrored")	  /* copies that were answered */                                  \
	X(mirrors_failed, "mirrors-failed") /* that were not */                                    \
	X(mirrors_dropped,                                                                         \
	  "mirrors-dropped") /* that were not sent, as too many are, or too large */               \
	X(faults_delayed, "faults-delayed")                                                        \
	X(faults_aborted, "faults-aborted")

struct backend_counters {
#define X(name, text) _Atomic uint64_t name;
	BACKEND_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

struct service_counters {
#define X(name, text) _Atomic uint64_t name;
	SERVICE_COUNTERS(X)
	RELAY_COUNTERS(X)
#undef X
	_Atomic uint64_t durations[DURATION_BOUNDS + 1];
	_Atomic uint64_t duration_ms; /* of all of them together */
} __attribute__((aligned(64)));

struct limit_counters {
#define X(name, text) _Atomic uint64_t name;
	LIMIT_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

struct route_counters {
#define X(name, text) _Atomic uint64_t name;
	ROUTE_COUNTERS(X)
#undef X
	_Atomic(struct route_labels *) labels; /* NULL: none yet */
} __attribute__((aligned(64)));

/* By the owning worker only: a plain add, without a locked instruction. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* By the owning worker: a request has ended. Most end in the first bucket, or near it. */
static inline void counter_add_duration(struct service_counters *n, uint64_t ms)
{
	unsigned i = 0;

	while (i < DURATION_BOUNDS && ms > duration_bounds_ms[i])
		i++;
	counter_add(&n->durations[i], 1);
	counter_add(&n->duration_ms, ms);
}

#define HEALTH_TEXT_MAX 128

/* What became of the requests of one backend, in all workers: l7/outlier.c. */
struct outlier_rt {
	_Atomic uint32_t consecutive, gateway; /* failures in a row */
	_Atomic uint64_t until_ms; /* clock_now_ms(): left out; past: on trial; 0: not */
	_Atomic bool is_probed;	   /* on trial, and the one request is under way */
	_Atomic uint64_t back_ms;  /* since when it is not any more */
	_Atomic uint32_t times;	   /* that base was taken, the last time */
	_Atomic uint32_t reason;   /* enum outlier_reason, of the last time */
	_Atomic uint64_t ejections;
	/* The interval under way, and what the last one found. */
	_Atomic uint64_t interval_end_ms;
	_Atomic uint32_t seen, failed;
	_Atomic uint64_t latency_ms; /* the sum */
	_Atomic uint32_t latency_mean_ms;
};

/* All backends of one name of a pool together. */
struct pool_rt {
	char *name;
	_Atomic uint32_t connections; /* open, or being opened */
	_Atomic uint32_t requests;    /* under way; counted where there is a limit */
	_Atomic uint32_t pending;     /* the same, of those that wait for a connection */
	_Atomic uint32_t retries;     /* requests under way again */
	_Atomic bool is_wanted;	      /* a connection was refused: one is not kept for it */
	_Atomic bool is_ejecting;     /* somebody decides whom to leave out */
	_Atomic uint64_t refused[POOL_REFUSAL_COUNT];
	void *priv; /* runtime.c */
};

struct backend_rt {
	char *pool, *name;
	struct endpoint ep;
	struct pool_rt *of;	      /* held with this */
	_Atomic int health;	      /* enum health_state */
	_Atomic uint64_t up_since_ms; /* clock_now_ms(): it was added, or came up again */
	/* Of all workers, where the pool's policy looks at them (pool_counts_active()): */
	_Atomic uint32_t active;      /* requests, or connections of tcp and tls services */
	_Atomic uint32_t latency_us;  /* backend_rt_latency_us() has it as it is now */
	_Atomic uint64_t latency_ms;  /* clock_now_ms() of its last change */
	_Atomic uint32_t connections; /* open, or being opened */
	struct outlier_rt outlier;
	struct backend_counters *counters; /* [RUNTIME_MAX_WORKERS] */
	/* Main thread, written by health/: */
	char health_text[HEALTH_TEXT_MAX]; /* last result: "200 OK in 1 ms", "connect: refused" */
	uint64_t health_checked_ms;	   /* clock_now_ms() of it; 0: never checked */
	uint64_t health_changed_ms;	   /* clock_now_ms() of the last change of state */
	unsigned health_run;		   /* equal results in a row */
	uint64_t health_checks, health_failures;
	uint64_t health_transitions; /* changes of the state */
	void *priv;		     /* runtime.c */
};

struct service_rt {
	char *name;
	struct service_counters *counters; /* [RUNTIME_MAX_WORKERS] */
	void *priv;			   /* runtime.c */
};

/* There can be very many, most of them of no use to most workers: a row is made when it is needed. */
struct route_rt {
	char *service, *key; /* its name, or "#" and its number */
	_Atomic(struct route_counters *) rows[RUNTIME_MAX_WORKERS];
	void *priv; /* runtime.c */
};

/* What a rate limit remembers, for as long as nothing but dry_run changes of it. */
struct limit_rt {
	char *name, *key; /* key NULL: none */
	struct meter meter;
	uint32_t entries;
	int per;			 /* enum limit_per */
	uint64_t seed[2];		 /* of the hash of keys */
	struct limit_table table;	 /* written by all workers */
	struct limit_counters *counters; /* [RUNTIME_MAX_WORKERS] */
	void *priv;			 /* runtime.c */
};

struct found;	   /* conf/found.h */
struct rate_limit; /* conf/snapshot.h */
struct runtime;

struct runtime *runtime_new(void);     /* NULL: out of memory */
void runtime_free(struct runtime *rt); /* every reference must be gone */

/* What was found for pools. */
struct found *runtime_found(struct runtime *rt);

/* Find by identity or make; takes a reference. NULL: out of memory. Main thread. */
struct backend_rt *runtime_backend(struct runtime *rt, const char *pool, const char *name,
				   const struct endpoint *ep);
struct service_rt *runtime_service(struct runtime *rt, const char *name);
struct route_rt *runtime_route(struct runtime *rt, const char *service, const char *key);
struct limit_rt *runtime_limit(struct runtime *rt, const struct rate_limit *conf);

/* Release one reference; any thread (the object itself is freed by the main thread's next
 * runtime_sweep(), which conf_build() calls, or runtime_free()). NULL is fine. */
void backend_rt_unref(struct backend_rt *b);
void service_rt_unref(struct service_rt *s);
void route_rt_unref(struct route_rt *r);
void limit_rt_unref(struct limit_rt *l);
void runtime_sweep(struct runtime *rt);

/* False: it was so before. Any other moves the epoch. Main thread. */
bool backend_rt_set_health(struct backend_rt *b, enum health_state health);

/* Another number whenever it has changed which backends are usable, anywhere. Any thread. */
uint64_t runtime_epoch(void);
void runtime_epoch_move(void);

/*
 * How long requests take there, in microseconds until the response's header: a moving average that
 * rises to a slower one at once, falls by an eighth of what a faster one is faster, and by half in five
 * seconds of none. 0: not known. Workers may write over each other's. Any thread.
 */
void backend_rt_note_latency(struct backend_rt *b, uint64_t us, uint64_t now_ms);
uint64_t backend_rt_latency_us(const struct backend_rt *b, uint64_t now_ms);

/* The worker's own row. Without memory for one, one that nobody reads. By that worker. */
struct route_counters *route_rt_row(struct route_rt *r, unsigned worker);

/* What requests of this label are counted by, in the worker's own row. By that worker. NULL: out of memory. */
struct route_label *route_rt_label(struct route_rt *r, unsigned worker, struct slice text);

/* Sums over the workers. */
void backend_rt_sum(const struct backend_rt *b, struct backend_counters *ret_sum);
void service_rt_sum(const struct service_rt *s, struct service_counters *ret_sum);
void route_rt_sum(const struct route_rt *r, struct route_counters *ret_sum);
/* As route_labels_sum() has them, up to `max`; returns how many there are. */
size_t route_rt_sum_labels(const struct route_rt *r, struct route_label *ret_sums, size_t max);
void limit_rt_sum(const struct limit_rt *l, struct limit_counters *ret_sum);

const char *health_state_name(enum health_state v); /* "unknown", "up", "down" */

#endif
