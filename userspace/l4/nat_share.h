/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the tables of NAT are divided among services (bpf/nat_share.h has the rule), and the accounts set
 * right. Pure, but for the rows, which the program adds to meanwhile. Main thread.
 */
#ifndef L4_NAT_SHARE_H
#define L4_NAT_SHARE_H

#include <stdint.h>

#include "bpf/abi.h"
#include "l4/desired.h"

/* Of each family a half of `entries` to the services of want that have backends by NAT, in equal parts,
 * and the other half to all. shares: all SHUNT_NAT_COMMON + 1 rows. */
void nat_share_divide(struct shunt_nat_share *shares, const struct desired *want, uint32_t entries);

/* Flows that were counted, by row of a service: [rows][IPv4, IPv6]. */
void nat_share_settle(struct shunt_nat_share *shares, const uint32_t (*flows)[2], uint32_t rows);

#endif
