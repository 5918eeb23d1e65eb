/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_OWNER UINT32_MAX

/* Two unrelated starting values, so that offset and skip of a member are unrelated. Part of what
 * a fleet of balancers agrees on: never to be changed. */
#define SEED_OFFSET 0x8f14e45fceea167aULL
#define SEED_SKIP   0x1679091c5a880fafULL

/* A member at work: its walk through the slots, and, in the first of a run of equal weights, the
 * weight that the run has saved up. */
struct seat {
	const struct ring_member *member;
	uint32_t index; /* in the caller's array */
	uint32_t pos;
	uint32_t skip;
	uint64_t saved;
	size_t run_end;
};

static uint64_t mix(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h;
}

static uint64_t hash_text(uint64_t h, const char *text)
{
	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ULL;
	return h;
}

static uint64_t hash_identity(const struct ring_member *m, uint64_t seed)
{
	return mix(hash_text(hash_text(hash_text(seed, m->pool), "/"), m->name));
}

/* Heaviest first; equal weights by identity. */
static int seat_cmp(const void *va, const void *vb)
{
	const struct ring_member *a = ((const struct seat *)va)->member;
	const struct ring_member *b = ((const struct seat *)vb)->member;
	int cmp;

	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	cmp = strcmp(a->pool, b->pool);
	return cmp != 0 ? cmp : strcmp(a->name, b->name);
}

static size_t seats_init(struct seat *seats, const struct ring_member *members, size_t count,
			 uint32_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		const struct ring_member *m = &members[i];

		if (m->weight == 0)
			continue;
		seats[n++] = (struct seat){
			.member = m,
			.index = (uint32_t)i,
			.pos = (uint32_t)(hash_identity(m, SEED_OFFSET) % size),
			.skip = (uint32_t)(hash_identity(m, SEED_SKIP) % (size - 1)) + 1,
		};
	}
	qsort(seats, n, sizeof(*seats), seat_cmp);
	for (size_t start = 0, end; start < n; start = end) {
		for (end = start + 1; end < n; end++) {
			if (seats[end].member->weight != seats[start].member->weight)
				break;
		}
		seats[start].run_end = end;
	}
	return n;
}

/* The member takes the next slot on its walk that is still free. With a prime size every walk
 * meets every slot; the bound is for sizes that are none. */
static int seat_take(struct seat *s, uint32_t *owner, uint32_t size)
{
	for (uint32_t tries = 0; tries < size; tries++) {
		uint32_t pos = s->pos;

		s->pos = (uint32_t)(((uint64_t)pos + s->skip) % size);
		if (owner[pos] == NO_OWNER) {
			owner[pos] = s->index;
			return 0;
		}
	}
	return -EINVAL;
}

/*
 * In each round a member saves up its weight and takes a slot when it has as much as the heaviest:
 * shares follow the weights to within a slot, where "weight slots in the first round" would forget
 * them in a small ring. Equal weights save up together, so that a round costs one step for each
 * distinct weight, however many members there are.
 */
static int seats_fill(struct seat *seats, size_t count, uint32_t *owner, uint32_t size)
{
	uint64_t heaviest = seats[0].member->weight;
	uint32_t filled = 0;

	for (;;) {
		for (size_t start = 0; start < count; start = seats[start].run_end) {
			struct seat *run = &seats[start];

			run->saved += run->member->weight;
			if (run->saved < heaviest)
				continue;
			run->saved -= heaviest;
			for (size_t i = start; i < run->run_end; i++) {
				int err = seat_take(&seats[i], owner, size);

				if (err < 0)
					return err;
				if (++filled == size)
					return 0;
			}
		}
	}
}

int ring_fill(const struct ring_member *members, size_t count, uint32_t *ret_owner, uint32_t size)
{
	struct seat *seats;
	size_t n;
	int err;

	if (size < 2)
		return -EINVAL;
	seats = calloc(count > 0 ? count : 1, sizeof(*seats));
	if (seats == NULL)
		return -ENOMEM;
	n = seats_init(seats, members, count, size);
	if (n == 0) {
		err = -ENOENT;
		goto out;
	}
	for (uint32_t i = 0; i < size; i++)
		ret_owner[i] = NO_OWNER;
	err = seats_fill(seats, n, ret_owner, size);
out:
	free(seats);
	return err;
}
