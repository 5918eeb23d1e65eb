/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's tables should say: a snapshot and the health of its backends at this moment,
 * turned into rows. Pure (health is read once); main thread. Strings are borrowed from the
 * snapshot.
 */
#ifndef L4_DESIRED_H
#define L4_DESIRED_H

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
	struct shunt_service record;	     /* index is l4/plan.c's to assign */
	uint32_t ring_size;		     /* 0: it steers nowhere, or not at all */
	size_t first_backend, backend_count; /* a run of struct desired's backends */
};

struct desired_key {
	struct shunt_vip_key key;
	size_t service;
};

struct desired {
	struct desired_backend *backends; /* by pool, then name */
	size_t backend_count;
	struct desired_service *services; /* by name */
	size_t service_count;
	struct desired_key *keys; /* by key */
	size_t key_count;
};

/* 0; -ENOMEM; -EINVAL with d filled, where a tunnel has no source address. */
int desired_build(const struct snapshot *snap, const struct host *host, struct desired *ret_desired,
		  struct diag *d);
void desired_deinit(struct desired *desired); /* NULL is fine */

/* NULL: nobody wants the key. */
const struct desired_key *desired_find_key(const struct desired *desired,
					   const struct shunt_vip_key *key);

/* A total order of keys; for bsearch. */
int vip_key_cmp(const struct shunt_vip_key *a, const struct shunt_vip_key *b);

/* An address as a row's dst or src holds it: IPv4 in the last word. */
void desired_row_addr(const struct addr *addr, __be32 ret_words[4]);
/* And dst back again. */
void desired_row_dst(const struct shunt_backend *row, struct addr *ret_addr);

#endif
