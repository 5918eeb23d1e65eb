/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/neigh.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "l4/neigh_wire.h"

#define BRANCHES_MAX 16 /* routers of one route */
#define PATIENCE     3	/* ticks that a new neighbour may take before anybody is told */
#define PROBE_TICKS  4	/* from one look to the next, where the kernel does not manage entries */

/* As the kernel has it: usable without looking first, or being looked at while it is used. */
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)
/* Of the administrator: nothing is to be kept fresh. */
#define NUD_FIXED (NUD_PERMANENT | NUD_NOARP)

enum target_state {
	TARGET_RESOLVED,
	TARGET_NO_NEIGHBOUR,
	TARGET_NO_ROUTE,
	TARGET_NOT_DIRECT,
	TARGET_NOT_LISTED,
};

static const char *const state_words[] = {
	[TARGET_RESOLVED] = "resolved",	    [TARGET_NO_NEIGHBOUR] = "no-neighbour",
	[TARGET_NO_ROUTE] = "no-route",	    [TARGET_NOT_DIRECT] = "not-direct",
	[TARGET_NOT_LISTED] = "not-listed",
};

/* A backend. */
struct target {
	char pool[SHUNT_NAME_MAX], name[SHUNT_NAME_MAX];
	struct addr addr;
	bool direct;	/* l2: there must be no router before it */
	bool lingering; /* not in the configuration any more */
	struct hop_id hops[BRANCHES_MAX];
	size_t hop_count;
	enum target_state route; /* RESOLVED: its neighbours decide */
	enum target_state told;
	unsigned waited; /* ticks without a neighbour */
};

/* A neighbour that at least one target needs. */
struct hop {
	struct hop_id id;
	uint16_t state; /* NUD_*; 0: there is none */
	bool kept;	/* the kernel has been told */
};

struct neigh {
	struct neigh_wire wire;
	struct target *targets; /* by pool, then name; lingering ones behind others */
	size_t target_count;
	uint32_t *ifindices;
	size_t ifindex_count;
	struct hop *hops; /* by id */
	size_t hop_count;
	bool routes_changed;
	bool managed; /* the kernel can keep entries fresh */
	unsigned ticks;
	bool forwarding_told[2];
};

/* ---- hops ---- */

static int hop_id_cmp(const struct hop_id *a, const struct hop_id *b)
{
	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return addr_cmp(&a->addr, &b->addr);
}

static int hop_cmp(const void *a, const void *b)
{
	return hop_id_cmp(&((const struct hop *)a)->id, &((const struct hop *)b)->id);
}

static struct hop *find_hop(const struct neigh *n, const struct hop_id *id)
{
	struct hop wanted = {.id = *id};

	if (n->hop_count == 0)
		return NULL;
	return bsearch(&wanted, n->hops, n->hop_count, sizeof(wanted), hop_cmp);
}

/* Have the kernel look for it and keep it. What the administrator has written is left alone. */
static void keep_hop(struct neigh *n, struct hop *hop)
{
	struct hop_news news = {0};
	int err = neigh_wire_get(&n->wire, &hop->id, &news);

	hop->state = err == 0 ? news.state : 0;
	hop->kept = (hop->state & NUD_FIXED) != 0;
	if (hop->kept)
		return;
	err = neigh_wire_keep(&n->wire, &hop->id, n->managed);
	hop->kept = err == 0;
	if (err < 0 && n->managed && err != -ENODEV) {
		int again = neigh_wire_keep(&n->wire, &hop->id, false);

		if (again == 0) {
			log_debug("l4: the kernel does not manage neighbours error=\"%s\"",
				  strerror(-err));
			n->managed = false;
			hop->kept = true;
		}
	}
	if (neigh_wire_get(&n->wire, &hop->id, &news) == 0)
		hop->state = news.state;
}

static void on_news(void *ctx, const struct hop_news *news)
{
	struct neigh *n = ctx;
	struct hop *hop = find_hop(n, &news->id);

	if (hop == NULL)
		return;
	hop->state = news->state;
	if (news->state == 0)
		keep_hop(n, hop);
}

/* Ours, and nobody needs it. Collected first: the kernel's list is not changed while it is read. */
struct unwanted {
	struct neigh *n;
	struct hop_id *list;
	size_t count;
	bool failed;
};

static void on_listed(void *ctx, const struct hop_news *news)
{
	struct unwanted *u = ctx;
	struct hop_id *list;

	if (!news->ours || find_hop(u->n, &news->id) != NULL)
		return;
	list = reallocarray(u->list, u->count + 1, sizeof(*list));
	if (list == NULL) {
		u->failed = true;
		return;
	}
	u->list = list;
	u->list[u->count++] = news->id;
}

static void drop_unwanted(struct neigh *n)
{
	struct unwanted u = {.n = n};

	if (neigh_wire_list(&n->wire, on_listed, &u) < 0 || u.failed)
		log_debug("l4: cannot list neighbours, some may stay");
	for (size_t i = 0; i < u.count; i++)
		(void)neigh_wire_drop(&n->wire, &u.list[i]); /* it may be gone already */
	free(u.list);
}

/* ---- the kernel's consent ---- */

/*
 * The program asks for routes as this host itself would (bpf/next_hop.h), for which the kernel wants
 * forwarding to be on for lo. That makes no router of the host: nothing that is to be forwarded comes
 * in by lo. 0 also where nobody needs it.
 */
static int allow_lookups(const struct neigh *n, int family)
{
	const char *path = family == AF_INET ? "/proc/sys/net/ipv4/conf/lo/forwarding"
					     : "/proc/sys/net/ipv6/conf/lo/forwarding";
	size_t needed = 0;
	char now = '0';
	int fd, err = 0;

	for (size_t i = 0; i < n->target_count; i++)
		needed += n->targets[i].addr.family == family;
	if (needed == 0)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &now, 1) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (err < 0 || now != '0')
		return err;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

static void check_lookups(struct neigh *n, struct diag *d)
{
	for (int i = 0; i < 2; i++) {
		int err = allow_lookups(n, i == 0 ? AF_INET : AF_INET6);

		if (err < 0 && !n->forwarding_told[i])
			diag_warning(
				d, NULL,
				"cannot set net.ipv%c.conf.lo.forwarding to 1: %s; without it "
				"packets for backends with next_hop: fib are dropped (no-route)",
				i == 0 ? '4' : '6', strerror(-err));
		n->forwarding_told[i] = err < 0;
	}
}

/* ---- routes ---- */

static bool is_listed(const struct neigh *n, uint32_t ifindex)
{
	for (size_t i = 0; i < n->ifindex_count; i++) {
		if (n->ifindices[i] == ifindex)
			return true;
	}
	return false;
}

static void find_route(struct neigh *n, struct target *t)
{
	int err = neigh_wire_route(&n->wire, &t->addr, t->hops, BRANCHES_MAX, &t->hop_count);

	t->route = TARGET_RESOLVED;
	if (err < 0) {
		t->hop_count = 0;
		t->route = TARGET_NO_ROUTE;
	}
	for (size_t i = 0; i < t->hop_count; i++) {
		if (t->direct && addr_cmp(&t->hops[i].addr, &t->addr) != 0)
			t->route = TARGET_NOT_DIRECT;
		else if (!is_listed(n, t->hops[i].ifindex))
			t->route = TARGET_NOT_LISTED;
	}
	if (t->route != TARGET_RESOLVED)
		t->hop_count = 0; /* no packet will need them */
}

/* What is known of those that were there before; are they the same altogether? */
static bool take_over_hops(struct neigh *n, struct hop *hops, size_t count)
{
	size_t known = 0;

	for (size_t i = 0; i < count; i++) {
		const struct hop *before = find_hop(n, &hops[i].id);

		if (before != NULL) {
			hops[i] = *before;
			known++;
		}
	}
	return n->hops != NULL && known == count && count == n->hop_count;
}

/* The hops of all targets, each once. ret_same: they are those that there were. */
static int gather_hops(struct neigh *n, bool *ret_same)
{
	size_t all = 0, count = 0;
	struct hop *hops;

	for (size_t i = 0; i < n->target_count; i++)
		all += n->targets[i].hop_count;
	hops = calloc(all + 1, sizeof(*hops));
	if (hops == NULL)
		return -ENOMEM;
	all = 0;
	for (size_t i = 0; i < n->target_count; i++) {
		for (size_t j = 0; j < n->targets[i].hop_count; j++)
			hops[all++].id = n->targets[i].hops[j];
	}
	qsort(hops, all, sizeof(*hops), hop_cmp);
	for (size_t i = 0; i < all; i++) {
		if (count == 0 || hop_cmp(&hops[count - 1], &hops[i]) != 0)
			hops[count++] = hops[i];
	}
	*ret_same = take_over_hops(n, hops, count);
	free(n->hops);
	n->hops = hops;
	n->hop_count = count;
	return 0;
}

/* Routes anew, then neighbours that are new or missing, then what is left over. */
static int resolve(struct neigh *n)
{
	bool same;
	int err;

	(void)allow_lookups(n, AF_INET); /* neigh_tick() tells of a failure */
	(void)allow_lookups(n, AF_INET6);
	for (size_t i = 0; i < n->target_count; i++)
		find_route(n, &n->targets[i]);
	err = gather_hops(n, &same);
	if (err < 0)
		return err;
	n->routes_changed = false;
	for (size_t i = 0; i < n->hop_count; i++) {
		if (!n->hops[i].kept || n->hops[i].state == 0)
			keep_hop(n, &n->hops[i]);
	}
	if (!same)
		drop_unwanted(n);
	return 0;
}

/* ---- targets ---- */

static enum target_state target_state(const struct neigh *n, const struct target *t)
{
	for (size_t i = 0; t->route == TARGET_RESOLVED && i < t->hop_count; i++) {
		const struct hop *hop = find_hop(n, &t->hops[i]);

		if (hop == NULL || !(hop->state & NUD_USABLE))
			return TARGET_NO_NEIGHBOUR;
	}
	return t->route;
}

static void target_fill(struct target *t, const char *pool, const char *name,
			const struct shunt_backend *row)
{
	*t = (struct target){.direct = row->forward == SHUNT_FORWARD_L2};
	snprintf(t->pool, sizeof(t->pool), "%s", pool);
	snprintf(t->name, sizeof(t->name), "%s", name);
	desired_row_dst(row, &t->addr);
}

static int target_key_cmp(const char *pool, const char *name, const struct target *t)
{
	int cmp = strcmp(pool, t->pool);

	return cmp != 0 ? cmp : strcmp(name, t->name);
}

static int target_cmp(const void *a, const void *b)
{
	const struct target *x = a, *y = b;
	int cmp = target_key_cmp(x->pool, x->name, y);

	return cmp != 0 ? cmp : (int)x->lingering - (int)y->lingering;
}

static bool same_target(const struct target *a, const struct target *b)
{
	return target_key_cmp(a->pool, a->name, b) == 0 && addr_cmp(&a->addr, &b->addr) == 0 &&
	       a->direct == b->direct && a->lingering == b->lingering;
}

/* What was told of those that stay is not told again. */
static void carry_over(const struct neigh *n, struct target *fresh, size_t count)
{
	size_t j = 0;

	for (size_t i = 0; i < count; i++) {
		while (j < n->target_count &&
		       target_key_cmp(fresh[i].pool, fresh[i].name, &n->targets[j]) > 0)
			j++;
		if (j < n->target_count && same_target(&fresh[i], &n->targets[j])) {
			fresh[i].told = n->targets[j].told;
			fresh[i].waited = n->targets[j].waited;
		}
	}
}

static bool is_as_before(const struct neigh *n, const struct target *targets, size_t count)
{
	if (n->targets == NULL || count != n->target_count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!same_target(&targets[i], &n->targets[i]))
			return false;
	}
	return true;
}

static bool lingers(const struct table_backend *b)
{
	return table_backend_is_owned(b) && !b->wanted && b->row.id != 0 &&
	       b->row.next_hop == SHUNT_NEXT_HOP_FIB;
}

/* ret_targets: sorted. Their number; 0 also without memory, *ret_targets is NULL then. */
static size_t list_targets(const struct desired *want, const struct tables *t,
			   struct target **ret_targets)
{
	size_t room = want->backend_count, count = 0;
	struct target *targets;

	for (uint32_t i = 1; i < t->sizes.backends; i++)
		room += lingers(&t->backends[i]);
	targets = calloc(room + 1, sizeof(*targets));
	for (size_t i = 0; targets != NULL && i < want->backend_count; i++) {
		const struct desired_backend *b = &want->backends[i];

		if (b->row.next_hop == SHUNT_NEXT_HOP_FIB)
			target_fill(&targets[count++], b->pool, b->name, &b->row);
	}
	for (uint32_t i = 1; targets != NULL && i < t->sizes.backends; i++) {
		const struct table_backend *b = &t->backends[i];

		if (!lingers(b))
			continue;
		target_fill(&targets[count], b->meta.pool, b->meta.name, &b->row);
		targets[count++].lingering = true;
	}
	if (count > 0)
		qsort(targets, count, sizeof(*targets), target_cmp);
	*ret_targets = targets;
	return count;
}

int neigh_want(struct neigh *n, const struct desired *want, const struct tables *t)
{
	struct target *targets;
	size_t count = list_targets(want, t, &targets);

	if (targets == NULL)
		return -ENOMEM;
	if (is_as_before(n, targets, count)) {
		free(targets);
		return 0;
	}
	carry_over(n, targets, count);
	free(n->targets);
	n->targets = targets;
	n->target_count = count;
	n->routes_changed = true; /* until they have been looked at */
	return resolve(n);
}

static bool still_lingers(const struct target *target, const struct tables *t)
{
	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		const struct table_backend *b = &t->backends[i];
		struct addr addr;

		if (!lingers(b) || target_key_cmp(b->meta.pool, b->meta.name, target) != 0)
			continue;
		desired_row_dst(&b->row, &addr);
		if (addr_cmp(&addr, &target->addr) == 0)
			return true;
	}
	return false;
}

void neigh_forget(struct neigh *n, const struct tables *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->target_count; i++) {
		const struct target *target = &n->targets[i];

		if (!target->lingering || still_lingers(target, t))
			n->targets[kept++] = *target;
	}
	n->routes_changed = n->routes_changed || kept < n->target_count; /* neigh_tick() does it */
	n->target_count = kept;
}

int neigh_devices(struct neigh *n, const uint32_t *ifindices, size_t count)
{
	size_t size = count * sizeof(*ifindices);
	uint32_t *list;

	if (count == n->ifindex_count && (count == 0 || memcmp(n->ifindices, ifindices, size) == 0))
		return 0;
	list = malloc(size + 1);
	if (list == NULL)
		return -ENOMEM;
	if (count > 0)
		memcpy(list, ifindices, size);
	free(n->ifindices);
	n->ifindices = list;
	n->ifindex_count = count;
	n->routes_changed = true;
	return resolve(n);
}

/* ---- telling ---- */

static void tell(const struct target *t, enum target_state state, struct diag *d)
{
	char text[ADDR_STRLEN], via[ADDR_STRLEN], ifname[IF_NAMESIZE] = "?";
	const struct hop_id *hop = &t->hops[0];

	addr_format(&t->addr, text, sizeof(text));
	switch (state) {
	case TARGET_NO_ROUTE:
		diag_warning(d, NULL,
			     "backend %s/%s: there is no route to %s: its packets are dropped",
			     t->pool, t->name, text);
		break;
	case TARGET_NOT_DIRECT:
		diag_warning(d, NULL,
			     "backend %s/%s: forward: l2 needs %s in a network of this host, and "
			     "there is a router before it: its packets are dropped",
			     t->pool, t->name, text);
		break;
	case TARGET_NOT_LISTED:
		diag_warning(d, NULL,
			     "backend %s/%s: the route to %s leaves by an interface that "
			     "node.interfaces does not list: its packets are dropped",
			     t->pool, t->name, text);
		break;
	case TARGET_NO_NEIGHBOUR:
		(void)if_indextoname(hop->ifindex, ifname);
		diag_warning(d, NULL,
			     "backend %s/%s: the next hop %s on %s does not answer: packets are "
			     "dropped until it does",
			     t->pool, t->name, addr_format(&hop->addr, via, sizeof(via)), ifname);
		break;
	case TARGET_RESOLVED: break;
	}
}

static void watch(struct neigh *n, struct target *t, struct diag *d)
{
	enum target_state state = target_state(n, t);

	t->waited = state == TARGET_NO_NEIGHBOUR ? t->waited + 1 : 0;
	if (state == t->told || (state == TARGET_NO_NEIGHBOUR && t->waited < PATIENCE))
		return;
	t->told = state;
	tell(t, state, d);
}

/* Where the kernel does not do it by itself. */
static void probe(struct neigh *n)
{
	if (n->managed || n->ticks % PROBE_TICKS != 0)
		return;
	for (size_t i = 0; i < n->hop_count; i++)
		keep_hop(n, &n->hops[i]);
}

void neigh_tick(struct neigh *n, struct diag *d)
{
	n->ticks++;
	neigh_read(n);
	check_lookups(n, d);
	if (n->routes_changed && resolve(n) < 0)
		diag_warning(d, NULL, "no memory to follow the routes to backends");
	probe(n);
	for (size_t i = 0; i < n->target_count; i++)
		watch(n, &n->targets[i], d);
}

void neigh_read(struct neigh *n)
{
	bool routes = false;
	int err = neigh_wire_events(&n->wire, on_news, n, &routes);

	n->routes_changed = n->routes_changed || routes || err < 0;
	/* What was not heard of may have happened to any of them. */
	for (size_t i = 0; err < 0 && i < n->hop_count; i++)
		n->hops[i].kept = false;
}

const char *neigh_state(const struct neigh *n, const char *pool, const char *name)
{
	size_t low = 0, high = n->target_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (target_key_cmp(pool, name, &n->targets[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == n->target_count || target_key_cmp(pool, name, &n->targets[low]) != 0)
		return NULL;
	return state_words[target_state(n, &n->targets[low])];
}

int neigh_fd(const struct neigh *n)
{
	return neigh_wire_fd(&n->wire);
}

int neigh_open(struct neigh **ret_neigh)
{
	struct neigh *n = calloc(1, sizeof(*n));
	int err = n == NULL ? -ENOMEM : neigh_wire_open(&n->wire);

	if (err < 0) {
		free(n);
		return err;
	}
	n->managed = true;
	*ret_neigh = n;
	return 0;
}

void neigh_close(struct neigh *n)
{
	if (n == NULL)
		return;
	neigh_wire_close(&n->wire);
	free(n->targets);
	free(n->ifindices);
	free(n->hops);
	free(n);
}
