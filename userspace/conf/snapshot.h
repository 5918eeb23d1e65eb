/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A checked configuration: immutable, counted by reference, read by everything else. Whoever wants
 * a change builds a new one. Made by conf_build() (conf/build.h) on the main thread; workers hold
 * references and release them with snapshot_unref() from any thread. All strings and arrays belong
 * to the snapshot.
 */
#ifndef CONF_SNAPSHOT_H
#define CONF_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/discover.h"
#include "conf/environ.h"
#include "conf/error_pages.h"
#include "conf/resilience.h"
#include "core/addr.h"
#include "core/diag.h"
#include "limit/meter.h"
#include "limit/overload.h"
#include "tls/policy_words.h"

struct access_plan; /* conf/access_plan.h */
struct arena;
struct expr;
struct route_mem;
struct backend_rt; /* conf/runtime.h */
struct log_sink;   /* log/sink.h */
struct limit_rt;
struct pool_rt;
struct service_rt;
struct tls_authorities; /* tls/authorities.h */
struct tls_cert;	/* tls/cert.h */
struct tls_staple;	/* tls/staple.h */
struct tree;

enum xdp_mode { XDP_MODE_NATIVE, XDP_MODE_GENERIC };

/* Sizes of the kernel's tables; fixed once they are made, until `shunt-load detach --purge`. */
struct node_limits {
	uint32_t services;   /* default 1024, at most SHUNT_MAX_SERVICES */
	uint32_t backends;   /* default 16384, at most SHUNT_MAX_BACKENDS */
	uint32_t ring_slots; /* all rings together, default 8388608 */
	uint32_t flows;	     /* each family, default 2097152 */
	uint32_t pending;    /* each family, default 65536 */
	uint32_t guard;	     /* entries of the block and allow lists, each family, default 65536 */
	uint32_t sources;    /* that guarded services remember, default 65536 */
	uint32_t nat;	     /* NAT flows, each family, default 262144 */
};

enum fragments { FRAGMENTS_FOLLOW, FRAGMENTS_DROP, FRAGMENTS_PASS };
enum echo { ECHO_ON, ECHO_OFF };

/* Does a program give connections to the sockets of proxied services? AUTO: where a service needs it, and
 * where there are interfaces, so that programs are loaded anyway. */
enum io_uring_use { IO_URING_AUTO, IO_URING_OFF };
enum steer_sockets { STEER_SOCKETS_AUTO, STEER_SOCKETS_ON, STEER_SOCKETS_OFF };

struct node {
	const char *const
		*interfaces; /* none: the proxy alone, nothing is loaded into the kernel */
	size_t interface_count;
	enum xdp_mode xdp_mode;
	const char *pin_path;  /* default /sys/fs/bpf/shunt */
	uint64_t hash_seed[2]; /* the same in a whole fleet */
	struct addr
		tunnel_source[2]; /* outer source, [0] IPv4 [1] IPv6; family 0: the interface's */
	unsigned tunnel_source_len[2]; /* prefix length; the bits behind it carry flow entropy */
	enum fragments fragments;      /* the first one, default follow */
	enum echo echo;	    /* are echo requests to steered services answered, default on */
	unsigned icmp_rate; /* answers and errors of ours, a second and processor, default 100 */
	enum steer_sockets steer_sockets; /* default auto */
	enum io_uring_use io_uring;	  /* default auto */
	struct node_limits limits;
	const char *zone;	     /* where it stands; NULL: not said */
	unsigned workers;	     /* resolved: at least 1 */
	unsigned drain_ms;	     /* how long SIGTERM waits for connections */
	unsigned reconcile_ms;	     /* from one look at the kernel's tables to the next; 0: none */
	unsigned ticket_rotation_ms; /* of the keys of TLS session tickets, default 8 h */
};

/* How many of each have series of their own. */
struct metrics_conf {
	unsigned services, routes, backends; /* default 1000 each */
};

struct admin_conf {
	const char *socket; /* path of the control socket, default /run/shunt/control.sock */
	unsigned history;   /* generations that are kept, default 50 */
	enum watch { WATCH_OFF, WATCH_ON } watch;
	struct endpoint http;	  /* of the admin HTTP server; port 0: see http_path */
	const char *http_path;	  /* the same, a unix socket; NULL: there is none */
	const char *const *hosts; /* that it may be asked for, beside addresses */
	size_t host_count;
	const char *token_file;
	const char *token; /* what was in the file; NULL: only GET is answered */
	struct metrics_conf metrics;
};

/* The daemon's own log. */
enum log_conf_level {
	LOG_CONF_AS_STARTED,
	LOG_CONF_ERROR, /* from here on as enum log_level */
	LOG_CONF_WARNING,
	LOG_CONF_INFO,
	LOG_CONF_DEBUG,
};
enum log_conf_format { LOG_CONF_TEXT, LOG_CONF_JSON };
enum log_conf_target { LOG_CONF_STDERR, LOG_CONF_JOURNALD, LOG_CONF_SYSLOG };
struct log_conf {
	enum log_conf_level level;
	enum log_conf_format format;
	enum log_conf_target target;
};

enum health_kind { HEALTH_NONE, HEALTH_TCP, HEALTH_HTTP, HEALTH_GRPC };

enum health_tls { HEALTH_TLS_AUTO, HEALTH_TLS_ON, HEALTH_TLS_OFF };

/* By a connection of this host to the backend, as clients' packets come to it, or the one, then the
 * other. */
enum health_via { HEALTH_VIA_DIRECT, HEALTH_VIA_TUNNEL, HEALTH_VIA_BOTH };

struct status_range {
	unsigned low, high; /* both included */
};

struct health_pattern; /* conf/health_pattern.h */

struct health_conf {
	enum health_kind kind;
	enum health_tls tls;	       /* auto: where the port for clients is checked */
	enum health_via via;	       /* default direct */
	uint16_t port;		       /* 0 (proxy pools only): each backend's own */
	const char *path;	       /* HTTP: origin-form target */
	const char *host;	       /* HTTP, gRPC: Host header; NULL: the address */
	struct status_range *statuses; /* HTTP: expected, default 200..299 */
	size_t status_count;
	const char *body;		/* HTTP: what must be in the body; NULL: anything */
	const char *body_regex;		/* HTTP: the same as an expression */
	struct health_pattern *pattern; /* body_regex, compiled; the snapshot's */
	size_t body_limit;		/* HTTP: bytes of the body that are looked at, 16 KiB */
	const char *service;		/* gRPC: that is asked for; NULL: the server as a whole */
	unsigned every_ms, timeout_ms;
	unsigned changing_ms; /* in place of every_ms while results contradict the state; 0: none */
	unsigned rise, fall;  /* results in a row that change the state */
	unsigned damping_ms;  /* who goes down again sooner has to do more to come up; 0: none */
};

enum forward { FORWARD_IPIP, FORWARD_GUE, FORWARD_L2, FORWARD_LOCAL, FORWARD_NAT, FORWARD_PROXY };

/* Where packets go that leave in frames of the kernel's: back to the router that they came from, or
 * where this host's routes lead. */
enum next_hop { NEXT_HOP_REFLECT, NEXT_HOP_FIB };

/* What NAT backends see as the source of a packet: the client's own address, or one of ours. */
enum source_nat { SOURCE_NAT_NONE, SOURCE_NAT_AUTO, SOURCE_NAT_GIVEN };

/* What the configuration or a command says of a backend; health is in struct backend_rt. */
enum admin_state { ADMIN_UP, ADMIN_DRAIN, ADMIN_DISABLED };

struct tls_files {
	const char *cert, *key; /* key NULL: in the file of cert */
	const char *ocsp;	/* services: of an OCSP response; NULL: none */
};

#define TLS_CA_NONE "none"

/* TLS towards the backends of a pool. */
struct pool_tls {
	const char *ca; /* file of the authorities that are trusted, or TLS_CA_NONE; NULL: no TLS */
	const char *name; /* asked for and verified; NULL: each backend's address is verified */
	struct tls_files client; /* what we are known by; cert NULL: nothing */
	enum tls_policy policy;	 /* default intermediate */
	/* What was in the files; the snapshot holds references. */
	struct tls_authorities *authorities;
	struct tls_cert *cert;
};

struct pool;

struct backend {
	const char *name;
	const struct pool *pool;
	enum forward forward; /* its own, else the pool's; proxy only with a proxy pool */
	struct endpoint ep;   /* port: 0 where packets keep the service's, never 0 in proxy pools */
	unsigned weight;      /* 0..1000, default 1; 0 takes no new flows */
	unsigned priority;    /* proxy: others come first, below POOL_PRIORITIES */
	const char *zone;     /* proxy: NULL: none */
	uint64_t sticky_tag;  /* its name in cookies: a hash of name and address */
	enum admin_state admin;
	enum discover_kind origin; /* NONE: the document lists it */
	bool has_server_id;
	uint64_t server_id;    /* in QUIC connection ids, as a number */
	struct backend_rt *rt; /* the snapshot holds a reference */
};

/* The PROXY header in front of each connection to a backend. */
enum proxy_out { PROXY_OUT_OFF, PROXY_OUT_V1, PROXY_OUT_V2 };

enum pool_protocol { POOL_HTTP1, POOL_HTTP2 };

/* Which backend a request, or a connection, is for. */
enum balance {
	BALANCE_ROUND_ROBIN,
	BALANCE_LEAST_REQUEST,
	BALANCE_EWMA, /* of two by chance the one with less to do, and faster */
	BALANCE_RANDOM,
	BALANCE_MAGLEV,
};

#define POOL_PRIORITIES 8

enum sticky_secure { STICKY_SECURE_AUTO, STICKY_SECURE_ON, STICKY_SECURE_OFF };
enum sticky_samesite { SAMESITE_LAX, SAMESITE_STRICT, SAMESITE_NONE };

#define STICKY_SECRET_LEN 32

/* A cookie that brings a client back to its backend; of http services. */
struct pool_sticky {
	const char *cookie; /* its name; NULL: there is none */
	const char *key;    /* file of the secret that signs it */
	const char *path;
	unsigned ttl_s;		   /* 0: as long as the client's session */
	enum sticky_secure secure; /* auto: where the client speaks TLS */
	enum sticky_samesite samesite;
	unsigned char secret[STICKY_SECRET_LEN]; /* from what was in the file */
};

struct pool {
	const char *name;
	enum forward forward;	/* ipip for l4 services; proxy for http ones, also where not said */
	enum next_hop next_hop; /* of tunnels and nat; l2 backends are always found by the routes */
	uint16_t gue_port;	/* UDP port that gue backends listen on, default 6080 */
	struct health_conf health;
	enum source_nat source_nat; /* auto: the address of the node's first interface */
	struct addr source_addr[2]; /* where it is given: [0] IPv4 [1] IPv6; family 0: none */
	unsigned source_len[2];	    /* prefix length: each address of it is used */
	uint16_t source_port_low, source_port_high; /* of each, default 1024..32767 */
	uint16_t tunnel_mtu;	     /* largest outer packet; 0: the interface's MTU */
	unsigned connect_ms;	     /* proxy: TCP connect, default 3 s */
	unsigned idle_ms;	     /* proxy: how long an idle connection is kept, default 60 s */
	struct pool_tls tls;	     /* proxy */
	enum pool_protocol protocol; /* proxy: of http services */
	unsigned
		streams; /* proxy, HTTP/2: most requests at a time of one connection, default 100 */
	unsigned idle_max; /* proxy: idle connections to one backend in one worker, default 128 */
	enum proxy_out proxy_out;      /* proxy: what its backends are told of the client */
	enum balance balance;	       /* proxy */
	const char *balance_by_text;   /* maglev; NULL: by the client's address */
	const struct expr *balance_by; /* of balance_by_text, in the snapshot's pool_rules */
	unsigned load_bound;	       /* maglev: percent of its share that one may have; 0: any */
	unsigned slow_start_ms;	       /* proxy: 0: none */
	unsigned panic_percent;	       /* proxy: all are used where less of a group is healthy */
	struct pool_sticky sticky;     /* proxy */
	struct discover_conf discover;
	struct outlier_conf outlier; /* proxy */
	struct pool_limits limits;   /* proxy */
	struct pool_rt *rt;	     /* that its backends hold; NULL: it has none */
	unsigned requests_max;	     /* proxy: at a time of one backend; 0: any number */
	const char *local_zone;	     /* the node's; NULL: none */
	struct backend *backends;    /* sorted by name */
	size_t backend_count;
};

enum service_mode { SERVICE_L4, SERVICE_HTTP, SERVICE_TCP, SERVICE_TLS };
/* AUTO: on change for TCP, always for UDP. */
enum tracking { TRACKING_AUTO, TRACKING_ON_CHANGE, TRACKING_ALWAYS, TRACKING_NEVER };

struct listen {
	struct endpoint ep; /* of a prefix: its address; of a range: its lowest port */
	uint8_t proto;	    /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t prefix_len; /* 0: one address */
	uint16_t port_hi;   /* the highest port; 0: one port */
};

/* What flows have in common that go to one backend; in the order of enum shunt_affinity. */
enum affinity { AFFINITY_FLOW, AFFINITY_SOURCE_DESTINATION, AFFINITY_SOURCE };

/* Flows from some sources go to a pool of their own. */
struct source_prefix {
	struct addr addr;
	unsigned len;
};
struct source_route {
	struct source_prefix *from;
	size_t from_count;
	const char *pool_name;
	const struct pool *pool;
};

enum quic_cid { QUIC_CID_NONE, QUIC_CID_LB, QUIC_CID_OFFSET }; /* as enum shunt_cid */

/* How a service's backends write their server ids into QUIC connection ids. */
struct quic_conf {
	enum quic_cid cid;
	unsigned config_id;	   /* lb */
	unsigned server_id_length; /* octets, 1..8 */
	unsigned cid_length;	   /* octets; 0, lb: the first octet says it; 0, offset: any */
	unsigned offset;	   /* offset: of the server id */
	uint64_t mask;		   /* offset: bits of the server id that count */
};

/* Waits of an http service, in milliseconds. */
struct http_timeouts {
	unsigned
		request_header; /* from the first byte (or accept) to the end of the header: 10 s */
	unsigned request_body;	/* between two pieces of the body from the client: 30 s */
	unsigned idle;		/* keep-alive connection without a request: 60 s */
	unsigned response_header; /* from the whole request sent to the end of the header: 30 s */
	unsigned response_body;	  /* between two pieces from the backend: 30 s */
	unsigned tunnel;	  /* after an upgrade, without a byte either way: 10 min */
	unsigned write;		  /* without the peer taking a byte, either side: 30 s */
	unsigned tls_handshake;	  /* from accept to its end: 10 s */
};

struct http_limits {
	size_t request_line;	   /* bytes, 8 KiB; more is 414 */
	size_t header_bytes;	   /* whole header block, 32 KiB; more is 431 */
	unsigned header_count;	   /* 100; more is 431 */
	uint64_t body;		   /* bytes; more is 413; 0: no limit (default) */
	uint64_t client_rate;	   /* bytes of body a second that a client must send or take, 200 */
	unsigned pipelined;	   /* requests of one connection that come at once, 1000; 0: any */
	unsigned chunk_extensions; /* bytes in one request, 4 KiB; more is 400 */
	unsigned trailer_bytes;	   /* of a request, 8 KiB; more is 431 */
	unsigned trailer_count;	   /* fields of these, 100; more is 431 */
	unsigned continuations;	   /* frames of one HTTP/2 header behind the first, 8 */
	unsigned streams;	   /* at a time of one HTTP/2 connection, 100 */
	unsigned resets, control_frames; /* a second of one HTTP/2 connection, 100; 0: any */
	unsigned requests;		 /* of one client connection, 0: no limit (default) */
	unsigned connections;		 /* of the service in one worker, 0: no limit (default) */
	unsigned tls_handshakes; /* under way, of the service in one worker, 2000; 0: no limit */
};

enum dot_segments { DOT_SEGMENTS_RESOLVE, DOT_SEGMENTS_REFUSE, DOT_SEGMENTS_KEEP };
enum double_slashes { DOUBLE_SLASHES_MERGE, DOUBLE_SLASHES_REFUSE, DOUBLE_SLASHES_KEEP };
enum escaped_slashes { ESCAPED_SLASHES_REFUSE, ESCAPED_SLASHES_KEEP, ESCAPED_SLASHES_DECODE };
enum bad_escapes { BAD_ESCAPES_REFUSE, BAD_ESCAPES_ESCAPE };

/* What becomes of a path before it is routed and forwarded. */
struct http_paths {
	enum dot_segments dot_segments;
	enum double_slashes double_slashes;
	enum escaped_slashes escaped_slashes;
	enum bad_escapes bad_escapes;
};

enum http2_rule { HTTP2_ON, HTTP2_OFF };
enum connect_rule { CONNECT_REFUSE, CONNECT_TUNNEL };
enum request_id_rule { REQUEST_ID_OFF, REQUEST_ID_ON };
/* Waits and bounds of a tcp or tls service. */
struct relay_conf {
	unsigned idle_ms;	  /* without a byte either way, default 1 h */
	unsigned half_closed_ms;  /* the same once one side has ended, default 5 min */
	unsigned client_hello_ms; /* tls: from accept to the whole ClientHello, default 10 s */
	unsigned connections;	  /* of the service in one worker, 0: no limit (default) */
};

/* tls: what a ClientHello must ask for, and where it goes then. */
struct sni_route {
	const char *const *names; /* lower case, "*.SUFFIX" or whole; none: any, or no name */
	size_t name_count;
	const char *const *protocols; /* ALPN, one of them offered; none: whatever is */
	size_t protocol_count;
	const char *pool_name;
	const struct pool *pool;
};

enum proxy_header_rule { PROXY_IN_REQUIRED, PROXY_IN_OPTIONAL };

/* PROXY headers from clients: off where nobody is trusted. */
struct proxy_in {
	struct source_prefix *from; /* who may speak for others */
	size_t from_count;
	enum proxy_header_rule header;
	unsigned timeout_ms; /* from accept to the whole header, default 5 s */
};

enum flags_rule { FLAGS_PASS, FLAGS_DROP };
enum abuse_rule { ABUSE_DROP, ABUSE_BLOCK };
enum syn_cookies { SYN_COOKIES_OFF, SYN_COOKIES_AUTO, SYN_COOKIES_ALWAYS };

/* Of a service: what it takes from the network. 0: no limit. */
struct service_guard {
	uint32_t new_flows;			 /* a second, of the service */
	uint32_t new_flows_per_source;		 /* a second */
	unsigned burst_ms;			 /* so long a time's worth of either at once, 1 s */
	uint32_t packets_per_source;		 /* in a second; who sends more is blocked */
	unsigned block_ms;			 /* for so long, 10 minutes */
	unsigned source_prefix4, source_prefix6; /* bits that make a source: 32, 64 */
	uint32_t syn_payload;			 /* bytes */
	enum flags_rule bad_flags;
	enum abuse_rule abuse;
	enum syn_cookies syn_cookies; /* http */
	uint32_t syn_cookies_over;    /* SYNs a second from which auto begins, 1000 */
};

/* A row of the node's block and allow lists. */
struct guard_prefix {
	struct addr addr;
	unsigned len;
	bool allow;
	const char *note; /* NULL: none */
};

struct guard_conf {
	struct guard_prefix *entries; /* sorted by guard_prefix_cmp(), no prefix twice */
	size_t count;
};

enum client_verify { CLIENT_VERIFY_REQUIRED, CLIENT_VERIFY_OPTIONAL };

/* Certificates of clients. */
struct client_tls {
	const char *ca;		   /* file of the authorities; NULL: they are asked for none */
	const char *crl;	   /* file of revocation lists; NULL: none */
	enum client_verify verify; /* default required */
	/* What was in the files; the snapshot holds references. */
	struct tls_authorities *authorities, *crls;
};

enum early_data_rule { EARLY_DATA_OFF, EARLY_DATA_ON };

/* TLS towards clients. */
struct service_tls {
	struct tls_files *certificates;	 /* the first one serves names that none is for */
	size_t certificate_count;	 /* 0: no TLS */
	struct tls_cert **loaded;	 /* what was in the files; the snapshot holds references */
	struct tls_staple **staples;	 /* the same; NULL among them: none */
	enum tls_policy policy;		 /* default intermediate */
	enum early_data_rule early_data; /* default off */
	struct client_tls clients;
};

#define ACCESS_SAMPLE_ALL 10000U
enum access_errors { ACCESS_ERRORS_ALWAYS, ACCESS_ERRORS_SAMPLED };

/* An http service's access log. */
struct access_conf {
	const char *target; /* NULL: there is none */
	const char *format; /* "json", or a template */
	unsigned sample;    /* of ACCESS_SAMPLE_ALL requests, default all */
	enum access_errors errors;
	const char *const *headers; /* in lower case */
	size_t header_count;
	const char *const *redact; /* in lower case; NULL: those that commonly are secrets */
	size_t redact_count;
	const struct access_plan *plan; /* what a line is made of */
	struct log_sink *sink;		/* NULL: nothing is written; the snapshot's reference */
};

/* Whose requests are on one account, beside those with the same key. */
enum limit_per { LIMIT_PER_NODE, LIMIT_PER_SERVICE, LIMIT_PER_ROUTE };
enum dry_run { DRY_RUN_OFF, DRY_RUN_ON };

/* How many requests are taken of each that the key tells apart. */
struct rate_limit {
	const char *name;
	struct meter meter;
	const char
		*key; /* text of an expression, for the services that use it; NULL: one for all */
	uint32_t entries;     /* keys that are remembered, default 65536 */
	enum limit_per per;   /* default node */
	enum dry_run dry_run; /* counts what it would refuse, default off */
	struct limit_rt *rt;  /* the snapshot holds a reference */
};

/* When the workers have too much to do; all of them together. 0: no limit. */
struct overload_conf {
	unsigned lag_ms;
	uint64_t memory;
	uint64_t connections;
	uint32_t requests;	/* under way to backends */
	unsigned wait_ms;	/* of those above, default 10 s */
	unsigned retry_after_s; /* default 1 */
};

struct service {
	const char *name;
	enum service_mode mode;
	struct listen *listens;
	size_t listen_count;
	const struct pool *pool;	    /* NULL only in mode tls, with sni_routes */
	enum tracking tracking;		    /* l4 */
	uint32_t ring_size;		    /* l4: a prime, default 65537 */
	enum affinity affinity;		    /* l4 */
	struct quic_conf quic;		    /* l4 */
	struct source_route *source_routes; /* l4 */
	size_t source_route_count;
	uint32_t idle_s[4];   /* l4: by enum shunt_flow_state: 60, 7440, 120, 120 */
	uint32_t insert_rate; /* l4: entries for new flows a second; 0: from node.limits.pending */
	unsigned mss;	      /* l4: largest that a SYN may offer; 0: any; or SHUNT_MSS_AUTO */
	struct http_timeouts timeouts;
	struct http_limits limits;
	struct http_paths paths;
	struct source_prefix *trusted_proxies; /* http: peers that say whom they forward for */
	size_t trusted_proxy_count;
	const char *const *upgrades; /* http: protocols that may be switched to */
	size_t upgrade_count;
	bool upgrade_any;
	enum http2_rule http2;		 /* http */
	enum connect_rule connect;	 /* http */
	enum request_id_rule request_id; /* http: backends are told one, default off */
	struct service_tls tls;		 /* http */
	struct relay_conf relay;	 /* tcp, tls */
	struct sni_route *sni_routes;	 /* tls */
	size_t sni_route_count;
	struct route_set *routes;	/* http: conf/route_set.h; NULL: none */
	enum request_priority priority; /* http: default normal */
	const char *const *rate_limits; /* http: names; routes has them ready for use */
	size_t rate_limit_count;
	struct retry_conf retry;  /* http: where its route does not say */
	struct hedge_conf hedge;  /* the same */
	struct proxy_in proxy_in; /* http, tcp, tls */
	struct service_guard guard;
	struct error_pages error_pages; /* http */
	struct access_conf access;	/* http */
	struct service_rt *rt;		/* the snapshot holds a reference */
};

struct snapshot {
	uint64_t generation; /* 1 for the first that was applied; set by control/reload */
	struct node node;
	struct admin_conf admin;
	struct log_conf log;
	struct guard_conf guard;
	struct overload_conf overload;
	struct pool *pools; /* sorted by name */
	size_t pool_count;
	struct service *services; /* sorted by name */
	size_t service_count;
	struct rate_limit *rate_limits; /* sorted by name */
	size_t rate_limit_count;
	struct route_mem *pool_rules; /* of the expressions of pools; NULL: there are none */
	struct tree *document;	      /* what it was built from; main thread only */
	struct secrets secrets; /* what its references to the environment stand for; the same */
	void *priv;		/* reference count and memory: snapshot.c */
};

struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL is fine */

/* For conf_build() alone: an empty one with one reference, and the memory that lives as long. */
struct snapshot *snapshot_new(void); /* NULL: out of memory */
struct arena *snapshot_arena(struct snapshot *s);

const struct pool *snapshot_pool(const struct snapshot *s, const char *name); /* NULL: none */
const struct service *snapshot_service(const struct snapshot *s, const char *name);
const struct rate_limit *snapshot_rate_limit(const struct snapshot *s, const char *name);
const struct backend *pool_backend(const struct pool *p, const char *name);

/* The ring of a source route's pool goes by SERVICE@POOL. Writes the name and returns buf. */
#define ROUTE_NAME_MAX 130
char *service_route_name(const struct service *s, const struct pool *p, char buf[ROUTE_NAME_MAX]);

/* Does a source route of the service lead to the pool? */
bool service_routes_to(const struct service *s, const struct pool *p);

/* Does an l4 service steer to the pool, as its own or by a source route? */
bool service_uses_pool(const struct service *s, const struct pool *p);
/* Pools of snap, from first to before end: those of an l4 service are among them. */
struct pool_span {
	size_t first, end;
};
struct pool_span service_pools(const struct snapshot *snap, const struct service *s);

/* The same of a service of any mode, and of the pools that its SNI routes lead to. */
bool service_has_pool(const struct service *s, const struct pool *p);

/* Does the daemon itself serve it, and not the kernel? */
bool service_is_proxied(const struct service *s);

/* Is the source's address in one of the prefixes? Of those of its family, that is: a mapped one is IPv6. */
bool source_is_among(const struct addr *a, const struct source_prefix *list, size_t count);

/* By the kernel, packet by packet; in an outer header; with the port that the client asked for. */
bool forward_is_kernel(enum forward v);
bool forward_is_tunnel(enum forward v);
bool forward_keeps_port(enum forward v);

/* Do its packets go where this host's routes lead? */
bool backend_is_routed(const struct backend *b);

/* May it be given new flows or requests: up by configuration, weight over 0, not down by health. */
bool backend_is_usable(const struct backend *b);

/* Is it left out as an outlier now? */
bool backend_is_ejected(const struct backend *b, uint64_t now_ms);

/* Of its listen addresses of a protocol: never AUTO. */
enum tracking service_tracking(const struct service *s, uint8_t proto);

/* Does its policy look at what backends have to do? At how fast they answer? */
static inline bool pool_counts_active(const struct pool *p)
{
	return p->requests_max || p->balance == BALANCE_LEAST_REQUEST ||
	       p->balance == BALANCE_EWMA || (p->balance == BALANCE_MAGLEV && p->load_bound);
}

static inline bool pool_times(const struct pool *p)
{
	return p->balance == BALANCE_EWMA;
}

/* Do its backends speak TLS? */
static inline bool pool_has_tls(const struct pool *p)
{
	return p->tls.ca != NULL;
}

/* Are its backends checked in TLS? */
bool pool_is_checked_by_tls(const struct pool *p);

/* Do its clients speak TLS to us? In other modes the key has no effect. */
static inline bool service_has_tls(const struct service *s)
{
	return s->mode == SERVICE_HTTP && s->tls.certificate_count > 0;
}

/* Does it say anything of limits and abuse? SYN cookies apart. */
bool service_guard_limits(const struct service_guard *g);

/* <0, 0, >0: by address, then length; blocks before allows. */
int guard_prefix_cmp(const struct guard_prefix *a, const struct guard_prefix *b);

/* "10.0.0.0/8" into buf of at least PREFIX_STRLEN; returns buf. */
#define PREFIX_STRLEN (ADDR_STRLEN + 4)
char *prefix_format(const struct addr *addr, unsigned len, char *buf, size_t buf_len);

/* Names as they stand in the configuration: "ipip", "drain", "http", ... The lists are in the order
 * of their enum, NULL at the end. */
extern const char *const xdp_mode_words[];
extern const char *const fragments_words[];
extern const char *const echo_words[];
extern const char *const steer_sockets_words[];
extern const char *const io_uring_words[];
extern const char *const forward_words[];
extern const char *const next_hop_words[];
extern const char *const admin_state_words[];
extern const char *const service_mode_words[];
extern const char *const pool_protocol_words[];
extern const char *const balance_words[];
extern const char *const proxy_out_words[];
extern const char *const proxy_header_rule_words[];
extern const char *const tracking_words[];
extern const char *const affinity_words[];
extern const char *const quic_cid_words[];
extern const char *const health_kind_words[];
extern const char *const health_via_words[];
extern const char *const meter_words[];
extern const char *const limit_per_words[];
extern const char *const priority_words[];
extern const char *const client_verify_words[];
extern const char *const log_conf_format_words[];
extern const char *const log_conf_target_words[];
const char *forward_name(enum forward v);
const char *next_hop_name(enum next_hop v);
const char *admin_state_name(enum admin_state v);
const char *service_mode_name(enum service_mode v);
const char *tracking_name(enum tracking v);
const char *affinity_name(enum affinity v);
const char *quic_cid_name(enum quic_cid v);
const char *health_kind_name(enum health_kind v);
const char *health_via_name(enum health_via v);
const char *proto_name(uint8_t proto);

#endif
