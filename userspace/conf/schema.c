/* SPDX-License-Identifier: BSD-2-Clause */
/* The language of the configuration as a table: see schema.h. */
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

/* ---- pools ---- */

static const struct keyword backend_keys[] = {
	{.name = "name",
	 .text = "its name, once in the pool; every balancer of a fleet must use the same",
	 .type = KEY_NAME,
	 FIELD(struct backend, name),
	 .form = "a name",
	 .refuse_text = field_refuse_name,
	 .required = true},
	{.name = "address",
	 .text = "its address, with a port in proxy pools, and with one where nat shall change it; "
		 "of a local one any of this host, for the health checks",
	 SPECIAL(address),
	 FIELD(struct backend, ep),
	 .form = "an address, with or without a port: 10.0.0.1, 10.0.0.1:8080, [2001:db8::1]:8080",
	 .required = true},
	{.name = "forward",
	 .text = "how this one gets its packets, as in the pool; one service can mix them",
	 .type = KEY_CHOICE,
	 FIELD(struct backend, forward),
	 .words = forward_words,
	 .fallback_text = "that of the pool"},
	{.name = "weight",
	 .text = "its share of new flows or requests, relative to the others; 0: none",
	 .type = KEY_NUMBER,
	 FIELD(struct backend, weight),
	 .max = 1000,
	 .fallback = "1"},
	{.name = "priority",
	 .text = "in proxy pools: others with a lower one come first, as long as five in seven of "
		 "those are healthy; then as much spills over as they should not carry",
	 .type = KEY_NUMBER,
	 FIELD(struct backend, priority),
	 .max = POOL_PRIORITIES - 1,
	 .fallback = "0"},
	{.name = "zone",
	 .text = "in proxy pools: where it stands; those of the node's own zone come first, by the "
		 "same rule",
	 .type = KEY_TEXT,
	 FIELD(struct backend, zone),
	 .form = "a name",
	 .refuse_text = field_refuse_name,
	 .fallback_text = "none"},
	{.name = "state",
	 .text = "drain: no new flows or requests, those it has go on; disabled: none at all",
	 .type = KEY_CHOICE,
	 FIELD(struct backend, admin),
	 .words = admin_state_words,
	 .fallback = "up"},
	{.name = "server_id",
	 .text = "what it writes into QUIC connection ids, for l4 services with quic; its octets "
		 "are "
		 "those of the number, the highest first",
	 SPECIAL(server_id),
	 .offset = offsetof(struct backend, has_server_id),
	 .width = offsetof(struct backend, rt) - offsetof(struct backend, has_server_id),
	 .form = "a number, in decimal or with 0x in hexadecimal digits"},
};
const struct section schema_backend = {
	.name = "backend", .text = "One server of a pool", KEYS(backend_keys)};

#define PROXY_ONLY  .only_key = "forward", .only_word = "proxy"
#define KERNEL_ONLY .only_key = "forward", .except_word = "proxy"

static const struct keyword pool_keys[] = {
	{.name = "forward",
	 .text = "ipip: encapsulated, the backend answers directly; gue: the same in UDP; l2: as "
		 "they are, to the MAC address of a backend in a network of this host; local: to "
		 "this host itself; nat: with the backend's address and port, answers come back "
		 "through here; proxy: requests by the daemon",
	 .type = KEY_CHOICE,
	 FIELD(struct pool, forward),
	 .words = forward_words,
	 .fallback_text = "ipip where l4 services use the pool, proxy where http ones do"},
	{.name = "next_hop",
	 .text = "reflect: packets go back to the router that they came from, by the same "
		 "interface; fib: where this host's routes lead, by any of node.interfaces, as "
		 "those of l2 backends always do",
	 .type = KEY_CHOICE,
	 FIELD(struct pool, next_hop),
	 .words = next_hop_words,
	 .fallback = "reflect",
	 KERNEL_ONLY},
	{.name = "gue_port",
	 .text = "UDP port that gue backends listen on",
	 .type = KEY_NUMBER,
	 FIELD(struct pool, gue_port),
	 .min = 1,
	 .max = 65535,
	 .fallback = "6080",
	 KERNEL_ONLY},
	{.name = "mtu",
	 .text = "largest packet on the way to a backend, its outer header included",
	 .type = KEY_NUMBER,
	 FIELD(struct pool, tunnel_mtu),
	 .min = 576,
	 .max = 65535,
	 .fallback_text = "the smallest of the interfaces'",
	 KERNEL_ONLY},
	{.name = "source_nat",
	 .text = "what nat backends see as the source: an address or a prefix of which each "
		 "address "
		 "is used, routed to this host; auto: the address of the first interface. Without, "
		 "they see the client's own, and must send their answers through this host",
	 SPECIAL(source_nat),
	 KEY_BYTES(struct pool, source_nat, source_len),
	 .form = "auto, or an address or prefix without host bits, one of each family",
	 .fallback_text = "none"},
	{.name = "source_ports",
	 .text = "ports of each source address that are used; they must be outside of "
		 "net.ipv4.ip_local_port_range where the address is this host's own",
	 SPECIAL(source_ports),
	 KEY_BYTES(struct pool, source_port_low, source_port_high),
	 .form = "a range such as 1024-32767",
	 .fallback = "1024-32767"},
	{.name = "health",
	 .text = "how backends are checked; none: they count as good",
	 .type = KEY_SECTION,
	 FIELD(struct pool, health),
	 .section = &schema_health,
	 .empty_word = "none",
	 .fallback_text = "tcp in proxy pools; none, with a warning, in others, where a "
			  "backend's service often does not listen on the backend's own address"},
	{.name = "connect_timeout",
	 .text = "how long a backend may take to accept a connection",
	 .type = KEY_DURATION,
	 FIELD(struct pool, connect_ms),
	 .min = 1,
	 .max = HOUR,
	 .fallback = "3s",
	 PROXY_ONLY},
	{.name = "idle_timeout",
	 .text = "how long a connection to a backend is kept without a request",
	 .type = KEY_DURATION,
	 FIELD(struct pool, idle_ms),
	 .min = 1,
	 .max = DAY,
	 .fallback = "60s",
	 PROXY_ONLY},
	{.name = "idle_connections",
	 .text = "connections without a request kept to one backend by one worker",
	 .type = KEY_NUMBER,
	 FIELD(struct pool, idle_max),
	 .max = 65536,
	 .fallback = "128",
	 PROXY_ONLY},
	{.name = "tls",
	 .text = "TLS towards its backends",
	 .type = KEY_SECTION,
	 FIELD(struct pool, tls),
	 .section = &schema_pool_tls,
	 PROXY_ONLY},
	{.name = "protocol",
	 .text = "what backends of http services are spoken to: http1, or http2, over TLS (agreed "
		 "on by "
		 "ALPN) where the pool has tls, else by prior knowledge; gRPC needs http2. One "
		 "connection then serves many requests at a time",
	 .type = KEY_CHOICE,
	 FIELD(struct pool, protocol),
	 .words = pool_protocol_words,
	 .fallback = "http1",
	 PROXY_ONLY},
	{.name = "streams",
	 .text = "http2: most requests of one connection at a time, where the backend allows as "
		 "many; "
		 "for more another connection is opened",
	 .type = KEY_NUMBER,
	 FIELD(struct pool, streams),
	 .min = 1,
	 .max = 10000,
	 .fallback = "100",
	 PROXY_ONLY},
	{.name = "balance",
	 .text = "which backend is next: round-robin; least-request: the one with the fewest under "
		 "way for its weight; ewma: of two by chance the one with fewer and faster ones; "
		 "random; maglev: the same for the same client, nearly whatever comes and goes",
	 .type = KEY_CHOICE,
	 FIELD(struct pool, balance),
	 .words = balance_words,
	 .fallback = "round-robin",
	 PROXY_ONLY},
	{.name = "balance_by",
	 .text = "maglev: what has the same value goes to the same backend, an expression such as "
		 "header[\"x-user\"] or path; where it is empty, and for connections, the client's "
		 "address is taken",
	 .type = KEY_TEXT,
	 FIELD(struct pool, balance_by_text),
	 .form = "an expression",
	 .fallback_text = "source.ip",
	 PROXY_ONLY},
	{.name = "load_bound",
	 .text = "maglev: a backend that has more than so many percent of its share of what is "
		 "under way is passed over; 0: none is",
	 .type = KEY_NUMBER,
	 FIELD(struct pool, load_bound),
	 .max = 1000,
	 .fallback = "0",
	 .refuse_number = field_refuse_load_bound,
	 PROXY_ONLY},
	{.name = "sticky",
	 .text = "http services: a signed cookie brings a client back to its backend, also to one "
		 "that is draining, not to one that is down or disabled",
	 .type = KEY_SECTION,
	 FIELD(struct pool, sticky),
	 .section = &schema_sticky,
	 .fallback_text = "none",
	 PROXY_ONLY},
	{.name = "slow_start",
	 .text = "how long a backend that was added or came up again takes to get its whole "
		 "weight, from a tenth on; not with maglev",
	 .type = KEY_DURATION,
	 FIELD(struct pool, slow_start_ms),
	 .max = HOUR,
	 .fallback = "0s",
	 PROXY_ONLY},
	{.name = "requests",
	 .text = "most requests, or connections of tcp and tls services, at a time of one backend, "
		 "from all workers together; more find it full; 0: any number",
	 .type = KEY_NUMBER,
	 FIELD(struct pool, requests_max),
	 .max = 1000000,
	 .fallback = "0",
	 PROXY_ONLY},
	{.name = "outlier",
	 .text = "backends whose requests fail are passed over for a while",
	 .type = KEY_SECTION,
	 FIELD(struct pool, outlier),
	 .section = &schema_outlier,
	 .fallback_text = "none is",
	 PROXY_ONLY},
	{.name = "panic",
	 .text = "where fewer percent of a group of backends are healthy, and all groups together "
		 "too few, requests go to all of it, healthy or not; 0: never to one that is down",
	 .type = KEY_NUMBER,
	 FIELD(struct pool, panic_percent),
	 .max = 100,
	 .fallback = "0",
	 PROXY_ONLY},
	{.name = "proxy_protocol",
	 .text = "the PROXY header, of this version, in front of each connection to a backend, "
		 "which "
		 "then serves one client alone; v2 with the server name, the protocol (ALPN) and "
		 "the "
		 "unique id of the connection, where they are known. HTTP health checks, and "
		 "those in TLS, send one too; ahead of TLS it goes in the clear",
	 .type = KEY_CHOICE,
	 FIELD(struct pool, proxy_out),
	 .words = proxy_out_words,
	 .fallback = "off",
	 PROXY_ONLY},
	{.name = "limits",
	 .text = "what its backends are spared",
	 .type = KEY_SECTION,
	 FIELD(struct pool, limits),
	 .section = &schema_pool_limits,
	 PROXY_ONLY},
	{.name = "backends", .text = "its servers", .type = KEY_ITEMS, .section = &schema_backend},
	{.name = "discover",
	 .text = "more of them, that are found by DNS or in a file",
	 .type = KEY_SECTION,
	 FIELD(struct pool, discover),
	 .section = &schema_discover,
	 .empty_word = "none",
	 .fallback_text = "none"},
};
const struct section schema_pool = {
	.name = "pool",
	.text = "Servers that are interchangeable, and how they are reached and checked",
	KEYS(pool_keys)};

/* ---- services ---- */

#define L4_ONLY	  .only_key = "mode", .only_word = "l4"
#define HTTP_ONLY .only_key = "mode", .only_word = "http"
#define TLS_ONLY  .only_key = "mode", .only_word = "tls"

static const struct keyword service_keys[] = {
	{.name = "listen",
	 .text = "addresses that clients connect to, one or a list; the port may be a range "
		 "(8000-8099) or any, the address a prefix (203.0.113.0/24:443/tcp, "
		 "[2001:db8::/64]:any/udp): an address comes before a longer before a shorter "
		 "prefix, of each a port before a narrower before a wider range; only tcp, and "
		 "see node.steer_sockets, in the other modes than l4",
	 SPECIAL(listen),
	 .form = "ADDRESS:PORT/tcp or /udp, such as \"203.0.113.10:80/tcp\"",
	 .required = true},
	{.name = "mode",
	 .text = "l4: packets are steered in the kernel; http: requests are proxied; tcp: bytes "
		 "are passed "
		 "on both ways; tls: the same, by what the client asks for in the clear",
	 .type = KEY_CHOICE,
	 FIELD(struct service, mode),
	 .words = service_mode_words,
	 .required = true},
	{.name = "pool",
	 .text = "pool that serves it; modes tls and http can do without: what no route is for is "
		 "then refused, with the alert unrecognized_name, or status 404",
	 SPECIAL(pool),
	 .form = "the name of a pool"},
	{.name = "tracking",
	 .text = "which flows have entries, so that they stay with their backend when the pool "
		 "changes. on-change: those that begin while their part of the ring is moving to "
		 "another backend; always: all; never: none, and flows follow the ring; auto: "
		 "on-change for TCP, always for UDP",
	 .type = KEY_CHOICE,
	 FIELD(struct service, tracking),
	 .words = tracking_words,
	 .fallback = "auto",
	 L4_ONLY},
	{.name = "affinity",
	 .text = "what flows must have in common to go to one backend: flow (all), "
		 "source-destination (both addresses), source (the client's address)",
	 .type = KEY_CHOICE,
	 FIELD(struct service, affinity),
	 .words = affinity_words,
	 .fallback = "flow",
	 L4_ONLY},
	{.name = "quic",
	 .text = "backends by QUIC connection id",
	 .type = KEY_SECTION,
	 FIELD(struct service, quic),
	 .section = &schema_quic,
	 L4_ONLY},
	{.name = "source_routes",
	 .text = "clients that another pool serves, by their address",
	 SPECIAL(source_routes),
	 KEY_BYTES(struct service, source_routes, source_route_count),
	 .form = "a list of mappings {from: PREFIX, pool: NAME}",
	 .section = &schema_source_route,
	 L4_ONLY},
	{.name = "ring_size",
	 .text = "slots of the hash ring, a prime, a hundred times the backends or more",
	 .type = KEY_NUMBER,
	 FIELD(struct service, ring_size),
	 .min = 251,
	 .max = 4194301,
	 .refuse_number = field_refuse_ring_size,
	 .fallback = "65537",
	 L4_ONLY},
	{.name = "mss",
	 .text = "largest TCP segment that a client may offer to take; auto: what the tunnel to "
		 "the "
		 "backend has room for",
	 SPECIAL(mss),
	 FIELD(struct service, mss),
	 .form = "off, auto or a number from 536 to 65000",
	 .fallback = "off",
	 L4_ONLY},
	{.name = "idle",
	 .text = "how long a flow is remembered without a packet, and a moving part of the ring "
		 "kept so",
	 .type = KEY_SECTION,
	 FIELD(struct service, idle_s),
	 .section = &schema_idle,
	 L4_ONLY},
	{.name = "insert_rate",
	 .text = "most entries a second for new flows, all processors together; flows over it stay "
		 "without. Without this key: half of node.limits.pending",
	 .type = KEY_NUMBER,
	 FIELD(struct service, insert_rate),
	 .min = 1,
	 .max = 1U << 30,
	 L4_ONLY},
	{.name = "timeouts",
	 .text = "waits",
	 .type = KEY_SECTION,
	 FIELD(struct service, timeouts),
	 .section = &schema_http_timeouts,
	 HTTP_ONLY},
	{.name = "limits",
	 .text = "what is accepted from a client",
	 .type = KEY_SECTION,
	 FIELD(struct service, limits),
	 .section = &schema_http_limits,
	 HTTP_ONLY},
	{.name = "error_pages",
	 .text = "pages in place of the words that errors of the proxy's own are answered with, "
		 "but "
		 "not to who asks for JSON, nor to gRPC",
	 SPECIAL(error_pages),
	 .form = "a list of mappings {status: [NUMBER], file: FILE, type: TEXT}",
	 .section = &schema_error_page,
	 HTTP_ONLY},
	{.name = "paths",
	 .text = "the one form of a path",
	 .type = KEY_SECTION,
	 FIELD(struct service, paths),
	 .section = &schema_http_paths,
	 HTTP_ONLY},
	{.name = "trusted_proxies",
	 .text = "peers whose X-Forwarded-*, Forwarded and X-Real-IP are passed on and added to; "
		 "those of others are replaced",
	 SPECIAL(trusted),
	 KEY_BYTES(struct service, trusted_proxies, trusted_proxy_count),
	 .form = "an address or prefix without host bits, such as 10.0.0.0/8",
	 .fallback_text = "none",
	 HTTP_ONLY},
	{.name = "upgrades",
	 .text = "protocols that a request may ask to switch to (Upgrade), which makes the "
		 "connection a tunnel",
	 SPECIAL(upgrades),
	 .form = "none, any, or names of protocols, such as websocket",
	 .fallback = "websocket",
	 HTTP_ONLY},
	{.name = "http2",
	 .text = "clients may speak HTTP/2: agreed on by ALPN where there is tls, else by prior "
		 "knowledge",
	 .type = KEY_CHOICE,
	 FIELD(struct service, http2),
	 .words = http2_words,
	 .fallback = "on",
	 HTTP_ONLY},
	{.name = "connect",
	 .text = "requests by CONNECT are refused with 405, or passed on for a tunnel",
	 .type = KEY_CHOICE,
	 FIELD(struct service, connect),
	 .words = connect_rule_words,
	 .fallback = "refuse",
	 HTTP_ONLY},
	{.name = "request_id",
	 .text = "backends get an X-Request-Id: that of a trusted proxy, else a new one. Answers "
		 "of "
		 "the proxy's own always have it",
	 .type = KEY_CHOICE,
	 FIELD(struct service, request_id),
	 .words = request_id_words,
	 .fallback = "off",
	 HTTP_ONLY},
	{.name = "tls",
	 .text = "TLS towards clients",
	 .type = KEY_SECTION,
	 FIELD(struct service, tls),
	 .section = &schema_tls,
	 HTTP_ONLY},
	{.name = "variables",
	 .text = "values with names, for the routes' expressions and templates: {tenant: "
		 "'header[\"x-tenant\"]'}. One may name those before it",
	 SPECIAL(variables),
	 .form = "a mapping of names to expressions",
	 HTTP_ONLY},
	{.name = "routes",
	 .text = "what becomes of requests; the first route whose conditions all hold is the one. "
		 "What none is for goes to the service's pool",
	 SPECIAL(routes),
	 FIELD(struct service, routes),
	 .form = "a list of mappings {match: {...}, pool: NAME}",
	 .section = &schema_route,
	 HTTP_ONLY},
	{.name = "retry",
	 .text = "requests that are tried again, where their route does not say",
	 .type = KEY_SECTION,
	 FIELD(struct service, retry),
	 .section = &schema_retry,
	 HTTP_ONLY},
	{.name = "hedge",
	 .text = "requests that are tried twice at a time, where their route does not say",
	 .type = KEY_SECTION,
	 FIELD(struct service, hedge),
	 .section = &schema_hedge,
	 HTTP_ONLY},
	{.name = "priority",
	 .text = "of its requests, where their route does not say: who is refused first when there "
		 "is too much to do",
	 .type = KEY_CHOICE,
	 FIELD(struct service, priority),
	 .words = priority_words,
	 .fallback = "normal",
	 HTTP_ONLY},
	{.name = "rate_limit",
	 .text = "names of rate_limits that all requests are held to, in this order, before those "
		 "of their route",
	 SPECIAL(rate_limit),
	 KEY_BYTES(struct service, rate_limits, rate_limit_count),
	 .form = "names of rate_limits",
	 .fallback_text = "none",
	 HTTP_ONLY},
	{.name = "sni_routes",
	 .text = "pools by the server name and the protocols that a client asks for. A whole name "
		 "comes before a longer before a shorter suffix before none, of each a route with "
		 "alpn before one without, then the order here",
	 SPECIAL(sni_routes),
	 KEY_BYTES(struct service, sni_routes, sni_route_count),
	 .form = "a list of mappings {sni: NAME, alpn: PROTOCOL, pool: NAME}",
	 .section = &schema_sni_route,
	 TLS_ONLY},
	{.name = "relay",
	 .text = "waits and bounds",
	 .type = KEY_SECTION,
	 FIELD(struct service, relay),
	 .section = &schema_relay,
	 .only_key = "mode",
	 .only_word = "tcp",
	 .also_word = "tls"},
	{.name = "proxy_protocol",
	 .text = "clients that say by a PROXY header, version 1 or 2, whom they speak for",
	 .type = KEY_SECTION,
	 FIELD(struct service, proxy_in),
	 .section = &schema_proxy_in,
	 .only_key = "mode",
	 .except_word = "l4"},
	{.name = "guard",
	 .text = "limits of what comes from the network, before it costs a backend anything",
	 .type = KEY_SECTION,
	 FIELD(struct service, guard),
	 .section = &schema_service_guard},
	{.name = "access_log",
	 .text = "a line for each request that has ended",
	 .type = KEY_SECTION,
	 FIELD(struct service, access),
	 .section = &schema_access,
	 HTTP_ONLY},
};
const struct section schema_service = {
	.name = "service",
	.text = "Addresses that clients connect to, and the pool that serves them",
	KEYS(service_keys)};

/* ---- the document ---- */

static const struct keyword root_keys[] = {
	{.name = "node",
	 .text = "this machine",
	 .type = KEY_SECTION,
	 FIELD(struct snapshot, node),
	 .section = &schema_node},
	{.name = "admin",
	 .text = "how the daemon is talked to",
	 .type = KEY_SECTION,
	 FIELD(struct snapshot, admin),
	 .section = &schema_admin},
	{.name = "log",
	 .text = "what the daemon says of itself",
	 .type = KEY_SECTION,
	 FIELD(struct snapshot, log),
	 .section = &schema_log},
	{.name = "guard",
	 .text = "sources whose packets for services are dropped, or held to no limit",
	 .type = KEY_SECTION,
	 FIELD(struct snapshot, guard),
	 .section = &schema_guard},
	{.name = "overload",
	 .text = "when there is too much to do",
	 .type = KEY_SECTION,
	 FIELD(struct snapshot, overload),
	 .section = &schema_overload},
	{.name = "pools", .text = "servers", .type = KEY_NAMED, .section = &schema_pool},
	{.name = "rate_limits",
	 .text = "how many requests are taken; services and routes name them",
	 .type = KEY_NAMED,
	 .section = &schema_rate_limit},
	{.name = "services",
	 .text = "what is balanced",
	 .type = KEY_NAMED,
	 .section = &schema_service},
};
const struct section schema_root = {
	.name = "configuration", .text = "The whole document", KEYS(root_keys)};

/* ---- questions to the table ---- */

const struct keyword *section_keyword(const struct section *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->keys[i].name[0] == name[0] && !strcmp(s->keys[i].name, name))
			return &s->keys[i];
	return NULL;
}

static uint64_t load(const void *field, size_t width)
{
	switch (width) {
	case 1: return *(const uint8_t *)field;
	case 2: return *(const uint16_t *)field;
	case 4: return *(const uint32_t *)field;
	default: return *(const uint64_t *)field;
	}
}

bool keyword_is_set(const struct section *s, const struct keyword *k, const void *object)
{
	const char *field = (const char *)object + k->offset;

	if (k->variant)
		return *(const unsigned *)((const char *)object + s->tag_offset) == k->variant;
	if (k->type == KEY_TEXT || k->type == KEY_NAME)
		return *(const char *const *)field != NULL;
	/* A number without a default is zero where it was not given. */
	if (k->type == KEY_NUMBER && !k->fallback)
		return load(field, k->width) != 0;
	return k->type != KEY_NAMED && k->type != KEY_ITEMS;
}

static void format_section(struct strbuf *b, const struct keyword *k, const void *object)
{
	const struct section *s = k->section;
	const char *separator = "{";

	if (s->one_of && !*(const unsigned *)((const char *)object + s->tag_offset)) {
		strbuf_add(b, k->empty_word);
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		struct strbuf value;

		if (!keyword_is_set(s, &s->keys[i], object))
			continue;
		strbuf_init(&value);
		keyword_format(&value, &s->keys[i], object);
		if (value.len)
			strbuf_printf(b, "%s%s: %s", separator, s->keys[i].name, value.text);
		if (value.len)
			separator = ", ";
		b->failed |= value.failed;
		strbuf_deinit(&value);
	}
	strbuf_add(b, separator[0] == '{' ? "{}" : "}");
}

void keyword_format(struct strbuf *b, const struct keyword *k, const void *object)
{
	const void *field = (const char *)object + k->offset;

	switch (k->type) {
	case KEY_NUMBER: strbuf_printf(b, "%" PRIu64, load(field, k->width)); break;
	case KEY_DURATION:
		value_format_duration(b, load(field, k->width) * (k->scale ? k->scale : 1));
		break;
	case KEY_SIZE: value_format_size(b, load(field, k->width)); break;
	case KEY_CHOICE: strbuf_add(b, k->words[load(field, k->width)]); break;
	case KEY_TEXT:
	case KEY_NAME: strbuf_add(b, *(const char *const *)field); break;
	case KEY_SPECIAL: k->format(b, object); break;
	case KEY_SECTION: format_section(b, k, field); break;
	case KEY_NAMED:
	case KEY_ITEMS: break;
	}
}
