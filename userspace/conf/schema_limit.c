/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of rate limits: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

static const char *const dry_run_words[] = {"off", "on", NULL};

static const struct keyword rate_limit_keys[] = {
	{.name = "algorithm",
	 .text = "token-bucket: burst requests at once, then at the rate. sliding-window: the "
		 "rate's "
		 "number in the last period, whenever it began. leaky-bucket: one after the other "
		 "at "
		 "the rate; those that come too fast wait, unless their route answers by itself",
	 .type = KEY_CHOICE,
	 FIELD(struct rate_limit, meter.algorithm),
	 .words = meter_words,
	 .fallback = "token-bucket"},
	{.name = "rate",
	 .text = "requests, 1 to 1000000, in a time of 1ms to 24h, at most a million a second",
	 .type = KEY_SPECIAL,
	 .read = field_read_rate,
	 .format = field_format_rate,
	 .form = "a number of requests in a time, such as 100/s or 5/10m",
	 .required = true},
	{.name = "burst",
	 .text = "token-bucket: requests that may come at once. leaky-bucket: requests that may "
		 "wait, "
		 "one minute at most; more are refused",
	 .type = KEY_NUMBER,
	 FIELD(struct rate_limit, meter.burst),
	 .min = 1,
	 .max = METER_COUNT_MAX,
	 .fallback_text = "the rate's number; of a leaky-bucket, 0",
	 .only_key = "algorithm",
	 .except_word = "sliding-window"},
	{.name = "key",
	 .text = "expression, as in the routes of the service that uses the limit: each of its "
		 "values "
		 "has an account of its own, such as source.ip or header[\"x-api-key\"]. Without "
		 "it "
		 "there is one account",
	 .type = KEY_TEXT,
	 FIELD(struct rate_limit, key),
	 .form = "an expression"},
	{.name = "per",
	 .text = "services and routes that use the limit share its accounts, each service has its "
		 "own, or each route",
	 .type = KEY_CHOICE,
	 FIELD(struct rate_limit, per),
	 .words = limit_per_words,
	 .fallback = "node"},
	{.name = "entries",
	 .text = "values of the key that are remembered, 16 bytes each. With more of them in use, "
		 "the one with the least on its account is forgotten (evicted)",
	 .type = KEY_NUMBER,
	 FIELD(struct rate_limit, entries),
	 .min = 8,
	 .max = 16777216,
	 .fallback = "65536"},
	{.name = "dry_run",
	 .text = "on: what it would refuse or delay is counted, and nothing else",
	 .type = KEY_CHOICE,
	 FIELD(struct rate_limit, dry_run),
	 .words = dry_run_words,
	 .fallback = "off"},
};
const struct section schema_rate_limit = {.name = "rate limit",
					  .text = "How many requests are taken, by all workers "
						  "together; more are answered with 429 and "
						  "when to try again. What is on the accounts "
						  "stays while nothing but dry_run changes",
					  KEYS(rate_limit_keys)};
