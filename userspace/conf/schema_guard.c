/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of the guard, of the node and of a service: a part of the table in schema.h. */
#include "bpf/abi.h"
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define SECOND	 1000ULL
#define DAY	 (24 * 3600 * SECOND)
#define RATE_MAX 10000000

static const struct keyword entry_keys[] = {
	{.name = "prefix",
	 .text = "sources: an address, or a prefix without host bits",
	 .type = KEY_SPECIAL,
	 .read = field_read_prefix,
	 .format = field_format_prefix,
	 .form = "an address or a prefix without host bits, such as 198.51.100.0/24",
	 .required = true},
	{.name = "note",
	 .text = "a few words that the list shows",
	 .type = KEY_TEXT,
	 FIELD(struct guard_prefix, note),
	 .form = "a text of at most 47 bytes",
	 .refuse_text = field_refuse_note},
};
const struct section schema_guard_entry = {
	.name = "entry of a list",
	.text = "One prefix; where there is no note, the prefix alone stands in the list",
	KEYS(entry_keys)};

static const struct keyword guard_keys[] = {
	{.name = "block",
	 .text = "sources whose packets for any service are dropped (blocked)",
	 .type = KEY_ITEMS,
	 .bare_items = true,
	 .section = &schema_guard_entry},
	{.name = "allow",
	 .text = "sources that no block of a shorter prefix and no limit of a service holds for",
	 .type = KEY_ITEMS,
	 .bare_items = true,
	 .section = &schema_guard_entry},
};
const struct section schema_guard = {.name = "guard",
				     .text = "Lists of sources. The longest prefix that covers a "
					     "source decides; packets for no service are never "
					     "dropped",
				     KEYS(guard_keys)};

static const char *const bad_flags_words[] = {"pass", "drop", NULL};
static const char *const abuse_words[] = {"drop", "block", NULL};
static const char *const syn_cookies_words[] = {"off", "auto", "always", NULL};

#define RATE(member)                                                                               \
	.type = KEY_NUMBER, FIELD(struct service_guard, member), .min = 1, .max = RATE_MAX

static const struct keyword service_guard_keys[] = {
	{.name = "new_flows",
	 .text = "new flows a second (TCP SYNs, and UDP flows that are tracked); over it they are "
		 "dropped (service-rate)",
	 RATE(new_flows),
	 .fallback_text = "any"},
	{.name = "new_flows_per_source",
	 .text = "the same of one source (source-rate)",
	 RATE(new_flows_per_source),
	 .fallback_text = "any"},
	{.name = "burst",
	 .text = "so long a time's worth of new flows may come at once",
	 .type = KEY_DURATION,
	 FIELD(struct service_guard, burst_ms),
	 .min = 20,
	 .max = 60 * SECOND,
	 .fallback = "1s"},
	{.name = "packets_per_source",
	 .text = "packets in a second; a source that sends more is blocked for this service",
	 .type = KEY_NUMBER,
	 FIELD(struct service_guard, packets_per_source),
	 .min = 1,
	 .max = 100000000,
	 .fallback_text = "any"},
	{.name = "block_for",
	 .text = "how long a source is blocked that the service has blocked by itself",
	 .type = KEY_DURATION,
	 FIELD(struct service_guard, block_ms),
	 .min = SECOND,
	 .max = 7 * DAY,
	 .fallback = "10m"},
	{.name = "source_prefix4",
	 .text = "bits of an IPv4 address that make a source",
	 .type = KEY_NUMBER,
	 FIELD(struct service_guard, source_prefix4),
	 .min = 8,
	 .max = 32,
	 .fallback = "32"},
	{.name = "source_prefix6",
	 .text = "bits of an IPv6 address that make a source",
	 .type = KEY_NUMBER,
	 FIELD(struct service_guard, source_prefix6),
	 .min = 16,
	 .max = 128,
	 .fallback = "64"},
	{.name = "syn_payload",
	 .text = "bytes of data that a SYN may bring; one with more is abuse",
	 .type = KEY_NUMBER,
	 FIELD(struct service_guard, syn_payload),
	 .min = 1,
	 .max = 65535,
	 .fallback_text = "any"},
	{.name = "bad_flags",
	 .text = "drop: TCP flags that no TCP sends together (SYN with FIN or RST, none of SYN, "
		 "ACK "
		 "and RST) are abuse",
	 .type = KEY_CHOICE,
	 FIELD(struct service_guard, bad_flags),
	 .words = bad_flags_words,
	 .fallback = "pass"},
	{.name = "abuse",
	 .text = "what becomes of abuse: drop the packet, or block its source too",
	 .type = KEY_CHOICE,
	 FIELD(struct service_guard, abuse),
	 .words = abuse_words,
	 .fallback = "drop"},
	{.name = "syn_cookies",
	 .text = "answer SYNs by cookies before the stack sees them, always or while there are too "
		 "many; not in mode l4, and it takes sysctl net.ipv4.tcp_syncookies=2",
	 .type = KEY_CHOICE,
	 FIELD(struct service_guard, syn_cookies),
	 .words = syn_cookies_words,
	 .fallback = "off"},
	{.name = "syn_cookies_over",
	 .text = "SYNs a second that are too many; it lasts until ten seconds without",
	 RATE(syn_cookies_over),
	 .fallback = "1000",
	 .only_key = "syn_cookies",
	 .only_word = "auto"},
};
const struct section schema_service_guard = {
	.name = "guard of a service",
	.text = "Each service counts and blocks for itself alone. Blocks come and go without the "
		"daemon's help; shuntctl guard list shows them",
	KEYS(service_guard_keys)};
