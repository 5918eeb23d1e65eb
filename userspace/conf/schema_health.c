/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of health checks: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SPECIAL(x)	    .type = KEY_SPECIAL, .read = field_read_##x, .format = field_format_##x
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define HOUR (3600 * 1000ULL)

#define HEALTH_PORT                                                                                \
	{                                                                                          \
		.name = "port", .text = "port that is checked", SPECIAL(port),                     \
		.form = "a number from 1 to 65535",                                                \
		.fallback_text =                                                                   \
			"in proxy pools each backend's own, and in nat pools where all have one; " \
			"in others the TCP port of the services where it is the same in all"       \
	}

static const struct keyword health_tcp_keys[] = {HEALTH_PORT};
static const struct section health_tcp = {.name = "tcp health check",
					  .text = "Good where a TCP connection is accepted",
					  KEYS(health_tcp_keys)};

static const struct keyword health_http_keys[] = {
	{.name = "path",
	 .text = "what is asked for, with its query",
	 .type = KEY_TEXT,
	 FIELD(struct health_conf, path),
	 .form = "a path that starts with /",
	 .refuse_text = field_refuse_target,
	 .fallback = "/"},
	HEALTH_PORT,
	{.name = "host",
	 .text = "Host header of the request",
	 .type = KEY_TEXT,
	 FIELD(struct health_conf, host),
	 .form = "a host name or address, with or without a port",
	 .refuse_text = field_refuse_host,
	 .fallback_text = "the backend's address"},
	{.name = "status",
	 .text = "statuses of a good answer, one or a list, each a status or a range",
	 SPECIAL(statuses),
	 .form = "a status such as 200 or a range such as 200-299",
	 .fallback = "200-299"},
	{.name = "body",
	 .text = "text that must stand somewhere in the body of a good answer",
	 .type = KEY_TEXT,
	 FIELD(struct health_conf, body),
	 .form = "some text of at most 1024 bytes",
	 .refuse_text = field_refuse_body,
	 .fallback_text = "any body is good, and none is read"},
	{.name = "body_regex",
	 .text = "the same as a regular expression (PCRE2) that must match somewhere in it",
	 .type = KEY_TEXT,
	 FIELD(struct health_conf, body_regex),
	 .form = "some text of at most 1024 bytes",
	 .refuse_text = field_refuse_body,
	 .fallback_text = "as body"},
	{.name = "body_limit",
	 .text = "how much of the body is read for that; what follows is not looked at",
	 .type = KEY_SIZE,
	 FIELD(struct health_conf, body_limit),
	 .min = 1,
	 .max = 1024 * 1024,
	 .fallback = "16KiB"},
};
static const struct section health_http = {
	.name = "http health check",
	.text = "Good where a GET is answered with an expected status, and body",
	KEYS(health_http_keys)};

static const struct keyword health_grpc_keys[] = {
	{.name = "service",
	 .text = "service that is asked for",
	 .type = KEY_TEXT,
	 FIELD(struct health_conf, service),
	 .form = "a service such as package.Service, of at most 255 bytes",
	 .refuse_text = field_refuse_grpc_service,
	 .fallback_text = "the server as a whole"},
	HEALTH_PORT,
	{.name = "host",
	 .text = "authority of the request",
	 .type = KEY_TEXT,
	 FIELD(struct health_conf, host),
	 .form = "a host name or address, with or without a port",
	 .refuse_text = field_refuse_host,
	 .fallback_text = "the backend's address"},
};
static const struct section health_grpc = {
	.name = "grpc health check",
	.text = "Good where grpc.health.v1.Health/Check says SERVING, over HTTP/2",
	KEYS(health_grpc_keys)};

static const char *const health_tls_words[] = {"auto", "on", "off", NULL};

static const struct keyword health_keys[] = {
	{.name = "tcp",
	 .text = "check by opening a TCP connection",
	 .type = KEY_SECTION,
	 .section = &health_tcp,
	 .variant = HEALTH_TCP},
	{.name = "http",
	 .text = "check by an HTTP request",
	 .type = KEY_SECTION,
	 .section = &health_http,
	 .variant = HEALTH_HTTP},
	{.name = "grpc",
	 .text = "check by a call of the gRPC health service",
	 .type = KEY_SECTION,
	 .section = &health_grpc,
	 .variant = HEALTH_GRPC},
	{.name = "tls",
	 .text = "checks are in TLS, as the pool's tls says: auto, where it has one and no port of "
		 "its own is checked; on; off. A tcp check is then good where the handshake ends",
	 .type = KEY_CHOICE,
	 FIELD(struct health_conf, tls),
	 .words = health_tls_words,
	 .fallback = "auto"},
	{.name = "via",
	 .text = "ipip, gue and l2 pools: direct, a connection to the backend's own address; "
		 "tunnel, a "
		 "SYN for each address of the services, sent as clients' packets are, which the "
		 "backend must answer from there (an echo request where the service has no TCP "
		 "port), "
		 "for a tcp check alone; both, that too, after a good direct check",
	 .type = KEY_CHOICE,
	 FIELD(struct health_conf, via),
	 .words = health_via_words,
	 .fallback = "direct"},
	{.name = "every",
	 .text = "from one check to the next",
	 .type = KEY_DURATION,
	 FIELD(struct health_conf, every_ms),
	 .min = 100,
	 .max = HOUR,
	 .fallback = "2s"},
	{.name = "timeout",
	 .text = "how long an answer may take, at most the time from one check to the next",
	 .type = KEY_DURATION,
	 FIELD(struct health_conf, timeout_ms),
	 .min = 10,
	 .max = HOUR,
	 .fallback = "1s",
	 .fallback_text = "1s, or the value of every where that is shorter"},
	{.name = "every_changing",
	 .text = "the same while the results are not what the state says, so that a change is "
		 "found "
		 "sooner",
	 .type = KEY_DURATION,
	 FIELD(struct health_conf, changing_ms),
	 .min = 100,
	 .max = HOUR,
	 .fallback_text = "the value of every"},
	{.name = "rise",
	 .text = "good results in a row that bring a backend up",
	 .type = KEY_NUMBER,
	 FIELD(struct health_conf, rise),
	 .min = 1,
	 .max = 100,
	 .fallback = "2"},
	{.name = "fall",
	 .text = "bad results in a row that take a backend down",
	 .type = KEY_NUMBER,
	 FIELD(struct health_conf, fall),
	 .min = 1,
	 .max = 100,
	 .fallback = "3"},
	{.name = "damping",
	 .text = "a backend that came up, and goes down again within this time, needs twice as "
		 "many "
		 "good results to come up, and so each time, up to 16 times as many; 0: never",
	 .type = KEY_DURATION,
	 FIELD(struct health_conf, damping_ms),
	 .max = 24 * HOUR,
	 .fallback = "1m"},
};
const struct section schema_health = {.name = "health of a pool",
				      .text = "How backends are checked: tcp, http or grpc",
				      KEYS(health_keys),
				      .one_of = true,
				      .tag_offset = offsetof(struct health_conf, kind)};
