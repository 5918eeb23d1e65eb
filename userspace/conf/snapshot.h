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

#include "core/addr.h"
#include "core/diag.h"

struct arena;
struct backend_rt; /* conf/runtime.h */
struct service_rt;
struct tree;

enum xdp_mode { XDP_MODE_NATIVE, XDP_MODE_GENERIC };

/* Sizes of the kernel's tables; fixed once they are made, until `shunt-load detach --purge`. */
struct node_limits {
	uint32_t services;   /* default 1024, at most SHUNT_MAX_SERVICES */
	uint32_t backends;   /* default 4096, at most SHUNT_MAX_BACKENDS */
	uint32_t ring_slots; /* all rings together, default 8388608 */
	uint32_t flows;	     /* each family, default 1048576 */
	uint32_t pending;    /* each family, default 65536 */
};

enum fragments { FRAGMENTS_FOLLOW, FRAGMENTS_DROP, FRAGMENTS_PASS };
enum echo { ECHO_ON, ECHO_OFF };

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
	struct node_limits limits;
	unsigned workers;  /* resolved: at least 1 */
	unsigned drain_ms; /* how long SIGTERM waits for connections */
};

struct admin_conf {
	const char *socket; /* path of the control socket, default /run/shunt/control.sock */
};

enum health_kind { HEALTH_NONE, HEALTH_TCP, HEALTH_HTTP };

struct health_conf {
	enum health_kind kind;
	uint16_t port;			 /* 0 (proxy pools only): each backend's own */
	const char *path;		 /* HTTP: origin-form target */
	const char *host;		 /* HTTP: Host header; NULL: the address */
	unsigned status_min, status_max; /* HTTP: expected, default 200..299 */
	unsigned every_ms, timeout_ms;
	unsigned rise, fall; /* results in a row that change the state */
};

enum forward { FORWARD_IPIP, FORWARD_PROXY };

/* What the configuration or a command says of a backend; health is in struct backend_rt. */
enum admin_state { ADMIN_UP, ADMIN_DRAIN, ADMIN_DISABLED };

struct pool;

struct backend {
	const char *name;
	const struct pool *pool;
	struct endpoint ep; /* port: 0 in ipip pools (the service's), never 0 in proxy pools */
	unsigned weight;    /* 0..1000, default 1; 0 takes no new flows */
	enum admin_state admin;
	struct backend_rt *rt; /* the snapshot holds a reference */
};

struct pool {
	const char *name;
	enum forward forward; /* ipip for l4 services; proxy for http ones, also where not said */
	struct health_conf health;
	uint16_t tunnel_mtu; /* largest outer packet; 0: the interface's MTU */
	unsigned connect_ms; /* proxy: TCP connect, default 3 s */
	unsigned idle_ms;    /* proxy: how long an idle connection is kept, default 60 s */
	unsigned idle_max;   /* proxy: idle connections to one backend in one worker, default 128 */
	struct backend *backends; /* sorted by name */
	size_t backend_count;
};

enum service_mode { SERVICE_L4, SERVICE_HTTP };
enum tracking { TRACKING_ALWAYS, TRACKING_NEVER };

struct listen {
	struct endpoint ep;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
};

/* Waits of an http service, in milliseconds. */
struct http_timeouts {
	unsigned
		request_header; /* from the first byte (or accept) to the end of the header: 10 s */
	unsigned request_body;	/* between two pieces of the body from the client: 30 s */
	unsigned idle;		/* keep-alive connection without a request: 60 s */
	unsigned response_header; /* from the whole request sent to the end of the header: 30 s */
	unsigned response_body;	  /* between two pieces from the backend: 30 s */
	unsigned write;		  /* without the peer taking a byte, either side: 30 s */
};

struct http_limits {
	size_t request_line;   /* bytes, 8 KiB; more is 414 */
	size_t header_bytes;   /* whole header block, 32 KiB; more is 431 */
	unsigned header_count; /* 100; more is 431 */
	uint64_t body;	       /* bytes; more is 413; 0: no limit (default) */
	unsigned connections;  /* of the service in one worker, 0: no limit (default) */
};

struct service {
	const char *name;
	enum service_mode mode;
	struct listen *listens;
	size_t listen_count;
	const struct pool *pool;
	enum tracking tracking; /* l4 */
	uint32_t ring_size;	/* l4: a prime, default 65537 */
	unsigned mss;		/* l4: largest that a SYN may offer; 0: any; or SHUNT_MSS_AUTO */
	uint32_t idle_s[4];	/* l4: by enum shunt_flow_state: 60, 7440, 120, 120 */
	struct http_timeouts timeouts;
	struct http_limits limits;
	struct service_rt *rt; /* the snapshot holds a reference */
};

struct snapshot {
	uint64_t generation; /* 1 for the first that was applied; set by control/reload */
	struct node node;
	struct admin_conf admin;
	struct pool *pools; /* sorted by name */
	size_t pool_count;
	struct service *services; /* sorted by name */
	size_t service_count;
	struct tree *document; /* what it was built from; main thread only */
	void *priv;	       /* reference count and memory: snapshot.c */
};

struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL is fine */

/* For conf_build() alone: an empty one with one reference, and the memory that lives as long. */
struct snapshot *snapshot_new(void); /* NULL: out of memory */
struct arena *snapshot_arena(struct snapshot *s);

const struct pool *snapshot_pool(const struct snapshot *s, const char *name); /* NULL: none */
const struct service *snapshot_service(const struct snapshot *s, const char *name);
const struct backend *pool_backend(const struct pool *p, const char *name);

/* May it be given new flows or requests: up by configuration, weight over 0, not down by health. */
bool backend_is_usable(const struct backend *b);

/* Names as they stand in the configuration: "ipip", "drain", "http", ... The lists are in the order
 * of their enum, NULL at the end. */
extern const char *const xdp_mode_words[];
extern const char *const fragments_words[];
extern const char *const echo_words[];
extern const char *const forward_words[];
extern const char *const admin_state_words[];
extern const char *const service_mode_words[];
extern const char *const tracking_words[];
extern const char *const health_kind_words[];
const char *forward_name(enum forward v);
const char *admin_state_name(enum admin_state v);
const char *service_mode_name(enum service_mode v);
const char *tracking_name(enum tracking v);
const char *health_kind_name(enum health_kind v);
const char *proto_name(uint8_t proto);

#endif
