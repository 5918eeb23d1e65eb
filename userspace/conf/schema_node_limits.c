/* SPDX-License-Identifier: BSD-2-Clause */
/* The sizes of the kernel's tables: a part of the table in schema.h. */
#include "bpf/abi.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define LIMIT(member) .type = KEY_NUMBER, FIELD(struct node_limits, member), .restart = true

static const struct keyword node_limits_keys[] = {
	{.name = "services",
	 .text = "listen addresses of all services together, proxied ones too (not those on every "
		 "address)",
	 LIMIT(services),
	 .min = 1,
	 .max = SHUNT_MAX_SERVICES,
	 .fallback = "1024"},
	{.name = "backends",
	 .text = "backends of all l4 services together, those that are draining away included",
	 LIMIT(backends),
	 .min = 2,
	 .max = SHUNT_MAX_BACKENDS,
	 .fallback = "16384"},
	{.name = "ring_slots",
	 .text = "slots of all rings together; a change needs room for the old ring and the new",
	 LIMIT(ring_slots),
	 .min = 1024,
	 .max = 1U << 28,
	 .fallback = "8388608"},
	{.name = "flows",
	 .text = "tracked flows of each address family",
	 LIMIT(flows),
	 .min = 1024,
	 .max = 1U << 26,
	 .fallback = "2097152"},
	{.name = "pending",
	 .text = "flows of each address family of which one packet was seen",
	 LIMIT(pending),
	 .min = 1024,
	 .max = 1U << 24,
	 .fallback = "65536"},
	{.name = "guard",
	 .text = "entries of the block and allow lists of each address family; sources that are "
		 "blocked automatically take half of them at most",
	 LIMIT(guard),
	 .min = 16,
	 .max = 1U << 24,
	 .fallback = "65536"},
	{.name = "sources",
	 .text = "sources that services with limits for each source remember, all together",
	 LIMIT(sources),
	 .min = 1024,
	 .max = 1U << 24,
	 .fallback = "65536"},
	{.name = "nat",
	 .text = "flows of each address family to nat backends; more are refused",
	 LIMIT(nat),
	 .min = 1024,
	 .max = 1U << 24,
	 .fallback = "262144"},
};
const struct section schema_node_limits = {
	.name = "limits of the node",
	.text = "Sizes of the kernel's tables; they keep the size they were made with until "
		"shunt-load detach --purge",
	KEYS(node_limits_keys)};
