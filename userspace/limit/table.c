/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of a limit's keys: see table.h. */
#include "limit/table.h"

#include <errno.h>
#include <stdlib.h>

#define LINE 128U

_Static_assert(sizeof(struct limit_slot) * LIMIT_WAYS == LINE, "a set is two cache lines");

int limit_table_init(struct limit_table *t, uint32_t entries)
{
	uint32_t sets = (entries + LIMIT_WAYS - 1) / LIMIT_WAYS;

	/* calloc() leaves pages that no key has come to untouched. */
	t->memory = calloc(1, (size_t)sets * LINE + LINE);
	if (!t->memory)
		return -ENOMEM;
	t->slots = (void *)(((uintptr_t)t->memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
	t->sets = sets;
	return 0;
}

void limit_table_deinit(struct limit_table *t)
{
	free(t->memory);
	*t = (struct limit_table){0};
}

static uint64_t load(const _Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_acquire);
}

static struct limit_slot *find(struct limit_slot *set, uint64_t key)
{
	for (unsigned i = 0; i < LIMIT_WAYS; i++)
		if (load(&set[i].key) == key)
			return &set[i];
	return NULL;
}

/* Free, or saying least. */
static struct limit_slot *choose(struct limit_slot *set, const struct meter *m, uint64_t now,
				 uint64_t *ret_weight)
{
	struct limit_slot *best = set;

	*ret_weight = UINT64_MAX;
	for (unsigned i = 0; i < LIMIT_WAYS && *ret_weight; i++) {
		uint64_t weight = load(&set[i].key) ? meter_weight(m, load(&set[i].word), now) : 0;

		if (weight < *ret_weight) {
			*ret_weight = weight;
			best = &set[i];
		}
	}
	return best;
}

_Atomic uint64_t *limit_table_find(struct limit_table *t, uint64_t key, const struct meter *m,
				   uint64_t now_ns, bool *ret_lost)
{
	struct limit_slot *set = &t->slots[((key >> 32) * t->sets >> 32) * LIMIT_WAYS], *slot;

	*ret_lost = false;
	key |= !key;
	while (!(slot = find(set, key))) {
		uint64_t weight, before;

		slot = choose(set, m, now_ns, &weight);
		before = load(&slot->key);
		if (!atomic_compare_exchange_strong_explicit(
			    &slot->key, &before, key, memory_order_acq_rel, memory_order_acquire))
			continue; /* perhaps for this very key */
		/* What says nothing need not be erased. */
		if (weight) {
			atomic_store_explicit(&slot->word, 0, memory_order_release);
			*ret_lost = true;
		}
		break;
	}
	return &slot->word;
}

uint64_t limit_table_live(const struct limit_table *t, const struct meter *m, uint64_t now_ns)
{
	uint64_t n = 0;

	for (size_t i = 0; i < (size_t)t->sets * LIMIT_WAYS; i++)
		n += load(&t->slots[i].key) && meter_weight(m, load(&t->slots[i].word), now_ns);
	return n;
}
