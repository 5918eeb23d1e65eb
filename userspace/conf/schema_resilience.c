/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of what proxied services do about backends in trouble: a part of the table in schema.h. */
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
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
