/* SPDX-License-Identifier: BSD-2-Clause */
/* What no row of a configuration can know alone: see draft.h. */
#include "conf/draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/abi.h"
#include "conf/listen.h"
#include "conf/schema.h"

struct place draft_place(const struct pos *pos)
{
	struct place p = {""};

	if (pos->file && pos->line)
		(void)snprintf(p.s, sizeof(p.s), " (%s:%d:%d)", pos->file, pos->line, pos->column);
	return p;
}

const struct pos *draft_key_pos(const struct tree *node, const char *key)
{
	const struct tree *value = tree_get(node, key);

	return value ? &value->pos : node->key ? &node->key_pos : &node->pos;
}

const struct pos *draft_listen_pos(const struct service_draft *s, size_t i)
{
	const struct tree *listen = tree_get(s->node, "listen");

	return listen->kind == TREE_SEQUENCE ? &listen->children[i]->pos : &listen->pos;
}

bool draft_knows_mode(const struct draft *dr, const struct service *s)
{
	const struct tree *mode = tree_get(dr->services[s - dr->snap->services].node, "mode");

	return mode && mode->kind == TREE_SCALAR && !strcmp(mode->text, service_mode_name(s->mode));
}

/* ---- listens ---- */

static int compare_pos(const struct pos *a, const struct pos *b)
{
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return (a->column > b->column) - (a->column < b->column);
}

static int compare_listen_row(const void *a, const void *b)
{
	const struct listen_row *x = a, *y = b;
	int c = listen_cmp(x->listen, y->listen);

	return c ? c : compare_pos(x->pos, y->pos);
}

size_t draft_list_listens(struct draft *dr, bool (*fits)(const struct listen *l),
			  struct listen_row **ret_rows)
{
	const struct snapshot *snap = dr->snap;
	size_t count = 0;
	struct listen_row *rows;

	for (size_t i = 0; i < snap->service_count; i++)
		count += snap->services[i].listen_count;
	rows = read_alloc(&dr->reader, count, sizeof(*rows));
	if (!rows)
		return 0;
	count = 0;
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t j = 0; j < s->listen_count; j++)
			if (s->listens[j].ep.addr.family && (!fits || fits(&s->listens[j])))
				rows[count++] = (struct listen_row){
					&s->listens[j], s, draft_listen_pos(&dr->services[i], j)};
	}
	*ret_rows = rows;
	return count;
}

static void check_overlap(struct draft *dr, const struct listen_row *rows, size_t count)
{
	char text[LISTEN_STRLEN];

	for (size_t i = 1; i < count; i++) {
		const struct listen_row *a = &rows[i - 1], *b = &rows[i];

		if (listen_cmp(a->listen, b->listen) != 0)
			continue;
		listen_format(b->listen, text, sizeof(text));
		if (a->service == b->service)
			diag_error(dr->reader.diag, b->pos, "service %s: %s is here twice%s",
				   b->service->name, text, draft_place(a->pos).s);
		else
			diag_error(dr->reader.diag, b->pos,
				   "service %s: %s is already that of service %s%s",
				   b->service->name, text, a->service->name, draft_place(a->pos).s);
	}
}

/* ---- services ---- */

/* Shorter ones are mistakes. */
#define PREFIX4_MIN 8
#define PREFIX6_MIN 16

static void check_listens(struct draft *dr, const struct service_draft *sd, const struct service *s)
{
	char text[LISTEN_STRLEN];

	for (size_t i = 0; i < s->listen_count; i++) {
		const struct listen *l = &s->listens[i];
		const char *expected = NULL, *mode = service_mode_name(s->mode);
		char proxied[96] = "";

		if (!l->ep.addr.family)
			continue;
		if (service_is_proxied(s) && l->proto != IPPROTO_TCP)
			(void)snprintf(proxied, sizeof(proxied), "tcp in mode %s", mode);
		else if (service_is_proxied(s) && !listen_is_exact(l) &&
			 dr->snap->node.steer_sockets == STEER_SOCKETS_OFF)
			expected = "one port of one address where node.steer_sockets is off";
		else if (service_is_proxied(s) && !listen_is_exact(l) &&
			 addr_is_unspecified(&l->ep.addr))
			expected = "one port, as it is every address";
		else if (l->prefix_len &&
			 l->prefix_len < (l->ep.addr.family == AF_INET ? PREFIX4_MIN : PREFIX6_MIN))
			expected = "a prefix of at least 8 bits, of IPv6 16";
		else if (s->mode == SERVICE_L4 && addr_is_unspecified(&l->ep.addr))
			expected = "one address in mode l4";
		else if (s->mode == SERVICE_L4 && addr_is_loopback(&l->ep.addr))
			expected = "an address that packets arrive for in mode l4";
		if (*proxied)
			expected = proxied;
		if (expected)
			diag_error(dr->reader.diag, draft_listen_pos(sd, i),
				   "service %s: listen: expected %s, found %s", s->name, expected,
				   listen_format(l, text, sizeof(text)));
	}
}

static bool is_empty_list(const struct tree *list)
{
	return tree_is_null(list) || (list->kind == TREE_SEQUENCE && !list->count);
}

static const struct pool_draft *draft_pool(const struct draft *dr, const struct pool *p)
{
	return &dr->pools[p - dr->snap->pools];
}

static void check_service(struct draft *dr, const struct service_draft *sd, const struct service *s)
{
	if (!draft_knows_mode(dr, s))
		return;
	reader_set_object(&dr->reader, "service %s", s->name);
	read_warn_without_effect(&dr->reader, &schema_service, sd->node, "mode",
				 service_mode_name(s->mode));
	check_listens(dr, sd, s);
	if (s->mode == SERVICE_L4 &&
	    is_empty_list(tree_get(tree_get(dr->root, "node"), "interfaces")))
		diag_error(dr->reader.diag, draft_key_pos(sd->node, "mode"),
			   "service %s: mode l4 needs node.interfaces, where its packets come in",
			   s->name);
	if (s->mode == SERVICE_HTTP && s->limits.request_line > s->limits.header_bytes)
		diag_error(dr->reader.diag, draft_key_pos(sd->node, "limits"),
			   "service %s: limits.request_line is larger than limits.header_bytes",
			   s->name);
	if (s->pool && s->pool->discover.kind == DISCOVER_NONE &&
	    is_empty_list(tree_get(draft_pool(dr, s->pool)->node, "backends")))
		diag_error(dr->reader.diag, draft_key_pos(sd->node, "pool"),
			   "service %s: pool %s has no backends", s->name, s->pool->name);
}

/* ---- pools ---- */

static void check_users(struct draft *dr, const struct pool_draft *pd, const struct pool *p)
{
	const struct service *l4 = NULL, *proxied = NULL;
	struct diag *d = dr->reader.diag;

	if (pd->l4_user)
		l4 = &dr->snap->services[pd->l4_user - 1];
	if (pd->proxy_user)
		proxied = &dr->snap->services[pd->proxy_user - 1];
	if (!l4 && !proxied) {
		diag_warning(d, &pd->node->key_pos, "pool %s is not used by any service", p->name);
	} else if (l4 && proxied) {
		const struct pos *l4_pos =
			draft_key_pos(dr->services[pd->l4_user - 1].node, "pool");

		diag_error(d, draft_key_pos(dr->services[pd->proxy_user - 1].node, "pool"),
			   "pool %s is used by %s service %s and by l4 service %s%s; make two "
			   "pools of it",
			   p->name, service_mode_name(proxied->mode), proxied->name, l4->name,
			   draft_place(l4_pos).s);
	} else if (l4 && !forward_is_kernel(p->forward)) {
		diag_error(
			d, draft_key_pos(pd->node, "forward"),
			"pool %s: expected forward: ipip, gue, l2, local or nat, as l4 service %s "
			"uses it%s",
			p->name, l4->name,
			draft_place(draft_key_pos(dr->services[pd->l4_user - 1].node, "pool")).s);
	} else if (proxied && p->forward != FORWARD_PROXY) {
		diag_error(d, draft_key_pos(pd->node, "forward"),
			   "pool %s: expected forward: proxy, as %s service %s uses it%s", p->name,
			   service_mode_name(proxied->mode), proxied->name,
			   draft_place(draft_key_pos(dr->services[pd->proxy_user - 1].node, "pool"))
				   .s);
	}
}

static void check_backend_names(struct draft *dr, const struct pool_draft *pd, const struct pool *p)
{
	for (size_t i = 1; i < p->backend_count; i++)
		if (*p->backends[i].name && !strcmp(p->backends[i].name, p->backends[i - 1].name))
			diag_error(dr->reader.diag, draft_key_pos(pd->backend_nodes[i], "name"),
				   "pool %s: backend %s is here twice%s", p->name,
				   p->backends[i].name,
				   draft_place(draft_key_pos(pd->backend_nodes[i - 1], "name")).s);
}

struct address_row {
	const struct backend *backend;
	const struct tree *node;
};

static int compare_address_row(const void *a, const void *b)
{
	const struct address_row *x = a, *y = b;
	int c = endpoint_cmp(&x->backend->ep, &y->backend->ep);

	return c ? c
		 : compare_pos(draft_key_pos(x->node, "address"),
			       draft_key_pos(y->node, "address"));
}

static void check_backend_addresses(struct draft *dr, const struct pool_draft *pd,
				    const struct pool *p)
{
	struct address_row *rows = read_alloc(&dr->reader, p->backend_count, sizeof(*rows));
	char text[ENDPOINT_STRLEN];

	if (!rows)
		return;
	for (size_t i = 0; i < p->backend_count; i++)
		rows[i] = (struct address_row){&p->backends[i], pd->backend_nodes[i]};
	qsort(rows, p->backend_count, sizeof(*rows), compare_address_row);
	for (size_t i = 1; i < p->backend_count; i++) {
		const struct backend *a = rows[i - 1].backend, *b = rows[i].backend;

		if (b->ep.addr.family && !endpoint_cmp(&a->ep, &b->ep))
			diag_error(dr->reader.diag, draft_key_pos(rows[i].node, "address"),
				   "backend %s/%s: address %s is that of backend %s%s", p->name,
				   b->name, endpoint_format(&b->ep, text, sizeof(text)), a->name,
				   draft_place(draft_key_pos(rows[i - 1].node, "address")).s);
	}
}

/* The first row that is not before addr and port. */
static size_t find_row(const struct listen_row *rows, size_t count, const struct addr *addr,
		       uint16_t port)
{
	const struct endpoint ep = {.addr = *addr, .port = port};
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (endpoint_cmp(&rows[middle].listen->ep, &ep) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A TCP listen on exactly this, or a range or prefix that has it; NULL: none. */
static const struct listen_row *find_tcp(const struct listen_row *rows, size_t count,
					 const struct addr *addr, uint16_t port)
{
	for (size_t i = find_row(rows, count, addr, port); i < count; i++) {
		const struct listen *l = rows[i].listen;

		if (addr_cmp(&l->ep.addr, addr) != 0 || l->ep.port != port)
			break;
		if (l->proto == IPPROTO_TCP)
			return &rows[i];
	}
	for (size_t i = 0; i < count; i++) {
		const struct listen *l = rows[i].listen;

		if (l->proto == IPPROTO_TCP && !listen_is_exact(l) &&
		    service_is_proxied(rows[i].service) && listen_has_port(l, port) &&
		    listen_has_addr(l, addr))
			return &rows[i];
	}
	return NULL;
}

/* The listen that packets or requests for a backend would come back to; NULL: none. */
static const struct listen_row *find_loop(const struct listen_row *rows, size_t count,
					  bool prefixes, const struct backend *b)
{
	const struct addr any = {.family = b->ep.addr.family};
	const struct listen_row *found;

	if (b->forward == FORWARD_LOCAL)
		return NULL; /* its packets go up the stack */
	if (b->pool->forward == FORWARD_PROXY) {
		found = find_tcp(rows, count, &b->ep.addr, b->ep.port);
		if (!found && addr_is_loopback(&b->ep.addr))
			found = find_tcp(rows, count, &any, b->ep.port);
		return found;
	}
	for (size_t i = find_row(rows, count, &b->ep.addr, 0); i < count; i++) {
		if (addr_cmp(&rows[i].listen->ep.addr, &b->ep.addr) != 0)
			break;
		if (rows[i].service->mode == SERVICE_L4)
			return &rows[i];
	}
	for (size_t i = 0; prefixes && i < count; i++)
		if (rows[i].listen->prefix_len && listen_has_addr(rows[i].listen, &b->ep.addr))
			return &rows[i];
	return NULL;
}

static void check_backend(struct draft *dr, const struct backend *b, const struct tree *node,
			  const struct listen_row *rows, size_t count)
{
	const struct listen_row *loop;
	char text[ENDPOINT_STRLEN];
	struct diag *d = dr->reader.diag;

	if (!b->ep.addr.family)
		return;
	loop = find_loop(rows, count, dr->prefix_listens, b);
	if (loop)
		diag_error(d, draft_key_pos(node, "address"),
			   "backend %s/%s: %s is where service %s listens%s: a loop", b->pool->name,
			   b->name, endpoint_format(&b->ep, text, sizeof(text)),
			   loop->service->name, draft_place(loop->pos).s);
	if (b->pool->forward == FORWARD_PROXY && !b->ep.port)
		diag_error(d, draft_key_pos(node, "address"),
			   "backend %s/%s: expected an address with a port in a proxy pool, found "
			   "%s",
			   b->pool->name, b->name, endpoint_format(&b->ep, text, sizeof(text)));
	if (forward_is_kernel(b->forward) && b->forward != FORWARD_LOCAL &&
	    addr_is_loopback(&b->ep.addr))
		diag_error(d, draft_key_pos(node, "address"),
			   "backend %s/%s: forward: %s cannot lead to a loopback address; for this "
			   "host itself there is forward: local",
			   b->pool->name, b->name, forward_name(b->forward));
}

struct ports {
	char s[32];
};

static struct ports ports_text(const struct listen *l)
{
	struct ports p;

	if (l->port_hi)
		(void)snprintf(p.s, sizeof(p.s), "ports %u to %u", l->ep.port, l->port_hi);
	else
		(void)snprintf(p.s, sizeof(p.s), "port %u", l->ep.port);
	return p;
}

/* The packets keep their port. */
static void check_kept_ports(struct draft *dr, const struct service *s, const struct pool *pool)
{
	const struct pool_draft *pd = draft_pool(dr, pool);

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *b = &pool->backends[i];
		size_t j = 0;

		while (j < s->listen_count &&
		       (!s->listens[j].port_hi && s->listens[j].ep.port == b->ep.port))
			j++;
		if (!forward_keeps_port(b->forward) || !b->ep.port || j == s->listen_count ||
		    !s->listens[j].ep.addr.family)
			continue;
		diag_error(dr->reader.diag, draft_key_pos(pd->backend_nodes[i], "address"),
			   "backend %s/%s: forward: %s cannot change %s of service %s to %u; leave "
			   "the port out",
			   pool->name, b->name, forward_name(b->forward),
			   ports_text(&s->listens[j]).s, s->name, b->ep.port);
	}
}

static void check_protocol(struct draft *dr, const struct pool_draft *pd, const struct pool *p)
{
	if (p->protocol != POOL_HTTP2)
		return;
	if (p->proxy_out != PROXY_OUT_OFF)
		diag_error(dr->reader.diag, draft_key_pos(pd->node, "proxy_protocol"),
			   "pool %s: no PROXY header is sent where clients share connections, "
			   "with protocol: http2",
			   p->name);
	if (p->health.kind == HEALTH_HTTP)
		diag_warning(dr->reader.diag, draft_key_pos(pd->node, "health"),
			     "pool %s: health.http speaks HTTP/1; take health.grpc or health.tcp "
			     "for backends that speak HTTP/2 alone",
			     p->name);
}

/* The pool says who forwards, the kernel or the proxy; each backend may say how. */
static void check_forward(struct draft *dr, const struct pool_draft *pd, const struct pool *p)
{
	bool gue = p->forward == FORWARD_GUE;

	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *b = &p->backends[i];

		gue |= b->forward == FORWARD_GUE;
		if (forward_is_kernel(b->forward) != forward_is_kernel(p->forward))
			diag_error(dr->reader.diag, draft_key_pos(pd->backend_nodes[i], "forward"),
				   "backend %s/%s: forward: %s is not possible in a pool with "
				   "forward: %s",
				   p->name, b->name, forward_name(b->forward),
				   forward_name(p->forward));
	}
	if (p->forward == FORWARD_L2 && p->next_hop != NEXT_HOP_FIB &&
	    tree_get(pd->node, "next_hop"))
		diag_error(dr->reader.diag, draft_key_pos(pd->node, "next_hop"),
			   "pool %s: forward: l2 needs next_hop: fib", p->name);
	if (tree_get(pd->node, "gue_port") && forward_is_kernel(p->forward) && !gue)
		diag_warning(dr->reader.diag, draft_key_pos(pd->node, "gue_port"),
			     "pool %s: gue_port has no effect without forward: gue", p->name);
}

static void check_pool(struct draft *dr, const struct pool_draft *pd, const struct pool *p,
		       const struct listen_row *rows, size_t count)
{
	bool takes_flows = false;

	reader_set_object(&dr->reader, "pool %s", p->name);
	read_warn_without_effect(&dr->reader, &schema_pool, pd->node, "forward",
				 forward_name(p->forward));
	check_users(dr, pd, p);
	check_forward(dr, pd, p);
	check_backend_names(dr, pd, p);
	check_backend_addresses(dr, pd, p);
	check_protocol(dr, pd, p);
	draft_check_health(dr, pd->node, &dr->snap->pools[p - dr->snap->pools]);
	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *b = &p->backends[i];

		takes_flows |= b->admin == ADMIN_UP && b->weight > 0;
		check_backend(dr, b, pd->backend_nodes[i], rows, count);
	}
	if (p->backend_count && !takes_flows && (pd->l4_user || pd->proxy_user))
		diag_warning(dr->reader.diag, &pd->node->key_pos,
			     "pool %s: no backend is up with a weight over 0", p->name);
}

/* ---- the kernel's tables ---- */

/* Proxied services have rows too: their packets are passed and counted by name. A listener on every
 * address has no address to be found by. */
static uint64_t count_rows(const struct service *s)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < s->listen_count; i++)
		rows += !addr_is_unspecified(&s->listens[i].ep.addr);
	return rows;
}

/* Only what can be said without them; whether there is room now, l4/ says. */
static bool check_limits(struct draft *dr)
{
	size_t errors = dr->reader.diag->errors;
	const struct snapshot *snap = dr->snap;
	const struct node_limits *limits = &snap->node.limits;
	const struct tree *node = tree_get(dr->root, "node");
	const struct pos *pos = node ? draft_key_pos(node, "limits") : NULL;
	uint64_t listens = 0, rows = 0, listed = 0, backends = 0, slots = 0, largest = 0;
	size_t routed, sources;

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		listens += count_rows(s);
		rows += count_rows(s) > 0;
		if (s->mode != SERVICE_L4)
			continue;
		routed = draft_route_rows(s, &sources);
		rows += routed;
		listed += sources;
		slots += (1 + routed) * s->ring_size;
		largest = s->ring_size > largest ? s->ring_size : largest;
	}
	for (size_t i = 0; i < snap->pool_count; i++)
		if (dr->pools[i].l4_user)
			backends += snap->pools[i].backend_count;
	if (snap->node.interface_count > 0 && listens > limits->services)
		diag_error(dr->reader.diag, pos,
			   "node.limits.services: %u is too small for %llu listen addresses",
			   limits->services, (unsigned long long)listens);
	else if (snap->node.interface_count > 0 &&
		 (rows > limits->services || listed > limits->services))
		diag_error(dr->reader.diag, pos,
			   "node.limits.services: %u is too small for %llu services and pools of "
			   "their source routes, with %llu sources",
			   limits->services, (unsigned long long)rows, (unsigned long long)listed);
	if (backends >= limits->backends) /* row 0 is never used */
		diag_error(dr->reader.diag, pos,
			   "node.limits.backends: %u is too small for %llu backends of l4 services",
			   limits->backends, (unsigned long long)backends);
	if (slots + largest > limits->ring_slots)
		diag_error(dr->reader.diag, pos,
			   "node.limits.ring_slots: %u is too small for rings of %llu slots and "
			   "room to replace one",
			   limits->ring_slots, (unsigned long long)slots);
	return dr->reader.diag->errors == errors;
}

/* Written or not, the port is the service's where packets keep it: one way to say it from here on. */
static void drop_kept_ports(struct pool *p)
{
	for (size_t i = 0; i < p->backend_count; i++)
		if (forward_is_kernel(p->forward) && forward_keeps_port(p->backends[i].forward))
			p->backends[i].ep.port = 0;
}

void draft_check(struct draft *dr)
{
	struct snapshot *snap = dr->snap;
	struct listen_row *rows = NULL;
	size_t count = draft_list_listens(dr, NULL, &rows);

	if (count)
		qsort(rows, count, sizeof(*rows), compare_listen_row);
	for (size_t i = 0; i < count; i++)
		dr->prefix_listens |= rows[i].listen->prefix_len > 0;

	/* Within the limits each backend can be held against each listen of its services. */
	bool within = check_limits(dr);

	check_overlap(dr, rows, count);
	for (size_t i = 0; i < snap->service_count; i++) {
		struct pool_span span = service_pools(snap, &snap->services[i]);

		check_service(dr, &dr->services[i], &snap->services[i]);
		for (size_t k = span.first; within && k < span.end; k++)
			if (service_uses_pool(&snap->services[i], &snap->pools[k]))
				check_kept_ports(dr, &snap->services[i], &snap->pools[k]);
	}
	draft_check_l4(dr, within);
	for (size_t i = 0; i < snap->pool_count; i++)
		drop_kept_ports(&snap->pools[i]);
	for (size_t i = 0; i < snap->pool_count; i++)
		check_pool(dr, &dr->pools[i], &snap->pools[i], rows, count);
	draft_check_discover(dr);
	draft_check_admin(dr);
	draft_check_access(dr);
	draft_check_guard(dr);
	draft_check_tls(dr);
	draft_check_relay(dr);
	draft_check_resilience(dr);
	draft_check_nat(dr, within);
	if (dr->root->kind == TREE_MAPPING && !tree_get(dr->root, "services"))
		diag_warning(dr->reader.diag, NULL, "no services: nothing is balanced");
}
