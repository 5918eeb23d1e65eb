/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of retries, hedging, outliers and the limits of pools: a part of the table in schema.h. */
#include <string.h>

#include "conf/fields.h"
#include "conf/read.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "conf/value.h"
#include "core/strbuf.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define SECOND 1000ULL
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define MIB    (1024 * 1024ULL)
#define MANY   10000000 /* connections or requests at a time */

/* ---- retry.on ---- */

static const struct {
	const char *word;
	unsigned bits;
} conditions[] = {
	{"safe", RETRY_ON_SAFE},
	{"connect-failure", RETRY_ON_CONNECT},
	{"refused-stream", RETRY_ON_REFUSED},
	{"reset", RETRY_ON_RESET},
	{"timeout", RETRY_ON_TIMEOUT},
	{"5xx", RETRY_ON_5XX},
	{"gateway-error", RETRY_ON_GATEWAY},
};

#define CONDITION_COUNT (sizeof(conditions) / sizeof(conditions[0]))

/* By their number. */
static const char *const grpc_words[RETRY_GRPC_MAX + 1] = {
	NULL,
	"grpc-cancelled",
	"grpc-unknown",
	"grpc-invalid-argument",
	"grpc-deadline-exceeded",
	"grpc-not-found",
	"grpc-already-exists",
	"grpc-permission-denied",
	"grpc-resource-exhausted",
	"grpc-failed-precondition",
	"grpc-aborted",
	"grpc-out-of-range",
	"grpc-unimplemented",
	"grpc-internal",
	"grpc-unavailable",
	"grpc-data-loss",
	"grpc-unauthenticated",
};

static bool add_condition(struct retry_conf *c, const char *text)
{
	uint64_t status;

	for (size_t i = 0; i < CONDITION_COUNT; i++) {
		if (!strcmp(text, conditions[i].word)) {
			c->on |= conditions[i].bits;
			return true;
		}
	}
	for (unsigned i = 1; i <= RETRY_GRPC_MAX; i++) {
		if (!strcmp(text, grpc_words[i])) {
			c->grpc |= 1U << i;
			return true;
		}
	}
	if (value_number(text, &status) < 0 || status < RETRY_STATUS_MIN ||
	    status > RETRY_STATUS_MAX)
		return false;
	status -= RETRY_STATUS_MIN;
	c->statuses[status / 64] |= 1ULL << status % 64;
	return true;
}

/* The default comes first, then what is written: each begins anew. */
static void read_on(struct reader *r, const struct keyword *k, const struct tree *value,
		    void *object)
{
	struct retry_conf *c = object;
	const struct tree *item;
	size_t at = 0;

	c->on = c->grpc = 0;
	memset(c->statuses, 0, sizeof(c->statuses));
	if (value->kind == TREE_SCALAR && !strcmp(value->text, "none"))
		return;
	while ((item = read_next_scalar(r, k, value, &at)))
		if (!add_condition(c, item->text))
			read_expected(r, k, item, k->form);
	if (!at && value->kind != TREE_MAPPING)
		read_expected(r, k, value, k->form);
}

static void add_word(struct strbuf *b, size_t *count, const char *word)
{
	strbuf_printf(b, "%s%s", (*count)++ ? ", " : "[", word);
}

static void format_on(struct strbuf *b, const void *object)
{
	const struct retry_conf *c = object;
	unsigned left = c->on;
	size_t count = 0;

	for (size_t i = 0; i < CONDITION_COUNT; i++) {
		if ((left & conditions[i].bits) != conditions[i].bits)
			continue;
		left &= ~conditions[i].bits;
		add_word(b, &count, conditions[i].word);
	}
	for (unsigned i = 0; i <= RETRY_STATUS_MAX - RETRY_STATUS_MIN; i++)
		if (c->statuses[i / 64] >> i % 64 & 1)
			strbuf_printf(b, "%s%u", count++ ? ", " : "[", RETRY_STATUS_MIN + i);
	for (unsigned i = 1; i <= RETRY_GRPC_MAX; i++)
		if (c->grpc >> i & 1)
			add_word(b, &count, grpc_words[i]);
	strbuf_add(b, count ? "]" : "none");
}

/* ---- retry ---- */

#define RETRY_TIME(member)                                                                         \
	.type = KEY_DURATION,                                                                      \
	.offset = offsetof(struct retry_conf, member) -                                            \
		  offsetof(struct retry_conf, backoff_base_ms),                                    \
	.width = sizeof(unsigned), .min = 1, .max = HOUR

static const struct keyword backoff_keys[] = {
	{.name = "base",
	 .text = "longest wait before the second try",
	 RETRY_TIME(backoff_base_ms),
	 .fallback = "25ms"},
	{.name = "max",
	 .text = "longest wait before any",
	 RETRY_TIME(backoff_max_ms),
	 .fallback = "250ms"},
};
static const struct section schema_backoff = {
	.name = "backoff of retry",
	.text = "How long is waited before a request is tried again: by chance from nothing to "
		"base, and with each further try to twice as much. A connection that could not be "
		"made, and a stream that was refused, are tried again with another backend at once",
	KEYS(backoff_keys)};

#define BUDGET(member)                                                                             \
	.type = KEY_NUMBER,                                                                        \
	.offset =                                                                                  \
		offsetof(struct retry_conf, member) - offsetof(struct retry_conf, budget_percent), \
	.width = sizeof(unsigned)

static const struct keyword budget_keys[] = {
	{.name = "percent",
	 .text = "of the pool's requests under way, in all workers",
	 BUDGET(budget_percent),
	 .max = 100,
	 .fallback = "20"},
	{.name = "min",
	 .text = "so many in any case",
	 BUDGET(budget_min),
	 .max = MANY,
	 .fallback = "3"},
};
static const struct section schema_budget = {
	.name = "budget of retry",
	.text = "How many requests of a pool may be under way again at a time. What would be one "
		"more ends with what came of it. A connection that could not be made, and a stream "
		"that was refused, are no burden to a backend, and count as none",
	KEYS(budget_keys)};

static const char *const non_idempotent_words[] = {"off", "on", NULL};

static const struct keyword retry_keys[] = {
	{.name = "attempts",
	 .text = "most tries of a request, the first one included; 1: it is never tried again",
	 .type = KEY_NUMBER,
	 FIELD(struct retry_conf, attempts),
	 .min = 1,
	 .max = RETRY_ATTEMPTS_MAX,
	 .fallback = "3"},
	{.name = "on",
	 .text = "after which failures: connect-failure: no connection could be made; "
		 "refused-stream: the backend says that it has not looked at the request "
		 "(HTTP/2); safe: these two; reset: the connection ended, or what came is no "
		 "response; timeout: per_try_timeout has passed; 5xx; gateway-error: 502, 503 and "
		 "504; a status from 400 to 599; the statuses of gRPC, such as grpc-unavailable, "
		 "where they come without a message. Never once a part of the response was passed "
		 "on",
	 .type = KEY_SPECIAL,
	 FIELD(struct retry_conf, on),
	 .read = read_on,
	 .format = format_on,
	 .form = "none, or a list of safe, connect-failure, refused-stream, reset, timeout, 5xx, "
		 "gateway-error, statuses from 400 to 599, and statuses of gRPC such as "
		 "grpc-unavailable",
	 .fallback = "safe"},
	{.name = "per_try_timeout",
	 .text = "how long one try may take until the response's header is there; a body counts "
		 "until it is sent. timeouts.response_header is for all of them together",
	 .type = KEY_DURATION,
	 FIELD(struct retry_conf, per_try_ms),
	 .max = DAY,
	 .fallback = "0ms"},
	{.name = "backoff",
	 .text = "waits before other tries",
	 .type = KEY_SECTION,
	 FIELD(struct retry_conf, backoff_base_ms),
	 .section = &schema_backoff},
	{.name = "budget",
	 .text = "how many requests are tried again at a time",
	 .type = KEY_SECTION,
	 FIELD(struct retry_conf, budget_percent),
	 .section = &schema_budget},
	{.name = "non_idempotent",
	 .text = "are requests tried again that do not mean the same when they come twice, such as "
		 "POST? After connect-failure and refused-stream they always are",
	 .type = KEY_CHOICE,
	 FIELD(struct retry_conf, non_idempotent),
	 .words = non_idempotent_words,
	 .fallback = "off"},
	{.name = "body",
	 .text = "largest body of a request that is kept so that it can be sent again; a request "
		 "of which more was sent is not tried again",
	 .type = KEY_SIZE,
	 FIELD(struct retry_conf, body),
	 .max = 16 * MIB,
	 .fallback = "64KiB"},
};
const struct section schema_retry = {.name = "retry",
				     .text = "Requests that are tried again, another backend first",
				     KEYS(retry_keys)};

/* ---- hedge ---- */

static const struct keyword hedge_keys[] = {
	{.name = "after",
	 .text = "so long without a response's header, and the request goes to another backend, "
		 "too; 0ms: never",
	 .type = KEY_DURATION,
	 FIELD(struct hedge_conf, after_ms),
	 .max = HOUR,
	 .fallback = "0ms"},
	{.name = "max",
	 .text = "how often, one after the other",
	 .type = KEY_NUMBER,
	 FIELD(struct hedge_conf, max),
	 .min = 1,
	 .max = HEDGE_MAX,
	 .fallback = "1"},
};
const struct section schema_hedge = {
	.name = "hedge",
	.text = "A second try beside one that takes long, of idempotent requests without a body. "
		"The first good response is passed on, the others are cancelled. They are held to "
		"the budget of retry",
	KEYS(hedge_keys)};

/* ---- outlier ---- */

#define COUNT(member)	.type = KEY_NUMBER, FIELD(struct outlier_conf, member)
#define LASTING(member) .type = KEY_DURATION, FIELD(struct outlier_conf, member), .min = 1

static const struct keyword outlier_keys[] = {
	{.name = "consecutive",
	 .text = "failures in a row (no connection, no response, one that is malformed or late, "
		 "5xx) after which a backend is left out; 0: it is not",
	 COUNT(consecutive),
	 .max = 1000000,
	 .fallback = "0"},
	{.name = "gateway",
	 .text = "the same where of 5xx only 502, 503 and 504 count",
	 COUNT(gateway),
	 .max = 1000000,
	 .fallback = "0"},
	{.name = "error_rate",
	 .text = "percent of failures among the requests of an interval, from which on a backend "
		 "is left out; 0: it is not",
	 COUNT(error_rate),
	 .max = 100,
	 .fallback = "0"},
	{.name = "latency",
	 .text = "the same for the time until the response's header: percent of the average of the "
		 "others, such as 300",
	 COUNT(latency),
	 .max = 100000,
	 .fallback = "0"},
	{.name = "min_requests",
	 .text = "fewer in an interval say nothing of error_rate and latency",
	 COUNT(min_requests),
	 .min = 1,
	 .max = MANY,
	 .fallback = "50"},
	{.name = "interval",
	 .text = "of error_rate and latency",
	 LASTING(interval_ms),
	 .max = HOUR,
	 .fallback = "10s"},
	{.name = "base",
	 .text = "how long it is left out the first time; each further time as long again, until "
		 "it was good for as long",
	 LASTING(base_ms),
	 .max = DAY,
	 .fallback = "30s"},
	{.name = "max", .text = "the longest", LASTING(max_ms), .max = DAY, .fallback = "5m"},
	{.name = "max_ejected",
	 .text = "percent of the pool that may be left out, though always one, and never the last "
		 "one that is usable",
	 COUNT(max_ejected),
	 .max = 100,
	 .fallback = "30"},
};
const struct section schema_outlier = {
	.name = "outlier of a pool",
	.text = "Backends are left out for a time by what becomes of their requests, in all "
		"workers. Then one request is let through, and the rest once that one went well. "
		"What clients break off says nothing of a backend",
	KEYS(outlier_keys)};

/* ---- limits ---- */

#define MOST(member)                                                                               \
	.type = KEY_NUMBER, FIELD(struct pool_limits, member), .max = MANY, .fallback = "0"

static const struct keyword limits_keys[] = {
	{.name = "connections",
	 .text = "most connections to all of its backends, 0: any; those that are kept without a "
		 "request count, in every worker. After one was refused, one that is done with is "
		 "closed in place of being kept",
	 MOST(connections)},
	{.name = "pending",
	 .text = "most requests, of http services, that wait for a connection, 0: any",
	 MOST(pending)},
	{.name = "requests",
	 .text = "most requests under way, of http services, to all of its backends, 0: any; "
		 "that of each is the pool's own key requests",
	 MOST(requests)},
	{.name = "retries",
	 .text = "most requests that are under way again, 0: as retry.budget says",
	 MOST(retries)},
	{.name = "backend_connections",
	 .text = "as connections, of each backend",
	 MOST(backend_connections)},
};
const struct section schema_pool_limits = {
	.name = "limits of a pool",
	.text = "What its backends are spared, by all workers together; now and then there is one "
		"more for each worker. What is over them is answered with 503 at once",
	KEYS(limits_keys)};
