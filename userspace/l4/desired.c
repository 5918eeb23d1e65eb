/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/desired.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"

int vip_key_cmp(const struct shunt_vip_key *a, const struct shunt_vip_key *b)
{
	return memcmp(a, b, sizeof(*a));
}

void desired_row_addr(const struct addr *addr, __be32 ret_words[4])
{
	memset(ret_words, 0, 4 * sizeof(*ret_words));
	if (addr->family == AF_INET)
		ret_words[3] = addr->v4.s_addr;
	else
		memcpy(ret_words, addr->bytes, sizeof(addr->bytes));
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

static void backend_fill(struct desired_backend *row, const struct backend *b,
			 const struct host *host)
{
	int slot = b->ep.addr.family == AF_INET ? 0 : 1;
	uint32_t bits = host->entropy_bits[slot];

	*row = (struct desired_backend){.pool = b->pool->name, .name = b->name};
	row->row.state = backend_state(b);
	row->row.forward = SHUNT_FORWARD_IPIP;
	row->row.family = slot == 0 ? 4 : 6;
	row->row.mtu = b->pool->tunnel_mtu != 0 ? b->pool->tunnel_mtu : host->mtu;
	row->row.src_entropy = htonl(bits == 32 ? UINT32_MAX : (1U << bits) - 1);
	desired_row_addr(&host->source[slot], row->row.src);
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

static int pool_fill(struct desired *desired, const struct pool *pool, const struct host *host,
		     struct diag *d)
{
	bool told[2] = {false, false};
	int err = 0;

	for (size_t i = 0; i < pool->backend_count; i++) {
		const struct backend *b = &pool->backends[i];
		int slot = b->ep.addr.family == AF_INET ? 0 : 1;

		if (!told[slot] && check_source(pool, host, b->ep.addr.family, d) < 0) {
			told[slot] = true;
			err = -EINVAL;
		}
		backend_fill(&desired->backends[desired->backend_count++], b, host);
	}
	return err;
}

static bool pool_is_steered(const struct snapshot *snap, const struct pool *pool)
{
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (s->mode == SERVICE_L4 && s->pool == pool)
			return true;
	}
	return false;
}

static int backends_fill(struct desired *desired, const struct snapshot *snap,
			 const struct host *host, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < snap->pool_count; i++) {
		const struct pool *pool = &snap->pools[i];

		if (pool_is_steered(snap, pool) && pool_fill(desired, pool, host, d) < 0)
			err = -EINVAL;
	}
	return err;
}

/* How long an entry of the service can go without a packet and still be good. */
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

static void service_find_backends(struct desired *desired, struct desired_service *row,
				  const struct service *s)
{
	uint32_t linger_s = service_linger(s);
	bool usable = false;

	row->first_backend = find_pool(desired, s->pool->name);
	for (size_t i = row->first_backend; i < desired->backend_count; i++) {
		struct desired_backend *b = &desired->backends[i];

		if (strcmp(b->pool, s->pool->name) != 0)
			break;
		row->backend_count++;
		if (b->linger_s < linger_s)
			b->linger_s = linger_s;
		usable = usable || b->weight > 0;
	}
	row->ring_size = usable ? s->ring_size : 0;
}

static void service_fill(struct desired *desired, struct desired_service *row,
			 const struct service *s)
{
	*row = (struct desired_service){.name = s->name};
	if (s->mode != SERVICE_L4) {
		row->record.action = SHUNT_ACTION_LOCAL;
		row->record.tracking = SHUNT_TRACK_NEVER;
		return;
	}
	row->record.action = SHUNT_ACTION_STEER;
	row->record.tracking =
		s->tracking == TRACKING_NEVER ? SHUNT_TRACK_NEVER : SHUNT_TRACK_ALWAYS;
	for (int i = 0; i < SHUNT_FLOW_STATE_COUNT; i++)
		row->record.idle_s[i] = s->idle_s[i];
	row->record.mss = s->mss;
	service_find_backends(desired, row, s);
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
		key->key = (struct shunt_vip_key){
			.port = htons(l->ep.port),
			.proto = l->proto,
			.family = l->ep.addr.family == AF_INET ? 4 : 6,
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
	int err;

	err = allocate(&desired, snap);
	if (err < 0)
		goto out;
	err = backends_fill(&desired, snap, host, d);
	if (err < 0)
		goto out;
	/* Without a key there is nothing to count, and no row. */
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (keys_fill(&desired, desired.service_count, s) > 0)
			service_fill(&desired, &desired.services[desired.service_count++], s);
	}
	qsort(desired.keys, desired.key_count, sizeof(*desired.keys), key_cmp);
	*ret_desired = desired;
	return 0;
out:
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
	*desired = (struct desired){0};
}
