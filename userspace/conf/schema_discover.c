/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of how backends are found: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/found.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SPECIAL(x)	    .type = KEY_SPECIAL, .read = field_read_##x, .format = field_format_##x
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define SECOND 1000ULL
#define HOUR   (3600 * SECOND)

static const char *const family_words[] = {"any", "ipv4", "ipv6", NULL};
static const char *const empty_words[] = {"keep", "take", NULL};

static const struct keyword override_keys[] = {
	{.name = "name",
	 .text = "of a backend that is found, or may be",
	 .type = KEY_NAME,
	 FIELD(struct discover_override, name),
	 .form = "a name",
	 .refuse_text = field_refuse_name,
	 .required = true},
	{.name = "state",
	 .text = "up, drain or disabled, whatever was found",
	 .type = KEY_CHOICE,
	 FIELD(struct discover_override, state),
	 .words = admin_state_words},
	{.name = "weight",
	 .text = "its share, whatever was found",
	 .type = KEY_NUMBER,
	 FIELD(struct discover_override, weight),
	 .max = 1000},
};
static const struct section schema_override = {
	.name = "override of discover",
	.text = "What shuntctl backend drain, enable, disable and weight have said of a backend "
		"that was found; it holds whenever it is found",
	KEYS(override_keys)};

static const struct keyword discover_keys[] = {
	{.name = "dns",
	 .text = "a name whose A and AAAA records are the backends; if it begins with _, such as "
		 "_http._tcp.web.example, whose SRV records are, with their ports, weights and "
		 "priorities (kernel pools: those with the lowest priority alone)",
	 .type = KEY_TEXT,
	 FIELD(struct discover_conf, dns),
	 .form = "a DNS name",
	 .refuse_text = field_refuse_dns_name,
	 .variant = DISCOVER_DNS},
	{.name = "file",
	 .text = "a file with a list of backends, YAML or JSON, that is read again whenever it "
		 "was written or replaced: each an address, or a mapping of address and, if "
		 "wanted, port, name, weight, priority, zone and state",
	 .type = KEY_TEXT,
	 FIELD(struct discover_conf, file),
	 .form = "an absolute path",
	 .refuse_text = field_refuse_path,
	 .variant = DISCOVER_FILE},
	{.name = "port",
	 .text = "of backends that are found without one",
	 .type = KEY_NUMBER,
	 FIELD(struct discover_conf, port),
	 .min = 1,
	 .max = 65535,
	 .fallback_text = "none"},
	{.name = "family",
	 .text = "addresses that are asked for in DNS",
	 .type = KEY_CHOICE,
	 FIELD(struct discover_conf, family),
	 .words = family_words,
	 .fallback = "any"},
	{.name = "min_ttl",
	 .text = "DNS is asked again when the time to live of what it said is over, but not "
		 "before; also the first wait after a failure, which doubles up to 30s",
	 .type = KEY_DURATION,
	 FIELD(struct discover_conf, min_ttl_ms),
	 .min = 100,
	 .max = HOUR,
	 .fallback = "1s"},
	{.name = "max_ttl",
	 .text = "and not later",
	 .type = KEY_DURATION,
	 FIELD(struct discover_conf, max_ttl_ms),
	 .min = 100,
	 .max = 24 * HOUR,
	 .fallback = "5m"},
	{.name = "timeout",
	 .text = "how long the answers of DNS may take, all together",
	 .type = KEY_DURATION,
	 FIELD(struct discover_conf, timeout_ms),
	 .min = 100,
	 .max = 60 * SECOND,
	 .fallback = "5s"},
	{.name = "empty",
	 .text = "a good answer, or file, that names no backend: keep those that were found "
		 "before, or take it, and have none",
	 .type = KEY_CHOICE,
	 FIELD(struct discover_conf, empty),
	 .words = empty_words,
	 .fallback = "keep"},
	{.name = "resolver",
	 .text = "DNS servers that are asked, one or a list; the next one where one does not "
		 "answer",
	 SPECIAL(resolver),
	 KEY_BYTES(struct discover_conf, resolvers, resolver_count),
	 .form = "ADDRESS or ADDRESS:PORT, such as 10.0.0.53",
	 .fallback_text = "those of /etc/resolv.conf"},
	{.name = "overrides",
	 .text = "what people said of backends that are found",
	 SPECIAL(overrides),
	 KEY_BYTES(struct discover_conf, overrides, override_count),
	 .form = "a list of mappings {name: NAME, state: drain}",
	 .section = &schema_override},
};
const struct section schema_discover = {.name = "discover of a pool",
					.text = "Backends that are found, beside those that are "
						"listed. What was found last is kept "
						"where a later answer fails, and over a restart",
					KEYS(discover_keys),
					.one_of = true,
					.tag_offset = offsetof(struct discover_conf, kind)};

#define BACKEND(member) FIELD(struct endpoint_row, backend.member)

static const struct keyword endpoint_keys[] = {
	{.name = "address",
	 .text = "its address, with or without a port",
	 SPECIAL(address),
	 BACKEND(ep),
	 .form = "an address, with or without a port: 10.0.0.1, 10.0.0.1:8080, [2001:db8::1]:8080",
	 .required = true},
	{.name = "port",
	 .text = "its port, if address has none",
	 .type = KEY_NUMBER,
	 FIELD(struct endpoint_row, port),
	 .min = 1,
	 .max = 65535},
	{.name = "name",
	 .text = "its name",
	 .type = KEY_NAME,
	 BACKEND(name),
	 .form = "a name",
	 .refuse_text = field_refuse_name},
	{.name = "weight",
	 .text = "as in a pool",
	 .type = KEY_NUMBER,
	 BACKEND(weight),
	 .max = 1000,
	 .fallback = "1"},
	{.name = "priority",
	 .text = "the same",
	 .type = KEY_NUMBER,
	 BACKEND(priority),
	 .max = POOL_PRIORITIES - 1,
	 .fallback = "0"},
	{.name = "zone",
	 .text = "the same",
	 .type = KEY_TEXT,
	 BACKEND(zone),
	 .form = "a name",
	 .refuse_text = field_refuse_name},
	{.name = "state",
	 .text = "the same",
	 .type = KEY_CHOICE,
	 BACKEND(admin),
	 .words = admin_state_words,
	 .fallback = "up"},
};
const struct section schema_endpoint = {
	.name = "endpoint", .text = "One backend in a file of discover", KEYS(endpoint_keys)};
