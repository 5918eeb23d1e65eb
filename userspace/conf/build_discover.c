/* SPDX-License-Identifier: BSD-2-Clause */
/* Backends that were found, beside those that the document lists: see draft.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/draft.h"
#include "conf/found.h"
#include "conf/schema.h"

static int compare_endpoint(const void *a, const void *b)
{
	return endpoint_cmp(a, b);
}

/* The addresses of the backends that are listed, in their order. */
static struct endpoint *sort_listed(struct draft *dr, const struct pool *p)
{
	struct endpoint *eps = read_alloc(&dr->reader, p->backend_count, sizeof(*eps));

	for (size_t i = 0; eps && i < p->backend_count; i++)
		eps[i] = p->backends[i].ep;
	if (eps && p->backend_count)
		qsort(eps, p->backend_count, sizeof(*eps), compare_endpoint);
	return eps;
}

static void apply_override(const struct discover_conf *c, struct backend *b)
{
	for (size_t i = 0; i < c->override_count; i++) {
		const struct discover_override *o = &c->overrides[i];

		if (strcmp(o->name, b->name) != 0)
			continue;
		if (o->has_state)
			b->admin = (enum admin_state)o->state;
		if (o->has_weight)
			b->weight = o->weight;
	}
}

/* Byte by byte, as rows of two snapshots are compared. */
static void fill(struct draft *dr, const struct pool *p, const struct found_backend *f,
		 const struct backend *blank, struct backend *b)
{
	memcpy(b, blank, sizeof(*b));
	b->name = read_strdup(&dr->reader, f->name);
	b->pool = p;
	b->origin = p->discover.kind;
	b->ep.addr.family = f->ep.addr.family;
	memcpy(b->ep.addr.bytes, f->ep.addr.bytes, sizeof(b->ep.addr.bytes));
	b->ep.port = f->ep.port ? f->ep.port : p->discover.port;
	b->weight = f->weight;
	b->priority = f->priority;
	b->zone = f->zone ? read_strdup(&dr->reader, f->zone) : NULL;
	b->admin = f->admin;
	if (b->name)
		apply_override(&p->discover, b);
}

/* Both lists are sorted by name. What the document lists goes before what was found. */
static void merge(struct draft *dr, struct pool_draft *pd, struct pool *p,
		  const struct found_set *set, const struct endpoint *listed)
{
	size_t room = p->backend_count + set->count, listed_count = p->backend_count;
	struct backend *rows = read_alloc(&dr->reader, room, sizeof(*rows));
	const struct tree **nodes = read_alloc(&dr->reader, room, sizeof(*nodes));
	const struct tree *discover = tree_get(pd->node, "discover");
	struct backend *blank = read_alloc(&dr->reader, 1, sizeof(*blank));
	size_t count = 0, i = 0;

	if (!rows || !nodes || !blank)
		return;
	read_section(&dr->reader, &schema_backend, NULL, blank);
	for (size_t j = 0; j < set->count && !dr->reader.out_of_memory; j++) {
		const struct found_backend *f = &set->list[j];
		struct backend *b;

		for (; i < listed_count && strcmp(p->backends[i].name, f->name) < 0; i++) {
			nodes[count] = pd->backend_nodes[i];
			rows[count++] = p->backends[i];
		}
		b = &rows[count];
		fill(dr, p, f, blank, b);
		if ((i < listed_count && !strcmp(p->backends[i].name, f->name)) ||
		    (listed_count &&
		     bsearch(&b->ep, listed, listed_count, sizeof(*listed), compare_endpoint)))
			continue; /* the next one has its place */
		nodes[count++] = f->node ? f->node : discover;
	}
	for (; i < listed_count; i++) {
		nodes[count] = pd->backend_nodes[i];
		rows[count++] = p->backends[i];
	}
	p->backends = rows;
	p->backend_count = count;
	pd->backend_nodes = nodes;
}

void draft_add_found(struct draft *dr, struct pool_draft *pd, struct pool *p)
{
	const struct found_set *set = found_get(dr->found, p->name);
	const struct endpoint *listed;

	if (p->discover.kind == DISCOVER_NONE || !set || !set->count || dr->reader.out_of_memory)
		return;
	/* Of another name, and of another time: that is nobody's last good answer. */
	if (set->restored && (set->kind != p->discover.kind ||
			      strcmp(set->source, discover_source(&p->discover)) != 0))
		return;
	listed = sort_listed(dr, p);
	if (listed)
		merge(dr, pd, p, set, listed);
}

/* The kernel knows no priorities: there, those that come first are all. */
static unsigned first_priority(const struct pool *p)
{
	unsigned first = POOL_PRIORITIES;

	for (size_t i = 0; i < p->backend_count; i++)
		if (p->backends[i].origin == DISCOVER_DNS && p->backends[i].priority < first)
			first = p->backends[i].priority;
	return first;
}

struct address_row {
	struct endpoint ep;
	size_t at;
};

static int compare_address_row(const void *a, const void *b)
{
	const struct address_row *x = a, *y = b;
	int c = endpoint_cmp(&x->ep, &y->ep);

	return c ? c : (x->at > y->at) - (x->at < y->at);
}

/* Marks those that were found, and whose address is now that of another one: a SRV name can have one host
 * with several ports. */
static void mark_same(struct draft *dr, const struct pool *p, bool *gone)
{
	struct address_row *rows = read_alloc(&dr->reader, p->backend_count, sizeof(*rows));
	size_t kept = 0;

	if (!rows)
		return;
	for (size_t i = 0; i < p->backend_count; i++)
		rows[i] = (struct address_row){p->backends[i].ep, i};
	qsort(rows, p->backend_count, sizeof(*rows), compare_address_row);
	for (size_t i = 1; i < p->backend_count; i++) {
		struct backend *a = &p->backends[rows[kept].at], *b = &p->backends[rows[i].at];

		if (endpoint_cmp(&a->ep, &b->ep) != 0) {
			kept = i;
		} else if (b->origin != DISCOVER_NONE) {
			gone[rows[i].at] = true;
		} else if (a->origin != DISCOVER_NONE) {
			gone[rows[kept].at] = true;
			kept = i;
		}
	}
}

void draft_settle_found(struct draft *dr, struct pool_draft *pd, struct pool *p)
{
	bool *gone = read_alloc(&dr->reader, p->backend_count, sizeof(*gone));
	unsigned first = first_priority(p);
	size_t count = 0;

	if (!gone || !p->backend_count || !forward_is_kernel(p->forward))
		return;
	for (size_t i = 0; i < p->backend_count; i++) {
		struct backend *b = &p->backends[i];

		if (b->origin == DISCOVER_NONE)
			continue;
		gone[i] = b->origin == DISCOVER_DNS && b->priority > first;
		b->priority = 0;
		if (forward_keeps_port(b->forward))
			b->ep.port = 0;
	}
	mark_same(dr, p, gone);
	for (size_t i = 0; i < p->backend_count; i++) {
		if (gone[i])
			continue;
		pd->backend_nodes[count] = pd->backend_nodes[i];
		p->backends[count++] = p->backends[i];
	}
	p->backend_count = count;
}

void draft_check_discover(struct draft *dr)
{
	struct diag *d = dr->reader.diag;

	for (size_t i = 0; i < dr->snap->pool_count; i++) {
		const struct pool *p = &dr->snap->pools[i];
		const struct discover_conf *c = &p->discover;
		const struct tree *node = tree_get(dr->pools[i].node, "discover");

		if (c->kind == DISCOVER_NONE || !discover_source(c))
			continue;
		if (c->min_ttl_ms > c->max_ttl_ms)
			diag_error(d, draft_key_pos(node, "min_ttl"),
				   "pool %s: discover.min_ttl is longer than discover.max_ttl",
				   p->name);
		if (c->kind == DISCOVER_DNS && !discover_is_srv(c) && !c->port &&
		    p->forward == FORWARD_PROXY)
			diag_error(
				d, draft_key_pos(node, "dns"),
				"pool %s: discover.port is missing: addresses in DNS have none; or "
				"take the name of SRV records, such as _http._tcp.%s",
				p->name, c->dns);
	}
}
