/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of what proxied services do about backends in trouble: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SPECIAL(x)	    .type = KEY_SPECIAL, .read = field_read_##x, .format = field_format_##x
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])
#define HOUR		    (3600ULL * 1000)

static const struct keyword outlier_keys[] = {
	{.name = "consecutive",
	 .text = "so many failures in a row eject it: no connection, no usable answer, or a 5xx; "
		 "0: any number",
	 .type = KEY_NUMBER,
	 FIELD(struct outlier_conf, consecutive),
	 .max = 1000000,
	 .fallback = "0"},
	{.name = "error_rate",
	 .text = "so many percent of failures in an interval eject it; 0: any",
	 .type = KEY_NUMBER,
	 FIELD(struct outlier_conf, error_percent),
	 .max = 100,
	 .fallback = "0"},
	{.name = "min_requests",
	 .text = "an interval with fewer says nothing about the error rate",
	 .type = KEY_NUMBER,
	 FIELD(struct outlier_conf, min_requests),
	 .min = 1,
	 .max = 1000000,
	 .fallback = "50"},
	{.name = "interval",
	 .text = "of time, for the error rate",
	 .type = KEY_DURATION,
	 FIELD(struct outlier_conf, interval_ms),
	 .min = 100,
	 .max = HOUR,
	 .fallback = "10s"},
	{.name = "base",
	 .text = "how long the first ejection is, the second twice as long, and so on; after as "
		 "long without a failure they begin anew",
	 .type = KEY_DURATION,
	 FIELD(struct outlier_conf, base_ms),
	 .min = 100,
	 .max = HOUR,
	 .fallback = "30s"},
	{.name = "max",
	 .text = "how long one is at most",
	 .type = KEY_DURATION,
	 FIELD(struct outlier_conf, max_ms),
	 .min = 100,
	 .max = 24 * HOUR,
	 .fallback = "5m"},
	{.name = "max_ejected",
	 .text = "most percent of the pool's backends that are ejected at a time, but always one",
	 .type = KEY_NUMBER,
	 FIELD(struct outlier_conf, max_percent),
	 .max = 100,
	 .fallback = "30"},
};
const struct section schema_outlier = {
	.name = "outlier of a pool",
	.text = "When a proxied backend is passed over because its requests fail, and for how long",
	KEYS(outlier_keys)};

static const char *const retry_methods_words[] = {"idempotent", "all", NULL};

static const struct keyword retry_keys[] = {
	{.name = "attempts",
	 .text = "how often a request is sent at most, the first time included",
	 .type = KEY_NUMBER,
	 FIELD(struct retry_conf, attempts),
	 .min = 1,
	 .max = RETRY_ATTEMPTS_MAX,
	 .fallback = "3"},
	{.name = "on",
	 .text = "after what, one or a list: connect-failure; reset, a connection that ended before "
		 "an answer; timeout; gateway-error (502, 503, 504); 5xx; a status. Once a part of "
		 "the request's body was sent, after nothing",
	 SPECIAL(retry_on),
	 .form = "connect-failure, reset, timeout, gateway-error, 5xx, a status such as 503, or none",
	 .fallback = "connect-failure"},
	{.name = "methods",
	 .text = "idempotent: others are sent once more only where nothing was sent before; all: "
		 "whatever backends may have done already",
	 .type = KEY_CHOICE,
	 FIELD(struct retry_conf, methods),
	 .words = retry_methods_words,
	 .fallback = "idempotent"},
	{.name = "per_try_timeout",
	 .text = "wait for the header of a response, of each try; 0: timeouts.response_header",
	 .type = KEY_DURATION,
	 FIELD(struct retry_conf, per_try_ms),
	 .max = HOUR,
	 .fallback = "0s"},
	{.name = "backoff",
	 .text = "the second retry comes after a random wait of so long at most, each further one of "
		 "twice as long",
	 .type = KEY_DURATION,
	 FIELD(struct retry_conf, base_ms),
	 .max = HOUR,
	 .fallback = "25ms"},
	{.name = "backoff_max",
	 .text = "how long that wait is at most",
	 .type = KEY_DURATION,
	 FIELD(struct retry_conf, max_ms),
	 .max = HOUR,
	 .fallback = "250ms"},
	{.name = "budget",
	 .text = "of the requests that a worker has under way, so many percent may have been sent "
		 "more than once; those after a failed connect do not count",
	 .type = KEY_NUMBER,
	 FIELD(struct retry_conf, budget_percent),
	 .max = 100,
	 .fallback = "20"},
	{.name = "budget_min",
	 .text = "so many may in any case",
	 .type = KEY_NUMBER,
	 FIELD(struct retry_conf, budget_min),
	 .max = 1000000,
	 .fallback = "3"},
};
const struct section schema_retry = {
	.name = "retry of a service",
	.text = "When a request that failed is sent once more",
	KEYS(retry_keys)};
