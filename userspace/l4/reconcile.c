/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/reconcile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "l4/vips.h"
#include "loader/maps.h"

struct pass {
	struct reconcile *r;
	struct loader *loader;
	const struct tables *t;
	struct diag *d;
};

static void note(struct pass *p, const char *what, const char *map, const char *row)
{
	struct reconcile *r = p->r;

	(void)snprintf(r->repaired_row, sizeof(r->repaired_row), "%s %s", map,
		       row); /* cut is fine */
	r->repaired++;
	r->repaired_ms = clock_now_ms();
	diag_warning(p->d, NULL,
		     "the kernel's table %s was changed by another: row %s was %s, it "
		     "is as before",
		     map, row, what);
}

static int fail(struct pass *p, int err, const char *map)
{
	diag_error(p->d, NULL, "cannot compare %s with what it should say: %s", map,
		   strerror(-err));
	return err;
}

static int check_backend(struct pass *p, uint32_t index)
{
	const struct table_backend *b = &p->t->backends[index];
	struct shunt_be_meta meta;
	struct shunt_backend row;
	char name[RECONCILE_NAME_MAX];
	int err = maps_backend_get(p->loader, index, &row);

	(void)snprintf(name, sizeof(name), "%s/%s", b->meta.pool, b->meta.name);
	if (err == 0 && memcmp(&row, &b->row, sizeof(row)) != 0) {
		note(p, "another", SHUNT_MAP_BACKENDS, name);
		err = maps_backend_set(p->loader, index, &b->row);
	}
	if (err < 0)
		return fail(p, err, SHUNT_MAP_BACKENDS);
	err = maps_backend_meta_get(p->loader, index, &meta);
	if (err == 0 && memcmp(&meta, &b->meta, sizeof(meta)) != 0) {
		note(p, "another", SHUNT_MAP_BE_META, name);
		err = maps_backend_meta_set(p->loader, index, &b->meta);
	}
	return err < 0 ? fail(p, err, SHUNT_MAP_BE_META) : 0;
}

static int check_service(struct pass *p, uint32_t index)
{
	const struct table_service *s = &p->t->services[index];
	struct shunt_svc_meta meta;
	struct shunt_ring ring;
	int err = maps_ring_get(p->loader, index, &ring);

	if (err == 0 && memcmp(&ring, &s->ring, sizeof(ring)) != 0) {
		note(p, "another", SHUNT_MAP_SVC_RINGS, s->meta.name);
		err = maps_ring_publish(p->loader, index, &s->ring);
	}
	if (err < 0)
		return fail(p, err, SHUNT_MAP_SVC_RINGS);
	err = maps_service_meta_get(p->loader, index, &meta);
	if (err == 0 && memcmp(&meta, &s->meta, sizeof(meta)) != 0) {
		note(p, "another", SHUNT_MAP_SVC_META, s->meta.name);
		err = maps_service_meta_set(p->loader, index, &s->meta);
	}
	return err < 0 ? fail(p, err, SHUNT_MAP_SVC_META) : 0;
}

static void format_key(const struct shunt_vip_key *key, char *buf, size_t len)
{
	char addr[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(key->family == 4 ? AF_INET : AF_INET6, key->addr, addr, sizeof(addr));
	(void)snprintf(buf, len, "%s port %u protocol %u", addr, ntohs(key->port), key->proto);
}

/* rows: what stands there; sorted like those that should. */
static int check_keys(struct pass *p, const struct key_table *have)
{
	const struct key_table *want = &p->t->keys;
	char name[RECONCILE_NAME_MAX];
	int err = 0;

	for (size_t i = 0; i < have->count && err == 0; i++) {
		if (keys_find(want, &have->rows[i].key) != NULL)
			continue;
		format_key(&have->rows[i].key, name, sizeof(name));
		note(p, "added", SHUNT_MAP_SERVICES, name);
		err = maps_service_delete(p->loader, &have->rows[i].key);
	}
	for (size_t i = 0; i < want->count && err == 0; i++) {
		const struct table_key *row = &want->rows[i];
		const struct table_key *found = keys_find(have, &row->key);

		if (found != NULL && memcmp(&found->record, &row->record, sizeof(row->record)) == 0)
			continue;
		format_key(&row->key, name, sizeof(name));
		note(p, found != NULL ? "another" : "deleted", SHUNT_MAP_SERVICES, name);
		err = maps_service_set(p->loader, &row->key, &row->record);
	}
	return err == -ENOENT ? 0 : err;
}

static int check_records(struct pass *p)
{
	struct maps_service_row *rows = NULL;
	struct key_table have = {0};
	size_t count = 0;
	int err = maps_service_list(p->loader, &rows, &count);

	for (size_t i = 0; i < count && err == 0; i++)
		err = keys_put(&have, &rows[i].key, &rows[i].svc);
	free(rows);
	if (err == 0)
		err = check_keys(p, &have);
	keys_deinit(&have);
	return err < 0 ? fail(p, err, SHUNT_MAP_SERVICES) : 0;
}

static int check_entries(struct pass *p, enum maps_table table)
{
	const struct entries *want = &p->t->entries[table];
	const char *map = maps_table_name(table);
	struct entries have = {0};
	struct maps_entry *rows;
	size_t count;
	int err = maps_entry_list(p->loader, table, &rows, &count);

	if (err < 0)
		return fail(p, err, map);
	entries_take(&have, rows, count);
	for (size_t i = 0; i < have.count && err == 0; i++) {
		if (entries_find(want, &have.rows[i]) != NULL)
			continue;
		note(p, "added", map, "of nothing");
		err = maps_entry_delete(p->loader, table, &have.rows[i]);
	}
	for (size_t i = 0; i < want->count && err == 0; i++) {
		const struct maps_entry *found = entries_find(&have, &want->rows[i]);

		if (found != NULL && entry_says(found, &want->rows[i]))
			continue;
		note(p, found != NULL ? "another" : "deleted", map, "of the configuration");
		err = maps_entry_set(p->loader, table, &want->rows[i]);
	}
	entries_deinit(&have);
	return err < 0 && err != -ENOENT ? fail(p, err, map) : 0;
}

static int check_gate(struct pass *p)
{
	struct maps_index gate;
	int err = maps_index_get(p->loader, &gate);

	if (err == 0 && memcmp(gate.bits, p->t->gate.bits, sizeof(gate.bits)) == 0 &&
	    gate.ranges == p->t->gate.ranges && gate.prefixes == p->t->gate.prefixes)
		return 0;
	if (err == 0) {
		note(p, "another", SHUNT_MAP_ADDR_BITS, "of all addresses");
		err = maps_index_set(p->loader, &p->t->gate);
	}
	return err < 0 ? fail(p, err, SHUNT_MAP_ADDR_BITS) : 0;
}

static int check_vips(struct pass *p)
{
	unsigned written = 0;
	int err = vips_sync(p->loader, p->t, &written, p->d);

	if (written > 0)
		note(p, "another", SHUNT_MAP_VIPS, "of an address");
	return err;
}

int reconcile_run(struct reconcile *r, struct loader *loader, const struct tables *t,
		  struct diag *d)
{
	struct pass p = {.r = r, .loader = loader, .t = t, .d = d};
	int err = 0;

	r->runs++;
	/* What a row names comes before the row. */
	for (uint32_t i = 1; i < t->sizes.backends && err == 0; i++)
		if (t->backends[i].row.id != 0)
			err = check_backend(&p, i);
	for (uint32_t i = 0; i < t->sizes.services && err == 0; i++)
		if (t->services[i].meta.name[0] != '\0')
			err = check_service(&p, i);
	if (err == 0)
		err = check_records(&p);
	for (int table = 0; table < MAPS_TABLE_COUNT && err == 0; table++)
		err = check_entries(&p, table);
	if (err == 0)
		err = check_gate(&p);
	return err == 0 ? check_vips(&p) : err;
}
