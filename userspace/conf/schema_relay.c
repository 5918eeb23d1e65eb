/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of tcp and tls services and of the PROXY protocol: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SPECIAL(x)	    .type = KEY_SPECIAL, .read = field_read_##x, .format = field_format_##x
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define DAY (24ULL * 3600 * 1000)

#define WAIT(member)                                                                               \
	.type = KEY_DURATION, FIELD(struct relay_conf, member), .min = 1, .max = 30 * DAY

static const struct keyword relay_keys[] = {
	{.name = "idle",
	 .text = "a connection without a byte in either direction",
	 WAIT(idle_ms),
	 .fallback = "1h"},
	{.name = "half_closed",
	 .text = "the same once one side has said that it sends no more",
	 WAIT(half_closed_ms),
	 .fallback = "5m"},
	{.name = "client_hello",
	 .text = "mode tls: from the beginning of a connection to the end of the client's first "
		 "message",
	 WAIT(client_hello_ms),
	 .fallback = "10s"},
	{.name = "connections",
	 .text = "most client connections of one worker, 0: any",
	 .type = KEY_NUMBER,
	 FIELD(struct relay_conf, connections),
	 .max = 10000000,
	 .fallback = "0"},
};
const struct section schema_relay = {.name = "relay of a service",
				     .text = "Waits and bounds of a tcp or tls service",
				     KEYS(relay_keys)};

static const struct keyword sni_route_keys[] = {
	{.name = "sni",
	 .text = "server names, one or a list; *.example.com stands for all names below "
		 "example.com, "
		 "however deep. Without this key: any name, and none",
	 SPECIAL(sni),
	 .form = "a host name, or a suffix such as *.example.com"},
	{.name = "alpn",
	 .text = "protocols, one or a list, of which the client must offer one. Without this key: "
		 "whatever it offers",
	 SPECIAL(alpn),
	 .form = "a protocol such as h2 or http/1.1"},
	{.name = "pool",
	 .text = "pool that serves them",
	 .type = KEY_NAME,
	 FIELD(struct sni_route, pool_name),
	 .form = "the name of a pool",
	 .refuse_text = field_refuse_name,
	 .required = true},
};
const struct section schema_sni_route = {.name = "SNI route of a service",
					 .text = "TLS connections that another pool serves",
					 KEYS(sni_route_keys)};

static const struct keyword proxy_in_keys[] = {
	{.name = "from",
	 .text = "who may speak for others, one or a list. Nobody else's header is ever believed",
	 SPECIAL(proxy_from),
	 KEY_BYTES(struct proxy_in, from, from_count),
	 .form = "an address or prefix without host bits, such as 10.0.0.0/8",
	 .required = true},
	{.name = "header",
	 .text = "required: connections without one are refused, and all that come from elsewhere; "
		 "optional: those that have one are served as the connection that it speaks of, "
		 "all "
		 "others as what they are",
	 .type = KEY_CHOICE,
	 FIELD(struct proxy_in, header),
	 .words = proxy_header_rule_words,
	 .fallback = "required"},
	{.name = "timeout",
	 .text = "from the beginning of a connection to the end of its header",
	 .type = KEY_DURATION,
	 FIELD(struct proxy_in, timeout_ms),
	 .min = 1,
	 .max = DAY,
	 .fallback = "5s"},
};
const struct section schema_proxy_in = {
	.name = "PROXY protocol of a service",
	.text = "PROXY headers from clients: in front of a connection, they say whose it is",
	KEYS(proxy_in_keys)};
