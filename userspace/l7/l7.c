/* SPDX-License-Identifier: BSD-2-Clause */
/* One worker's proxy: see l7.h. */
#include "l7/l7_int.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "l7/conn.h"
#include "l7/h2_server.h"
#include "l7/h2_session.h"
#include "l7/http1_parse.h"
#include "l7/routing.h"
#include "l7/upstream.h"

/* Chunks kept for later, at most 8 MiB in each worker. */
#define SMALL_KEPT 256U
#define LARGE_KEPT 64U

void l7_undefer(struct l7 *l7, struct conn *c)
{
	struct conn **link = &l7->deferred;

	while (*link != c)
		link = &(*link)->next_deferred;
	*link = c->next_deferred;
	if (!c->next_deferred)
		l7->deferred_end = link;
	c->next_deferred = NULL;
	c->is_deferred = false;
	l7->deferred_count--;
}

static bool run_deferred(struct poller_hook *hook)
{
	struct l7 *l7 = list_entry(hook, struct l7, deferred_hook);

	/* What is deferred again meanwhile waits for the next turn. */
	for (unsigned i = l7->deferred_count; i && l7->deferred; i--)
		conn_resume(l7->deferred);
	if (l7->deferred)
		poller_run_soon(l7->env.poller, hook);
	return false;
}

void l7_defer(struct l7 *l7, struct conn *c)
{
	c->next_deferred = NULL;
	c->is_deferred = true;
	*l7->deferred_end = c;
	l7->deferred_end = &c->next_deferred;
	l7->deferred_count++;
	poller_run_soon(l7->env.poller, &l7->deferred_hook);
}

static void on_tickets(uv_timer_t *timer)
{
	struct l7 *l7 = timer->data;

	(void)uv_timer_start(timer, on_tickets, tls_resumer_tick(&l7->resumer), 0); /* 0 */
}

static bool flush_http2(struct poller_hook *hook)
{
	struct l7 *l7 = list_entry(hook, struct l7, h2_hook);

	if (!list_empty(&l7->h2_flush))
		h2_flush_all(l7);
	return !list_empty(&l7->h2_flush);
}

int l7_new(const struct l7_env *env, struct l7 **ret_l7)
{
	struct l7 *l7 = calloc(1, sizeof(*l7));

	if (!l7)
		return -ENOMEM;
	if (!tls_resumer_init(&l7->resumer, env->tls)) {
		free(l7);
		return -ENOMEM;
	}
	l7->env = *env;
	if (getrandom(&l7->random, sizeof(l7->random), 0) < 0) /* before the system has some */
		l7->random = (uintptr_t)l7 ^ uv_hrtime();
	buf_pool_init(&l7->pool, SMALL_KEPT, LARGE_KEPT);
	mirrors_init(&l7->mirrors);
	list_init(&l7->conns);
	l7->deferred_end = &l7->deferred;
	l7->deferred_hook.run = run_deferred;
	list_init(&l7->deferred_hook.node);
	deadlines_init(&l7->deadlines, env->loop);
	list_init(&l7->h2_flush);
	l7->h2_hook.run = flush_http2;
	poller_add_hook(env->poller, &l7->h2_hook);
	list_init(&l7->exchanges);
	shedding_init(l7);
	tls_waker_init(&l7->waker, env->poller);
	(void)uv_timer_init(env->loop, &l7->tickets); /* always 0 */
	l7->tickets.data = l7;
	on_tickets(&l7->tickets);
	*ret_l7 = l7;
	return 0;
}

static void review_all(struct l7 *l7)
{
	list_for_each_safe (it, &l7->conns)
		conn_review(list_entry(it, struct conn, node));
}

int l7_set_snapshot(struct l7 *l7, struct snapshot *snap)
{
	struct view *before = l7->view;
	struct view *v = routing_prepare(l7, snap) == 0 ? view_new(l7, snap, before) : NULL;

	if (!v)
		return -ENOMEM;
	view_activate(v, before);
	l7->view = v;
	shedding_configure(l7, snap);
	review_all(l7);
	view_unref(before);
	return 0;
}

static const struct service *find_service(const struct l7 *l7, const char *name)
{
	const struct service *s = l7->view ? snapshot_service(l7->view->snap, name) : NULL;

	return s && service_is_proxied(s) ? s : NULL;
}

static struct service_counters *row(const struct l7 *l7, const struct service *s)
{
	return &s->rt->counters[l7->env.worker];
}

void l7_accept_failed(struct l7 *l7, const char *service)
{
	const struct service *s = find_service(l7, service);

	if (s)
		counter_add(&row(l7, s)->accept_failures, 1);
}

static bool is_full(const struct l7 *l7, const struct service *s)
{
	const struct service_counters *n = row(l7, s);
	unsigned max = s->mode == SERVICE_HTTP ? s->limits.connections : s->relay.connections;

	return max && atomic_load_explicit(&n->connections, memory_order_relaxed) -
				      atomic_load_explicit(&n->closed, memory_order_relaxed) >=
			      max;
}

int l7_accept(struct l7 *l7, int fd, const char *service, const struct endpoint *peer,
	      const struct endpoint *local)
{
	const struct service *s = find_service(l7, service);
	int err;

	if (!s || l7->is_closed) {
		close(fd);
		return -ENOENT;
	}
	if (is_full(l7, s)) {
		counter_add(&row(l7, s)->refused, 1);
		close(fd);
		return -EBUSY;
	}
	err = conn_open(l7, fd, s, peer, local);
	if (err < 0)
		counter_add(&row(l7, s)->accept_failures, 1);
	return err;
}

void l7_drain(struct l7 *l7, unsigned idle_ms)
{
	l7->is_draining = true;
	l7->drain_idle_ms = idle_ms;
	review_all(l7);
}

/* The view's upstreams close their idle connections when it is no longer in force. */
static void close_upstreams(struct l7 *l7)
{
	struct view *v = l7->view;

	for (size_t p = 0; v && p < v->snap->pool_count; p++)
		for (size_t b = 0; v->pools[p].upstreams && b < v->snap->pools[p].backend_count;
		     b++)
			upstream_close_idle(v->pools[p].upstreams[b]);
}

void l7_close_all(struct l7 *l7)
{
	if (l7->is_closed)
		return;
	l7->is_closed = true;
	list_for_each_safe (it, &l7->conns)
		conn_close(list_entry(it, struct conn, node));
	mirrors_close(l7);
	close_upstreams(l7);
	h2_server_forget(l7);
	list_unlink(&l7->deferred_hook.node);
	deadlines_close(&l7->deadlines);
	shedding_close(l7);
	tls_waker_close(&l7->waker);
	uv_close((uv_handle_t *)&l7->tickets, NULL);
}

uint64_t l7_connections(const struct l7 *l7)
{
	return l7->conn_count;
}

uint64_t l7_upstream_idle(const struct l7 *l7)
{
	return l7->upstream_idle;
}

uint64_t l7_buffer_bytes(const struct l7 *l7)
{
	return l7->pool.in_use;
}

void l7_free(struct l7 *l7)
{
	if (!l7)
		return;
	assert(l7->is_closed && l7->conn_count == 0);
	view_unref(l7->view);
	tls_waker_deinit(&l7->waker);
	tls_resumer_deinit(&l7->resumer);
	deadlines_deinit(&l7->deadlines);
	buf_pool_deinit(&l7->pool);
	pipes_deinit(&l7->pipes);
	routing_forget(l7);
	free(l7->scratch);
	free(l7->fields);
	free(l7);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t l7_random(struct l7 *l7)
{
	uint64_t z = l7->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

char *l7_scratch(struct l7 *l7, size_t len)
{
	if (len > l7->scratch_cap) {
		char *p = realloc(l7->scratch, len);

		if (!p)
			return NULL;
		l7->scratch = p;
		l7->scratch_cap = len;
	}
	return l7->scratch;
}

struct field *l7_fields(struct l7 *l7, unsigned count)
{
	if (count >= l7->field_cap) {
		unsigned cap = count < 64 ? 64 : 2 * count;
		struct field *p = realloc(l7->fields, cap * sizeof(*p));

		if (!p)
			return NULL;
		l7->fields = p;
		l7->field_cap = cap;
	}
	return l7->fields;
}
