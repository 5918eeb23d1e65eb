/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of overload: a part of the table in schema.h. */
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define SECOND 1000ULL
#define GIB    (1ULL << 30)

static const struct keyword overload_keys[] = {
	{.name = "lag",
	 .text = "how long sockets that are ready may wait for their turn, 0s: any. While they "
		 "wait "
		 "longer, a growing share of requests is refused",
	 .type = KEY_DURATION,
	 FIELD(struct overload_conf, lag_ms),
	 .max = 60 * SECOND,
	 .fallback = "0s"},
	{.name = "memory",
	 .text = "what connections, their buffers and requests may hold, 0: any; TLS and HTTP/2 "
		 "hold "
		 "more that is not counted. From 80 % on requests are refused and idle "
		 "connections closed, from 95 % on none are accepted",
	 .type = KEY_SIZE,
	 FIELD(struct overload_conf, memory),
	 .max = 1024 * GIB,
	 .fallback = "0"},
	{.name = "connections",
	 .text = "most client connections, 0: any. From 90 % on idle ones are closed; more wait in "
		 "the "
		 "kernel's queue",
	 .type = KEY_NUMBER,
	 FIELD(struct overload_conf, connections),
	 .max = 10000000,
	 .fallback = "0"},
	{.name = "requests",
	 .text = "most requests under way to backends, 0: any. More wait, those of high priority "
		 "in "
		 "front; how long they do is part of the lag",
	 .type = KEY_NUMBER,
	 FIELD(struct overload_conf, requests),
	 .max = 10000000,
	 .fallback = "0"},
	{.name = "wait",
	 .text = "how long a request waits for that; then it is refused",
	 .type = KEY_DURATION,
	 FIELD(struct overload_conf, wait_ms),
	 .min = 1,
	 .max = 3600 * SECOND,
	 .fallback = "10s"},
	{.name = "retry_after",
	 .text = "when who is refused may try again, in whole seconds",
	 .type = KEY_DURATION,
	 FIELD(struct overload_conf, retry_after_s),
	 .min = SECOND,
	 .max = 3600 * SECOND,
	 .scale = 1000,
	 .fallback = "1s"},
};
const struct section schema_overload = {
	.name = "overload",
	.text = "When the proxy has too much to do. Each worker has an equal share of memory and "
		"connections and requests. Requests are refused with 503, those of low priority "
		"first, then "
		"normal ones, then high ones; shuntctl status shows the pressure",
	KEYS(overload_keys)};
