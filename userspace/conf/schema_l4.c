/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys that l4 services have alone, in sections: a part of the table in schema.h. */
#include "bpf/abi.h"
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SPECIAL(x)	    .type = KEY_SPECIAL, .read = field_read_##x, .format = field_format_##x
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define SECOND 1000ULL
#define DAY    (24 * 3600 * SECOND)

#define IDLE(state)                                                                                \
	.type = KEY_DURATION, .offset = sizeof(uint32_t) * (state), .width = sizeof(uint32_t),     \
	.scale = SECOND, .min = SECOND, .max = 7 * DAY

static const struct keyword idle_keys[] = {
	{.name = "syn",
	 .text = "of which only the first packet was seen",
	 IDLE(SHUNT_FLOW_SYN),
	 .fallback = "60s"},
	{.name = "established",
	 .text = "TCP connections",
	 IDLE(SHUNT_FLOW_ESTABLISHED),
	 .fallback = "124m"},
	{.name = "fin",
	 .text = "TCP connections that the client has closed",
	 IDLE(SHUNT_FLOW_FIN),
	 .fallback = "2m"},
	{.name = "udp", .text = "UDP", IDLE(SHUNT_FLOW_UDP), .fallback = "2m"},
};
const struct section schema_idle = {
	.name = "idle of a service",
	.text = "How long a tracked flow is remembered without a packet",
	KEYS(idle_keys)};

static const struct keyword quic_keys[] = {
	{.name = "cid",
	 .text = "where the server id is in a connection id: behind its first octet, in the form "
		 "of "
		 "QUIC-LB without encryption; at an offset; or nowhere",
	 .type = KEY_CHOICE,
	 FIELD(struct quic_conf, cid),
	 .words = quic_cid_words,
	 .fallback = "none"},
	{.name = "server_id_length",
	 .text = "octets of a server id",
	 .type = KEY_NUMBER,
	 FIELD(struct quic_conf, server_id_length),
	 .min = 1,
	 .max = SHUNT_SERVER_ID_MAX,
	 .fallback = "2"},
	{.name = "cid_length",
	 .text = "octets of a connection id",
	 .type = KEY_NUMBER,
	 FIELD(struct quic_conf, cid_length),
	 .min = 1,
	 .max = SHUNT_CID_MAX,
	 .fallback_text = "with lb what the lower five bits of its first octet say, plus one; else "
			  "any that hold the server id"},
	{.name = "config_id",
	 .text = "the configuration in the upper three bits of the first octet",
	 .type = KEY_NUMBER,
	 FIELD(struct quic_conf, config_id),
	 .max = 6,
	 .fallback = "0",
	 .only_key = "cid",
	 .only_word = "lb"},
	{.name = "offset",
	 .text = "octets of a connection id in front of the server id",
	 .type = KEY_NUMBER,
	 FIELD(struct quic_conf, offset),
	 .max = SHUNT_CID_MAX - 1,
	 .fallback = "0",
	 .only_key = "cid",
	 .only_word = "offset"},
	{.name = "mask",
	 .text = "bits of the octets there that are the server id",
	 SPECIAL(mask),
	 FIELD(struct quic_conf, mask),
	 .form = "a number over 0, in decimal or with 0x in hexadecimal digits",
	 .fallback_text = "all",
	 .only_key = "cid",
	 .only_word = "offset"},
};
const struct section schema_quic = {
	.name = "quic of a service",
	.text = "QUIC packets go to the backend that their connection id names, all others, and "
		"those that it names none for, by their flow",
	KEYS(quic_keys)};

static const struct keyword source_route_keys[] = {
	{.name = "from",
	 .text = "source addresses, one or a list; the longest prefix of all decides",
	 SPECIAL(from),
	 .form = "an address or prefix without host bits, such as 10.0.0.0/8",
	 .required = true},
	{.name = "pool",
	 .text = "pool that serves them",
	 .type = KEY_NAME,
	 FIELD(struct source_route, pool_name),
	 .form = "the name of a pool",
	 .refuse_text = field_refuse_name,
	 .required = true},
};
const struct section schema_source_route = {.name = "source route of a service",
					    .text = "Clients that another pool serves",
					    KEYS(source_route_keys)};
