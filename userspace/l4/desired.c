/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/desired.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/listen.h"
#include "conf/runtime.h"
#include "l4/guard.h"

#define NS_PER_S 1000000000ULL

/* The last packet that an entry knows of may have had followers for so long (FLOW_STAMP_NS and
 * FLOW_CACHE_TICK_SHIFT in bpf/, and NAT's stamps): void any sooner, a flow could end though it never
 * rested, all the more the shorter its idle time. */
#define STAMP_LATE_S 1

int vip_key_cmp(const struct shunt_vip_key *a, const struct shunt_vip_key *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* An address alone before a longer before a shorter prefix, a port before a narrower before a wider
 * range; the rest makes it total. */
int vip_key_precedence(const struct shunt_vip_key *a, const struct shunt_vip_key *b)
{
	int len_a = a->prefix_len != 0 ? a->prefix_len : UINT8_MAX;
	int len_b = b->prefix_len != 0 ? b->prefix_len : UINT8_MAX;
	int width_a = a->port_hi != 0 ? ntohs(a->port_hi) - ntohs(a->port) : 0;
	int width_b = b->port_hi != 0 ? ntohs(b->port_hi) - ntohs(b->port) : 0;

	if (len_a != len_b)
		return len_b - len_a;
	if (width_a != width_b)
		return width_a - width_b;
	if (a->port != b->port)
		return (int)ntohs(a->port) - (int)ntohs(b->port);
	return vip_key_cmp(a, b);
}

void desired_row_addr(const struct addr *addr, __be32 ret_words[4])
{
	memset(ret_words, 0, 4 * sizeof(*ret_words));
	if (addr->family == AF_INET)
		ret_words[3] = addr->v4.s_addr;
	else
		memcpy(ret_words, addr->bytes, sizeof(addr->bytes));
}

void desired_row_dst(const struct shunt_backend *row, struct addr *ret_addr)
{
	*ret_addr = (struct addr){.family = row->family == 4 ? AF_INET : AF_INET6};
	if (row->family == 4)
		ret_addr->v4.s_addr = row->dst[3];
	else
		memcpy(ret_addr->bytes, row->dst, sizeof(ret_addr->bytes));
}

/* A dead or disabled backend's flows are void; one that is only to get no more keeps those it has. */
static uint8_t backend_state(const struct backend *b)
{
	if (b->admin == ADMIN_DISABLED || atomic_load(&b->rt->health) == HEALTH_DOWN)
		return SHUNT_BACKEND_DOWN;
	if (b->admin == ADMIN_DRAIN || b->weight == 0)
		return SHUNT_BACKEND_DRAINING;
	return SHUNT_BACKEND_UP;
}

static uint8_t backend_forward(const struct backend *b)
{
	switch (b->forward) {
	case FORWARD_GUE: return SHUNT_FORWARD_GUE;
	case FORWARD_L2: return SHUNT_FORWARD_L2;
	case FORWARD_LOCAL: return SHUNT_FORWARD_LOCAL;
	case FORWARD_NAT: return SHUNT_FORWARD_NAT;
	case FORWARD_IPIP:
	case FORWARD_PROXY: break; /* the latter is in no pool of an l4 service */
	}
	return SHUNT_FORWARD_IPIP;
}

/* The sources that NAT has: an address, or each one of a prefix. */
static void backend_fill_nat(struct shunt_backend *row, const struct backend *b,
			     const struct host *host)
{
	const struct pool *p = b->pool;
	int slot = b->ep.addr.family == AF_INET ? 0 : 1;
	unsigned bits = (slot == 0 ? 32 : 128) - p->source_len[slot];

	row->port = htons(b->ep.port);
	if (p->source_nat == SOURCE_NAT_NONE)
		return;
	row->nat_port_low = p->source_port_low;
	row->nat_port_count = (uint16_t)(p->source_port_high - p->source_port_low + 1);
	if (p->source_nat == SOURCE_NAT_AUTO) {
		desired_row_addr(&host->own[slot], row->src);
	} else {
		desired_row_addr(&p->source_addr[slot], row->src);
		row->src_entropy = htonl((1U << bits) - 1);
	}
}

static void backend_fill(struct desired_backend *row, const struct backend *b,
			 const struct host *host)
{
	int slot = b->ep.addr.family == AF_INET ? 0 : 1;
	uint32_t bits = host->entropy_bits[slot];

	*row = (struct desired_backend){.pool = b->pool->name, .name = b->name};
	row->row.state = backend_state(b);
	row->row.forward = backend_forward(b);
	row->row.next_hop = backend_is_routed(b) ? SHUNT_NEXT_HOP_FIB : SHUNT_NEXT_HOP_REFLECT;
	row->row.family = slot == 0 ? 4 : 6;
	row->row.mtu = b->pool->tunnel_mtu != 0 ? b->pool->tunnel_mtu : host->mtu;
	if (b->forward == FORWARD_GUE)
		row->row.port = htons(b->pool->gue_port);
	if (forward_is_tunnel(b->forward)) {
		row->row.src_entropy = htonl(bits == 32 ? UINT32_MAX : (1U << bits) - 1);
		desired_row_addr(&host->source[slot], row->row.src);
	}
	if (b->forward == FORWARD_NAT)
		backend_fill_nat(&row->row, b, host);
	desired_row_addr(&b->ep.addr, row->row.dst);
	row->weight = row->row.state == SHUNT_BACKEND_UP ? b->weight : 0;
}

static int check_source(const struct pool *pool, const struct host *host, int family,
			struct diag *d)
{
	int slot = family == AF_INET ? 0 : 1;

	if (host->source[slot].family != 0)
		return 0;
	diag_error(d, NULL,
		   "pool %s needs an %s source address for its tunnels and %s has none: set "
		   "node.tunnel_source",
		   pool->name, slot == 0 ? "IPv4" : "IPv6", host->interface);
	return -EINVAL;
}

static int check_own(const struct backend *b, const struct host *host, struct diag *d)
{
	int slot = b->ep.addr.family == AF_INET ? 0 : 1;

	if (b->forward != FORWARD_NAT || b->pool->source_nat != SOURCE_NAT_AUTO ||
	    host->own[slot].family != 0)
		return 0;
	diag_error(d, NULL,
		   "pool %s: source_nat: auto needs an %s address and %s has none: say which is to "
		   "be used",
		   b->pool->name, slot == 0 ? "IPv4" : "IPv6", host->interface);
	return -EINVAL;
}

/* Ports that one service listens on alone are left out by the program; ranges and prefixes are not. */
static const struct listen *find_wide_listen(const struct snapshot *snap, const struct pool *p,
					     const struct addr *own)
{
	unsigned bits = own->family == AF_INET ? 32 : 128;

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; k < s->listen_count; k++) {
			const struct listen *l = &s->listens[k];

			if (!listen_is_exact(l) &&
			    listen_overlaps(l, own, bits, p->source_port_low, p->source_port_high))
				return l;
		}
	}
	return NULL;
}

int desired_check_sources(const struct snapshot *snap, const struct host *host, struct diag *d)
{
	char text[LISTEN_STRLEN], own[ADDR_STRLEN];
	int err = 0;

	for (size_t i = 0; i < 2 * snap->pool_count; i++) {
		const struct pool *p = &snap->pools[i / 2];
		const struct addr *a = &host->own[i % 2];
		const struct listen *l;

		if (p->source_nat != SOURCE_NAT_AUTO || a->family == 0)
			continue;
		l = find_wide_listen(snap, p, a);
		if (l == NULL)
			continue;
		diag_error(d, NULL,
			   "pool %s: source_nat: auto is %s, and answers to its source_ports would "
			   "be for the service on %s: give another source_nat",
			   p->name, addr_format(a, own, sizeof(own)),
			   listen_format(l, text, sizeof(text)));
		err = -EINVAL;
	}
	return err;
}

static int pool_fill(struct desired *desired, const struct pool *pool, const struct host *host,
		     struct diag *d)
{
	bool told[2] = {false, false};
	int err = 0;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *b = &pool->backends[i];
		int slot = b->ep.addr.family == AF_INET ? 0 : 1;

		if (!told[slot] && ((forward_is_tunnel(b->forward) &&
				     check_source(pool, host, b->ep.addr.family, d) < 0) ||
				    check_own(b, host, d) < 0)) {
			told[slot] = true;
			err = -EINVAL;
		}
		backend_fill(&desired->backends[desired->backend_count++], b, host);
	}
	return err;
}

/* Which pools l4 services use. NULL: out of memory. */
static bool *list_steered(const struct snapshot *snap)
{
	bool *steered = calloc(snap->pool_count + 1, sizeof(*steered));

	for (size_t i = 0; steered != NULL && i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];
		struct pool_span span = service_pools(snap, s);

		for (size_t k = span.first; k < span.end; k++)
			steered[k] = steered[k] || service_uses_pool(s, &snap->pools[k]);
	}
	return steered;
}

static int backends_fill(struct desired *desired, const struct snapshot *snap,
			 const struct host *host, struct diag *d)
{
	bool *steered = list_steered(snap);
	int err = steered == NULL ? -ENOMEM : 0;

	for (size_t i = 0; steered != NULL && i < snap->pool_count; i++) {
		if (steered[i] && pool_fill(desired, &snap->pools[i], host, d) < 0)
			err = -EINVAL;
	}
	free(steered);
	return err;
}

uint8_t desired_tracking(const struct service *s, uint8_t proto)
{
	if (s->mode != SERVICE_L4)
		return SHUNT_TRACK_NEVER;
	switch (service_tracking(s, proto)) {
	case TRACKING_AUTO: /* is none of a listen address */
	case TRACKING_ON_CHANGE: return SHUNT_TRACK_ON_CHANGE;
	case TRACKING_ALWAYS: return SHUNT_TRACK_ALWAYS;
	case TRACKING_NEVER: return SHUNT_TRACK_NEVER;
	}
	return SHUNT_TRACK_NEVER;
}

/* How long a flow of the service can go without a packet and still be good. */
static uint32_t service_linger(const struct service *s)
{
	uint32_t longest = 0;

	if (s->tracking == TRACKING_NEVER)
		return 0;
	for (size_t i = 0; i < s->listen_count; i++) {
		bool udp = s->listens[i].proto == IPPROTO_UDP;

		for (int state = 0; state < SHUNT_FLOW_STATE_COUNT; state++) {
			if ((state == SHUNT_FLOW_UDP) == udp && s->idle_s[state] > longest)
				longest = s->idle_s[state];
		}
	}
	return longest;
}

/* Backends stand in the order of their pools. */
static size_t find_pool(const struct desired *desired, const char *pool)
{
	size_t low = 0, high = desired->backend_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(desired->backends[middle].pool, pool) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void desired_use_pool(struct desired *desired, struct desired_service *row, const struct service *s,
		      const struct pool *pool)
{
	uint32_t linger_s = service_linger(s);
	bool usable = false;

	row->first_backend = find_pool(desired, pool->name);
	for (size_t i = row->first_backend; i < desired->backend_count; i++) {
		struct desired_backend *b = &desired->backends[i];

		if (strcmp(b->pool, pool->name) != 0)
			break;
		row->backend_count++;
		if (b->linger_s < linger_s)
			b->linger_s = linger_s;
		usable = usable || b->weight > 0;
	}
	row->pool = pool->name;
	row->slots = s->ring_size;
	row->ring_size = usable ? s->ring_size : 0;
}

/*
 * A processor has its part of the pending table. With half of it a second, and an eighth at once, a
 * new flow has more than a second and a half to send its second packet while one service is flooded.
 */
static uint32_t insert_ns(const struct service *s, const struct snapshot *snap,
			  const struct host *host)
{
	uint64_t rate = s->insert_rate != 0 ? s->insert_rate : snap->node.limits.pending / 2;
	uint64_t ns = NS_PER_S * (host->processors > 0 ? host->processors : 1);

	if (rate == 0)
		return 0;
	return ns / rate < UINT32_MAX ? (uint32_t)(ns / rate) : UINT32_MAX;
}

static void service_fill(struct desired *desired, struct desired_service *row,
			 const struct service *s, const struct snapshot *snap,
			 const struct host *host)
{
	*row = (struct desired_service){.name = s->name};
	row->record.guard = guard_flags(s);
	guard_fill(s, host->mtu, &row->guard);
	row->record.tracking = desired_tracking(s, IPPROTO_TCP);
	if (s->mode != SERVICE_L4) {
		row->record.action = SHUNT_ACTION_LOCAL;
		return;
	}
	row->record.action = SHUNT_ACTION_STEER;
	if (s->tracking != TRACKING_NEVER)
		row->record.insert_ns = insert_ns(s, snap, host);
	for (int i = 0; i < SHUNT_FLOW_STATE_COUNT; i++)
		row->record.idle_s[i] = s->idle_s[i] + STAMP_LATE_S;
	row->record.mss = s->mss;
	desired_record_wide(s, &row->record);
	desired_use_pool(desired, row, s, s->pool);
}

/* A listener on every address has no virtual address that the kernel could look up: its packets
 * pass as those of no service do. Returns how many keys there are. */
static size_t keys_fill(struct desired *desired, size_t service, const struct service *s)
{
	size_t before = desired->key_count;

	for (size_t i = 0; i < s->listen_count; i++) {
		const struct listen *l = &s->listens[i];
		struct desired_key *key;

		if (addr_is_unspecified(&l->ep.addr))
			continue;
		key = &desired->keys[desired->key_count++];
		key->service = service;
		key->tracking = desired_tracking(s, l->proto);
		key->key = (struct shunt_vip_key){
			.port = htons(l->ep.port),
			.proto = l->proto,
			.family = l->ep.addr.family == AF_INET ? 4 : 6,
			.port_hi = htons(l->port_hi),
			.prefix_len = l->prefix_len,
		};
		memcpy(key->key.addr, l->ep.addr.bytes, sizeof(key->key.addr));
	}
	return desired->key_count - before;
}

static int key_cmp(const void *a, const void *b)
{
	return vip_key_cmp(&((const struct desired_key *)a)->key,
			   &((const struct desired_key *)b)->key);
}

static int allocate(struct desired *desired, const struct snapshot *snap)
{
	size_t backends = 0, keys = 0;

	for (size_t i = 0; i < snap->pool_count; i++)
		backends += snap->pools[i].backend_count;
	for (size_t i = 0; i < snap->service_count; i++)
		keys += snap->services[i].listen_count;
	/* One more, so that "none" is no null pointer. */
	desired->backends = calloc(backends + 1, sizeof(*desired->backends));
	desired->services = calloc(snap->service_count + 1, sizeof(*desired->services));
	desired->keys = calloc(keys + 1, sizeof(*desired->keys));
	if (desired->backends == NULL || desired->services == NULL || desired->keys == NULL)
		return -ENOMEM;
	return 0;
}

int desired_build(const struct snapshot *snap, const struct host *host, struct desired *ret_desired,
		  struct diag *d)
{
	struct desired desired = {0};
	size_t *positions = calloc(snap->service_count + 1, sizeof(*positions));
	int err = positions == NULL ? -ENOMEM : allocate(&desired, snap);

	if (err < 0)
		goto out;
	err = backends_fill(&desired, snap, host, d);
	if (err < 0)
		goto out;
	/* Without a key there is nothing to count, and no row. */
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		positions[i] = SIZE_MAX;
		if (keys_fill(&desired, desired.service_count, s) == 0)
			continue;
		positions[i] = desired.service_count++;
		service_fill(&desired, &desired.services[positions[i]], s, snap, host);
	}
	qsort(desired.keys, desired.key_count, sizeof(*desired.keys), key_cmp);
	err = desired_add_wide(&desired, snap, positions);
	if (err < 0)
		goto out;
	*ret_desired = desired;
	desired = (struct desired){0};
out:
	free(positions);
	desired_deinit(&desired);
	return err;
}

const struct desired_key *desired_find_key(const struct desired *desired,
					   const struct shunt_vip_key *key)
{
	struct desired_key wanted = {.key = *key};

	return bsearch(&wanted, desired->keys, desired->key_count, sizeof(wanted), key_cmp);
}

void desired_deinit(struct desired *desired)
{
	if (desired == NULL)
		return;
	free(desired->backends);
	free(desired->services);
	free(desired->keys);
	free(desired->names);
	free(desired->routes);
	free(desired->server_ids);
	*desired = (struct desired){0};
}
