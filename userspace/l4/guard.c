/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "l4/assign.h"
#include "l4/plan.h"
#include "loader/maps.h"
#include "loader/maps_guard.h"

#define NS_PER_MS 1000000ULL

/* Entries that have ended are looked for no more often than this: it walks the lists. */
#define WALK_NS 1000000000ULL

/* So long at a time, which no request notices. A list of 65536 takes some hundred milliseconds. */
#define SLICE_NS 5000000ULL

/* A walk that removes what has ended. */
struct ending {
	uint8_t family; /* whose list: 4 or 6; 0: none is under way */
	struct maps_guard_walk walk;
	/* Of the piece before, not looked at yet: the next piece begins behind it. */
	struct maps_guard_row last;
	bool has_last;
};

struct guard {
	struct loader *loader;
	const struct tables *tables;
	struct maps_events *events;
	size_t entries[2]; /* by family: IPv4, IPv6 */
	size_t of_node[2]; /* of them, those of the node: while there are any, packets are held
			    * against the list */
	size_t of_config[2], of_program[2];
	uint32_t last_scope;  /* the largest that was given */
	uint64_t next_end_ns; /* no entry ends before; 0: none ends at all */
	uint64_t walked_ns;
	uint64_t lists; /* digest of the lists in force; 0: not known */
	struct guard_counters counters;
	guard_report_cb report;
	void *report_ctx;
	struct ending ending;
};

static size_t slot_of(uint8_t family)
{
	return family == 4 ? 0 : 1;
}

static struct maps_guard_row row_of(const struct addr *addr, unsigned len, uint32_t scope)
{
	struct maps_guard_row row = {
		.family = addr->family == AF_INET ? 4 : 6,
		.scope = scope,
		.entry = {.prefix_len = (uint8_t)len},
	};

	memcpy(row.addr, addr->bytes, row.family == 4 ? 4 : 16);
	return row;
}

static struct addr addr_of(const struct maps_guard_row *row)
{
	struct addr addr = {.family = row->family == 4 ? AF_INET : AF_INET6};

	memcpy(addr.bytes, row->addr, row->family == 4 ? 4 : 16);
	return addr;
}

static void note_set(struct shunt_guard_entry *e, const char *note)
{
	size_t len = note != NULL ? strnlen(note, sizeof(e->note) - 1) : 0;

	memset(e->note, 0, sizeof(e->note));
	if (len > 0)
		memcpy(e->note, note, len);
}

/* The service whose entries are of a scope; NULL: it is gone. */
static const char *service_of(const struct guard *g, uint32_t scope)
{
	for (uint32_t i = 0; i < g->tables->sizes.services; i++) {
		const char *name = g->tables->services[i].meta.name;
		struct shunt_svc_guard limits;

		if (name[0] != '\0' && maps_svc_guard_get(g->loader, i, &limits) == 0 &&
		    limits.scope == scope)
			return name;
	}
	return NULL;
}

/* 0: it has none. */
static uint32_t scope_of(const struct guard *g, const char *service)
{
	for (uint32_t i = 0; i < g->tables->sizes.services; i++) {
		struct shunt_svc_guard limits;

		if (strcmp(g->tables->services[i].meta.name, service) == 0 &&
		    maps_svc_guard_get(g->loader, i, &limits) == 0)
			return limits.scope;
	}
	return 0;
}

/* ---- counting, and the switch that goes with it ---- */

static void count(struct guard *g, const struct maps_guard_row *row, int by)
{
	size_t slot = slot_of(row->family);

	g->entries[slot] += (size_t)by;
	if (row->scope == SHUNT_SCOPE_NODE)
		g->of_node[slot] += (size_t)by;
	if (row->entry.origin == SHUNT_ORIGIN_CONFIG)
		g->of_config[slot] += (size_t)by;
	if (row->entry.origin == SHUNT_ORIGIN_AUTOMATIC)
		g->of_program[slot] += (size_t)by;
}

static void set_switches(struct guard *g, const struct maps_guard_row *coming)
{
	struct shunt_switches *on = maps_switches(g->loader);
	bool comes = coming != NULL && coming->scope == SHUNT_SCOPE_NODE;

	on->guard4 = g->of_node[0] > 0 || (comes && coming->family == 4);
	on->guard6 = g->of_node[1] > 0 || (comes && coming->family == 6);
}

/* Write an entry, whatever stood there. */
static int put(struct guard *g, const struct maps_guard_row *row)
{
	struct maps_guard_row old = *row;
	bool replaces = maps_guard_get(g->loader, &old) == 0;
	int err;

	set_switches(g, row);
	err = maps_guard_set(g->loader, row);
	if (err == 0 && replaces)
		count(g, &old, -1);
	if (err == 0)
		count(g, row, 1);
	set_switches(g, NULL);
	if (err == 0 && row->entry.expires_ns != 0 &&
	    (g->next_end_ns == 0 || row->entry.expires_ns < g->next_end_ns))
		g->next_end_ns = row->entry.expires_ns;
	return err;
}

/* Remove an entry as it stands there; with one that the program has made, the block itself. */
static int drop(struct guard *g, const struct maps_guard_row *row)
{
	int err = maps_guard_delete(g->loader, row);

	if (err == 0)
		count(g, row, -1);
	set_switches(g, NULL);
	if (err == 0 && row->scope != SHUNT_SCOPE_NODE) {
		struct shunt_source_key key = {.scope = row->scope, .family = row->family};

		memcpy(key.addr, row->addr, sizeof(key.addr));
		err = maps_source_delete(g->loader, &key);
	}
	return err;
}

/* fn for every entry; it may remove the one that it is given. */
static int each_row(const struct guard *g, int (*fn)(void *ctx, struct maps_guard_row *row),
		    void *ctx)
{
	int err = 0;

	for (uint8_t family = 4; family <= 6 && err == 0; family += 2) {
		struct maps_guard_row *rows = NULL;
		size_t n = 0;

		err = maps_guard_list(g->loader, family, &rows, &n);
		for (size_t i = 0; i < n && err == 0; i++)
			err = fn(ctx, &rows[i]);
		free(rows);
	}
	return err;
}

/* ---- open, close ---- */

static int count_row(void *ctx, struct maps_guard_row *row)
{
	struct guard *g = ctx;

	count(g, row, 1);
	if (row->entry.expires_ns != 0 &&
	    (g->next_end_ns == 0 || row->entry.expires_ns < g->next_end_ns))
		g->next_end_ns = row->entry.expires_ns;
	return 0;
}

static int read_scopes(struct guard *g)
{
	for (uint32_t i = 0; i < g->tables->sizes.services; i++) {
		struct shunt_svc_guard limits;
		int err = maps_svc_guard_get(g->loader, i, &limits);

		if (err < 0)
			return err;
		if (limits.scope > g->last_scope)
			g->last_scope = limits.scope;
	}
	return 0;
}

static void on_event(void *ctx, const struct shunt_guard_event *event);

int guard_open(struct loader *loader, const struct tables *tables, struct guard **ret_guard)
{
	struct guard *g = calloc(1, sizeof(*g));
	int err;

	if (g == NULL)
		return -ENOMEM;
	g->loader = loader;
	g->tables = tables;
	err = each_row(g, count_row, g);
	if (err == 0)
		err = read_scopes(g);
	if (err == 0)
		err = maps_events_open(loader, on_event, g, &g->events);
	if (err < 0) {
		guard_close(g);
		return err;
	}
	set_switches(g, NULL);
	*ret_guard = g;
	return 0;
}

void guard_close(struct guard *g)
{
	if (g == NULL)
		return;
	maps_events_close(g->events);
	free(g);
}

/* ---- limits ---- */

/* scope: that the service has; 0: it gets one that no other one ever had. */
static int apply_limits(struct guard *g, const struct desired_service *s, uint32_t index,
			uint32_t scope)
{
	struct shunt_svc_guard row = s->guard, old;
	int err = maps_svc_guard_get(g->loader, index, &old);

	if (err < 0)
		return err;
	row.scope = scope != 0 ? scope : ++g->last_scope;
	if (memcmp(&row, &old, sizeof(row)) == 0)
		return 0;
	err = maps_svc_guard_set(g->loader, index, &row);
	/* Time that was taken under other limits would be waited for. */
	if (err == 0 &&
	    (row.scope != old.scope || row.flow_ns != old.flow_ns || row.burst_ns != old.burst_ns))
		err = maps_svc_flood_clear(g->loader, index);
	return err;
}

/* The row that the plan gives to a service which has none, or is to leave its own; NULL: neither. */
static const uint32_t *find_claim(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_op *op = &plan->ops[i];

		if (op->kind == PLAN_SERVICE_CLAIM && strcmp(op->svc_meta.name, name) == 0)
			return &op->index;
	}
	return NULL;
}

/* A service takes its scope, and so its blocks, along to another row. One that had none does not get
 * that of the row's former owner, also if it has limits only later. */
static int place_limits(struct guard *g, const struct desired_service *s,
			const struct assigned_service *former, const struct plan *plan)
{
	const uint32_t *claim = find_claim(plan, s->name);
	struct shunt_svc_guard had = {0};
	int err = 0;

	if (s->record.guard == 0 && claim == NULL)
		return 0;
	if (!former->claimed)
		err = maps_svc_guard_get(g->loader, former->index, &had);
	if (err < 0)
		return err;
	return apply_limits(g, s, claim != NULL ? *claim : former->index, had.scope);
}

int guard_apply_limits(struct guard *g, const struct desired *want, const struct plan *plan,
		       struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < want->service_count && err == 0; i++)
		err = place_limits(g, &want->services[i], &plan->assigned.services[i], plan);
	if (err < 0)
		diag_error(d, NULL, "cannot write " SHUNT_MAP_SVC_GUARD ": %s", strerror(-err));
	return err;
}

/* ---- lists of the configuration ---- */

static uint64_t mix(uint64_t h, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ULL;
	return h;
}

/* Tells one configuration's lists from another's. Health changes apply the same ones again and
 * again: to walk lists of many entries each time would be felt. */
static uint64_t digest(const struct guard_conf *conf)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < conf->count; i++) {
		const struct guard_prefix *p = &conf->entries[i];

		h = mix(h, &p->addr, sizeof(p->addr));
		h = mix(h, &p->len, sizeof(p->len));
		h = mix(h, &p->allow, sizeof(p->allow));
		if (p->note != NULL)
			h = mix(h, p->note, strlen(p->note));
	}
	return h != 0 ? h : 1;
}

static size_t count_family(const struct guard_conf *conf, int family)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->count; i++)
		n += conf->entries[i].addr.family == family;
	return n;
}

/* The value of net.ipv4.tcp_syncookies, in the network namespace of this process; -1: not known. */
static int read_syncookies(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_syncookies", "re");
	int c = f != NULL ? fgetc(f) : EOF;

	if (f != NULL)
		fclose(f);
	return c >= '0' && c <= '9' ? c - '0' : -1;
}

/* The kernel makes no cookies for us unless it would make them by itself. */
static void check_syncookies(const struct snapshot *snap, struct diag *d)
{
	const struct service *user = NULL;
	int value;

	for (size_t i = 0; i < snap->service_count && user == NULL; i++) {
		if ((guard_flags(&snap->services[i]) & SHUNT_GUARDS_COOKIES) != 0)
			user = &snap->services[i];
	}
	if (user == NULL)
		return;
	value = read_syncookies();
	if (value == 1)
		diag_warning(d, NULL,
			     "service %s: guard.syn_cookies takes effect once the listener's queue "
			     "is full: sysctl net.ipv4.tcp_syncookies is 1, set it to 2",
			     user->name);
	else if (value != 2)
		diag_warning(d, NULL,
			     "service %s: guard.syn_cookies has no effect: sysctl "
			     "net.ipv4.tcp_syncookies is not 2",
			     user->name);
}

int guard_check(const struct guard *g, const struct snapshot *snap, struct diag *d)
{
	static const int families[2] = {AF_INET, AF_INET6};

	check_syncookies(snap, d);
	for (size_t slot = 0; slot < 2; slot++) {
		size_t others = g->entries[slot] - g->of_config[slot];
		size_t n = count_family(&snap->guard, families[slot]);

		if (n + others <= g->tables->sizes.guard)
			continue;
		diag_error(d, NULL,
			   "guard has %zu IPv%d prefixes, beside %zu entries of commands and the "
			   "program, and the list holds %u: raise node.limits.guard",
			   n, slot == 0 ? 4 : 6, others, g->tables->sizes.guard);
		return -ENOSPC;
	}
	return 0;
}

/* The configuration's entry for a prefix; NULL: none. */
static const struct guard_prefix *find_wanted(const struct guard_conf *conf,
					      const struct maps_guard_row *row)
{
	struct guard_prefix key = {.addr = addr_of(row), .len = row->entry.prefix_len};
	size_t low = 0, high = conf->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (guard_prefix_cmp(&conf->entries[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == conf->count || conf->entries[low].len != key.len ||
	    addr_cmp(&conf->entries[low].addr, &key.addr) != 0)
		return NULL;
	return &conf->entries[low];
}

struct lists_job {
	struct guard *g;
	const struct guard_conf *conf;
};

static int drop_unwanted(void *ctx, struct maps_guard_row *row)
{
	struct lists_job *job = ctx;

	if (row->entry.origin != SHUNT_ORIGIN_CONFIG || find_wanted(job->conf, row) != NULL)
		return 0;
	return drop(job->g, row);
}

static int put_wanted(struct guard *g, const struct guard_prefix *p)
{
	struct maps_guard_row row = row_of(&p->addr, p->len, SHUNT_SCOPE_NODE), old = row;

	row.entry.origin = SHUNT_ORIGIN_CONFIG;
	row.entry.reason = SHUNT_REASON_LISTED;
	row.entry.action = p->allow ? SHUNT_GUARD_ALLOW : SHUNT_GUARD_BLOCK;
	note_set(&row.entry, p->note);
	if (maps_guard_get(g->loader, &old) == 0 &&
	    memcmp(&old.entry, &row.entry, sizeof(row.entry)) == 0)
		return 0;
	return put(g, &row);
}

/* New entries before old ones go: who moves from one prefix to another is never without. */
int guard_apply_lists(struct guard *g, const struct snapshot *snap, struct diag *d)
{
	struct lists_job job = {.g = g, .conf = &snap->guard};
	uint64_t lists = digest(&snap->guard);
	int err = 0;

	if (lists == g->lists)
		return 0;
	g->lists = 0;
	for (size_t i = 0; i < snap->guard.count && err == 0; i++)
		err = put_wanted(g, &snap->guard.entries[i]);
	if (err == -ENOSPC) {
		/* Room that those take which are to go. */
		err = each_row(g, drop_unwanted, &job);
		for (size_t i = 0; i < snap->guard.count && err == 0; i++)
			err = put_wanted(g, &snap->guard.entries[i]);
	}
	if (err == 0)
		err = each_row(g, drop_unwanted, &job);
	if (err == 0)
		g->lists = lists;
	else
		diag_error(d, NULL, "cannot write the lists of the guard: %s", strerror(-err));
	return err;
}

/* ---- commands ---- */

static int say(struct diag *d, int err, const struct addr *addr, unsigned len, const char *what)
{
	char text[PREFIX_STRLEN];

	diag_error(d, NULL, "%s: %s", prefix_format(addr, len, text, sizeof(text)), what);
	return err;
}

int guard_add(struct guard *g, const struct guard_prefix *entry, uint64_t for_ms, struct diag *d)
{
	struct maps_guard_row row = row_of(&entry->addr, entry->len, SHUNT_SCOPE_NODE), old = row;
	int err;

	if (maps_guard_get(g->loader, &old) == 0 && old.entry.origin == SHUNT_ORIGIN_CONFIG)
		return say(d, -EEXIST, &entry->addr, entry->len,
			   "the configuration lists it already, without an end");
	row.entry.origin = SHUNT_ORIGIN_COMMAND;
	row.entry.reason = SHUNT_REASON_LISTED;
	row.entry.action = entry->allow ? SHUNT_GUARD_ALLOW : SHUNT_GUARD_BLOCK;
	row.entry.expires_ns = clock_coarse_ns() + for_ms * NS_PER_MS;
	note_set(&row.entry, entry->note);
	err = put(g, &row);
	if (err == -ENOSPC)
		return say(d, err, &entry->addr, entry->len,
			   "the list is full: remove entries, or raise node.limits.guard");
	return err < 0 ? say(d, err, &entry->addr, entry->len, strerror(-err)) : 0;
}

bool guard_has(const struct guard *g, const struct addr *addr, unsigned len)
{
	struct maps_guard_row row = row_of(addr, len, SHUNT_SCOPE_NODE);

	return maps_guard_get(g->loader, &row) == 0 && row.entry.origin != SHUNT_ORIGIN_CONFIG;
}

/* Has any address of the service a record that says so? */
static bool is_guarded(const struct guard *g, const char *service)
{
	for (size_t i = 0; i < g->tables->keys.count; i++) {
		const struct shunt_service *r = &g->tables->keys.rows[i].record;

		if (r->guard != 0 && r->index < g->tables->sizes.services &&
		    strcmp(g->tables->services[r->index].meta.name, service) == 0)
			return true;
	}
	return false;
}

int guard_remove(struct guard *g, const struct addr *addr, unsigned len, const char *service,
		 struct diag *d)
{
	uint32_t scope = service != NULL ? scope_of(g, service) : SHUNT_SCOPE_NODE;
	struct maps_guard_row row = row_of(addr, len, scope);
	int err;

	/* What the program has blocked just now is to be found. */
	(void)maps_events_read(g->events);
	err = service != NULL && scope == SHUNT_SCOPE_NODE ? -ENOENT
							   : maps_guard_get(g->loader, &row);
	if (err == -ENOENT)
		return say(d, err, addr, len,
			   service == NULL	     ? "there is no such entry"
			   : !is_guarded(g, service) ? "there is no such service with a guard"
						     : "the service has not blocked it");
	if (err == 0)
		err = drop(g, &row);
	return err < 0 ? say(d, err, addr, len, strerror(-err)) : 0;
}

struct flush_job {
	struct guard *g;
	size_t removed;
};

static int flush_row(void *ctx, struct maps_guard_row *row)
{
	struct flush_job *job = ctx;
	int err;

	if (row->entry.origin == SHUNT_ORIGIN_CONFIG)
		return 0;
	err = drop(job->g, row);
	job->removed += err == 0;
	return err;
}

int guard_flush(struct guard *g, size_t *ret_removed, struct diag *d)
{
	struct flush_job job = {.g = g};
	int err;

	(void)maps_events_read(g->events);
	err = each_row(g, flush_row, &job);
	if (err < 0)
		diag_error(d, NULL, "cannot empty the lists of the guard: %s", strerror(-err));
	*ret_removed = job.removed;
	return err;
}

/* ---- reports ---- */

static struct guard_item item_of(const struct guard *g, const struct maps_guard_row *row)
{
	const struct shunt_guard_entry *e = &row->entry;
	uint64_t now = clock_coarse_ns();
	struct guard_item item = {
		.addr = addr_of(row),
		.len = e->prefix_len,
		.action = e->action < SHUNT_GUARD_ACTION_COUNT ? e->action : SHUNT_GUARD_BLOCK,
		.origin = e->origin < SHUNT_ORIGIN_COUNT ? e->origin : SHUNT_ORIGIN_COMMAND,
		.reason = e->reason < SHUNT_REASON_COUNT ? e->reason : SHUNT_REASON_LISTED,
	};

	if (e->expires_ns != 0)
		item.left_ms =
			e->expires_ns > now + NS_PER_MS ? (e->expires_ns - now) / NS_PER_MS : 1;
	if (row->scope != SHUNT_SCOPE_NODE)
		item.service = service_of(g, row->scope);
	memcpy(item.note, e->note, sizeof(item.note));
	return item;
}

struct each_job {
	const struct guard *g;
	guard_item_cb cb;
	void *ctx;
};

/* What has ended, or belongs to a service that is gone, is no entry any more. */
static int show_row(void *ctx, struct maps_guard_row *row)
{
	struct each_job *job = ctx;
	struct guard_item item;

	if (row->entry.expires_ns != 0 && row->entry.expires_ns <= clock_coarse_ns())
		return 0;
	item = item_of(job->g, row);
	if (row->scope == SHUNT_SCOPE_NODE || item.service != NULL)
		job->cb(job->ctx, &item);
	return 0;
}

int guard_each(const struct guard *g, guard_item_cb cb, void *ctx)
{
	struct each_job job = {.g = g, .cb = cb, .ctx = ctx};

	(void)maps_events_read(g->events);
	return each_row(g, show_row, &job);
}

void guard_counters(const struct guard *g, struct guard_counters *ret_counters)
{
	*ret_counters = g->counters;
	ret_counters->entries[0] = g->entries[0];
	ret_counters->entries[1] = g->entries[1];
	ret_counters->room = g->tables->sizes.guard;
}

uint64_t guard_cookies(const struct guard *g, const char *service)
{
	for (uint32_t i = 0; i < g->tables->sizes.services; i++) {
		struct shunt_svc_flood flood;

		if (strcmp(g->tables->services[i].meta.name, service) == 0 &&
		    maps_svc_flood_get(g->loader, i, &flood) == 0)
			return flood.cookies;
	}
	return 0;
}

/* ---- what the program has done ---- */

static void tell(struct guard *g, enum guard_report what, const struct maps_guard_row *row)
{
	struct guard_item item = item_of(g, row);

	if (g->report != NULL && (row->scope == SHUNT_SCOPE_NODE || item.service != NULL))
		g->report(g->report_ctx, what, &item);
}

/* Whoever forges sources can have any number of them blocked: half of a list is kept from the program,
 * for the configuration and commands. */
static int put_block(struct guard *g, const struct maps_guard_row *row, bool replaces)
{
	if (!replaces && g->of_program[slot_of(row->family)] >= g->tables->sizes.guard / 2)
		return -ENOSPC;
	return put(g, row);
}

static void on_event(void *ctx, const struct shunt_guard_event *event)
{
	struct guard *g = ctx;
	struct maps_guard_row row = {
		.family = event->source.family,
		.scope = event->source.scope,
		.entry = {.expires_ns = event->until_ns,
			  .action = SHUNT_GUARD_BLOCK,
			  .origin = SHUNT_ORIGIN_AUTOMATIC,
			  .reason = event->reason,
			  .prefix_len = event->prefix_len},
	};
	struct maps_guard_row old;
	bool listed;
	int err;

	memcpy(row.addr, event->source.addr, sizeof(row.addr));
	old = row;
	listed = maps_guard_get(g->loader, &old) == 0;
	/* Told twice where several processors have found out at once. */
	if (listed && old.entry.expires_ns + NS_PER_MS * 1000 >= row.entry.expires_ns)
		return;
	g->counters.blocked++;
	if (event->until_ns <= clock_coarse_ns())
		return; /* while nobody read */
	err = put_block(g, &row, listed);
	if (err == 0) {
		tell(g, GUARD_REPORT_BLOCKED, &row);
		return;
	}
	g->counters.lost++;
	log_debug("l4: cannot list a block error=\"%s\"", strerror(-err));
	tell(g, GUARD_REPORT_LOST, &row);
}

/* It may have been replaced or removed since it was read. */
static int end_row(struct guard *g, struct maps_guard_row *row)
{
	uint64_t now = clock_coarse_ns(), end = row->entry.expires_ns;
	int err;

	if (end == 0)
		return 0;
	if (end <= now) {
		err = maps_guard_get(g->loader, row);
		if (err < 0)
			return err == -ENOENT ? 0 : err;
		end = row->entry.expires_ns;
	}
	if (end == 0 || end > now) {
		if (end != 0 && (g->next_end_ns == 0 || end < g->next_end_ns))
			g->next_end_ns = end;
		return 0;
	}
	err = maps_guard_delete(g->loader, row);
	if (err < 0)
		return err;
	count(g, row, -1);
	g->counters.released++;
	tell(g, GUARD_REPORT_RELEASED, row);
	return 0;
}

static int end_piece(struct guard *g)
{
	struct maps_guard_row rows[MAPS_GUARD_PIECE];
	struct ending *e = &g->ending;
	size_t n = 0;
	int err = maps_guard_walk_next(g->loader, e->family, &e->walk, rows, &n);
	bool ended = err == -ENOENT;

	if (ended)
		err = 0;
	if (err == 0 && e->has_last)
		err = end_row(g, &e->last);
	e->has_last = !ended && n > 0;
	if (e->has_last)
		e->last = rows[--n];
	for (size_t i = 0; i < n && err == 0; i++)
		err = end_row(g, &rows[i]);
	if (ended)
		*e = (struct ending){.family = e->family == 4 ? 6 : 0};
	return err;
}

/* The program has not looked at them since they ended: this only makes room, and says so. Returns
 * whether there is more to do. */
static bool end_entries(struct guard *g)
{
	uint64_t now = clock_coarse_ns(), begun = clock_now_ns();
	int err = 0;

	if (g->ending.family == 0) {
		if (g->next_end_ns == 0 || now < g->next_end_ns || now - g->walked_ns < WALK_NS)
			return false;
		g->walked_ns = now;
		g->next_end_ns = 0;
		g->ending.family = 4;
	}
	while (g->ending.family != 0 && err == 0 && clock_now_ns() - begun < SLICE_NS)
		err = end_piece(g);
	set_switches(g, NULL);
	if (err < 0) {
		g->ending = (struct ending){0};
		g->next_end_ns = now; /* and again */
		log_debug("l4: cannot remove entries that have ended error=\"%s\"", strerror(-err));
	}
	return g->ending.family != 0;
}

void guard_on_report(struct guard *g, guard_report_cb cb, void *ctx)
{
	g->report = cb;
	g->report_ctx = ctx;
}

bool guard_tick(struct guard *g)
{
	(void)maps_events_read(
		g->events); /* none is lost: what is not read now is read next time */
	return end_entries(g);
}
