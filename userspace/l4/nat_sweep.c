/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/nat_sweep.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "l4/nat_share.h"
#include "loader/maps.h"

#define NS_PER_S 1000000000ULL
/* The stamp of an entry is up to a second old, and the program's clock ticks a little later. */
#define MARGIN_S 2

struct walk {
	struct nat_sweep *sweep;
	struct loader *loader;
	const struct tables *tables;
	uint64_t now_ns;
	uint8_t family;
};

static const struct shunt_backend *find_row(const struct tables *t, uint32_t id)
{
	uint32_t index = SHUNT_ID_INDEX(id);

	if (id == 0 || index >= t->sizes.backends || t->backends[index].row.id != id)
		return NULL;
	return &t->backends[index].row;
}

/* Of the service that a flow is of; NULL: it is gone. */
static const struct shunt_service *find_record(const struct tables *t, uint8_t family,
					       uint8_t proto, const struct shunt_nat *flow)
{
	struct shunt_vip_key vip = {.port = flow->vip_port,
				    .proto = proto,
				    .family = family,
				    .port_hi = flow->vip_port_hi,
				    .prefix_len = flow->vip_prefix_len};
	const struct table_key *key;

	memcpy(vip.addr, flow->service, sizeof(vip.addr));
	for (unsigned i = 0; vip.prefix_len != 0 && i < 4; i++) {
		unsigned bits = vip.prefix_len > 32 * i ? vip.prefix_len - 32 * i : 0;

		if (bits < 32)
			vip.addr[i] &= htonl((uint32_t) ~(UINT32_MAX >> bits));
	}
	key = keys_find(&t->keys, &vip);
	return key != NULL && key->record.action == SHUNT_ACTION_STEER ? &key->record : NULL;
}

bool nat_flow_is_void(const struct tables *t, uint8_t family, uint8_t proto,
		      const struct shunt_nat *flow, uint64_t now_ns)
{
	const struct shunt_service *record = find_record(t, family, proto, flow);
	const struct shunt_backend *row = find_row(t, flow->backend);

	if (record == NULL || flow->state >= SHUNT_FLOW_STATE_COUNT || row == NULL ||
	    row->state == SHUNT_BACKEND_DOWN)
		return true;
	return now_ns > flow->seen_ns &&
	       now_ns - flow->seen_ns >
		       ((uint64_t)record->idle_s[flow->state] + MARGIN_S) * NS_PER_S;
}

static union maps_nat_key make_key(uint8_t family, uint8_t proto, const __be32 saddr[4],
				   __be16 sport, const __be32 daddr[4], __be16 dport)
{
	union maps_nat_key key = {0};

	if (family == 4) {
		key.v4 = (struct shunt_flow4_key){saddr[0], daddr[0], sport, dport, proto, {0}};
		return key;
	}
	memcpy(key.v6.saddr, saddr, sizeof(key.v6.saddr));
	memcpy(key.v6.daddr, daddr, sizeof(key.v6.daddr));
	key.v6.sport = sport;
	key.v6.dport = dport;
	key.v6.proto = proto;
	return key;
}

union maps_nat_key nat_client_key(uint8_t family, uint8_t proto, const struct shunt_nat *flow)
{
	return make_key(family, proto, flow->client, flow->client_port, flow->service,
			flow->service_port);
}

union maps_nat_key nat_reply_key(uint8_t family, const union maps_nat_key *client,
				 const struct shunt_nat_source *source,
				 const struct shunt_backend *row)
{
	uint8_t proto = family == 4 ? client->v4.proto : client->v6.proto;
	__be16 dport = family == 4 ? client->v4.dport : client->v6.dport;
	__be32 addr[4] = {row->dst[3]}; /* rows have IPv4 in the last word, keys in the first */

	return make_key(family, proto, family == 4 ? addr : row->dst, row->port ? row->port : dport,
			source->addr, source->port);
}

/* ---- counting ---- */

static void use_deinit(struct nat_use *use)
{
	free(use->sources);
	free(use->ports);
	free(use->live);
	free(use->services);
	*use = (struct nat_use){0};
}

/* Where addr is, or belongs. */
static size_t find_source(const struct nat_use *use, const struct addr *addr)
{
	size_t low = 0, high = use->source_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addr_cmp(&use->sources[middle].addr, addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* NULL: no memory. */
static struct nat_source_use *take_source(struct nat_use *use, const struct addr *addr)
{
	size_t at = find_source(use, addr);

	if (at < use->source_count && addr_cmp(&use->sources[at].addr, addr) == 0)
		return &use->sources[at];
	if (use->source_count == use->source_capacity) {
		size_t room = use->source_capacity ? 2 * use->source_capacity : 16;
		struct nat_source_use *grown = realloc(use->sources, room * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		use->sources = grown;
		use->source_capacity = room;
	}
	memmove(&use->sources[at + 1], &use->sources[at],
		(use->source_count - at) * sizeof(*use->sources));
	use->source_count++;
	use->sources[at] = (struct nat_source_use){.addr = *addr};
	return &use->sources[at];
}

static void count_flow(struct walk *w, const union maps_nat_key *key, const struct shunt_nat *flow)
{
	struct nat_use *use = &w->sweep->pass;
	uint8_t proto = w->family == 4 ? key->v4.proto : key->v6.proto;
	struct addr addr = {.family = w->family == 4 ? AF_INET : AF_INET6};
	uint32_t row = SHUNT_ID_INDEX(flow->backend);
	const struct shunt_service *record = find_record(w->tables, w->family, proto, flow);
	struct nat_source_use *source;

	use->flows[w->family == 6]++;
	if (record != NULL && record->index < use->service_rows)
		use->services[record->index][w->family == 6]++;
	if (row < use->rows)
		use->live[row]++;
	if (!(flow->flags & SHUNT_NAT_SOURCE))
		return;
	if (w->family == 4)
		addr.v4.s_addr = key->v4.daddr;
	else
		memcpy(addr.bytes, key->v6.daddr, sizeof(addr.bytes));
	source = take_source(use, &addr);
	if (source == NULL) {
		w->sweep->failed = true;
		return;
	}
	source->flows[proto == IPPROTO_UDP]++;
	if (row < use->rows)
		use->ports[row][proto == IPPROTO_UDP]++;
}

/* ---- removing ---- */

static enum maps_nat_table flows_of(uint8_t family)
{
	return family == 4 ? MAPS_NAT_FLOWS4 : MAPS_NAT_FLOWS6;
}

static enum maps_nat_table sources_of(uint8_t family)
{
	return family == 4 ? MAPS_NAT_SOURCES4 : MAPS_NAT_SOURCES6;
}

/* Does the source lead to the flow with that key? */
static bool leads_to(const struct walk *w, const union maps_nat_key *client,
		     const struct shunt_nat_source *source, const union maps_nat_key *reply)
{
	const struct shunt_backend *row = find_row(w->tables, source->backend);
	union maps_nat_key key;

	if (row == NULL)
		return false;
	key = nat_reply_key(w->family, client, source, row);
	return memcmp(&key, reply, sizeof(key)) == 0;
}

/* Its other half first: alone it would lead nowhere, and the program replaces one like that. */
static void remove_flow(struct walk *w, const union maps_nat_key *key, const struct shunt_nat *flow)
{
	uint8_t proto = w->family == 4 ? key->v4.proto : key->v6.proto;
	union maps_nat_key client = nat_client_key(w->family, proto, flow);
	union maps_nat_value value;

	if (maps_nat_get(w->loader, sources_of(w->family), &client, &value) == 0 &&
	    leads_to(w, &client, &value.source, key))
		(void)maps_nat_delete(w->loader, sources_of(w->family), &client);
	if (maps_nat_delete(w->loader, flows_of(w->family), key) == 0)
		w->sweep->removed++;
}

/* A packet can have made it live again, or another flow of it, since the batch was read. */
static void on_flow(void *ctx, const union maps_nat_key *key, const union maps_nat_value *value)
{
	struct walk *w = ctx;
	uint8_t proto = w->family == 4 ? key->v4.proto : key->v6.proto;
	union maps_nat_value now;

	if (!nat_flow_is_void(w->tables, w->family, proto, &value->flow, w->now_ns)) {
		count_flow(w, key, &value->flow);
		return;
	}
	if (maps_nat_get(w->loader, flows_of(w->family), key, &now) == 0 &&
	    nat_flow_is_void(w->tables, w->family, proto, &now.flow, w->now_ns))
		remove_flow(w, key, &now.flow);
}

/* One without its flow: what a program that was stopped in between, or another row, has left. */
static void on_source(void *ctx, const union maps_nat_key *client,
		      const union maps_nat_value *value)
{
	struct walk *w = ctx;
	const struct shunt_backend *row = find_row(w->tables, value->source.backend);
	uint8_t proto = w->family == 4 ? client->v4.proto : client->v6.proto;
	union maps_nat_value flow, now;
	union maps_nat_key key;

	if (row != NULL) {
		key = nat_reply_key(w->family, client, &value->source, row);
		if (maps_nat_get(w->loader, flows_of(w->family), &key, &flow) == 0) {
			union maps_nat_key of = nat_client_key(w->family, proto, &flow.flow);

			if (memcmp(&of, client, sizeof(of)) == 0)
				return;
		}
	}
	if (maps_nat_get(w->loader, sources_of(w->family), client, &now) == 0 &&
	    memcmp(&now.source, &value->source, sizeof(now.source)) == 0)
		(void)maps_nat_delete(w->loader, sources_of(w->family), client);
}

/* ---- passes ---- */

static void begin_pass(struct nat_sweep *s, const struct tables *t)
{
	use_deinit(&s->pass);
	s->pass.ports = calloc(t->sizes.backends, sizeof(*s->pass.ports));
	s->pass.live = calloc(t->sizes.backends, sizeof(*s->pass.live));
	s->pass.services = calloc(t->sizes.services, sizeof(*s->pass.services));
	s->failed = s->pass.ports == NULL || s->pass.live == NULL || s->pass.services == NULL;
	s->pass.rows = s->failed ? 0 : t->sizes.backends;
	s->pass.service_rows = s->failed ? 0 : t->sizes.services;
}

static void end_pass(struct nat_sweep *s, struct loader *loader)
{
	if (!s->failed) {
		nat_share_settle(maps_nat_shares(loader), s->pass.services, s->pass.service_rows);
		use_deinit(&s->use);
		s->use = s->pass;
		s->pass = (struct nat_use){0};
		s->known = true;
	}
	s->table = 0;
}

int nat_sweep_run(struct nat_sweep *s, struct loader *loader, const struct tables *t,
		  unsigned budget_ms)
{
	uint64_t end_ms = clock_now_ms() + budget_ms;
	int err;

	do {
		bool flows = s->table == MAPS_NAT_FLOWS4 || s->table == MAPS_NAT_FLOWS6;
		struct walk w = {
			.sweep = s,
			.loader = loader,
			.tables = t,
			.now_ns = clock_coarse_ns(),
			.family = s->table == MAPS_NAT_FLOWS4 || s->table == MAPS_NAT_SOURCES4 ? 4
											       : 6,
		};

		if (s->table == 0 && !s->cursor.started)
			begin_pass(s, t);
		err = maps_nat_walk(loader, s->table, &s->cursor, flows ? on_flow : on_source, &w);
		s->failed = s->failed || err < 0;
		if (err == 0 && !s->cursor.ended)
			continue;
		s->cursor = (struct maps_nat_cursor){0};
		if (++s->table == MAPS_NAT_TABLES) {
			end_pass(s, loader);
			return err;
		}
	} while (err == 0 && clock_now_ms() < end_ms);
	return err;
}

void nat_sweep_deinit(struct nat_sweep *s)
{
	if (s == NULL)
		return;
	use_deinit(&s->use);
	use_deinit(&s->pass);
}
