/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hash of rules: what share of requests, users or tenants a rule takes. It depends on the bytes
 * alone: no seed of the process, no byte order, so that all workers, all balancers and all versions
 * agree, and a client stays on its side through restarts. Not for tables that others fill. Pure.
 *
 * FNV-1a of 64 bits over, for each part, its bytes and its length (eight bytes, lowest first), then
 * the finalizer of MurmurHash3, so that the remainder by any number is even; the result's lower 63
 * bits. tests/unit/test_route_hash.c has values that must never change.
 */
#ifndef ROUTE_HASH_H
#define ROUTE_HASH_H

#include <stdint.h>

#include "core/slice.h"

#define ROUTE_HASH_INIT UINT64_C(0xcbf29ce484222325)

static inline uint64_t route_hash_byte(uint64_t h, uint8_t byte)
{
	return (h ^ byte) * UINT64_C(0x100000001b3);
}

/* Add one part. The length behind it: "ab" and "c" are not "a" and "bc". */
static inline uint64_t route_hash_add(uint64_t h, struct slice part)
{
	for (size_t i = 0; i < part.len; i++)
		h = route_hash_byte(h, (uint8_t)part.ptr[i]);
	for (unsigned shift = 0; shift < 64; shift += 8)
		h = route_hash_byte(h, (uint8_t)((uint64_t)part.len >> shift));
	return h;
}

static inline int64_t route_hash_end(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return (int64_t)(h & INT64_MAX);
}

#endif
