/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of the decapsulating programs, by descriptor. All return 0 or -errno. Main thread. */
#ifndef LOADER_DECAP_MAPS_H
#define LOADER_DECAP_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/decap_abi.h"
#include "core/addr.h"

/* Make the table hold these addresses and no others: first what is new is added, then what is not
 * named is removed, so that an address named before and after is there all the time. */
int decap_maps_set_services(int fd, const struct addr *services, size_t count);

/* ret_services: malloc'ed, sorted. */
int decap_maps_services(int fd, struct addr **ret_services, size_t *ret_count);

/* Sums over the processors, by DECAP_COUNTER(). */
int decap_maps_counters(int fd, uint64_t ret_sum[DECAP_COUNTERS]);

/* UDP port of GUE, host order; 0: none. */
int decap_maps_set_gue_port(int fd, uint16_t port);
int decap_maps_gue_port(int fd, uint16_t *ret_port);

#endif
