/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One typed function for each thing that is done to a map. All return 0 or -errno; none retries.
 * Main thread, except the *_stats readers: any thread.
 */
#ifndef LOADER_MAPS_H
#define LOADER_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "loader/loader.h"

void maps_sizes(const struct loader *l, struct loader_sizes *ret_sizes); /* as they really are */
uint64_t maps_memory(const struct loader *l); /* bytes of kernel memory of all tables */

/* Services. set replaces a record in one step: a packet sees the old one or the new one. */
int maps_service_set(struct loader *l, const struct shunt_vip_key *key,
		     const struct shunt_service *svc);
int maps_service_delete(struct loader *l, const struct shunt_vip_key *key);
struct maps_service_row {
	struct shunt_vip_key key;
	struct shunt_service svc;
};
int maps_service_list(struct loader *l, struct maps_service_row **ret_rows, size_t *ret_count);

/* Backends and the owners of rows, by index. */
int maps_backend_set(struct loader *l, uint32_t index, const struct shunt_backend *be);
int maps_backend_get(struct loader *l, uint32_t index, struct shunt_backend *ret_be);
int maps_backend_meta_set(struct loader *l, uint32_t index, const struct shunt_be_meta *meta);
int maps_backend_meta_get(struct loader *l, uint32_t index, struct shunt_be_meta *ret_meta);
int maps_service_meta_set(struct loader *l, uint32_t index, const struct shunt_svc_meta *meta);
int maps_service_meta_get(struct loader *l, uint32_t index, struct shunt_svc_meta *ret_meta);

/* The same of count rows from first on, with one system call. -ENOENT: there are not so many. */
int maps_backend_list(struct loader *l, uint32_t first, uint32_t count,
		      struct shunt_backend *ret_rows);
int maps_backend_meta_list(struct loader *l, uint32_t first, uint32_t count,
			   struct shunt_be_meta *ret_metas);
int maps_service_meta_list(struct loader *l, uint32_t first, uint32_t count,
			   struct shunt_svc_meta *ret_metas);

/* The ring arena, mapped: write a whole ring into slots that no row of a service names, then publish
 * it. */
struct shunt_slot *maps_rings(struct loader *l);

/* What is in use at all, mapped: write a byte before the first row that needs it, clear it after the
 * last is gone. */
struct shunt_switches *maps_switches(struct loader *l);

/* What services have of the tables of NAT, mapped: SHUNT_NAT_COMMON + 1 rows, which the program counts
 * in. */
struct shunt_nat_share *maps_nat_shares(struct loader *l);

/* The ring of a service row. publish: a packet sees the former ring or this one, with its slots as
 * they were written before the call. -ENOENT: there is no such row. */
int maps_ring_publish(struct loader *l, uint32_t service, const struct shunt_ring *ring);
int maps_ring_get(const struct loader *l, uint32_t service, struct shunt_ring *ret_ring);

/* Returns when no packet that started before the call is still being handled: slots and rows that
 * it could have been looking at may be written again. */
int maps_wait_for_packets(void);

/* Sums over the processors. */
int maps_service_stats(const struct loader *l, uint32_t index, struct shunt_svc_stats *ret_sum);
int maps_backend_stats(const struct loader *l, uint32_t index, struct shunt_be_stats *ret_sum);
int maps_verdicts(const struct loader *l, uint64_t ret_sum[SHUNT_VERDICT_COUNT]);
int maps_service_stats_clear(struct loader *l, uint32_t index);
int maps_backend_stats_clear(struct loader *l, uint32_t index);

/* Entries in the flow tables now (walks them: slow, for status). */
int maps_flow_count(const struct loader *l, uint64_t *ret_established, uint64_t *ret_pending);

#endif
