/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/assign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

/* A row as the sorts see it. */
struct candidate {
	uint32_t index;
	const struct table_backend *row;
};

static int identity_cmp(const char *pool_a, const char *name_a, const struct shunt_backend *a,
			const struct table_backend *b)
{
	int cmp = strcmp(pool_a, b->meta.pool);

	if (cmp == 0)
		cmp = strcmp(name_a, b->meta.name);
	if (cmp == 0)
		cmp = memcmp(a->dst, b->row.dst, sizeof(a->dst));
	if (cmp == 0)
		cmp = (int)a->family - (int)b->row.family;
	if (cmp == 0)
		cmp = memcmp(&a->port, &b->row.port, sizeof(a->port));
	return cmp;
}

/* Rows that have an owner, to be found by who that is: open addressing, a power of two of places. */
struct owners {
	struct candidate *places; /* row NULL: empty */
	uint64_t mask;
};

static uint64_t identity_hash(const char *pool, const char *name)
{
	return text_hash(text_hash(TEXT_HASH_INIT, pool), name);
}

static int owners_init(struct owners *o, const struct tables *t)
{
	uint64_t size = 16;

	while (size < (uint64_t)t->sizes.backends * 2)
		size *= 2;
	o->mask = size - 1;
	o->places = calloc(size, sizeof(*o->places));
	if (o->places == NULL)
		return -ENOMEM;
	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		const struct table_backend *row = &t->backends[i];
		uint64_t at;

		if (!table_backend_is_owned(row))
			continue;
		at = identity_hash(row->meta.pool, row->meta.name) & o->mask;
		while (o->places[at].row != NULL)
			at = (at + 1) & o->mask;
		o->places[at] = (struct candidate){.index = i, .row = row};
	}
	return 0;
}

static const struct candidate *owners_find(const struct owners *o, const struct desired_backend *b)
{
	uint64_t at = identity_hash(b->pool, b->name) & o->mask;

	for (; o->places[at].row != NULL; at = (at + 1) & o->mask) {
		if (identity_cmp(b->pool, b->name, &b->row, o->places[at].row) == 0)
			return &o->places[at];
	}
	return NULL;
}

static int free_cmp(const void *va, const void *vb)
{
	const struct candidate *a = va, *b = vb;

	if (a->row->freed != b->row->freed)
		return a->row->freed < b->row->freed ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

/* Row 0 stays out of use, so that no backend has the id 0. */
static size_t collect_free(const struct tables *t, struct candidate *ret_rows)
{
	size_t count = 0;

	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		const struct table_backend *row = &t->backends[i];

		if (row->row.id == 0)
			ret_rows[count++] = (struct candidate){.index = i, .row = row};
	}
	qsort(ret_rows, count, sizeof(*ret_rows), free_cmp);
	return count;
}

static uint32_t next_id(const struct candidate *c)
{
	uint32_t generation = (c->row->meta.id >> SHUNT_ID_INDEX_BITS) + 1;

	if (generation > UINT32_MAX >> SHUNT_ID_INDEX_BITS)
		generation = 1;
	return generation << SHUNT_ID_INDEX_BITS | c->index;
}

static int say_backends_full(const struct tables *t, size_t missing, struct diag *d)
{
	unsigned lingering = 0;

	for (uint32_t i = 1; i < t->sizes.backends; i++)
		lingering += t->backends[i].row.id != 0 && !t->backends[i].wanted;
	diag_error(d, NULL,
		   "%zu backends more than the table of %u can hold, where %u rows are still held "
		   "by removed backends with live flows: raise node.limits.backends and run "
		   "`shunt-load detach --all --purge` before the next start",
		   missing, t->sizes.backends - 1, lingering);
	return -ENOSPC;
}

static int assign_backends(const struct tables *t, const struct desired *want,
			   struct assigned_backend *ret, struct diag *d)
{
	struct candidate *empty = calloc(t->sizes.backends + 1, sizeof(*empty));
	struct owners owners = {0};
	size_t empty_count = 0, used = 0;
	int err = owners_init(&owners, t);

	if (err < 0 || empty == NULL) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < want->backend_count; i++) {
		const struct candidate *c = owners_find(&owners, &want->backends[i]);

		if (c == NULL && used == 0)
			empty_count = collect_free(t, empty);

		if (c != NULL) {
			ret[i] = (struct assigned_backend){c->index, c->row->row.id, false};
		} else if (used++ < empty_count) {
			c = &empty[used - 1];
			ret[i] = (struct assigned_backend){c->index, next_id(c), true};
		}
	}
	if (used > empty_count)
		err = say_backends_full(t, used - empty_count, d);
out:
	free(owners.places);
	free(empty);
	return err;
}

/* An index that a record or a source route still names is not free, whatever its meta row says. */
static void mark_named(const struct tables *t, bool *taken)
{
	for (size_t i = 0; i < t->keys.count; i++) {
		if (t->keys.rows[i].record.index < t->sizes.services)
			taken[t->keys.rows[i].record.index] = true;
	}
	for (size_t i = 0; i < t->entries[MAPS_ROUTES].count; i++) {
		const struct maps_entry *e = &t->entries[MAPS_ROUTES].rows[i];

		if (e->route.index < t->sizes.services)
			taken[e->route.index] = true;
	}
	for (uint32_t i = 0; i < t->sizes.services; i++) {
		if (t->services[i].meta.name[0] != '\0')
			taken[i] = true;
	}
}

static bool keys_overlap(const struct shunt_vip_key *a, const struct shunt_vip_key *b)
{
	unsigned whole = a->family == 4 ? 32 : 128;
	unsigned len_a = a->prefix_len != 0 ? a->prefix_len : whole;
	unsigned len_b = b->prefix_len != 0 ? b->prefix_len : whole;
	uint16_t lo_a = ntohs(a->port), hi_a = a->port_hi != 0 ? ntohs(a->port_hi) : lo_a;
	uint16_t lo_b = ntohs(b->port), hi_b = b->port_hi != 0 ? ntohs(b->port_hi) : lo_b;
	const uint8_t *x = (const uint8_t *)a->addr, *y = (const uint8_t *)b->addr;
	unsigned len = len_a < len_b ? len_a : len_b;

	if (a->family != b->family || a->proto != b->proto || hi_a < lo_b || hi_b < lo_a)
		return false;
	if (memcmp(x, y, len / 8) != 0)
		return false;
	return len % 8 == 0 || (x[len / 8] ^ y[len / 8]) >> (8 - len % 8) == 0;
}

/* Does a key that is wanted stand already, with a row of its service? */
static bool stands(const struct tables *t, const struct desired *want,
		   const struct desired_key *key)
{
	const struct table_key *have = keys_find(&t->keys, &key->key);

	return have != NULL && have->record.index < t->sizes.services &&
	       strcmp(t->services[have->record.index].meta.name,
		      want->services[key->service].name) == 0;
}

/* Does another service get packets that a key has now: as the key goes and another one is under it, or
 * as another one comes above it? */
static bool loses_packets(const struct tables *t, const struct desired *want,
			  const struct shunt_vip_key *key, bool goes, size_t service)
{
	for (size_t i = 0; i < want->key_count; i++) {
		const struct desired_key *k = &want->keys[i];

		if (k->service != service && keys_overlap(key, &k->key) &&
		    (goes || !stands(t, want, k)))
			return true;
	}
	return false;
}

/* What the records of keys that name a row say about whose it is. */
enum claim { CLAIM_FOREIGN, CLAIM_NONE, CLAIM_OWN };

static enum claim claim_on_row(const struct tables *t, const struct desired *want, uint32_t index,
			       size_t service)
{
	enum claim claim = CLAIM_NONE;

	for (size_t i = 0; i < t->keys.count; i++) {
		const struct table_key *have = &t->keys.rows[i];
		const struct desired_key *key;

		if (have->record.index != index)
			continue;
		key = desired_find_key(want, &have->key);
		if (key != NULL ? key->service != service
				: loses_packets(t, want, &have->key, true, service))
			return CLAIM_FOREIGN;
		if (key != NULL && loses_packets(t, want, &have->key, false, service))
			return CLAIM_FOREIGN;
		if (key != NULL)
			claim = CLAIM_OWN;
	}
	return claim;
}

bool assign_row_loses_key(const struct tables *t, const struct desired *want, uint32_t index,
			  size_t service)
{
	return claim_on_row(t, want, index, service) == CLAIM_FOREIGN;
}

/* A row of the table of services that has an owner, to be found by its name. */
struct named {
	const char *name;
	uint32_t index;
};

static int named_cmp(const void *va, const void *vb)
{
	const struct named *a = va, *b = vb;
	int cmp = strcmp(a->name, b->name);

	return cmp != 0 ? cmp : a->index < b->index ? -1 : 1;
}

static size_t list_named(const struct tables *t, struct named *ret_rows)
{
	size_t count = 0;

	for (uint32_t i = 0; i < t->sizes.services; i++) {
		if (t->services[i].meta.name[0] != '\0')
			ret_rows[count++] = (struct named){t->services[i].meta.name, i};
	}
	if (count > 0)
		qsort(ret_rows, count, sizeof(*ret_rows), named_cmp);
	return count;
}

/* The first row of that name, or where it would be. */
static size_t find_named(const struct named *rows, size_t count, const char *name)
{
	size_t low = 0;

	while (low < count) {
		size_t middle = low + (count - low) / 2;

		if (strcmp(rows[middle].name, name) < 0)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

/* Only a change that was cut short leaves two rows of one name. */
static bool find_service(const struct tables *t, const struct desired *want, size_t service,
			 const struct named *rows, size_t count, uint32_t *ret_index)
{
	const char *name = want->services[service].name;
	uint32_t found = t->sizes.services;

	for (size_t i = find_named(rows, count, name); i < count && strcmp(rows[i].name, name) == 0;
	     i++) {
		if (found == t->sizes.services || claim_on_row(t, want, rows[i].index, service) >
							  claim_on_row(t, want, found, service))
			found = rows[i].index;
	}
	if (found == t->sizes.services)
		return false;
	*ret_index = found;
	return true;
}

static int assign_services(const struct tables *t, const struct desired *want,
			   struct assigned_service *ret, struct diag *d)
{
	bool *taken = calloc(t->sizes.services + 1, sizeof(*taken));
	struct named *rows = calloc(t->sizes.services + 1, sizeof(*rows));
	uint32_t next = 0;
	size_t count;
	int err = 0;

	if (taken == NULL || rows == NULL) {
		err = -ENOMEM;
		goto out;
	}
	mark_named(t, taken);
	count = list_named(t, rows);
	for (size_t i = 0; i < want->service_count; i++) {
		if (find_service(t, want, i, rows, count, &ret[i].index))
			continue;
		while (next < t->sizes.services && taken[next])
			next++;
		if (next == t->sizes.services) {
			diag_error(d, NULL,
				   "%zu services do not fit into a table of %u: raise "
				   "node.limits.services and run `shunt-load detach --all --purge` "
				   "before the next start",
				   want->service_count, t->sizes.services);
			err = -ENOSPC;
			break;
		}
		ret[i] = (struct assigned_service){next, true};
		taken[next] = true;
	}
out:
	free(rows);
	free(taken);
	return err;
}

int assign_rows(const struct tables *t, const struct desired *want, struct assignment *ret_assigned,
		struct diag *d)
{
	struct assignment a = {0};
	int err;

	a.backends = calloc(want->backend_count + 1, sizeof(*a.backends));
	a.services = calloc(want->service_count + 1, sizeof(*a.services));
	err = a.backends == NULL || a.services == NULL ? -ENOMEM : 0;
	if (err == 0)
		err = assign_backends(t, want, a.backends, d);
	if (err == 0)
		err = assign_services(t, want, a.services, d);
	if (err < 0) {
		assignment_deinit(&a);
		return err;
	}
	*ret_assigned = a;
	return 0;
}

int assign_other_row(const struct tables *t, const struct desired *want, struct assignment *a,
		     size_t service)
{
	bool *taken = calloc(t->sizes.services + 1, sizeof(*taken));
	uint32_t index = 0;

	if (taken == NULL)
		return -ENOMEM;
	mark_named(t, taken);
	for (size_t i = 0; i < want->service_count; i++)
		taken[a->services[i].index] = true;
	while (index < t->sizes.services && taken[index])
		index++;
	free(taken);
	if (index == t->sizes.services)
		return -ENOSPC;
	a->services[service] = (struct assigned_service){index, true};
	return 0;
}

int assignment_copy(const struct assignment *a, const struct desired *want,
		    struct assignment *ret_copy)
{
	struct assignment copy = {
		.backends = calloc(want->backend_count + 1, sizeof(*copy.backends)),
		.services = calloc(want->service_count + 1, sizeof(*copy.services)),
	};

	if (copy.backends == NULL || copy.services == NULL) {
		assignment_deinit(&copy);
		return -ENOMEM;
	}
	memcpy(copy.backends, a->backends, want->backend_count * sizeof(*copy.backends));
	memcpy(copy.services, a->services, want->service_count * sizeof(*copy.services));
	*ret_copy = copy;
	return 0;
}

void assignment_deinit(struct assignment *a)
{
	if (a == NULL)
		return;
	free(a->backends);
	free(a->services);
	*a = (struct assignment){0};
}
