/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/l4.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "l4/vips.h"
#include "l4/adopt.h"
#include "l4/assign.h"
#include "l4/desired.h"
#include "l4/guard.h"
#include "l4/host.h"
#include "l4/moves.h"
#include "l4/nat.h"
#include "l4/neigh.h"
#include "l4/plan.h"
#include "l4/reconcile.h"
#include "l4/slots.h"
#include "l4/sweep.h"
#include "l4/sync.h"
#include "l4/tables.h"
#include "loader/maps.h"
#include "loader/maps_flows.h"

#define MS_PER_S  1000
#define NS_PER_MS 1000000ULL

/* A sweep takes at most a twentieth of the time, in slices that hold nobody up. */
#define SWEEP_SLICE_NS	(2 * NS_PER_MS)
#define SWEEP_PAUSE_MS	20
#define SWEEP_MOVING_MS (10 * MS_PER_S) /* between two, while slots are moving */
#define SWEEP_STILL_MS	(60 * MS_PER_S)
#define SWEEP_SHARE	20
#include "loader/maps_devices.h"

/* An interface that the configuration lists. */
struct followed {
	char name[IF_NAMESIZE];
	unsigned index;	 /* of the device that was attached to; 0: none yet */
	unsigned failed; /* of the device that was told of last, that it could not be */
};

/* What l4_check() has found out, for an l4_apply() of the same snapshot that comes next. */
struct prepared {
	struct snapshot *snap; /* a reference; NULL: nothing */
	struct desired want;
	struct plan plan;
	struct host host;
};

struct l4 {
	struct loader *loader;
	struct tables tables;
	struct sweep sweep;
	struct guard *guard;
	struct neigh *neigh;
	struct host host; /* as it was when it was last whole */
	bool host_known;
	bool in_step; /* the last l4_apply() went through */
	struct nat nat;
	struct followed *followed;
	size_t followed_count;
	struct prepared prepared;
	struct reconcile reconcile;
	uint64_t reconciled_ms; /* the last pass */
};

/* Whatever goes wrong, there is a sentence about it. */
static int finish(int err, size_t errors_before, const char *what, struct diag *d)
{
	if (err < 0 && d->errors == errors_before)
		diag_error(d, NULL, "cannot %s: %s", what, strerror(-err));
	return err;
}

static int open_loader(const struct node *node, struct loader **ret_loader, struct diag *d)
{
	struct loader_opts opts = {
		.pin_path = node->pin_path,
		.sizes =
			{
				.services = node->limits.services,
				.backends = node->limits.backends,
				.ring_slots = node->limits.ring_slots,
				.flows = node->limits.flows,
				.pending = node->limits.pending,
				.guard = node->limits.guard,
				.sources = node->limits.sources,
				.nat = node->limits.nat,
			},
		.hash_seed = {node->hash_seed[0], node->hash_seed[1]},
	};

	return loader_open(&opts, ret_loader, d);
}

int l4_open(const struct snapshot *snap, struct l4 **ret_l4, struct diag *d)
{
	struct l4 *l4 = calloc(1, sizeof(*l4));
	size_t errors = d->errors;
	struct host host;
	int err;

	if (l4 == NULL)
		return finish(-ENOMEM, errors, "open the kernel's tables", d);
	/* First, so that a misspelt interface leaves no tables behind. */
	err = host_read(&snap->node, &host, d);
	if (err == 0)
		err = open_loader(&snap->node, &l4->loader, d);
	if (err == 0)
		err = sync_read(l4->loader, &l4->tables, d);
	if (err == 0)
		err = sweep_init(&l4->sweep, l4->tables.sizes.services);
	if (err == 0)
		err = guard_open(l4->loader, &l4->tables, &l4->guard);
	if (err == 0)
		err = neigh_open(&l4->neigh);
	if (err < 0) {
		l4_close(l4);
		return finish(err, errors, "open the kernel's tables", d);
	}
	adopt_health(&l4->tables, snap);
	*ret_l4 = l4;
	return 0;
}

static void drop_prepared(struct l4 *l4)
{
	struct prepared *p = &l4->prepared;

	if (p->snap == NULL)
		return;
	plan_deinit(&p->plan);
	desired_deinit(&p->want);
	snapshot_unref(p->snap);
	*p = (struct prepared){0};
}

void l4_close(struct l4 *l4)
{
	if (l4 == NULL)
		return;
	drop_prepared(l4);
	sweep_deinit(&l4->sweep);
	guard_close(l4->guard);
	nat_deinit(&l4->nat);
	tables_deinit(&l4->tables);
	neigh_close(l4->neigh);
	loader_close(l4->loader);
	free(l4->followed);
	free(l4);
}

static bool interfaces_are_followed(const struct l4 *l4, const struct node *node)
{
	if (!l4->host_known || node->interface_count != l4->followed_count)
		return false;
	for (size_t i = 0; i < node->interface_count; i++) {
		if (strcmp(node->interfaces[i], l4->followed[i].name) != 0)
			return false;
	}
	return true;
}

/* An interface in use, or its address, that is away now is taken as it was: a backend that dies must
 * leave its rings, and commands must be obeyed, meanwhile. */
static int read_host(struct l4 *l4, const struct node *node, struct host *ret_host, struct diag *d)
{
	struct host host;
	struct diag missing;

	if (!interfaces_are_followed(l4, node))
		return host_read(node, ret_host, d);
	diag_init(&missing);
	if (host_read(node, &host, &missing) < 0) {
		host = l4->host;
		host.interface = node->interfaces[0];
	}
	for (size_t i = 0; i < missing.count; i++)
		diag_warning(d, NULL, "%s: tunnels stay as they were", missing.items[i].text);
	diag_deinit(&missing);
	for (int i = 0; i < 2; i++) {
		if (host.source[i].family == 0)
			host.source[i] = l4->host.source[i];
		if (host.own[i].family == 0)
			host.own[i] = l4->host.own[i];
	}
	*ret_host = host;
	return 0;
}

/* What is wanted, and the writes that lead there. */
static int make_plan(struct l4 *l4, const struct snapshot *snap, const struct host *host,
		     struct desired *ret_want, struct plan *ret_plan, struct diag *d)
{
	struct host here = *host;
	struct desired want;
	int err;

	here.processors = maps_processors();
	err = desired_build(snap, &here, &want, d);
	if (err < 0)
		return err;
	err = adopt_rings(&l4->tables, maps_rings(l4->loader), &want, d);
	if (err == 0)
		err = plan_build(&l4->tables, &want, ret_plan, d);
	if (err < 0) {
		desired_deinit(&want);
		return err;
	}
	*ret_want = want;
	return 0;
}

int l4_check(struct l4 *l4, struct snapshot *snap, struct diag *d)
{
	struct desired want;
	struct plan plan;
	struct host host;
	size_t errors = d->errors;
	int err = read_host(l4, &snap->node, &host, d);

	if (err == 0)
		err = desired_check_sources(snap, &host, d);
	if (err == 0)
		err = guard_check(l4->guard, snap, d);
	if (err == 0)
		err = make_plan(l4, snap, &host, &want, &plan, d);
	if (err < 0)
		return finish(err, errors, "plan the kernel's tables", d);
	moves_warn(&l4->tables, &want, &plan.assigned, d);
	drop_prepared(l4);
	l4->prepared = (struct prepared){snapshot_ref(snap), want, plan, host};
	return 0;
}

/* As make_plan(), where l4_check() has not done it. */
static int take_plan(struct l4 *l4, const struct snapshot *snap, struct host *ret_host,
		     struct desired *ret_want, struct plan *ret_plan, struct diag *d)
{
	struct prepared *p = &l4->prepared;
	int err;

	if (p->snap == snap) {
		*ret_host = p->host;
		*ret_want = p->want;
		*ret_plan = p->plan;
		snapshot_unref(p->snap);
		*p = (struct prepared){0};
		return 0;
	}
	drop_prepared(l4);
	err = read_host(l4, &snap->node, ret_host, d);
	return err < 0 ? err : make_plan(l4, snap, ret_host, ret_want, ret_plan, d);
}

/* Which rows the configuration names now, and how long the flows of each may rest once it does not
 * any more. */
static void mark_wanted(struct tables *t, const struct desired *want,
			const struct assignment *assigned)
{
	uint64_t now = clock_now_ms();

	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		if (t->backends[i].wanted)
			t->backends[i].quiet_since_ms = now;
		t->backends[i].wanted = false;
	}
	for (size_t i = 0; i < want->backend_count; i++) {
		struct table_backend *b = &t->backends[assigned->backends[i].index];

		b->wanted = true;
		b->linger_s = want->backends[i].linger_s;
	}
}

_Static_assert((int)FRAGMENTS_FOLLOW == (int)SHUNT_FRAGMENTS_FOLLOW &&
		       (int)FRAGMENTS_DROP == (int)SHUNT_FRAGMENTS_DROP &&
		       (int)FRAGMENTS_PASS == (int)SHUNT_FRAGMENTS_PASS,
	       "one order of policies");

/* A byte or a word at a time: whoever reads one has the old value or the new. */
static void write_switches(struct shunt_switches *on, const struct node *node)
{
	on->fragments = node->fragments;
	on->echo = node->echo == ECHO_ON;
	on->icmp_rate = node->icmp_rate;
}

int l4_apply(struct l4 *l4, const struct snapshot *snap, struct l4_report *ret_report,
	     struct diag *d)
{
	struct l4_report report = {0};
	struct desired want;
	struct plan plan;
	struct host host;
	size_t errors = d->errors;
	bool was_in_step;
	int err = take_plan(l4, snap, &host, &want, &plan, d);

	if (err < 0)
		return finish(err, errors, "plan the kernel's tables", d);
	host.interface = NULL; /* the snapshot's */
	l4->host = host;
	l4->host_known = true;
	was_in_step = l4->in_step;
	l4->in_step = false;
	write_switches(maps_switches(l4->loader), &snap->node);
	nat_prepare(&l4->nat, l4->loader, &l4->tables, &want);
	mark_wanted(&l4->tables, &want, &plan.assigned);
	err = guard_apply_limits(l4->guard, &want, &plan, d);
	if (err == 0)
		err = guard_apply_lists(l4->guard, snap, d);
	if (err == 0)
		err = neigh_want(l4->neigh, &want, &l4->tables); /* before a packet needs them */
	if (err == 0)
		err = sync_run(l4->loader, &l4->tables, &plan, &report, d);
	/* They follow from the keys, which stand as they did. */
	if (err == 0 && (!was_in_step || report.services_set > 0 || report.services_deleted > 0))
		err = vips_sync(l4->loader, &l4->tables, &report.addresses_written, d);
	l4->in_step = err == 0;
	plan_deinit(&plan);
	desired_deinit(&want);
	*ret_report = report;
	return finish(err, errors, "write the kernel's tables", d);
}

static bool node_lists(const struct node *node, const char *ifname)
{
	for (size_t i = 0; i < node->interface_count; i++) {
		if (strcmp(node->interfaces[i], ifname) == 0)
			return true;
	}
	return false;
}

static int detach_unlisted(struct l4 *l4, const struct node *node, struct diag *d)
{
	struct attachment *list;
	size_t count;
	int err = loader_attachments(l4->loader, &list, &count);

	if (err < 0) {
		diag_error(d, NULL, "cannot list where the program is attached: %s",
			   strerror(-err));
		return err;
	}
	for (size_t i = 0; i < count; i++) {
		int one;

		if (node_lists(node, list[i].ifname))
			continue;
		one = loader_detach(l4->loader, list[i].ifname, d);
		if (one < 0 && err == 0)
			err = one;
	}
	free(list);
	return err;
}

static enum attach_mode node_mode(const struct node *node)
{
	return node->xdp_mode == XDP_MODE_GENERIC ? ATTACH_GENERIC : ATTACH_NATIVE;
}

static int attach_one(struct l4 *l4, const struct node *node, struct followed *f, struct diag *d)
{
	unsigned index = if_nametoindex(f->name);
	int err = loader_attach(l4->loader, f->name, node_mode(node), d);

	if (err == 0)
		f->index = index;
	else
		f->failed = index;
	return err;
}

static int list_followed(struct l4 *l4, const struct node *node)
{
	struct followed *list = calloc(node->interface_count + 1, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < node->interface_count; i++)
		snprintf(list[i].name, sizeof(list[i].name), "%s", node->interfaces[i]);
	free(l4->followed);
	l4->followed = list;
	l4->followed_count = node->interface_count;
	return 0;
}

/* Packets may leave by the interfaces that they come in by. */
static int list_devices(struct l4 *l4, struct diag *d)
{
	uint32_t *list = calloc(l4->followed_count + 1, sizeof(*list));
	size_t count = 0;
	int err = list == NULL ? -ENOMEM : 0;

	for (size_t i = 0; err == 0 && i < l4->followed_count; i++) {
		const struct followed *f = &l4->followed[i];

		if (f->index != 0 && if_nametoindex(f->name) == f->index)
			list[count++] = f->index;
	}
	if (err == 0)
		err = maps_devices_write(l4->loader, list, count);
	if (err == 0)
		err = neigh_devices(l4->neigh, list, count);
	free(list);
	if (err < 0)
		diag_error(d, NULL, "cannot list the interfaces that packets may leave by: %s",
			   strerror(-err));
	return err;
}

unsigned l4_follow_interfaces(struct l4 *l4, const struct snapshot *snap, struct diag *d)
{
	unsigned attached = 0;

	for (size_t i = 0; i < l4->followed_count; i++) {
		struct followed *f = &l4->followed[i];
		unsigned index = if_nametoindex(f->name), told = f->failed;
		struct diag again;

		if (index == 0 || index == f->index)
			continue;
		diag_init(&again);
		attached += attach_one(l4, &snap->node, f, index == told ? &again : d) == 0;
		diag_deinit(&again);
	}
	if (attached > 0)
		(void)list_devices(l4, d); /* has said why */
	neigh_tick(l4->neigh, d);
	return attached;
}

int l4_attach(struct l4 *l4, const struct snapshot *snap, struct diag *d)
{
	const struct node *node = &snap->node;
	int err = list_followed(l4, node), one;

	if (err < 0) {
		diag_error(d, NULL, "cannot follow the interfaces: %s", strerror(-err));
		return err;
	}
	for (size_t i = 0; i < node->interface_count; i++) {
		one = attach_one(l4, node, &l4->followed[i], d);
		if (one < 0 && err == 0)
			err = one;
	}
	one = detach_unlisted(l4, node, d);
	if (err == 0)
		err = one;
	one = list_devices(l4, d);
	return err < 0 ? err : one;
}

/* Has no packet gone to it for so long that all its flow entries are void? One that is down has
 * none that count. */
static bool backend_is_spent(struct l4 *l4, uint32_t index, uint64_t now)
{
	struct table_backend *b = &l4->tables.backends[index];
	struct shunt_be_stats stats;

	if (!table_backend_is_owned(b) || b->row.state == SHUNT_BACKEND_DOWN)
		return true;
	if (maps_backend_stats(l4->loader, index, &stats) < 0)
		return false;
	if (b->quiet_since_ms == 0 || stats.packets != b->packets) {
		b->packets = stats.packets;
		b->quiet_since_ms = now;
	}
	return now - b->quiet_since_ms >= (uint64_t)b->linger_s * 1000 &&
	       !nat_has_flows(&l4->nat, &l4->tables, index);
}

unsigned l4_tick(struct l4 *l4)
{
	struct tables *t = &l4->tables;
	uint32_t *spent = calloc(t->sizes.backends, sizeof(*spent));
	uint64_t now = clock_now_ms();
	unsigned lingering = 0, freed = 0;
	int err;

	drop_prepared(l4); /* the tables may become other ones */
	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		if (t->backends[i].row.id == 0 || t->backends[i].wanted)
			continue;
		lingering++;
		/* Until the tables are in step, a ring may still name it. */
		if (spent != NULL && l4->in_step && backend_is_spent(l4, i, now))
			spent[freed++] = i;
	}
	err = sync_free_backends(l4->loader, t, spent, freed);
	if (err < 0)
		log_debug("l4: cannot free rows of removed backends, will try again error=\"%s\"",
			  strerror(-err));
	free(spent);
	if (freed > 0)
		neigh_forget(l4->neigh, t);
	return err < 0 ? lingering : lingering - freed;
}

static bool something_moves(const struct tables *t)
{
	for (uint32_t i = 0; i < t->sizes.services; i++) {
		if (t->services[i].moving > 0)
			return true;
	}
	return false;
}

/* Milliseconds until a sweep is due. */
static uint64_t sweep_due_ms(const struct l4 *l4)
{
	uint64_t every = something_moves(&l4->tables) ? SWEEP_MOVING_MS : SWEEP_STILL_MS;
	uint64_t rest = l4->sweep.last_busy_ns / NS_PER_MS * SWEEP_SHARE;
	uint64_t past = clock_now_ms() - l4->sweep.ended_ms;

	if (l4->sweep.ended_ms == 0)
		return 0;
	every = rest > every ? rest : every;
	return past < every ? every - past : 0;
}

unsigned l4_sweep(struct l4 *l4)
{
	uint64_t due_ms = sweep_due_ms(l4);
	int err = 0;

	drop_prepared(l4); /* the tables may become other ones */
	if (l4->sweep.phase == SWEEP_IDLE) {
		/* Looked at often enough that a change is noticed. */
		if (due_ms > 0 || !l4->in_step)
			return due_ms > 0 && due_ms < MS_PER_S ? (unsigned)due_ms : MS_PER_S;
		err = sweep_begin(&l4->sweep, l4->loader, &l4->tables);
	}
	if (err < 0)
		log_debug("l4: cannot look for slots to settle, will try again error=\"%s\"",
			  strerror(-err));
	if (err < 0 ||
	    sweep_step(&l4->sweep, l4->loader, &l4->tables, clock_coarse_ns(), SWEEP_SLICE_NS))
		return MS_PER_S;
	return SWEEP_PAUSE_MS;
}

static void count_moves(struct l4 *l4, uint32_t row, struct l4_moves *moves)
{
	const struct shunt_ring *ring = &l4->tables.services[row].ring;
	const struct shunt_slot *slots = maps_rings(l4->loader) + ring->base;
	const struct shunt_stamp *stamps = maps_stamps(l4->loader) + ring->base;
	uint32_t now = SHUNT_TICKS(clock_coarse_ns());

	for (uint32_t i = 0; i < ring->size; i++) {
		int64_t age_ms = ticks_age_ms(stamps[i].since_ticks, now);

		if (slots[i].old == 0)
			continue;
		moves->moving++;
		if (stamps[i].since_ticks != 0 && age_ms / MS_PER_S > (int64_t)moves->oldest_s)
			moves->oldest_s = (uint64_t)age_ms / MS_PER_S;
	}
	moves->settled = ring->size - moves->moving;
}

int l4_service_moves(struct l4 *l4, const char *service, struct l4_moves *ret_moves)
{
	const struct tables *t = &l4->tables;
	const struct sweep *sweep = &l4->sweep;

	for (uint32_t i = 0; i < t->sizes.services; i++) {
		struct l4_moves moves = {.counted = sweep->ended_ms != 0};

		if (service[0] == '\0' || strcmp(t->services[i].meta.name, service) != 0)
			continue;
		if (t->services[i].members != NULL)
			count_moves(l4, i, &moves);
		if (moves.counted) {
			moves.entries = sweep->rows[i].entries;
			moves.counted_s = (clock_now_ms() - sweep->ended_ms) / MS_PER_S;
		}
		*ret_moves = moves;
		return 0;
	}
	return -ENOENT;
}

void l4_nat_tick(struct l4 *l4, struct diag *d)
{
	/* Until the tables are in step, a packet can be of a service that is not known here. */
	if (l4->in_step)
		nat_tick(&l4->nat, l4->loader, &l4->tables, d);
}

const struct nat_use *l4_nat_use(const struct l4 *l4)
{
	return l4->nat.sweep.known ? &l4->nat.sweep.use : NULL;
}

int l4_nat_share(const struct l4 *l4, const char *service, struct shunt_nat_share *ret_share,
		 struct shunt_nat_share *ret_common)
{
	const struct shunt_nat_share *shares = maps_nat_shares(l4->loader);
	const struct tables *t = &l4->tables;

	for (uint32_t i = 0; i < t->sizes.services; i++) {
		if (service[0] == '\0' || strcmp(t->services[i].meta.name, service) != 0)
			continue;
		*ret_share = shares[i];
		*ret_common = shares[SHUNT_NAT_COMMON];
		return 0;
	}
	return -ENOENT;
}

void l4_nat_ports(const struct l4 *l4, const struct pool *pool, const struct backend *backend,
		  struct l4_nat_ports *ret_ports)
{
	const struct tables *t = &l4->tables;
	const struct nat_use *use = l4_nat_use(l4);

	*ret_ports = (struct l4_nat_ports){0};
	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		const struct table_backend *b = &t->backends[i];

		if (!b->wanted || strcmp(b->meta.pool, pool->name) != 0 ||
		    strcmp(b->meta.name, backend->name) != 0)
			continue;
		ret_ports->all = (ntohl(b->row.src_entropy) + 1) * b->row.nat_port_count;
		if (b->row.forward != SHUNT_FORWARD_NAT)
			ret_ports->all = 0;
		if (use != NULL && i < use->rows)
			memcpy(ret_ports->taken, use->ports[i], sizeof(ret_ports->taken));
		return;
	}
}

int l4_service_stats(struct l4 *l4, const char *service, struct shunt_svc_stats *ret_stats)
{
	const struct tables *t = &l4->tables;

	for (uint32_t i = 0; i < t->sizes.services; i++) {
		if (service[0] != '\0' && strcmp(t->services[i].meta.name, service) == 0)
			return maps_service_stats(l4->loader, i, ret_stats);
	}
	return -ENOENT;
}

/* Where in the pool the backend stands that a row belongs to; backend_count: not in this pool. */
static size_t place_of(const struct pool *pool, const struct table_backend *row)
{
	const struct backend *b = NULL;

	if (table_backend_is_owned(row) && strcmp(row->meta.pool, pool->name) == 0)
		b = pool_backend(pool, row->meta.name);
	return b != NULL ? (size_t)(b - pool->backends) : pool->backend_count;
}

/* A removed backend may linger beside one of the same name and another address: the one that the
 * configuration names is meant. */
int l4_pool_stats(struct l4 *l4, const struct pool *pool, struct shunt_be_stats *ret_stats)
{
	const struct tables *t = &l4->tables;
	uint32_t *rows = calloc(pool->backend_count + 1, sizeof(*rows));

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		size_t place = place_of(pool, &t->backends[i]);

		if (rows[place] == 0 || t->backends[i].wanted)
			rows[place] = i;
	}
	for (size_t i = 0; i < pool->backend_count; i++) {
		if (rows[i] == 0 || maps_backend_stats(l4->loader, rows[i], &ret_stats[i]) < 0)
			ret_stats[i] = (struct shunt_be_stats){0};
	}
	free(rows);
	return 0;
}

static void read_slots(const struct tables *t, const struct table_service *s,
		       const struct pool *pool, uint32_t *ret_slots)
{
	for (size_t i = 0; i < s->member_count; i++) {
		const struct table_member *m = &s->members[i];
		uint32_t index = SHUNT_ID_INDEX(m->id);
		size_t place;

		if (index >= t->sizes.backends || t->backends[index].row.id != m->id)
			continue;
		place = place_of(pool, &t->backends[index]);
		if (place < pool->backend_count)
			ret_slots[place] = m->slots;
	}
}

void l4_ring_slots(struct l4 *l4, const char *ring, const struct pool *pool, uint32_t *ret_slots)
{
	const struct tables *t = &l4->tables;

	memset(ret_slots, 0, pool->backend_count * sizeof(*ret_slots));
	for (uint32_t i = 0; i < t->sizes.services; i++) {
		if (strcmp(t->services[i].meta.name, ring) == 0)
			read_slots(t, &t->services[i], pool, ret_slots);
	}
}

struct guard *l4_guard(struct l4 *l4)
{
	return l4->guard;
}

int l4_events_fd(const struct l4 *l4)
{
	return neigh_fd(l4->neigh);
}

void l4_read_events(struct l4 *l4)
{
	neigh_read(l4->neigh);
}

const char *l4_next_hop(const struct l4 *l4, const struct backend *b)
{
	if (!forward_is_kernel(b->forward) || b->forward == FORWARD_LOCAL)
		return NULL;
	return backend_is_routed(b) ? neigh_state(l4->neigh, b->pool->name, b->name) : "reflect";
}

void l4_reconcile(struct l4 *l4, unsigned every_ms, struct diag *d)
{
	uint64_t now = clock_now_ms();

	if (every_ms == 0 || !l4->in_step || now - l4->reconciled_ms < every_ms)
		return;
	l4->reconciled_ms = now;
	(void)reconcile_run(&l4->reconcile, l4->loader, &l4->tables, d); /* has said why */
}

const struct reconcile *l4_reconciled(const struct l4 *l4)
{
	return &l4->reconcile;
}

struct loader *l4_loader(struct l4 *l4)
{
	return l4->loader;
}
