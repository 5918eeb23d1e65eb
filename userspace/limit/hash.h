/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-1-3 (Aumasson and Bernstein) over several texts, each ended as one alone would be: keys come
 * from clients, who must not be able to choose whose entry they share. Pure.
 */
#ifndef LIMIT_HASH_H
#define LIMIT_HASH_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "core/slice.h"

struct limit_hash {
	uint64_t v[4];
};

static inline uint64_t limit_hash_turn(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void limit_hash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = limit_hash_turn(v[1], 13) ^ v[0];
	v[3] = limit_hash_turn(v[3], 16) ^ v[2];
	v[0] = limit_hash_turn(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = limit_hash_turn(v[1], 17) ^ v[2];
	v[3] = limit_hash_turn(v[3], 21) ^ v[0];
	v[2] = limit_hash_turn(v[2], 32);
}

static inline void limit_hash_word(struct limit_hash *h, uint64_t word)
{
	h->v[3] ^= word;
	limit_hash_round(h->v);
	h->v[0] ^= word;
}

static inline struct limit_hash limit_hash_begin(const uint64_t seed[2])
{
	return (struct limit_hash){
		{seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
		 seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573)}};
}

/* The last word of each text has the rest of it and its length, as the last one of SipHash has. */
static inline void limit_hash_add(struct limit_hash *h, struct slice text)
{
	uint64_t word, last = (uint64_t)text.len << 56;
	size_t at = 0;

	for (; at + 8 <= text.len; at += 8) {
		memcpy(&word, text.ptr + at, 8);
		limit_hash_word(h, le64toh(word));
	}
	for (unsigned shift = 0; at < text.len; at++, shift += 8)
		last |= (uint64_t)(uint8_t)text.ptr[at] << shift;
	limit_hash_word(h, last);
}

static inline uint64_t limit_hash_end(struct limit_hash *h)
{
	h->v[2] ^= 0xff;
	limit_hash_round(h->v);
	limit_hash_round(h->v);
	limit_hash_round(h->v);
	return h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
}

#endif
