/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's tables should say: a snapshot and the health of its backends at this moment,
 * turned into rows. Pure (health is read once); main thread. Strings are borrowed from the
 * snapshot.
 */
#ifndef L4_DESIRED_H
#define L4_DESIRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "conf/snapshot.h"
#include "l4/host.h"

struct desired_backend {
	const char *pool, *name;
	struct shunt_backend row; /* id 0: l4/plan.c assigns it */
	uint32_t weight;	  /* in rings; 0 unless it is usable */
	uint32_t linger_s;	  /* longest idle time of its services' flows */
};

struct desired_service {
	const char *name;
	const char *pool;
	bool is_route;			     /* SERVICE@POOL: a ring of a source route, no keys */
	struct shunt_service record;	     /* index is l4/plan.c's to assign; tracking: of TCP */
	struct shunt_svc_guard guard;	     /* scope is l4/guard.c's */
	uint32_t slots;			     /* of its ring, by the configuration */
	uint32_t ring_size;		     /* the same, or 0: it steers nowhere, or not at all */
	size_t first_backend, backend_count; /* a run of struct desired's backends */
};

struct desired_key {
	struct shunt_vip_key key;
	size_t service;
	uint8_t tracking; /* enum shunt_tracking: of its record */
};

/* Flows of a service from a prefix go by the ring of another. Positions in struct desired. */
struct desired_route {
	size_t service, ring;
	uint8_t family, len;
	__be32 addr[4]; /* IPv4 in addr[0] */
};

struct desired_server_id {
	size_t service, backend;
	uint8_t len;
	uint8_t id[SHUNT_SERVER_ID_MAX];
};

struct desired {
	struct desired_backend *backends; /* by pool, then name */
	size_t backend_count;
	struct desired_service *services; /* by name, then the routes' */
	size_t service_count;
	char (*names)[SHUNT_NAME_MAX]; /* of the routes' */
	struct desired_route *routes;  /* of a service: the longest first */
	size_t route_count;
	struct desired_server_id *server_ids;
	size_t server_id_count;
	struct desired_key *keys; /* by key */
	size_t key_count;
};

/* Would what backends answer to a host's own address, by source_nat: auto, be for a service? 0; -EINVAL
 * with d filled. For a new configuration: that of one in force is no reason to leave it as it is. */
int desired_check_sources(const struct snapshot *snap, const struct host *host, struct diag *d);

/* 0; -ENOMEM; -EINVAL with d filled, where a tunnel has no source address. */
int desired_build(const struct snapshot *snap, const struct host *host, struct desired *ret_desired,
		  struct diag *d);
void desired_deinit(struct desired *desired); /* NULL is fine */

/* Of desired_build(), the part that needs rows of services and backends: positions are those of the
 * snapshot's services in services, SIZE_MAX: it has no row. 0, or -ENOMEM. */
int desired_add_wide(struct desired *desired, const struct snapshot *snap, const size_t *positions);
/* The affinity, QUIC and source routes of a service, in its record. */
/* enum shunt_tracking, of the service's listen addresses of a protocol. */
uint8_t desired_tracking(const struct service *s, uint8_t proto);
void desired_record_wide(const struct service *s, struct shunt_service *record);
/* Which backends the service has in a pool, and its ring. */
void desired_use_pool(struct desired *desired, struct desired_service *row, const struct service *s,
		      const struct pool *pool);

/* NULL: nobody wants the key. */
const struct desired_key *desired_find_key(const struct desired *desired,
					   const struct shunt_vip_key *key);

/* A total order of keys; for bsearch. */
int vip_key_cmp(const struct shunt_vip_key *a, const struct shunt_vip_key *b);

/* <0: of two keys that a packet has, it goes by a. Total; 0: the same key. */
int vip_key_precedence(const struct shunt_vip_key *a, const struct shunt_vip_key *b);

/* An address as a row's dst or src holds it: IPv4 in the last word. */
void desired_row_addr(const struct addr *addr, __be32 ret_words[4]);
/* And dst back again. */
void desired_row_dst(const struct shunt_backend *row, struct addr *ret_addr);

#endif
