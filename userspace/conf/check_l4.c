/* SPDX-License-Identifier: BSD-2-Clause */
/* What belongs together in l4 services alone: ranges, source routes, QUIC. See draft.h. */
#include <stdlib.h>
#include <string.h>

#include "bpf/abi.h"
#include "conf/draft.h"
#include "conf/listen.h"
#include "conf/schema.h"

/* ---- ranges and prefixes ---- */

static bool is_wide(const struct listen *l)
{
	return !listen_is_exact(l);
}

/* Does the kernel meet b in the list of a's address or prefix? */
static bool is_in_list_of(const struct listen *a, const struct listen *b)
{
	if (!a->prefix_len)
		return !b->prefix_len && !addr_cmp(&a->ep.addr, &b->ep.addr);
	return b->prefix_len && b->prefix_len <= a->prefix_len && listen_has_addr(b, &a->ep.addr);
}

static bool have_one_list(const struct listen *a, const struct listen *b)
{
	return a->prefix_len == b->prefix_len && !addr_cmp(&a->ep.addr, &b->ep.addr);
}

static void check_lists(struct draft *dr)
{
	struct listen_row *rows = NULL;
	size_t count = draft_list_listens(dr, is_wide, &rows);
	char text[LISTEN_STRLEN];

	for (size_t i = 0; i < count; i++) {
		size_t all = 0;
		bool told = false; /* with an earlier one of the same address */

		for (size_t k = 0; k < count; k++) {
			all += is_in_list_of(rows[i].listen, rows[k].listen);
			told |= k < i && have_one_list(rows[i].listen, rows[k].listen);
		}
		if (all <= SHUNT_MAX_RANGES || told)
			continue;
		diag_error(dr->reader.diag, rows[i].pos,
			   "service %s: %s is one of %zu ranges and prefixes that overlap at one "
			   "address, at most %d can be told apart",
			   rows[i].service->name, listen_format(rows[i].listen, text, sizeof(text)),
			   all, SHUNT_MAX_RANGES);
	}
}

/* ---- source routes ---- */

/* Earlier in the list, another route to the same pool? */
static bool pool_is_known(const struct service *s, size_t route)
{
	for (size_t i = 0; i < route; i++)
		if (s->source_routes[i].pool == s->source_routes[route].pool)
			return true;
	return false;
}

size_t draft_route_rows(const struct service *s, size_t *ret_sources)
{
	size_t rows = 0, sources = 0;

	for (size_t i = 0; i < s->source_route_count; i++) {
		sources += s->source_routes[i].from_count;
		rows += s->source_routes[i].pool && !pool_is_known(s, i);
	}
	*ret_sources = sources;
	return rows;
}

struct source_row {
	const struct source_prefix *prefix;
	size_t route;
};

static int compare_source(const void *a, const void *b)
{
	const struct source_row *x = a, *y = b;
	int c = addr_cmp(&x->prefix->addr, &y->prefix->addr);

	if (!c)
		c = (int)x->prefix->len - (int)y->prefix->len;
	return c ? c : (x->route > y->route) - (x->route < y->route);
}

static const struct pos *route_pos(const struct tree *node, size_t route, const char *key)
{
	return draft_key_pos(tree_get(node, "source_routes")->children[route], key);
}

static void check_sources(struct draft *dr, const struct tree *node, const struct service *s)
{
	char text[ADDR_STRLEN];
	struct source_row *rows;
	size_t count;

	(void)draft_route_rows(s, &count);
	rows = read_alloc(&dr->reader, count, sizeof(*rows));
	if (!rows)
		return;
	count = 0;
	for (size_t i = 0; i < s->source_route_count; i++)
		for (size_t k = 0; k < s->source_routes[i].from_count; k++)
			rows[count++] = (struct source_row){&s->source_routes[i].from[k], i};
	qsort(rows, count, sizeof(*rows), compare_source);
	for (size_t i = 1; i < count; i++) {
		const struct source_prefix *a = rows[i - 1].prefix, *b = rows[i].prefix;

		if (addr_cmp(&a->addr, &b->addr) != 0 || a->len != b->len)
			continue;
		diag_error(dr->reader.diag, route_pos(node, rows[i].route, "from"),
			   "service %s: source_routes: %s/%u is here twice%s", s->name,
			   addr_format(&b->addr, text, sizeof(text)), b->len,
			   draft_place(route_pos(node, rows[i - 1].route, "from")).s);
	}
}

/* The pool's ring has a row of its own in the kernel's tables, by the name SERVICE@POOL. */
static void check_route_names(struct draft *dr, const struct tree *node, const struct service *s)
{
	for (size_t i = 0; i < s->source_route_count; i++) {
		const struct pool *p = s->source_routes[i].pool;

		if (p && strlen(s->name) + strlen(p->name) + 2 > SHUNT_NAME_MAX)
			diag_error(dr->reader.diag, route_pos(node, i, "pool"),
				   "service %s: source_routes: the names of the service and of "
				   "pool %s are too long together, expected at most %d characters",
				   s->name, p->name, SHUNT_NAME_MAX - 2);
		if (p && !p->backend_count)
			diag_error(dr->reader.diag, route_pos(node, i, "pool"),
				   "service %s: pool %s has no backends", s->name, p->name);
	}
}

/* ---- QUIC ---- */

static bool has_udp(const struct service *s)
{
	for (size_t i = 0; i < s->listen_count; i++)
		if (s->listens[i].proto == IPPROTO_UDP)
			return true;
	return false;
}

static void check_quic(struct draft *dr, const struct tree *node, const struct service *s)
{
	const struct quic_conf *q = &s->quic;
	const struct tree *quic = tree_get(node, "quic");
	unsigned offset = q->cid == QUIC_CID_LB ? 1 : q->offset;
	unsigned room = q->cid_length ? q->cid_length : SHUNT_CID_MAX;
	struct diag *d = dr->reader.diag;

	reader_set_object(&dr->reader, "service %s: quic", s->name);
	read_warn_without_effect(&dr->reader, &schema_quic, quic, "cid", quic_cid_name(q->cid));
	if (!has_udp(s))
		diag_error(d, draft_key_pos(node, "quic"),
			   "service %s: quic needs a listen address with /udp", s->name);
	if (offset + q->server_id_length > room)
		diag_error(d, draft_key_pos(quic, "server_id_length"),
			   "service %s: quic.server_id_length: %u octets behind %u do not fit into "
			   "a connection id of %u",
			   s->name, q->server_id_length, offset, room);
	if (q->mask && q->server_id_length < 8 && q->mask >> 8 * q->server_id_length)
		diag_error(d, draft_key_pos(quic, "mask"),
			   "service %s: quic.mask has more than %u octets", s->name,
			   q->server_id_length);
}

/* A pool of a service that goes by server ids. */
struct id_row {
	const struct backend *backend;
	const struct pos *pos;
};

static int compare_id(const void *a, const void *b)
{
	const struct id_row *x = a, *y = b;

	if (x->backend->server_id != y->backend->server_id)
		return x->backend->server_id < y->backend->server_id ? -1 : 1;
	return (x->backend > y->backend) - (x->backend < y->backend);
}

static bool id_fits(const struct quic_conf *q, uint64_t id)
{
	if (q->server_id_length < 8 && id >> 8 * q->server_id_length)
		return false;
	return q->cid != QUIC_CID_OFFSET || !q->mask || !(id & ~q->mask);
}

/* Those of a pool, behind the count that there are. Their number afterwards. */
static size_t add_ids(struct draft *dr, const struct service *s, const struct pool *p,
		      struct id_row *rows, size_t count)
{
	const struct pool_draft *pd = &dr->pools[p - dr->snap->pools];
	size_t before = count;

	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *b = &p->backends[i];
		const struct pos *pos = draft_key_pos(pd->backend_nodes[i], "server_id");

		if (!b->has_server_id)
			continue;
		if (!id_fits(&s->quic, b->server_id))
			diag_error(
				dr->reader.diag, pos,
				"backend %s/%s: server_id 0x%llx does not fit into the %u octets%s "
				"that service %s has for it",
				p->name, b->name, (unsigned long long)b->server_id,
				s->quic.server_id_length, s->quic.mask ? " and the mask" : "",
				s->name);
		rows[count++] = (struct id_row){b, pos};
	}
	if (count == before && p->backend_count)
		diag_warning(
			dr->reader.diag, &pd->node->key_pos,
			"pool %s: no backend has a server_id, so that service %s finds none by "
			"its connection ids",
			p->name, s->name);
	return count;
}

/* Returns how many there are. */
static size_t check_ids(struct draft *dr, const struct service *s)
{
	const struct snapshot *snap = dr->snap;
	size_t count = 0;
	struct id_row *rows;

	for (size_t i = 0; i < snap->pool_count; i++)
		if (service_uses_pool(s, &snap->pools[i]))
			count += snap->pools[i].backend_count;
	rows = read_alloc(&dr->reader, count, sizeof(*rows));
	if (!rows)
		return 0;
	count = 0;
	for (size_t i = 0; i < snap->pool_count; i++)
		if (service_uses_pool(s, &snap->pools[i]))
			count = add_ids(dr, s, &snap->pools[i], rows, count);
	qsort(rows, count, sizeof(*rows), compare_id);
	for (size_t i = 1; i < count; i++) {
		const struct backend *a = rows[i - 1].backend, *b = rows[i].backend;

		if (a->server_id == b->server_id)
			diag_error(
				dr->reader.diag, rows[i].pos,
				"backend %s/%s: server_id 0x%llx is that of backend %s/%s%s, and "
				"service %s uses both",
				b->pool->name, b->name, (unsigned long long)b->server_id,
				a->pool->name, a->name, draft_place(rows[i - 1].pos).s, s->name);
	}
	return count;
}

/* ---- all ---- */

void draft_check_l4(struct draft *dr, bool within)
{
	const struct snapshot *snap = dr->snap;
	const struct tree *node = tree_get(dr->root, "node");
	size_t ids = 0;

	if (within)
		check_lists(dr);
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (s->mode != SERVICE_L4 || !draft_knows_mode(dr, s))
			continue;
		check_route_names(dr, dr->services[i].node, s);
		if (within)
			check_sources(dr, dr->services[i].node, s);
		if (s->quic.cid == QUIC_CID_NONE)
			continue;
		check_quic(dr, dr->services[i].node, s);
		if (within)
			ids += check_ids(dr, s);
	}
	if (ids > snap->node.limits.backends)
		diag_error(dr->reader.diag, node ? draft_key_pos(node, "limits") : NULL,
			   "node.limits.backends: %u is too small for %zu server ids of services "
			   "with quic",
			   snap->node.limits.backends, ids);
}
