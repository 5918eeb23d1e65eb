/* SPDX-License-Identifier: BSD-2-Clause */
/* One prober for each backend that is to be checked: schedule, results, state. See health.h. */
#include "health/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "conf/runtime.h"
#include "conf/service_tls.h"
#include "core/clock.h"
#include "core/log.h"
#include "health/probe.h"
#include "health/rise_fall.h"
#include "health/via.h"
#include "route/room.h"

#define ROOM_TEXT_MAX 1 /* no request is looked at */

/* Lives until its timer is closed and its last probe is freed. */
struct prober {
	struct health *health;
	struct backend_rt *rt;	  /* borrowed from the snapshot that health keeps; NULL: retired */
	const struct backend *be; /* of the same */
	struct rise_fall state;
	struct probe *probe;   /* under way, or NULL */
	struct via_check *via; /* likewise */
	char direct
		[HEALTH_TEXT_MAX]; /* what the part before the tunnel found; "": there was none */
	uv_timer_t timer;	   /* the next check */
	uint64_t started_ms;	   /* the check under way */
	unsigned open;		   /* timer and probes that the loop still holds */
};

struct health {
	uv_loop_t *loop;
	health_change_cb on_change;
	void *ctx;
	struct route_room *room;     /* NULL: no expression was ever needed */
	struct snapshot *snap;	     /* reference; NULL before the first apply */
	struct tls_client **clients; /* parallel to snap->pools; NULL: checked in the clear */
	struct via *via;	     /* NULL: closed */
	struct via_vips *vips;	     /* parallel to snap->pools */
	struct prober **probers;     /* sorted by rt */
	size_t count;
	uv_timer_t notify; /* gathers the changes of one turn */
	size_t alive;	   /* probers not freed yet, retired ones too */
	bool notify_closed;
	bool closing;
	void (*done_cb)(void *ctx);
	void *done_ctx;
	uint64_t random;
	struct log_limit local_limit;
};

/* xorshift64: spreads checks, protects nothing. */
static uint64_t next_random(struct health *h)
{
	h->random ^= h->random << 13;
	h->random ^= h->random >> 7;
	h->random ^= h->random << 17;
	return h->random;
}

/* ---- TLS ---- */

static void free_clients(struct tls_client **clients, const struct snapshot *snap)
{
	for (size_t i = 0; clients && i < snap->pool_count; i++)
		tls_client_unref(clients[i]);
	free(clients);
}

/* For the pool, carried over where nothing changed; NULL: out of memory. */
static struct tls_client *make_client(const struct health *h, const struct pool *pool)
{
	const struct pool *was = h->snap ? snapshot_pool(h->snap, pool->name) : NULL;
	struct tls_client *client = was ? h->clients[was - h->snap->pools] : NULL;
	struct tls_client_conf conf = pool_tls_conf(pool);

	if (pool->health.kind != HEALTH_TCP) /* which says nothing */
		conf.http2 = pool->health.kind == HEALTH_GRPC;
	if (client && tls_client_is_of(client, &conf))
		return tls_client_ref(client);
	client = NULL;
	(void)tls_client_new(&conf, &client); /* it was tried when the snapshot was made */
	return client;
}

static struct tls_client **make_clients(const struct health *h, const struct snapshot *snap)
{
	struct tls_client **clients = calloc(snap->pool_count + 1, sizeof(struct tls_client *));

	for (size_t i = 0; clients && i < snap->pool_count; i++) {
		if (!pool_is_checked_by_tls(&snap->pools[i]))
			continue;
		clients[i] = make_client(h, &snap->pools[i]);
		if (!clients[i]) {
			free_clients(clients, snap);
			return NULL;
		}
	}
	return clients;
}

/* ---- the end ---- */

static void finish_close(struct health *h)
{
	if (!h->closing || h->alive || !h->notify_closed || h->via)
		return;
	free_clients(h->clients, h->snap);
	free(h->vips);
	snapshot_unref(h->snap);
	route_room_free(h->room);
	if (h->done_cb)
		h->done_cb(h->done_ctx);
	free(h->probers);
	free(h);
}

static void release_prober(struct prober *p)
{
	struct health *h = p->health;

	if (--p->open > 0)
		return;
	free(p);
	h->alive--;
	finish_close(h);
}

static void on_probe_freed(void *ctx)
{
	release_prober(ctx);
}

static void on_timer_closed(uv_handle_t *timer)
{
	release_prober(timer->data);
}

static void retire_prober(struct prober *p)
{
	p->rt = NULL;
	p->be = NULL;
	probe_cancel(p->probe);
	p->probe = NULL;
	via_cancel(p->via);
	p->via = NULL;
	uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

static void on_notify(uv_timer_t *timer)
{
	struct health *h = timer->data;

	h->on_change(h->ctx);
}

static void set_health(struct health *h, struct backend_rt *rt, enum health_state state)
{
	if (!backend_rt_set_health(rt, state))
		return;
	rt->health_changed_ms = clock_now_ms();
	rt->health_transitions++;
	(void)uv_timer_start(&h->notify, on_notify, 0, 0); /* fails only while closing */
}

static void log_change(const struct prober *p)
{
	const struct backend_rt *rt = p->rt;

	if (p->state.state == HEALTH_UP)
		log_info("health: backend is up pool=%s backend=%s result=\"%s\"", rt->pool,
			 rt->name, rt->health_text);
	else
		log_warning("health: backend is down pool=%s backend=%s reason=\"%s\" rise=%u",
			    rt->pool, rt->name, rt->health_text,
			    rise_fall_damped(&p->state, p->be->pool->health.rise));
}

static void start_check(uv_timer_t *timer);

static void schedule_next(struct prober *p)
{
	const struct health_conf *conf = &p->be->pool->health;
	bool soon = conf->changing_ms && rise_fall_is_changing(&p->state);
	uint64_t wait =
		schedule_jitter(soon ? conf->changing_ms : conf->every_ms, next_random(p->health));
	uint64_t spent = clock_now_ms() - p->started_ms;

	uv_update_time(p->health->loop);
	(void)uv_timer_start(&p->timer, start_check, spent < wait ? wait - spent : 1, 0);
}

static void set_text(struct backend_rt *rt, const char *text)
{
	(void)snprintf(rt->health_text, sizeof(rt->health_text), "%s", text);
}

static void warn_local(struct prober *p, const char *text)
{
	unsigned held;

	if (log_limit_ok(&p->health->local_limit, &held))
		log_warning("health: cannot check pool=%s backend=%s reason=\"%s\" held_back=%u",
			    p->rt->pool, p->rt->name, text, held);
}

/* All parts of a check are over. */
static void settle(struct prober *p, const struct probe_result *result)
{
	struct backend_rt *rt = p->rt;
	const struct health_conf *conf = &p->be->pool->health;
	bool changed;

	set_text(rt, result->text);
	if (result->local) {
		warn_local(p, result->text);
		schedule_next(p);
		return;
	}
	rt->health_checked_ms = clock_now_ms();
	rt->health_checks++;
	if (!result->ok)
		rt->health_failures++;
	changed = rise_fall_step(&p->state, result->ok, rise_fall_damped(&p->state, conf->rise),
				 conf->fall);
	rt->health_run = p->state.run;
	if (changed) {
		rise_fall_note(&p->state, rt->health_checked_ms, conf->damping_ms);
		log_change(p);
		set_health(p->health, rt, p->state.state);
	} else {
		log_debug("health: checked pool=%s backend=%s ok=%d result=\"%s\"", rt->pool,
			  rt->name, result->ok, result->text);
	}
	schedule_next(p);
}

/* What the direct part found stands before it: so one sees what is reached in which way. */
static void on_via_result(void *ctx, const struct probe_result *result)
{
	struct prober *p = ctx;
	struct probe_result both = *result;

	p->via = NULL;
	if (p->direct[0]) {
		/* Cut where too long. */
		int len = snprintf(both.text, sizeof(both.text), "%s%s", p->direct,
				   result->ok ? ", " : ", but ");

		if (len < (int)sizeof(both.text))
			(void)snprintf(both.text + len, sizeof(both.text) - (size_t)len, "%s",
				       result->text);
	}
	settle(p, &both);
}

static void ask_via(struct prober *p)
{
	const struct pool *pool = p->be->pool;
	struct health *h = p->health;
	struct via_request request = {.backend = p->be,
				      .node = &h->snap->node,
				      .vips = &h->vips[pool - h->snap->pools],
				      .timeout_ms = pool->health.timeout_ms,
				      .on_result = on_via_result,
				      .ctx = p};
	struct probe_result result;

	if (via_ask(h->via, &request, &p->via, &result) < 0)
		on_via_result(p, &result);
}

static void on_result(void *ctx, const struct probe_result *result)
{
	struct prober *p = ctx;

	p->probe = NULL;
	if (!result->ok || !via_is_for(p->be)) {
		settle(p, result);
		return;
	}
	(void)snprintf(p->direct, sizeof(p->direct), "%s", result->text);
	ask_via(p);
}

static void start_check(uv_timer_t *timer)
{
	struct prober *p = timer->data;
	struct probe_events events = {.on_result = on_result, .on_freed = on_probe_freed, .ctx = p};
	const struct pool *pool = p->be->pool;
	struct health *h = p->health;
	struct probe_target target = {.ep = p->be->ep,
				      .proxy = pool->proxy_out,
				      .tls = h->clients[pool - h->snap->pools],
				      .snap = h->snap,
				      .pool = pool,
				      .room = h->room};

	if (pool->health.port)
		target.ep.port = pool->health.port;
	if (target.ep.port != p->be->ep.port) /* another server than that for clients */
		target.proxy = PROXY_OUT_OFF;
	p->started_ms = clock_now_ms();
	p->direct[0] = 0;
	if (pool->health.via == HEALTH_VIA_TUNNEL && via_is_for(p->be)) {
		ask_via(p);
		return;
	}
	if (probe_start(h->loop, &target, &events, &p->probe)) {
		warn_local(p, "out of memory");
		schedule_next(p);
		return;
	}
	p->open++;
}

static bool is_checked(const struct pool *pool, const struct backend *b)
{
	return pool->health.kind != HEALTH_NONE && b->admin != ADMIN_DISABLED;
}

static int compare_rt(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)(*(struct prober *const *)a)->rt;
	uintptr_t y = (uintptr_t)(*(struct prober *const *)b)->rt;

	return x < y ? -1 : x > y;
}

static struct prober *find_prober(const struct health *h, struct backend_rt *rt)
{
	struct prober key = {.rt = rt}, *key_ptr = &key, **found;

	if (!h->count)
		return NULL;
	found = bsearch(&key_ptr, h->probers, h->count, sizeof(*h->probers), compare_rt);
	return found ? *found : NULL;
}

static struct prober *new_prober(struct health *h, const struct backend *b)
{
	struct prober *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->health = h;
	p->rt = b->rt;
	p->be = b;
	/* What is known from before (a restart adopts it) stands until results say otherwise. */
	p->state.state = (enum health_state)atomic_load(&b->rt->health);
	return p;
}

/* Probers of snap in a new array: those that stay, and new ones that the loop does not know yet
 * (open is 0). */
static int gather_probers(struct health *h, const struct snapshot *snap, struct prober **list,
			  size_t *ret_count)
{
	size_t n = 0;

	for (size_t i = 0; i < snap->pool_count; i++) {
		const struct pool *pool = &snap->pools[i];

		for (size_t j = 0; j < pool->backend_count; j++) {
			const struct backend *b = &pool->backends[j];
			struct prober *p;

			if (!is_checked(pool, b))
				continue;
			p = find_prober(h, b->rt);
			if (!p)
				p = new_prober(h, b);
			if (!p)
				goto fail;
			list[n++] = p;
		}
	}
	*ret_count = n;
	return 0;
fail:
	while (n > 0)
		if (list[--n]->open == 0)
			free(list[n]);
	return -ENOMEM;
}

/* A prober that stays takes its settings from the new snapshot; a shorter interval counts at once. */
static void update_prober(struct prober *p, const struct backend *b)
{
	uint64_t every_ms = b->pool->health.every_ms;

	p->be = b;
	if (!p->probe && !p->via && uv_timer_get_due_in(&p->timer) > every_ms)
		schedule_next(p);
}

static void admit_prober(struct health *h, struct prober *p)
{
	uint64_t delay = schedule_first(p->be->pool->health.every_ms, next_random(h));

	(void)uv_timer_init(h->loop, &p->timer);
	p->timer.data = p;
	p->open = 1;
	h->alive++;
	uv_update_time(h->loop);
	(void)uv_timer_start(&p->timer, start_check, delay, 0);
}

/* A backend that nobody checks is "unknown", and so usable. */
static void forget_unchecked(struct health *h, const struct pool *pool, const struct backend *b)
{
	if (is_checked(pool, b))
		return;
	if (pool->health.kind != HEALTH_NONE)
		set_text(b->rt, "not checked while disabled");
	else
		b->rt->health_text[0] = 0;
	b->rt->health_run = 0;
	b->rt->health_checked_ms = 0;
	set_health(h, b->rt, HEALTH_UNKNOWN);
}

static void commit_probers(struct health *h, const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->pool_count; i++) {
		const struct pool *pool = &snap->pools[i];

		for (size_t j = 0; j < pool->backend_count; j++) {
			const struct backend *b = &pool->backends[j];
			struct prober *p = find_prober(h, b->rt);

			if (!p)
				forget_unchecked(h, pool, b);
			else if (p->open)
				update_prober(p, b);
			else
				admit_prober(h, p);
		}
	}
}

static size_t count_backends(const struct snapshot *snap)
{
	size_t n = 0;

	for (size_t i = 0; i < snap->pool_count; i++)
		n += snap->pools[i].backend_count;
	return n;
}

/* What expressions need to match. */
static int make_room(struct health *h, const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->pool_count && !h->room; i++) {
		if (!snap->pools[i].health.pattern)
			continue;
		h->room = route_room_new(ROOM_TEXT_MAX);
		if (!h->room)
			return -ENOMEM;
	}
	return 0;
}

static struct via_vips *find_vips(const struct snapshot *snap)
{
	struct via_vips *vips = calloc(snap->pool_count + 1, sizeof(*vips));

	for (size_t i = 0; vips && i < snap->pool_count; i++)
		via_vips_of(snap, &snap->pools[i], &vips[i]);
	return vips;
}

int health_apply(struct health *h, struct snapshot *snap)
{
	struct prober **old = h->probers, **list;
	size_t old_count = h->count, count;
	struct tls_client **clients = make_clients(h, snap);
	struct via_vips *vips = find_vips(snap);

	list = calloc(count_backends(snap) + 1, sizeof(struct prober *));
	if (!clients || !vips || !list || make_room(h, snap) < 0 ||
	    gather_probers(h, snap, list, &count)) {
		free_clients(clients, snap);
		free(vips);
		free(list);
		return -ENOMEM;
	}
	qsort(list, count, sizeof(struct prober *), compare_rt);
	h->probers = list;
	h->count = count;
	for (size_t i = 0; i < old_count; i++)
		if (find_prober(h, old[i]->rt) != old[i])
			retire_prober(old[i]);
	free(old);
	(void)snapshot_ref(snap);
	commit_probers(h, snap);
	free_clients(h->clients, h->snap);
	free(h->vips);
	snapshot_unref(h->snap);
	h->clients = clients;
	h->vips = vips;
	h->snap = snap;
	return 0;
}

int health_start(uv_loop_t *loop, health_change_cb on_change, void *ctx, struct health **ret_health)
{
	struct health *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	if (via_new(loop, &h->via) < 0) {
		free(h);
		return -ENOMEM;
	}
	h->loop = loop;
	h->on_change = on_change;
	h->ctx = ctx;
	if (getrandom(&h->random, sizeof(h->random), GRND_NONBLOCK) != sizeof(h->random))
		h->random = clock_now_ns();
	h->random |= 1; /* zero is the one value that xorshift never leaves */
	(void)uv_timer_init(loop, &h->notify);
	h->notify.data = h;
	*ret_health = h;
	return 0;
}

static void on_notify_closed(uv_handle_t *timer)
{
	struct health *h = timer->data;

	h->notify_closed = true;
	finish_close(h);
}

static void on_via_closed(void *ctx)
{
	struct health *h = ctx;

	h->via = NULL;
	finish_close(h);
}

void health_close(struct health *h, void (*done_cb)(void *ctx), void *ctx)
{
	if (!h) {
		if (done_cb)
			done_cb(ctx);
		return;
	}
	h->closing = true;
	h->done_cb = done_cb;
	h->done_ctx = ctx;
	for (size_t i = 0; i < h->count; i++)
		retire_prober(h->probers[i]);
	h->count = 0;
	via_close(h->via, on_via_closed, h);
	uv_close((uv_handle_t *)&h->notify, on_notify_closed);
}
