/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/sync.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "l4/entries.h"
#include "l4/index.h"
#include "l4/slots.h"
#include "loader/maps.h"
#include "loader/maps_flows.h"

#define ROWS_AT_ONCE 64

static int say_failed(struct diag *d, int err, const char *what, const char *map)
{
	diag_error(d, NULL, "cannot %s %s: %s", what, map, strerror(-err));
	return err;
}

/* Rows read at once, of those from first on. */
static uint32_t next_rows(uint32_t first, uint32_t all)
{
	return all - first < ROWS_AT_ONCE ? all - first : ROWS_AT_ONCE;
}

static int read_backends(struct loader *loader, struct tables *t, struct diag *d)
{
	struct shunt_be_meta metas[ROWS_AT_ONCE];
	struct shunt_backend rows[ROWS_AT_ONCE];
	uint32_t count;

	for (uint32_t first = 0; first < t->sizes.backends; first += count) {
		int err;

		count = next_rows(first, t->sizes.backends);
		err = maps_backend_meta_list(loader, first, count, metas);
		if (err < 0)
			return say_failed(d, err, "read", SHUNT_MAP_BE_META);
		err = maps_backend_list(loader, first, count, rows);
		if (err < 0)
			return say_failed(d, err, "read", SHUNT_MAP_BACKENDS);
		for (uint32_t i = first == 0; i < count; i++) { /* row 0 is nobody's */
			struct table_backend *b = &t->backends[first + i];

			b->row = rows[i];
			b->meta = metas[i];
			/* Whoever wrote it, it is text from here on. */
			b->meta.pool[SHUNT_NAME_MAX - 1] = '\0';
			b->meta.name[SHUNT_NAME_MAX - 1] = '\0';
		}
	}
	return 0;
}

static int read_owners(struct loader *loader, struct tables *t, struct diag *d)
{
	struct shunt_svc_meta metas[ROWS_AT_ONCE];
	uint32_t count;

	for (uint32_t first = 0; first < t->sizes.services; first += count) {
		int err;

		count = next_rows(first, t->sizes.services);
		err = maps_service_meta_list(loader, first, count, metas);
		if (err < 0)
			return say_failed(d, err, "read", SHUNT_MAP_SVC_META);
		for (uint32_t i = 0; i < count; i++) {
			struct table_service *s = &t->services[first + i];

			s->meta = metas[i];
			s->meta.name[SHUNT_NAME_MAX - 1] = '\0';
			err = maps_ring_get(loader, first + i, &s->ring);
			if (err < 0)
				return say_failed(d, err, "read", SHUNT_MAP_SVC_RINGS);
		}
	}
	return 0;
}

static int read_services(struct loader *loader, struct tables *t, struct diag *d)
{
	struct maps_service_row *rows = NULL;
	size_t count = 0;
	int err = read_owners(loader, t, d);

	if (err < 0)
		return err;
	err = maps_service_list(loader, &rows, &count);
	if (err < 0)
		return say_failed(d, err, "read", SHUNT_MAP_SERVICES);
	for (size_t i = 0; i < count && err == 0; i++)
		err = keys_put(&t->keys, &rows[i].key, &rows[i].svc);
	free(rows);
	return err;
}

static int read_entries(struct loader *loader, struct tables *t, struct diag *d)
{
	int err = maps_index_get(loader, &t->gate);

	if (err < 0)
		return say_failed(d, err, "read", SHUNT_MAP_ADDR_BITS);
	for (int table = 0; table < MAPS_TABLE_COUNT; table++) {
		struct maps_entry *rows;
		size_t count;

		err = maps_entry_list(loader, table, &rows, &count);
		if (err < 0)
			return say_failed(d, err, "read", maps_table_name(table));
		entries_take(&t->entries[table], rows, count);
	}
	return 0;
}

/* The bits of addresses may have been lost with their table, and be new: the keys that stand must not
 * wait for the first plan. */
static int mend_gate(struct loader *loader, struct tables *t, struct diag *d)
{
	struct index index;
	bool lost = false;
	int err = index_build(&t->keys, NULL, &index);

	if (err < 0)
		return err == -ENOSPC ? 0 : err; /* no daemon's: the first plan deletes them */
	for (size_t i = 0; i < SHUNT_ADDR_BITS_WORDS; i++) {
		lost = lost || (index.gate.bits[i] & ~t->gate.bits[i]) != 0;
		t->gate.bits[i] |= index.gate.bits[i];
	}
	t->gate.ranges |= index.gate.ranges;
	t->gate.prefixes |= index.gate.prefixes;
	index_deinit(&index);
	err = lost ? maps_index_set(loader, &t->gate) : 0;
	return err < 0 ? say_failed(d, err, "write", SHUNT_MAP_ADDR_BITS) : 0;
}

/* Flows of a backend that was removed before this process began: as patient as any service is. */
static void guess_lingers(struct tables *t)
{
	uint32_t longest = 0;

	for (size_t i = 0; i < t->keys.count; i++) {
		const struct shunt_service *r = &t->keys.rows[i].record;
		bool udp = t->keys.rows[i].key.proto == IPPROTO_UDP;

		for (int state = 0; state < SHUNT_FLOW_STATE_COUNT; state++) {
			if (r->tracking != SHUNT_TRACK_NEVER && (state == SHUNT_FLOW_UDP) == udp &&
			    r->idle_s[state] > longest)
				longest = r->idle_s[state];
		}
	}
	for (uint32_t i = 1; i < t->sizes.backends; i++)
		t->backends[i].linger_s = longest;
}

int sync_read(struct loader *loader, struct tables *ret_tables, struct diag *d)
{
	struct loader_sizes sizes;
	struct tables t;
	int err;

	maps_sizes(loader, &sizes);
	err = tables_init(&t, &sizes);
	if (err < 0)
		return err;
	err = read_backends(loader, &t, d);
	if (err == 0)
		err = read_services(loader, &t, d);
	if (err == 0)
		err = read_entries(loader, &t, d);
	if (err == 0)
		err = mend_gate(loader, &t, d);
	if (err < 0) {
		tables_deinit(&t);
		return err;
	}
	guess_lingers(&t);
	/* What a former process unpublished just before it ended, nobody knows. */
	t.records_unsettled = true;
	err = extents_take(&t.retired, 0, sizes.ring_slots);
	if (err < 0) {
		tables_deinit(&t);
		return err;
	}
	*ret_tables = t;
	return 0;
}

/* Takes members. The former ring is noted as looked at before it may be, so that it cannot fail
 * after. */
static int publish_ring(struct loader *loader, struct tables *t, uint32_t index,
			const struct shunt_ring *ring, struct table_member *members, size_t count)
{
	struct table_service *s = &t->services[index];
	int err = extents_take(&t->retired, s->ring.base, s->ring.size);

	if (err == 0)
		err = maps_ring_publish(loader, index, ring);
	if (err < 0) {
		free(members);
		return err;
	}
	table_service_set_ring(s, ring, members, count);
	return 0;
}

static struct slots slots_at(struct loader *loader, uint32_t base)
{
	return (struct slots){maps_rings(loader) + base, maps_stamps(loader) + base};
}

/* The slots that packets of the service look at now, where the new ring can follow them. */
static struct slots former_slots(struct loader *loader, const struct tables *t,
				 const struct plan_ring *ring)
{
	const struct shunt_ring *from = &t->services[ring->from].ring;

	if (from->size != ring->size || from->base > t->sizes.ring_slots ||
	    from->size > t->sizes.ring_slots - from->base)
		return (struct slots){NULL, NULL};
	return slots_at(loader, from->base);
}

static int write_ring(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	struct shunt_ring ring = {.base = op->ring.base, .size = op->ring.size};
	struct slots from = former_slots(loader, t, &op->ring), to = slots_at(loader, ring.base);
	struct handover handover = {t->services[op->ring.from].ring.base, ring.base, ring.size};
	struct table_service *s = &t->services[op->index];
	struct table_member *members;
	uint32_t *owner, moving;
	int err = handovers_reserve(&t->handovers);

	if (err == 0)
		err = slots_build(&op->ring, &owner, &members);
	if (err < 0)
		return err;
	moving = slots_write(&to, &from, &op->ring, owner, t, SHUNT_TICKS(clock_coarse_ns()));
	free(owner);
	err = publish_ring(loader, t, op->index, &ring, members, op->ring.count);
	if (err < 0)
		return err;
	s->moving = moving;
	if (op->ring.from != op->index) {
		s->former_row = op->ring.from;
		s->has_former = true;
	}
	if (moving > 0 && from.slots != NULL)
		handovers_add(&t->handovers, &handover);
	return 0;
}

static int clear_ring(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	static const struct shunt_ring none;

	return publish_ring(loader, t, op->index, &none, NULL, 0);
}

static int claim_backend(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	int err = maps_backend_stats_clear(loader, op->index);

	if (err == 0)
		err = maps_backend_meta_set(loader, op->index, &op->be_meta);
	if (err < 0)
		return err;
	t->backends[op->index].meta = op->be_meta;
	t->backends[op->index].packets = 0;
	return 0;
}

static int set_service_owner(struct loader *loader, struct tables *t, uint32_t index,
			     const struct shunt_svc_meta *meta)
{
	int err = maps_service_meta_set(loader, index, meta);

	if (err < 0)
		return err;
	t->services[index].meta = *meta;
	return 0;
}

static int claim_service(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	int err = maps_service_stats_clear(loader, op->index);

	return err < 0 ? err : set_service_owner(loader, t, op->index, &op->svc_meta);
}

static int set_backend(struct loader *loader, struct tables *t, uint32_t index,
		       const struct shunt_backend *row)
{
	int err = maps_backend_set(loader, index, row);

	if (err == 0)
		t->backends[index].row = *row;
	return err;
}

/* The mirror has room before the kernel is told, so that the two cannot part. */
static int set_service(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	const struct table_key *have = keys_find(&t->keys, &op->service.key);
	bool replaces = have != NULL;
	struct shunt_service old = replaces ? have->record : (struct shunt_service){0};
	int err = keys_put(&t->keys, &op->service.key, &op->service.record);

	if (err < 0)
		return err;
	err = maps_service_set(loader, &op->service.key, &op->service.record);
	if (err == 0)
		t->records_unsettled = t->records_unsettled || replaces;
	else if (replaces)
		(void)keys_put(&t->keys, &op->service.key, &old); /* it is there: cannot fail */
	else
		keys_remove(&t->keys, &op->service.key);
	return err;
}

static int delete_service(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	int err = maps_service_delete(loader, &op->service.key);

	if (err < 0 && err != -ENOENT)
		return err;
	keys_remove(&t->keys, &op->service.key);
	t->records_unsettled = true;
	return 0;
}

/* As set_service() and delete_service(). */
static int set_entry(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	struct entries *entries = &t->entries[op->table];
	const struct maps_entry *have = entries_find(entries, &op->entry);
	bool replaces = have != NULL;
	struct maps_entry old = replaces ? *have : op->entry;
	int err = entries_put(entries, &op->entry);

	if (err < 0)
		return err;
	err = maps_entry_set(loader, op->table, &op->entry);
	if (err == 0)
		t->records_unsettled = t->records_unsettled || replaces;
	else if (replaces)
		(void)entries_put(entries, &old); /* it is there: cannot fail */
	else
		entries_remove(entries, &old);
	return err;
}

static int delete_entry(struct loader *loader, struct tables *t, enum maps_table table,
			const struct maps_entry *e)
{
	int err = maps_entry_delete(loader, table, e);

	if (err < 0 && err != -ENOENT)
		return err;
	entries_remove(&t->entries[table], e);
	t->records_unsettled = true;
	return 0;
}

static int set_gate(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	int err = maps_index_set(loader, op->gate);

	if (err == 0)
		t->gate = *op->gate;
	return err;
}

/* What packets have written into slots that were left belongs to those that took their place. */
int sync_settle(struct loader *loader, struct tables *t)
{
	int err = maps_wait_for_packets();

	if (err < 0)
		return err;
	for (size_t i = 0; i < t->handovers.count; i++) {
		const struct handover *h = &t->handovers.list[i];
		struct slots from = slots_at(loader, h->from), to = slots_at(loader, h->to);

		slots_merge_stamps(&to, &from, h->size);
	}
	tables_settle(t);
	return 0;
}

static int run_op(struct loader *loader, struct tables *t, const struct plan_op *op)
{
	static const struct shunt_svc_meta nobody;

	switch (op->kind) {
	case PLAN_WAIT: return sync_settle(loader, t);
	case PLAN_BACKEND_CLAIM: return claim_backend(loader, t, op);
	case PLAN_BACKEND: return set_backend(loader, t, op->index, &op->backend);
	case PLAN_SERVICE_CLAIM: return claim_service(loader, t, op);
	case PLAN_RING: return write_ring(loader, t, op);
	case PLAN_RING_CLEAR: return clear_ring(loader, t, op);
	case PLAN_SERVICE: return set_service(loader, t, op);
	case PLAN_SERVICE_DELETE: return delete_service(loader, t, op);
	case PLAN_SERVICE_RELEASE: return set_service_owner(loader, t, op->index, &nobody);
	case PLAN_GATE: return set_gate(loader, t, op);
	case PLAN_ENTRY: return set_entry(loader, t, op);
	case PLAN_ENTRY_DELETE: return delete_entry(loader, t, op->table, &op->entry);
	}
	return -EINVAL;
}

static int say_op_failed(const struct plan_op *op, int err, struct diag *d)
{
	switch (op->kind) {
	case PLAN_WAIT: return say_failed(d, err, "wait for packets before writing", "the tables");
	case PLAN_BACKEND_CLAIM: return say_failed(d, err, "write", SHUNT_MAP_BE_META);
	case PLAN_BACKEND: return say_failed(d, err, "write", SHUNT_MAP_BACKENDS);
	case PLAN_SERVICE_CLAIM:
	case PLAN_SERVICE_RELEASE: return say_failed(d, err, "write", SHUNT_MAP_SVC_META);
	case PLAN_RING: return say_failed(d, err, "build a ring in", SHUNT_MAP_RINGS);
	case PLAN_RING_CLEAR: return say_failed(d, err, "write", SHUNT_MAP_SVC_RINGS);
	case PLAN_SERVICE: return say_failed(d, err, "write", SHUNT_MAP_SERVICES);
	case PLAN_SERVICE_DELETE: return say_failed(d, err, "delete from", SHUNT_MAP_SERVICES);
	case PLAN_GATE: return say_failed(d, err, "write", SHUNT_MAP_ADDR_BITS);
	case PLAN_ENTRY: return say_failed(d, err, "write", maps_table_name(op->table));
	case PLAN_ENTRY_DELETE:
		return say_failed(d, err, "delete from", maps_table_name(op->table));
	}
	return err;
}

int sync_run(struct loader *loader, struct tables *t, const struct plan *plan,
	     struct l4_report *report, struct diag *d)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_op *op = &plan->ops[i];
		int err = run_op(loader, t, op);

		if (err < 0)
			return say_op_failed(op, err, d);
		report->backends_set += op->kind == PLAN_BACKEND;
		report->rings_built += op->kind == PLAN_RING;
		report->services_set += op->kind == PLAN_SERVICE;
		report->services_deleted += op->kind == PLAN_SERVICE_DELETE;
		report->entries_set += op->kind == PLAN_ENTRY;
		report->entries_deleted += op->kind == PLAN_ENTRY_DELETE;
	}
	return 0;
}

/* Server ids that name one of the rows. They would name nothing once it has another id: this is for
 * the room in their table. */
static int delete_server_ids(struct loader *loader, struct tables *t, const uint32_t *indexes,
			     size_t count)
{
	struct entries *ids = &t->entries[MAPS_SERVER_IDS];
	int err = 0;

	for (size_t i = ids->count; i > 0 && err == 0; i--) {
		struct maps_entry e = ids->rows[i - 1];

		for (size_t k = 0; k < count && err == 0; k++) {
			if (SHUNT_ID_INDEX(e.backend) == indexes[k])
				err = delete_entry(loader, t, MAPS_SERVER_IDS, &e);
		}
	}
	return err;
}

/* The id goes first, so that neither ring nor flow entry means the row any more; the owner goes
 * last, so that a row is never given away while a packet looks at it. */
int sync_free_backends(struct loader *loader, struct tables *t, const uint32_t *indexes,
		       size_t count)
{
	static const struct shunt_backend nothing;
	int err = delete_server_ids(loader, t, indexes, count);

	for (size_t i = 0; i < count && err == 0; i++)
		err = set_backend(loader, t, indexes[i], &nothing);
	if (err == 0 && count > 0)
		err = sync_settle(loader, t);
	for (size_t i = 0; i < count && err == 0; i++) {
		struct table_backend *b = &t->backends[indexes[i]];
		struct shunt_be_meta meta = {.id = b->meta.id};

		err = maps_backend_meta_set(loader, indexes[i], &meta);
		if (err == 0) {
			b->meta = meta;
			b->freed = ++t->freed;
		}
	}
	return err;
}
