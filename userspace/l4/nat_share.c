/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/nat_share.h"

#include <stdbool.h>

/* The program counts there at the same time. */
static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* What services have over their own. */
static void settle_common(struct shunt_nat_share *shares)
{
	for (int i = 0; i < 2; i++) {
		uint32_t over = 0;

		for (uint32_t row = 0; row < SHUNT_NAT_COMMON; row++) {
			uint32_t own = load(&shares[row].own[i]),
				 flows = load(&shares[row].flows[i]);

			over += flows > own ? flows - own : 0;
		}
		store(&shares[SHUNT_NAT_COMMON].flows[i], over);
	}
}

static bool uses_nat(const struct desired *want, const struct desired_service *s, uint8_t family)
{
	for (size_t i = 0; i < s->backend_count; i++) {
		const struct shunt_backend *row = &want->backends[s->first_backend + i].row;

		if (row->forward == SHUNT_FORWARD_NAT && row->family == family)
			return true;
	}
	return false;
}

void nat_share_divide(struct shunt_nat_share *shares, const struct desired *want, uint32_t entries)
{
	for (int i = 0; i < 2; i++) {
		uint32_t users = 0, own;

		for (size_t n = 0; n < want->service_count; n++)
			users += uses_nat(want, &want->services[n], i == 0 ? 4 : 6);
		own = users > 0 ? entries / 2 / users : 0;
		own = own > 0 ? own : 1; /* with a table for fewer flows than there are services */
		store(&shares[SHUNT_NAT_COMMON].own[i], entries / 2);
		for (uint32_t row = 0; row < SHUNT_NAT_COMMON; row++)
			store(&shares[row].own[i], own);
	}
	settle_common(shares);
}

void nat_share_settle(struct shunt_nat_share *shares, const uint32_t (*flows)[2], uint32_t rows)
{
	for (uint32_t row = 0; row < rows && row < SHUNT_NAT_COMMON; row++) {
		for (int i = 0; i < 2; i++)
			store(&shares[row].flows[i], flows[row][i]);
	}
	settle_common(shares);
}
