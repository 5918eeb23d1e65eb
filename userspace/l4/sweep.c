/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/sweep.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "l4/slots.h"
#include "l4/sync.h"
#include "loader/maps.h"

#define MS_PER_S 1000

/* The program notes the time of a packet only when what is noted is more than a second old. */
#define LATE_MS (2 * MS_PER_S)

/* Longer than any idle time there can be. */
#define LONG_AGO_MS (30LL * 24 * 3600 * MS_PER_S)

/* Slots that are looked at between two looks at the clock. */
#define SLOTS_A_PIECE 16384

int sweep_init(struct sweep *s, uint32_t rows)
{
	*s = (struct sweep){.row_count = rows};
	s->rows = calloc(rows + 1, sizeof(*s->rows));
	return s->rows == NULL ? -ENOMEM : 0;
}

static void stop(struct sweep *s)
{
	for (uint32_t i = 0; i < s->row_count && s->rows != NULL; i++) {
		free(s->rows[i].foreign);
		s->rows[i].foreign = NULL;
	}
	maps_flow_walk_end(&s->walk);
	s->phase = SWEEP_IDLE;
}

void sweep_deinit(struct sweep *s)
{
	if (s == NULL)
		return;
	stop(s);
	free(s->rows);
	*s = (struct sweep){0};
}

static int proto_place(uint8_t proto)
{
	return proto == IPPROTO_UDP ? 1 : 0;
}

static bool ring_is_sane(const struct tables *t, const struct shunt_ring *ring)
{
	return ring->base <= t->sizes.ring_slots && ring->size <= t->sizes.ring_slots - ring->base;
}

static int start_row(struct sweep_row *row, const struct tables *t, uint32_t index)
{
	const struct table_service *s = &t->services[index];

	*row = (struct sweep_row){
		.tracking = {SWEEP_NO_RECORD, SWEEP_NO_RECORD},
		.version = s->version,
		.entries = row->entries,
	};
	if (s->members == NULL || s->moving == 0 || !ring_is_sane(t, &s->ring))
		return 0;
	row->foreign = calloc(s->ring.size / 8 + 1, 1);
	return row->foreign == NULL ? -ENOMEM : 0;
}

/* Rings of source routes have no records: what holds for the service holds for them. */
static void read_routes(struct sweep *s, const struct tables *t)
{
	const struct entries *routes = &t->entries[MAPS_ROUTES];

	for (size_t i = 0; i < routes->count; i++) {
		uint32_t from = routes->rows[i].lpm_key.scope >> SHUNT_LPM_SCOPE_SHIFT;
		uint32_t to = routes->rows[i].route.index;

		if (from >= s->row_count || to >= s->row_count || from == to)
			continue;
		s->rows[to].steers = s->rows[from].steers;
		memcpy(s->rows[to].tracking, s->rows[from].tracking, sizeof(s->rows[to].tracking));
		memcpy(s->rows[to].idle_s, s->rows[from].idle_s, sizeof(s->rows[to].idle_s));
	}
}

static void find_heirs(struct sweep *s, const struct tables *t)
{
	for (uint32_t i = 0; i < s->row_count; i++) {
		const struct table_service *service = &t->services[i];

		if (!service->has_former || service->former_row >= s->row_count)
			continue;
		s->rows[service->former_row].heir = i;
		s->rows[service->former_row].has_heir = true;
	}
}

static void read_records(struct sweep *s, const struct tables *t)
{
	for (size_t i = 0; i < t->keys.count; i++) {
		const struct table_key *k = &t->keys.rows[i];
		struct sweep_row *row;

		if (k->record.index >= s->row_count || k->record.action != SHUNT_ACTION_STEER)
			continue;
		row = &s->rows[k->record.index];
		row->steers = true;
		row->tracking[proto_place(k->key.proto)] = k->record.tracking;
		memcpy(row->idle_s, k->record.idle_s, sizeof(row->idle_s));
	}
}

/* Packets that still look at a former ring may enter flows that the walk would miss. */
static int settle_packets(struct loader *loader, struct tables *t)
{
	bool moving = false;

	for (uint32_t i = 0; i < t->sizes.services; i++)
		moving = moving || t->services[i].moving > 0;
	return moving && t->retired.count > 0 ? sync_settle(loader, t) : 0;
}

int sweep_begin(struct sweep *s, struct loader *loader, struct tables *t)
{
	int err = settle_packets(loader, t);

	stop(s);
	for (uint32_t i = 0; i < s->row_count && err == 0; i++)
		err = start_row(&s->rows[i], t, i);
	if (err < 0) {
		stop(s);
		return err;
	}
	read_records(s, t);
	read_routes(s, t);
	find_heirs(s, t);
	s->phase = SWEEP_FLOWS;
	s->row = s->slot = 0;
	s->settled = s->deleted = s->busy_ns = 0;
	return 0;
}

/* ---- entries ---- */

static bool has_expired(const struct sweep_row *row, const struct shunt_flow *f, uint32_t now)
{
	if (f->state >= SHUNT_FLOW_STATE_COUNT)
		return true;
	return ticks_age_ms(f->seen_ticks, now) >
	       (int64_t)row->idle_s[f->state] * MS_PER_S + LATE_MS;
}

/* The entry's place in the arena, by the ring that a row has now. */
static uint32_t place_of(const struct shunt_flow *f, const struct shunt_ring *ring)
{
	return ring->base + (uint32_t)((uint64_t)f->hash * ring->size >> 32);
}

/* Would a packet not follow the entry, or not even look for it? */
static bool is_needless(const struct sweep_row *row, struct loader *loader, const struct tables *t,
			const struct maps_flow *f, uint32_t now)
{
	const struct table_service *service = &t->services[f->flow.service];
	uint8_t tracking = row->tracking[proto_place(maps_flow_proto(f))];
	const struct shunt_stamp *stamp;
	uint32_t at;

	if (has_expired(row, &f->flow, now))
		return true;
	if (row->has_heir)
		return false;
	if (tracking == SHUNT_TRACK_NEVER)
		return true;
	if (tracking != SHUNT_TRACK_ON_CHANGE || service->members == NULL ||
	    service->ring.size == 0 || !ring_is_sane(t, &service->ring))
		return false;
	at = place_of(&f->flow, &service->ring);
	stamp = maps_stamps(loader) + at;
	return maps_rings(loader)[at].old == 0 ||
	       (stamp->since_ticks != 0 && (int32_t)(f->flow.seen_ticks - stamp->since_ticks) < 0);
}

/* It may have come to life since it was read. */
static void delete_needless(struct sweep *s, struct loader *loader, const struct tables *t,
			    const struct maps_flow *f, uint32_t now)
{
	struct maps_flow again = *f;

	if (maps_flow_get(loader, f, &again.flow) < 0 || again.flow.service != f->flow.service ||
	    !is_needless(&s->rows[f->flow.service], loader, t, &again, now))
		return;
	s->deleted += maps_flow_delete(loader, f) == 0;
}

/* Its slot cannot be settled while its flow lives elsewhere than where the slot's flows go. */
static void mark_foreign(const struct sweep *s, struct loader *loader, const struct tables *t,
			 uint32_t index, const struct shunt_flow *f)
{
	const struct table_service *service = &t->services[index];
	struct sweep_row *row = &s->rows[index];
	uint32_t at;

	if (row->foreign == NULL || row->version != service->version ||
	    !tables_backend_lives(t, f->backend))
		return;
	at = place_of(f, &service->ring);
	if (maps_rings(loader)[at].backend != f->backend)
		row->foreign[(at - service->ring.base) / 8] |=
			(uint8_t)(1 << (at - service->ring.base) % 8);
}

static void look_at_flow(struct sweep *s, struct loader *loader, const struct tables *t,
			 const struct maps_flow *f, uint32_t now)
{
	struct sweep_row *row;

	if (f->flow.service >= s->row_count)
		return;
	row = &s->rows[f->flow.service];
	if (row->steers && is_needless(row, loader, t, f, now)) {
		delete_needless(s, loader, t, f, now);
		return;
	}
	row->counting++;
	mark_foreign(s, loader, t, f->flow.service, &f->flow);
	if (row->has_heir)
		mark_foreign(s, loader, t, row->heir, &f->flow);
}

/* ---- slots ---- */

/* How long nothing may have gone to `old` before nobody can be there any more. */
static int64_t quiet_ms(const struct sweep_row *row)
{
	uint32_t idle_s = 0;

	if (row->tracking[0] != SWEEP_NO_RECORD)
		idle_s = row->idle_s[SHUNT_FLOW_ESTABLISHED];
	if (row->tracking[1] != SWEEP_NO_RECORD && row->idle_s[SHUNT_FLOW_UDP] > idle_s)
		idle_s = row->idle_s[SHUNT_FLOW_UDP];
	return (int64_t)idle_s * MS_PER_S + LATE_MS;
}

static void look_at_slot(struct sweep *s, struct loader *loader, struct tables *t, uint32_t now)
{
	const struct sweep_row *row = &s->rows[s->row];
	struct table_service *service = &t->services[s->row];
	uint32_t at = service->ring.base + s->slot;
	struct shunt_slot *slot = maps_rings(loader) + at;
	struct shunt_stamp *stamp = maps_stamps(loader) + at;

	if (slot->old == 0)
		return;
	/* Moments are to be compared within a year; entries from before then are void anyhow. */
	if (ticks_age_ms(stamp->since_ticks, now) > LONG_AGO_MS)
		stamp->since_ticks = 0;
	if (row->foreign[s->slot / 8] >> s->slot % 8 & 1)
		return;
	/* What makes no difference needs no patience. */
	if (slot->old != slot->backend && tables_backend_lives(t, slot->old) &&
	    ticks_age_ms(stamp->old_ticks, now) <= quiet_ms(row))
		return;
	slot_settle(slot);
	s->settled++;
	service->moving -= service->moving > 0;
	service->has_former = service->has_former && service->moving > 0;
}

/* Some slots of one row, and on to the next. */
static void look_at_slots(struct sweep *s, struct loader *loader, struct tables *t, uint32_t now)
{
	const struct sweep_row *row = &s->rows[s->row];
	const struct table_service *service = &t->services[s->row];
	bool same = row->foreign != NULL && row->steers && row->version == service->version;

	for (int i = 0; i < SLOTS_A_PIECE && same && s->slot < service->ring.size; i++) {
		look_at_slot(s, loader, t, now);
		s->slot++;
	}
	if (same && s->slot < service->ring.size)
		return;
	s->slot = 0;
	s->row++;
}

static void finish(struct sweep *s)
{
	for (uint32_t i = 0; i < s->row_count; i++)
		s->rows[i].entries = s->rows[i].counting;
	s->ended_ms = clock_now_ms();
	s->last_busy_ns = s->busy_ns;
	stop(s);
}

/* One piece. False: there are no more. */
static bool go_on(struct sweep *s, struct loader *loader, struct tables *t, uint32_t now)
{
	const struct maps_flow *flows;
	size_t count = 0;
	int err;

	if (s->phase == SWEEP_SLOTS) {
		look_at_slots(s, loader, t, now);
		return s->row < s->row_count;
	}
	err = maps_flow_walk_next(loader, &s->walk, &flows, &count);
	for (size_t i = 0; i < count && err == 0; i++)
		look_at_flow(s, loader, t, &flows[i], now);
	if (err == -ENOENT)
		s->phase = SWEEP_SLOTS;
	else if (err < 0)
		stop(s);
	return s->phase != SWEEP_IDLE;
}

bool sweep_step(struct sweep *s, struct loader *loader, struct tables *t, uint64_t now_ns,
		uint64_t budget_ns)
{
	uint64_t begun = clock_now_ns(), used = 0;
	bool more = s->phase != SWEEP_IDLE;

	while (more && used < budget_ns) {
		more = go_on(s, loader, t, SHUNT_TICKS(now_ns));
		used = clock_now_ns() - begun;
	}
	s->busy_ns += used;
	if (!more && s->phase == SWEEP_SLOTS)
		finish(s);
	return !more;
}
