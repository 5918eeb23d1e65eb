/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's tables in memory, behind loader/maps.h as far as l4/sync.c uses it. They check, at
 * every single write, what a packet would find at that moment, and can be told to fail after any
 * number of writes. For one test program; its definitions stand in for the loader's.
 */
#ifndef TESTS_UNIT_FAKE_KERNEL_H
#define TESTS_UNIT_FAKE_KERNEL_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/abi.h"
#include "loader/maps.h"
#include "loader/maps_flows.h"
#include "tests/unit/fake_wide.h"

#ifndef SERVICES
#define SERVICES 8
#endif
#define BACKENDS   12
#define RING_SLOTS 1010 /* unless a test wants SLOTS_MAX */
#ifndef SLOTS_MAX
#define SLOTS_MAX 2010
#endif
#define RETIRED 64

struct published {
	struct shunt_vip_key key;
	struct shunt_service record;
};

struct published_ring {
	struct shunt_ring ring;
	uint64_t digest; /* of its slots at the time it was published */
};

/* The kernel's side. */
struct kernel {
	struct shunt_backend backends[BACKENDS];
	struct shunt_be_meta be_meta[BACKENDS];
	struct shunt_svc_meta svc_meta[SERVICES];
	struct shunt_slot slots[SLOTS_MAX];
	struct shunt_stamp stamps[SLOTS_MAX];
	bool roomy; /* all of them */
	struct published_ring rings[SERVICES];
	struct published services[SERVICES];
	size_t service_count;
	/* What packets may still look at: unpublished since the last wait. */
	struct published retired[RETIRED];
	size_t retired_count;
	struct published_ring retired_rings[RETIRED];
	size_t retired_ring_count;
	bool row_freed; /* since the last wait */
	unsigned writes, waits, stats_cleared;
	int fail_after; /* writes that still succeed; -1: all */
	bool nonsense;	/* not written by a daemon: packets find what they find */
	bool served;	/* every service has a usable backend, and no packet of it finds none */
	/* Where packets of a port may go at any time: the pool; NULL: anywhere. */
	const char *(*pool_of)(uint16_t port);
	void (*also)(void); /* what a test looks at besides, at every write, */
	bool settled;	    /* once the first configuration stands */
	struct fake_table tables[MAPS_TABLE_COUNT];
	struct maps_index gate;
};

static struct kernel kernel;

static uint64_t digest(uint32_t base, uint32_t size)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < size; i++)
		h = (h ^ (kernel.slots[base + i].backend + 1ULL)) * 0x9e3779b97f4a7c15ULL ^
		    kernel.slots[base + i].old;
	return h;
}

static void check_ring_is_whole(const struct published_ring *p)
{
	assert_true(p->ring.base <= SLOTS_MAX && p->ring.size <= SLOTS_MAX - p->ring.base);
	assert_true(digest(p->ring.base, p->ring.size) == p->digest);
}

/* A packet with that record finds counters with an owner, a whole ring, and in each slot a
 * backend's row. */
static void check_record(const struct published *p)
{
	const struct published_ring *r = &kernel.rings[p->record.index];
	const char *pool = kernel.pool_of ? kernel.pool_of(be16toh(p->key.port)) : NULL;

	assert_true(kernel.svc_meta[p->record.index].name[0] != '\0');
	if (p->record.action != SHUNT_ACTION_STEER)
		return;
	check_ring_is_whole(r);
	if (kernel.served)
		assert_true(r->ring.size > 0);
	for (uint32_t k = 0; k < r->ring.size; k++) {
		uint32_t id = kernel.slots[r->ring.base + k].backend;

		/* Only former owners are left. */
		if (id == 0 && kernel.slots[r->ring.base + k].old != 0 && !kernel.served)
			continue;
		assert_true(id != 0);
		assert_int_equal(kernel.backends[SHUNT_ID_INDEX(id)].id, id);
		if (pool)
			assert_string_equal(kernel.be_meta[SHUNT_ID_INDEX(id)].pool, pool);
	}
}

static struct published *find_published(const struct shunt_vip_key *key)
{
	for (size_t i = 0; i < kernel.service_count; i++) {
		if (memcmp(&kernel.services[i].key, key, sizeof(*key)) == 0)
			return &kernel.services[i];
	}
	return NULL;
}

/* As service.h does it. NULL: the packet is for no service. */
static const struct published *find_in_list(const struct maps_entry *e, const struct fake_packet *p)
{
	for (unsigned i = 0; e != NULL && i < e->addr.range_count; i++) {
		const struct shunt_range *r = &e->addr.ranges[i];
		const struct published *found;
		struct shunt_vip_key key = p->to;

		if (r->proto != p->to.proto || ntohs(p->to.port) < r->lo ||
		    ntohs(p->to.port) > r->hi)
			continue;
		key.port = htons(r->lo);
		key.port_hi = r->hi != r->lo ? htons(r->hi) : 0;
		key.prefix_len = r->prefix_len;
		if (r->prefix_len != 0)
			fake_mask(key.addr, r->prefix_len);
		found = find_published(&key);
		if (found != NULL)
			return found;
	}
	return NULL;
}

static const struct published *find_service(const struct fake_packet *p)
{
	uint32_t bit = hash_addr_bit_of(p->to.addr);
	const struct published *found;
	const struct fake_table *addrs = &kernel.tables[MAPS_ADDRS];

	if (!(kernel.gate.bits[bit / 64] >> bit % 64 & 1))
		return NULL;
	found = find_published(&p->to);
	for (size_t i = 0; found == NULL && kernel.gate.ranges && i < addrs->count; i++) {
		if (addrs->rows[i].addr_key.family == p->to.family &&
		    memcmp(addrs->rows[i].addr_key.addr, p->to.addr, sizeof(p->to.addr)) == 0)
			found = find_in_list(&addrs->rows[i], p);
	}
	if (found == NULL && kernel.gate.prefixes)
		found = find_in_list(fake_trie_find(&kernel.tables[MAPS_PREFIXES],
						    SHUNT_LPM_SCOPE(0, p->to.family), p->to.addr),
				     p);
	return found;
}

/* The pool whose backends the packet's ring has now: of its first slot. NULL: no service, or none. */
static __attribute__((unused)) const char *find_pool_of(const struct fake_packet *p)
{
	const struct published *s = find_service(p);
	const struct maps_entry *route = NULL;
	const struct published_ring *r;
	uint32_t index;

	if (s == NULL || s->record.action != SHUNT_ACTION_STEER)
		return NULL;
	if (s->record.routed)
		route = fake_trie_find(&kernel.tables[MAPS_ROUTES],
				       SHUNT_LPM_SCOPE(s->record.index, p->to.family), p->source);
	index = route != NULL ? route->route.index : s->record.index;
	r = &kernel.rings[index];
	if (r->ring.size == 0)
		return NULL;
	return kernel.be_meta[SHUNT_ID_INDEX(kernel.slots[r->ring.base].backend)].pool;
}

/* Packets at the ends of what each key has find the key that comes first of those that stand. */
static void check_lookup(const struct shunt_vip_key *key, bool last_port, bool last_addr)
{
	const struct published *found, *best = NULL;
	struct fake_packet p = {.to = *key};
	uint8_t *bytes = (uint8_t *)p.to.addr;

	if (last_port && key->port_hi != 0)
		p.to.port = key->port_hi;
	p.to.port_hi = 0;
	p.to.prefix_len = 0;
	for (unsigned i = key->prefix_len; last_addr && key->prefix_len && i < 128; i++) {
		if (key->family == 6 || i < 32)
			bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	for (size_t i = 0; i < kernel.service_count; i++) {
		const struct published *s = &kernel.services[i];

		if (fake_key_has(&s->key, &p) &&
		    (best == NULL || fake_key_before(&s->key, &best->key)))
			best = s;
	}
	found = find_service(&p);
	assert_ptr_equal(found, best);
}

static void check_routes(void)
{
	for (size_t i = 0; i < kernel.tables[MAPS_ROUTES].count; i++) {
		const struct maps_entry *e = &kernel.tables[MAPS_ROUTES].rows[i];

		assert_true(kernel.svc_meta[e->route.index].name[0] != '\0');
		check_ring_is_whole(&kernel.rings[e->route.index]);
		if (kernel.served)
			assert_true(kernel.rings[e->route.index].ring.size > 0);
	}
}

static void check_packets(void)
{
	if (kernel.nonsense)
		return;
	for (size_t i = 0; i < kernel.service_count; i++) {
		for (int ends = 0; ends < 4; ends++)
			check_lookup(&kernel.services[i].key, ends & 1, ends & 2);
	}
	check_routes();
	if (kernel.also != NULL && kernel.settled)
		kernel.also();
	for (size_t i = 0; i < kernel.service_count; i++)
		check_record(&kernel.services[i]);
	/* Packets that are still on their way. */
	for (size_t i = 0; i < kernel.retired_count; i++)
		check_record(&kernel.retired[i]);
	for (size_t i = 0; i < kernel.retired_ring_count; i++)
		check_ring_is_whole(&kernel.retired_rings[i]);
	for (uint32_t i = 1; i < BACKENDS; i++) {
		if (kernel.backends[i].id != 0)
			assert_int_equal(kernel.be_meta[i].id, kernel.backends[i].id);
	}
}

static int write_now(void)
{
	check_packets();
	if (kernel.fail_after == 0)
		return -EIO;
	if (kernel.fail_after > 0)
		kernel.fail_after--;
	kernel.writes++;
	return 0;
}

/* ---- loader/maps.h, as far as l4/sync.c uses it ------------------------------------------------ */

void maps_sizes(const struct loader *l, struct loader_sizes *ret_sizes)
{
	(void)l;
	*ret_sizes = (struct loader_sizes){
		SERVICES, BACKENDS, kernel.roomy ? SLOTS_MAX : RING_SLOTS, 100, 100, 100, 100, 100};
}

static void retire(const struct published *p)
{
	assert_true(kernel.retired_count < RETIRED);
	kernel.retired[kernel.retired_count++] = *p;
}

int maps_service_set(struct loader *l, const struct shunt_vip_key *key,
		     const struct shunt_service *svc)
{
	struct published *p = find_published(key);

	(void)l;
	if (write_now() < 0)
		return -EIO;
	/* The kernel would write into the memory of a record that was just replaced or deleted. */
	assert_int_equal(kernel.retired_count, 0);
	if (p != NULL) {
		retire(p);
	} else {
		if (kernel.service_count == SERVICES)
			return -E2BIG;
		p = &kernel.services[kernel.service_count++];
	}
	*p = (struct published){*key, *svc};
	check_packets();
	return 0;
}

int maps_service_delete(struct loader *l, const struct shunt_vip_key *key)
{
	struct published *p = find_published(key);

	(void)l;
	if (write_now() < 0)
		return -EIO;
	assert_non_null(p);
	retire(p);
	*p = kernel.services[--kernel.service_count];
	check_packets();
	return 0;
}

int maps_service_list(struct loader *l, struct maps_service_row **ret_rows, size_t *ret_count)
{
	struct maps_service_row *rows = calloc(SERVICES, sizeof(*rows));

	(void)l;
	assert_non_null(rows);
	for (size_t i = 0; i < kernel.service_count; i++)
		rows[i] = (struct maps_service_row){kernel.services[i].key,
						    kernel.services[i].record};
	*ret_rows = rows;
	*ret_count = kernel.service_count;
	return 0;
}

int maps_backend_set(struct loader *l, uint32_t index, const struct shunt_backend *be)
{
	(void)l;
	assert_true(index > 0 && index < BACKENDS);
	if (write_now() < 0)
		return -EIO;
	kernel.row_freed = kernel.row_freed || be->id == 0;
	kernel.backends[index] = *be;
	check_packets();
	return 0;
}

int maps_backend_get(struct loader *l, uint32_t index, struct shunt_backend *ret_be)
{
	(void)l;
	*ret_be = kernel.backends[index];
	return 0;
}

int maps_backend_meta_set(struct loader *l, uint32_t index, const struct shunt_be_meta *meta)
{
	(void)l;
	if (write_now() < 0)
		return -EIO;
	/* The owner is written while the row is free, and no packet holds it. */
	assert_int_equal(kernel.backends[index].id, 0);
	assert_false(kernel.row_freed);
	kernel.be_meta[index] = *meta;
	return 0;
}

int maps_backend_meta_get(struct loader *l, uint32_t index, struct shunt_be_meta *ret_meta)
{
	(void)l;
	*ret_meta = kernel.be_meta[index];
	return 0;
}

int maps_service_meta_set(struct loader *l, uint32_t index, const struct shunt_svc_meta *meta)
{
	(void)l;
	if (write_now() < 0)
		return -EIO;
	kernel.svc_meta[index] = *meta;
	check_packets();
	return 0;
}

int maps_service_meta_get(struct loader *l, uint32_t index, struct shunt_svc_meta *ret_meta)
{
	(void)l;
	*ret_meta = kernel.svc_meta[index];
	return 0;
}

int maps_backend_list(struct loader *l, uint32_t first, uint32_t count,
		      struct shunt_backend *ret_rows)
{
	(void)l;
	memcpy(ret_rows, kernel.backends + first, count * sizeof(*ret_rows));
	return 0;
}

int maps_backend_meta_list(struct loader *l, uint32_t first, uint32_t count,
			   struct shunt_be_meta *ret_metas)
{
	(void)l;
	memcpy(ret_metas, kernel.be_meta + first, count * sizeof(*ret_metas));
	return 0;
}

int maps_service_meta_list(struct loader *l, uint32_t first, uint32_t count,
			   struct shunt_svc_meta *ret_metas)
{
	(void)l;
	memcpy(ret_metas, kernel.svc_meta + first, count * sizeof(*ret_metas));
	return 0;
}

struct shunt_stamp *maps_stamps(struct loader *l)
{
	(void)l;
	return kernel.stamps;
}

struct shunt_slot *maps_rings(struct loader *l)
{
	(void)l;
	return kernel.slots;
}

int maps_ring_publish(struct loader *l, uint32_t service, const struct shunt_ring *ring)
{
	struct published_ring *r;

	(void)l;
	if (write_now() < 0)
		return -EIO;
	if (service >= SERVICES)
		return -ENOENT;
	r = &kernel.rings[service];
	assert_true(kernel.retired_ring_count < RETIRED);
	if (!kernel.nonsense)
		kernel.retired_rings[kernel.retired_ring_count++] = *r;
	*r = (struct published_ring){*ring, digest(ring->base, ring->size)};
	check_packets();
	return 0;
}

int maps_ring_get(const struct loader *l, uint32_t service, struct shunt_ring *ret_ring)
{
	(void)l;
	*ret_ring = kernel.rings[service].ring;
	return 0;
}

int maps_wait_for_packets(void)
{
	if (write_now() < 0)
		return -EIO;
	kernel.retired_count = 0;
	kernel.retired_ring_count = 0;
	kernel.row_freed = false;
	for (int table = 0; table < MAPS_TABLE_COUNT; table++)
		kernel.tables[table].retired = false;
	kernel.waits++;
	return 0;
}

int maps_service_stats_clear(struct loader *l, uint32_t index)
{
	(void)l;
	/* Counters that packets still count in would not start at zero. */
	for (size_t i = 0; i < kernel.retired_count; i++)
		assert_true(kernel.retired[i].record.index != index);
	for (size_t i = 0; i < kernel.service_count; i++)
		assert_true(kernel.nonsense || kernel.services[i].record.index != index);
	kernel.stats_cleared++;
	return write_now();
}

int maps_backend_stats_clear(struct loader *l, uint32_t index)
{
	(void)l;
	assert_int_equal(kernel.backends[index].id, 0);
	kernel.stats_cleared++;
	return write_now();
}

/* ---- loader/maps_wide.h ------------------------------------------------------------------------ */

const char *maps_table_name(enum maps_table table)
{
	(void)table;
	return "a table";
}

static struct maps_entry *find_entry(struct fake_table *t, const struct maps_entry *e)
{
	for (size_t i = 0; i < t->count; i++) {
		if (memcmp(t->rows[i].key, e->key, sizeof(e->key)) == 0)
			return &t->rows[i];
	}
	return NULL;
}

int maps_entry_set(struct loader *l, enum maps_table table, const struct maps_entry *e)
{
	struct fake_table *t = &kernel.tables[table];
	struct maps_entry *have = find_entry(t, e);

	(void)l;
	if (write_now() < 0)
		return -EIO;
	assert_false(t->retired);
	if (have == NULL && t->count == FAKE_ENTRIES)
		return -E2BIG;
	t->retired = have != NULL;
	if (have == NULL)
		have = &t->rows[t->count++];
	*have = *e;
	check_packets();
	return 0;
}

int maps_entry_delete(struct loader *l, enum maps_table table, const struct maps_entry *e)
{
	struct fake_table *t = &kernel.tables[table];
	struct maps_entry *have = find_entry(t, e);

	(void)l;
	if (write_now() < 0)
		return -EIO;
	assert_non_null(have);
	*have = t->rows[--t->count];
	t->retired = true;
	check_packets();
	return 0;
}

int maps_entry_list(struct loader *l, enum maps_table table, struct maps_entry **ret_entries,
		    size_t *ret_count)
{
	const struct fake_table *t = &kernel.tables[table];
	struct maps_entry *rows = calloc(FAKE_ENTRIES, sizeof(*rows));

	(void)l;
	assert_non_null(rows);
	memcpy(rows, t->rows, t->count * sizeof(*rows));
	*ret_entries = rows;
	*ret_count = t->count;
	return 0;
}

int maps_index_set(struct loader *l, const struct maps_index *index)
{
	(void)l;
	if (write_now() < 0)
		return -EIO;
	kernel.gate = *index;
	check_packets();
	return 0;
}

int maps_index_get(struct loader *l, struct maps_index *ret_index)
{
	(void)l;
	*ret_index = kernel.gate;
	return 0;
}

#endif
