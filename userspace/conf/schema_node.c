/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of the node: a part of the table in schema.h. */
#include "conf/schema.h"

#include <inttypes.h>
#include <string.h>

#include "bpf/abi.h"
#include "conf/fields.h"
#include "conf/snapshot.h"
#include "conf/value.h"
#include "core/strbuf.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define SPECIAL(x)	    .type = KEY_SPECIAL, .read = field_read_##x, .format = field_format_##x
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define SECOND 1000ULL
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

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
static const struct section node_limits = {
	.name = "limits of the node",
	.text = "Sizes of the kernel's tables; they keep the size they were made with until "
		"shunt-load detach --purge",
	KEYS(node_limits_keys)};

static const struct keyword node_keys[] = {
	{.name = "interfaces",
	 .text = "network interfaces that packets for l4 services come in by, and leave by to "
		 "backends; none: the proxy alone",
	 SPECIAL(interfaces),
	 .form = "a list of interface names",
	 .restart_if = field_restart_interfaces},
	{.name = "xdp_mode",
	 .text = "native runs in the driver; generic works with any driver and is slow",
	 .type = KEY_CHOICE,
	 FIELD(struct node, xdp_mode),
	 .words = xdp_mode_words,
	 .fallback = "native"},
	{.name = "workers",
	 .text = "threads of the proxy; auto: one a processor that the daemon may run on",
	 SPECIAL(workers),
	 .form = "auto or a number from 1 to 64",
	 .fallback = "auto",
	 .restart = true},
	{.name = "pin_path",
	 .text = "directory in a bpf file system where the kernel's tables are kept",
	 .type = KEY_TEXT,
	 FIELD(struct node, pin_path),
	 .form = "an absolute path",
	 .refuse_text = field_refuse_path,
	 .fallback = "/sys/fs/bpf/shunt",
	 .restart = true},
	{.name = "hash_seed",
	 .text = "key of the flow hash, the same on every balancer of a fleet",
	 SPECIAL(hash_seed),
	 .form = "32 hexadecimal digits, not all zero",
	 .fallback_text = "the one that the kernel's tables were made with, else drawn",
	 .restart = true},
	{.name = "tunnel_source",
	 .text = "outer source address of tunnels, or a prefix whose free bits spread the flows",
	 SPECIAL(tunnel_source),
	 .form = "an address or prefix without host bits, one of each family",
	 .fallback_text = "the interface's address"},
	{.name = "fragments",
	 .text = "fragments for l4 services follow their packet's first one, are dropped, or pass",
	 .type = KEY_CHOICE,
	 FIELD(struct node, fragments),
	 .words = fragments_words,
	 .fallback = "follow"},
	{.name = "echo",
	 .text = "echo requests to addresses that have l4 services alone are answered",
	 .type = KEY_CHOICE,
	 FIELD(struct node, echo),
	 .words = echo_words,
	 .fallback = "on"},
	{.name = "icmp_rate",
	 .text = "answers to echo requests, and messages that a packet is too big for its tunnel, "
		 "a "
		 "second and processor",
	 .type = KEY_NUMBER,
	 FIELD(struct node, icmp_rate),
	 .max = 65535,
	 .fallback = "100"},
	{.name = "steer_sockets",
	 .text = "a program gives connections to the sockets of proxied services, which prefixes, "
		 "ranges and any port need; auto: where there is one of those, or node.interfaces",
	 .type = KEY_CHOICE,
	 FIELD(struct node, steer_sockets),
	 .words = steer_sockets_words,
	 .fallback = "auto"},
	{.name = "io_uring",
	 .text = "reads and writes of many sockets are one system call; auto: where the kernel has "
		 "it "
		 "and allows it",
	 .type = KEY_CHOICE,
	 FIELD(struct node, io_uring),
	 .words = io_uring_words,
	 .fallback = "auto",
	 .restart = true},
	{.name = "zone",
	 .text = "where this node stands: proxy pools take backends of the same zone first",
	 .type = KEY_TEXT,
	 FIELD(struct node, zone),
	 .form = "a name",
	 .refuse_text = field_refuse_name,
	 .fallback_text = "none"},
	{.name = "drain_timeout",
	 .text = "how long a daemon that is told to stop waits for its connections",
	 .type = KEY_DURATION,
	 FIELD(struct node, drain_ms),
	 .max = DAY,
	 .fallback = "30s"},
	{.name = "reconcile",
	 .text = "how often the kernel's tables are compared with what they should say, and what "
		 "another has changed in them is put back; 0s: never",
	 .type = KEY_DURATION,
	 FIELD(struct node, reconcile_ms),
	 .max = HOUR,
	 .fallback = "30s"},
	{.name = "ticket_rotation",
	 .text = "how long a key makes TLS session tickets, which are good for as long again",
	 .type = KEY_DURATION,
	 FIELD(struct node, ticket_rotation_ms),
	 .min = SECOND,
	 .max = 7 * DAY,
	 .fallback = "8h",
	 .restart = true},
	{.name = "limits",
	 .text = "sizes of the kernel's tables",
	 .type = KEY_SECTION,
	 FIELD(struct node, limits),
	 .section = &node_limits},
};
const struct section schema_node = {.name = "node", .text = "This machine", KEYS(node_keys)};
