/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/maps_exact.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/hash.h"
#include "loader/maps.h"
#include "loader/state.h"

/* A bucket as the one word that it is. */
union bucket {
	uint64_t word;
	struct shunt_exact_bucket b;
};

static struct shunt_exact_row *rows_of(const struct loader *l)
{
	return l->mapped[LOADER_MAP_EXACT_ROWS];
}

static _Atomic uint64_t *bucket_at(const struct loader *l, uint32_t at)
{
	return (_Atomic uint64_t *)l->mapped[LOADER_MAP_EXACT] + at;
}

static uint32_t bucket_of(const struct shunt_vip_key *key)
{
	uint64_t words[3];

	_Static_assert(sizeof(words) == sizeof(*key), "a vip key is three words");
	memcpy(words, key, sizeof(words));
	return hash_vip(words[0], words[1], words[2]);
}

static bool is_exact(const struct shunt_vip_key *key)
{
	return key->port_hi == 0 && key->prefix_len == 0;
}

static bool is_row(uint16_t way)
{
	return way > 0 && way <= SHUNT_EXACT_ROWS;
}

/* The way that has the key; SHUNT_EXACT_WAYS: none. */
static int find_way(const struct loader *l, const union bucket *bucket,
		    const struct shunt_vip_key *key)
{
	int way = 0;

	while (way < SHUNT_EXACT_WAYS &&
	       !(is_row(bucket->b.way[way]) &&
		 memcmp(&rows_of(l)[bucket->b.way[way] - 1].key, key, sizeof(*key)) == 0))
		way++;
	return way;
}

/* The rows that are left move up. Behind them the bucket ends only where it did: if not, others of it
 * may be in sh_services alone, and must go on being looked for there. */
static void close_gap(union bucket *bucket, int gap)
{
	bool ended = bucket->b.way[SHUNT_EXACT_WAYS - 1] == SHUNT_EXACT_END;

	for (int way = gap; way + 1 < SHUNT_EXACT_WAYS; way++)
		bucket->b.way[way] = bucket->b.way[way + 1];
	bucket->b.way[SHUNT_EXACT_WAYS - 1] = ended ? SHUNT_EXACT_END : 0;
}

static void publish(struct loader *l, uint32_t at, const union bucket *bucket)
{
	atomic_store_explicit(bucket_at(l, at), bucket->word, memory_order_release);
}

/* -ENOSPC cannot be while sh_services itself has no more keys than there are rows. */
static int take_row(struct loader *l, const struct shunt_vip_key *key,
		    const struct shunt_service *svc)
{
	for (int row = 0; row < SHUNT_EXACT_ROWS; row++) {
		if (l->exact_used[row])
			continue;
		l->exact_used[row] = true;
		rows_of(l)[row] = (struct shunt_exact_row){.key = *key, .service = *svc};
		return row;
	}
	return -ENOSPC;
}

/*
 * A full bucket says by itself that there may be more keys, so one that does not fit is found in
 * sh_services. When a way becomes free there, it must not say that it ends: see close_gap().
 */
void exact_set(struct loader *l, const struct shunt_vip_key *key, const struct shunt_service *svc)
{
	uint32_t at = bucket_of(key);
	union bucket bucket;
	int way, row;

	if (!is_exact(key))
		return;
	bucket.word = atomic_load(bucket_at(l, at));
	way = find_way(l, &bucket, key);
	if (way == SHUNT_EXACT_WAYS) {
		for (way = 0; way < SHUNT_EXACT_WAYS && is_row(bucket.b.way[way]);)
			way++;
		if (way == SHUNT_EXACT_WAYS)
			return;
	}
	row = take_row(l, key, svc);
	if (row < 0)
		return;
	if (is_row(bucket.b.way[way]))
		l->exact_used[bucket.b.way[way] - 1] = false;
	bucket.b.way[way] = (uint16_t)(row + 1);
	publish(l, at, &bucket);
}

void exact_remove(struct loader *l, const struct shunt_vip_key *key)
{
	uint32_t at = bucket_of(key);
	union bucket bucket;
	int way;

	if (!is_exact(key))
		return;
	bucket.word = atomic_load(bucket_at(l, at));
	way = find_way(l, &bucket, key);
	if (way == SHUNT_EXACT_WAYS)
		return;
	l->exact_used[bucket.b.way[way] - 1] = false;
	close_gap(&bucket, way);
	publish(l, at, &bucket);
}

/* A record with this key, as it stands in a list from sh_services; NULL: none. */
static const struct shunt_service *listed(const struct maps_service_row *list, size_t count,
					  const struct shunt_vip_key *key)
{
	for (size_t i = 0; i < count; i++) {
		if (memcmp(&list[i].key, key, sizeof(*key)) == 0)
			return &list[i].svc;
	}
	return NULL;
}

/* Drop from a bucket what is not so in sh_services, and let it end behind the rest. */
static void check_bucket(struct loader *l, uint32_t at, const struct maps_service_row *list,
			 size_t count)
{
	union bucket bucket = {.word = atomic_load(bucket_at(l, at))}, good = {0};
	int n = 0;

	for (int way = 0; way < SHUNT_EXACT_WAYS && is_row(bucket.b.way[way]); way++) {
		const struct shunt_exact_row *row = &rows_of(l)[bucket.b.way[way] - 1];
		const struct shunt_service *svc = listed(list, count, &row->key);

		if (svc == NULL || bucket_of(&row->key) != at ||
		    memcmp(svc, &row->service, sizeof(*svc)) != 0)
			continue;
		l->exact_used[bucket.b.way[way] - 1] = true;
		good.b.way[n++] = bucket.b.way[way];
	}
	/* While keys are still to be added, the bucket does not end: what is missing is looked for. */
	if (good.word != bucket.word)
		publish(l, at, &good);
}

static void end_bucket(struct loader *l, uint32_t at)
{
	union bucket bucket = {.word = atomic_load(bucket_at(l, at))};

	for (int way = 0; way < SHUNT_EXACT_WAYS; way++) {
		if (!is_row(bucket.b.way[way]))
			bucket.b.way[way] = SHUNT_EXACT_END;
	}
	publish(l, at, &bucket);
}

static bool has_key(const struct loader *l, const struct shunt_vip_key *key)
{
	union bucket bucket = {.word = atomic_load(bucket_at(l, bucket_of(key)))};

	return find_way(l, &bucket, key) < SHUNT_EXACT_WAYS;
}

int exact_open(struct loader *l)
{
	struct maps_service_row *list;
	size_t count;
	int err = maps_service_list(l, &list, &count);

	if (err < 0)
		return err;
	for (uint32_t at = 0; at < SHUNT_EXACT_BUCKETS; at++)
		check_bucket(l, at, list, count);
	/* Rows that a former process let go may be looked at until now. */
	err = maps_wait_for_packets();
	for (size_t i = 0; i < count && err == 0; i++) {
		if (!has_key(l, &list[i].key))
			exact_set(l, &list[i].key, &list[i].svc);
	}
	for (uint32_t at = 0; at < SHUNT_EXACT_BUCKETS && err == 0; at++)
		end_bucket(l, at);
	free(list);
	return err;
}
