/* SPDX-License-Identifier: BSD-2-Clause */
/* State that outlives a snapshot, found by identity in hash tables: see runtime.h. */
#include "conf/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "conf/found.h"
#include "conf/route_label.h"
#include "conf/snapshot.h"
#include "core/clock.h"
#include "core/text.h"

#define COUNTER_ALIGN 64U

const unsigned duration_bounds_ms[DURATION_BOUNDS] = {
	1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000};

/* What backends, services and limits have in common here. References grow only on the main thread, so one
 * that it sees without any stays without. */
struct item {
	struct item *next; /* in its bucket */
	uint64_t hash;
	atomic_uint refs;
	void *counter_memory;
};

struct backend_item {
	struct item item;
	struct backend_rt rt;
};

struct pool_item {
	struct item item;
	struct pool_rt rt;
};

struct service_item {
	struct item item;
	struct service_rt rt;
};

struct route_item {
	struct item item;
	struct route_rt rt;
};

struct limit_item {
	struct item item;
	struct limit_rt rt;
};

struct table {
	struct item **buckets; /* a power of two of them */
	size_t bucket_count;
	size_t count;
	void (*free_item)(struct item *item);
};

struct runtime {
	struct table backends, pools, services, routes, limits;
	struct found *found;
};

/* The last access to the item: the main thread may free it as soon as it sees the zero. */
static void drop_ref(struct item *item)
{
	atomic_fetch_sub_explicit(&item->refs, 1, memory_order_release);
}

static void free_backend(struct item *item)
{
	struct backend_item *b = (struct backend_item *)item;

	if (b->rt.of)
		drop_ref(b->rt.of->priv);
	free(b->rt.pool);
	free(b->rt.name);
	free(item->counter_memory);
	free(b);
}

static void free_pool(struct item *item)
{
	struct pool_item *p = (struct pool_item *)item;

	free(p->rt.name);
	free(p);
}

static void free_service(struct item *item)
{
	struct service_item *s = (struct service_item *)item;

	free(s->rt.name);
	free(item->counter_memory);
	free(s);
}

static void free_route(struct item *item)
{
	struct route_item *r = (struct route_item *)item;

	for (size_t i = 0; i < RUNTIME_MAX_WORKERS; i++) {
		struct route_counters *row =
			atomic_load_explicit(&r->rt.rows[i], memory_order_relaxed);

		if (row)
			route_labels_free(atomic_load_explicit(&row->labels, memory_order_relaxed));
		free(row);
	}
	free(r->rt.service);
	free(r->rt.key);
	free(r);
}

static void free_limit(struct item *item)
{
	struct limit_item *l = (struct limit_item *)item;

	limit_table_deinit(&l->rt.table);
	free(l->rt.name);
	free(l->rt.key);
	free(item->counter_memory);
	free(l);
}

static int table_init(struct table *t, void (*free_item)(struct item *item))
{
	t->bucket_count = 64;
	t->free_item = free_item;
	t->buckets = calloc(t->bucket_count, sizeof(struct item *));
	return t->buckets ? 0 : -1;
}

/* Frees what nobody refers to; of all, when force is true. */
static void table_sweep(struct table *t, bool force)
{
	for (size_t i = 0; t->buckets && i < t->bucket_count; i++) {
		struct item **link = &t->buckets[i];

		while (*link) {
			struct item *item = *link;

			if (force || !atomic_load_explicit(&item->refs, memory_order_acquire)) {
				*link = item->next;
				t->free_item(item);
				t->count--;
			} else {
				link = &item->next;
			}
		}
	}
}

/* Twice the buckets; without memory for them the chains just get longer. */
static void table_grow(struct table *t)
{
	size_t count = t->bucket_count * 2;
	struct item **buckets = calloc(count, sizeof(struct item *));

	if (!buckets)
		return;
	for (size_t i = 0; i < t->bucket_count; i++) {
		while (t->buckets[i]) {
			struct item *item = t->buckets[i];

			t->buckets[i] = item->next;
			item->next = buckets[item->hash & (count - 1)];
			buckets[item->hash & (count - 1)] = item;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->bucket_count = count;
}

static void table_insert(struct table *t, struct item *item)
{
	struct item **bucket;

	if (t->count >= t->bucket_count)
		table_grow(t);
	bucket = &t->buckets[item->hash & (t->bucket_count - 1)];
	item->next = *bucket;
	*bucket = item;
	t->count++;
}

static void take_ref(struct item *item)
{
	atomic_fetch_add_explicit(&item->refs, 1, memory_order_relaxed);
}

/* Zeroed rows, aligned to cache lines. Plain calloc() leaves pages that no worker counts on
 * untouched. */
static void *counters_new(struct item *item, size_t size)
{
	uintptr_t at;

	item->counter_memory = calloc(1, size * RUNTIME_MAX_WORKERS + COUNTER_ALIGN);
	if (!item->counter_memory)
		return NULL;
	at = ((uintptr_t)item->counter_memory + COUNTER_ALIGN - 1) &
	     ~(uintptr_t)(COUNTER_ALIGN - 1);
	return (void *)at;
}

struct runtime *runtime_new(void)
{
	struct runtime *rt = calloc(1, sizeof(*rt));

	if (!rt)
		return NULL;
	rt->found = found_new();
	if (!rt->found || table_init(&rt->backends, free_backend) < 0 ||
	    table_init(&rt->pools, free_pool) < 0 || table_init(&rt->services, free_service) < 0 ||
	    table_init(&rt->routes, free_route) < 0 || table_init(&rt->limits, free_limit) < 0) {
		runtime_free(rt);
		return NULL;
	}
	return rt;
}

void runtime_free(struct runtime *rt)
{
	if (!rt)
		return;
	table_sweep(&rt->backends, true);
	table_sweep(&rt->pools, true);
	table_sweep(&rt->services, true);
	table_sweep(&rt->routes, true);
	table_sweep(&rt->limits, true);
	free(rt->backends.buckets);
	free(rt->pools.buckets);
	free(rt->services.buckets);
	free(rt->routes.buckets);
	free(rt->limits.buckets);
	found_free(rt->found);
	free(rt);
}

struct found *runtime_found(struct runtime *rt)
{
	return rt->found;
}

void runtime_sweep(struct runtime *rt)
{
	table_sweep(&rt->backends, false);
	table_sweep(&rt->pools, false); /* backends hold them */
	table_sweep(&rt->services, false);
	table_sweep(&rt->routes, false);
	table_sweep(&rt->limits, false);
}

static struct pool_item *pool_new(const char *name, uint64_t hash)
{
	struct pool_item *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->item.hash = hash;
	p->rt.name = strdup(name);
	p->rt.priv = &p->item;
	if (!p->rt.name) {
		free_pool(&p->item);
		return NULL;
	}
	return p;
}

/* With a reference; NULL: out of memory. */
static struct pool_rt *find_pool(struct runtime *rt, const char *name)
{
	uint64_t hash = text_hash(TEXT_HASH_INIT, name);
	struct item *item = rt->pools.buckets[hash & (rt->pools.bucket_count - 1)];
	struct pool_item *p;

	while (item && strcmp(((struct pool_item *)item)->rt.name, name) != 0)
		item = item->next;
	if (!item) {
		p = pool_new(name, hash);
		if (!p)
			return NULL;
		item = &p->item;
		table_insert(&rt->pools, item);
	}
	take_ref(item);
	return &((struct pool_item *)item)->rt;
}

static struct backend_item *backend_new(const char *pool, const char *name,
					const struct endpoint *ep, uint64_t hash)
{
	struct backend_item *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->item.hash = hash;
	b->rt.pool = strdup(pool);
	b->rt.name = strdup(name);
	b->rt.ep = *ep;
	b->rt.counters = counters_new(&b->item, sizeof(*b->rt.counters));
	b->rt.up_since_ms = clock_now_ms();
	b->rt.priv = &b->item;
	if (!b->rt.pool || !b->rt.name || !b->rt.counters) {
		free_backend(&b->item);
		return NULL;
	}
	return b;
}

struct backend_rt *runtime_backend(struct runtime *rt, const char *pool, const char *name,
				   const struct endpoint *ep)
{
	uint64_t hash = text_hash(text_hash(TEXT_HASH_INIT, pool), name);
	struct item *item = rt->backends.buckets[hash & (rt->backends.bucket_count - 1)];
	struct backend_item *b;

	for (; item; item = item->next) {
		b = (struct backend_item *)item;
		if (!endpoint_cmp(&b->rt.ep, ep) && !strcmp(b->rt.name, name) &&
		    !strcmp(b->rt.pool, pool))
			break;
	}
	if (!item) {
		b = backend_new(pool, name, ep, hash);
		if (!b)
			return NULL;
		b->rt.of = find_pool(rt, pool);
		if (!b->rt.of) {
			free_backend(&b->item);
			return NULL;
		}
		item = &b->item;
		table_insert(&rt->backends, item);
	}
	take_ref(item);
	return &((struct backend_item *)item)->rt;
}

static struct service_item *service_new(const char *name, uint64_t hash)
{
	struct service_item *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->item.hash = hash;
	s->rt.name = strdup(name);
	s->rt.counters = counters_new(&s->item, sizeof(*s->rt.counters));
	s->rt.priv = &s->item;
	if (!s->rt.name || !s->rt.counters) {
		free_service(&s->item);
		return NULL;
	}
	return s;
}

struct service_rt *runtime_service(struct runtime *rt, const char *name)
{
	uint64_t hash = text_hash(TEXT_HASH_INIT, name);
	struct item *item = rt->services.buckets[hash & (rt->services.bucket_count - 1)];
	struct service_item *s;

	while (item && strcmp(((struct service_item *)item)->rt.name, name) != 0)
		item = item->next;
	if (!item) {
		s = service_new(name, hash);
		if (!s)
			return NULL;
		item = &s->item;
		table_insert(&rt->services, item);
	}
	take_ref(item);
	return &((struct service_item *)item)->rt;
}

static struct route_item *route_new(const char *service, const char *key, uint64_t hash)
{
	struct route_item *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->item.hash = hash;
	r->rt.service = strdup(service);
	r->rt.key = strdup(key);
	r->rt.priv = &r->item;
	if (!r->rt.service || !r->rt.key) {
		free_route(&r->item);
		return NULL;
	}
	return r;
}

struct route_rt *runtime_route(struct runtime *rt, const char *service, const char *key)
{
	uint64_t hash = text_hash(text_hash(TEXT_HASH_INIT, service), key);
	struct item *item = rt->routes.buckets[hash & (rt->routes.bucket_count - 1)];
	struct route_item *r;

	for (; item; item = item->next) {
		r = (struct route_item *)item;
		if (!strcmp(r->rt.key, key) && !strcmp(r->rt.service, service))
			break;
	}
	if (!item) {
		r = route_new(service, key, hash);
		if (!r)
			return NULL;
		item = &r->item;
		table_insert(&rt->routes, item);
	}
	take_ref(item);
	return &((struct route_item *)item)->rt;
}

struct route_counters *route_rt_row(struct route_rt *r, unsigned worker)
{
	static struct route_counters lost[RUNTIME_MAX_WORKERS];
	struct route_counters *row = atomic_load_explicit(&r->rows[worker], memory_order_relaxed);

	if (row)
		return row;
	row = aligned_alloc(COUNTER_ALIGN, sizeof(*row));
	if (!row)
		return &lost[worker];
	memset(row, 0, sizeof(*row));
	atomic_store_explicit(&r->rows[worker], row, memory_order_release);
	return row;
}

struct route_label *route_rt_label(struct route_rt *r, unsigned worker, struct slice text)
{
	struct route_counters *row = route_rt_row(r, worker);
	struct route_labels *labels = atomic_load_explicit(&row->labels, memory_order_relaxed);

	if (!labels) {
		labels = route_labels_new();
		if (!labels)
			return NULL;
		atomic_store_explicit(&row->labels, labels, memory_order_release);
	}
	return route_labels_get(labels, text);
}

/* Is it that limit, with what it remembers of use to it? */
static bool is_same_limit(const struct limit_rt *l, const struct rate_limit *c)
{
	return !strcmp(l->name, c->name) && !l->key == !c->key &&
	       (!l->key || !strcmp(l->key, c->key)) && l->meter.algorithm == c->meter.algorithm &&
	       l->meter.count == c->meter.count && l->meter.period_ms == c->meter.period_ms &&
	       l->meter.burst == c->meter.burst && l->entries == c->entries &&
	       l->per == (int)c->per;
}

static struct limit_item *limit_new(const struct rate_limit *c, uint64_t hash)
{
	struct limit_item *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->item.hash = hash;
	l->rt.name = strdup(c->name);
	l->rt.key = c->key ? strdup(c->key) : NULL;
	l->rt.meter = c->meter;
	l->rt.entries = c->entries;
	l->rt.per = (int)c->per;
	l->rt.counters = counters_new(&l->item, sizeof(*l->rt.counters));
	l->rt.priv = &l->item;
	if (getrandom(l->rt.seed, sizeof(l->rt.seed), 0) < 0) /* before the system has some */
		l->rt.seed[0] = (uintptr_t)l ^ clock_now_ns();
	if (!l->rt.name || (c->key && !l->rt.key) || !l->rt.counters ||
	    limit_table_init(&l->rt.table, c->key ? c->entries : 1) < 0) {
		free_limit(&l->item);
		return NULL;
	}
	return l;
}

struct limit_rt *runtime_limit(struct runtime *rt, const struct rate_limit *conf)
{
	uint64_t hash = text_hash(TEXT_HASH_INIT, conf->name);
	struct item *item = rt->limits.buckets[hash & (rt->limits.bucket_count - 1)];
	struct limit_item *l;

	while (item && !is_same_limit(&((struct limit_item *)item)->rt, conf))
		item = item->next;
	if (!item) {
		l = limit_new(conf, hash);
		if (!l)
			return NULL;
		item = &l->item;
		table_insert(&rt->limits, item);
	}
	take_ref(item);
	return &((struct limit_item *)item)->rt;
}

void backend_rt_unref(struct backend_rt *b)
{
	if (b)
		drop_ref(b->priv);
}

void service_rt_unref(struct service_rt *s)
{
	if (s)
		drop_ref(s->priv);
}

void route_rt_unref(struct route_rt *r)
{
	if (r)
		drop_ref(r->priv);
}

static _Atomic uint64_t epoch;

uint64_t runtime_epoch(void)
{
	return atomic_load_explicit(&epoch, memory_order_acquire);
}

void runtime_epoch_move(void)
{
	atomic_fetch_add_explicit(&epoch, 1, memory_order_release);
}

bool backend_rt_set_health(struct backend_rt *b, enum health_state health)
{
	int before = atomic_exchange(&b->health, (int)health);

	if (before == (int)health)
		return false;
	if (before == HEALTH_DOWN)
		atomic_store(&b->up_since_ms, clock_now_ms());
	runtime_epoch_move();
	return true;
}

#define LATENCY_HALF_MS	 5000 /* without a request */
#define LATENCY_FALL	 8
#define LATENCY_HALVINGS 31U

uint64_t backend_rt_latency_us(const struct backend_rt *b, uint64_t now_ms)
{
	uint64_t since = atomic_load_explicit(&b->latency_ms, memory_order_relaxed);
	uint64_t us = atomic_load_explicit(&b->latency_us, memory_order_relaxed);
	uint64_t halvings = now_ms > since ? (now_ms - since) / LATENCY_HALF_MS : 0;

	return us >> (halvings < LATENCY_HALVINGS ? halvings : LATENCY_HALVINGS);
}

void backend_rt_note_latency(struct backend_rt *b, uint64_t us, uint64_t now_ms)
{
	uint64_t before = backend_rt_latency_us(b, now_ms);

	if (us < before)
		us = before - (before - us) / LATENCY_FALL;
	if (us > UINT32_MAX)
		us = UINT32_MAX;
	atomic_store_explicit(&b->latency_us, (uint32_t)us, memory_order_relaxed);
	atomic_store_explicit(&b->latency_ms, now_ms, memory_order_relaxed);
}

void limit_rt_unref(struct limit_rt *l)
{
	if (l)
		drop_ref(l->priv);
}

static void add(_Atomic uint64_t *sum, const _Atomic uint64_t *row)
{
	counter_add(sum, atomic_load_explicit(row, memory_order_relaxed));
}

void backend_rt_sum(const struct backend_rt *b, struct backend_counters *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (size_t i = 0; i < RUNTIME_MAX_WORKERS; i++) {
#define X(name, text) add(&ret_sum->name, &b->counters[i].name);
		BACKEND_COUNTERS(X)
#undef X
	}
}

void service_rt_sum(const struct service_rt *s, struct service_counters *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (size_t i = 0; i < RUNTIME_MAX_WORKERS; i++) {
#define X(name, text) add(&ret_sum->name, &s->counters[i].name);
		SERVICE_COUNTERS(X)
		RELAY_COUNTERS(X)
#undef X
		for (size_t k = 0; k <= DURATION_BOUNDS; k++)
			add(&ret_sum->durations[k], &s->counters[i].durations[k]);
		add(&ret_sum->duration_ms, &s->counters[i].duration_ms);
	}
}

void route_rt_sum(const struct route_rt *r, struct route_counters *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (size_t i = 0; i < RUNTIME_MAX_WORKERS; i++) {
		const struct route_counters *row =
			atomic_load_explicit(&r->rows[i], memory_order_acquire);

		if (!row)
			continue;
#define X(name, text) add(&ret_sum->name, &row->name);
		ROUTE_COUNTERS(X)
#undef X
	}
}

size_t route_rt_sum_labels(const struct route_rt *r, struct route_label *ret_sums, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < RUNTIME_MAX_WORKERS; i++) {
		struct route_counters *row =
			atomic_load_explicit(&r->rows[i], memory_order_acquire);
		const struct route_labels *labels =
			row ? atomic_load_explicit(&row->labels, memory_order_acquire) : NULL;

		if (labels)
			count = route_labels_sum(labels, ret_sums, count, max);
	}
	return count;
}

void limit_rt_sum(const struct limit_rt *l, struct limit_counters *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (size_t i = 0; i < RUNTIME_MAX_WORKERS; i++) {
#define X(name, text) add(&ret_sum->name, &l->counters[i].name);
		LIMIT_COUNTERS(X)
#undef X
	}
}

const char *health_state_name(enum health_state v)
{
	static const char *const names[] = {"unknown", "up", "down"};

	return names[v];
}
