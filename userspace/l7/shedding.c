/* SPDX-License-Identifier: BSD-2-Clause */
/* Too much to do: see shedding.h. */
#include "l7/shedding.h"

#include "conf/route_set.h"
#include "core/clock.h"
#include "l7/conn.h"
#include "l7/request.h"
#include "l7/routing.h"
#include "l7/turn_away.h"

#define LOOKED_AT_PER_TURN 256U /* connections, for idle ones */
#define CLOSED_PER_TURN	   64U
#define NS_PER_MS	   1000000U

static uint64_t memory_of(const struct l7 *l7)
{
	return l7->pool.in_use + l7->request_bytes + l7->conn_count * sizeof(struct conn);
}

/* Those that were looked at go to the end, so that all have their turn. */
static void close_idle(struct l7 *l7)
{
	unsigned left =
		l7->conn_count < LOOKED_AT_PER_TURN ? (unsigned)l7->conn_count : LOOKED_AT_PER_TURN;

	for (unsigned closed = 0; left && closed < CLOSED_PER_TURN && !list_empty(&l7->conns);
	     left--) {
		struct conn *c = list_entry(l7->conns.next, struct conn, node);

		if (c->state == CONN_IDLE && !buf_len(&c->io.in)) {
			conn_close(c);
			closed++;
		} else {
			l7_unlink(l7, &c->node);
			list_append(&l7->conns, &c->node);
		}
	}
}

static bool before_wait(struct poller_hook *hook)
{
	struct l7 *l7 = list_entry(hook, struct l7, shedding.before);
	struct shedding *s = &l7->shedding;
	uint64_t now = clock_now_ns();

	overload_turn(&s->state, now, now - s->awake_ns + queue_take_shortest(l7), memory_of(l7),
		      l7->conn_count);
	if (s->state.is_crowded)
		close_idle(l7);
	return false;
}

static bool after_wait(struct poller_hook *hook)
{
	struct l7 *l7 = list_entry(hook, struct l7, shedding.woken);

	l7->shedding.awake_ns = clock_now_ns();
	overload_wake(&l7->shedding.state, l7->shedding.awake_ns);
	return false;
}

void shedding_init(struct l7 *l7)
{
	struct shedding *s = &l7->shedding;

	s->before.run = before_wait;
	s->woken.run = after_wait;
	queue_init(l7);
}

static void stop(struct shedding *s)
{
	if (s->is_on) {
		list_unlink(&s->before.node);
		list_unlink(&s->woken.node);
	}
	s->is_on = false;
}

void shedding_close(struct l7 *l7)
{
	stop(&l7->shedding);
	queue_close(l7);
}

/* A share of one is none less than it. */
static uint64_t share(uint64_t all, unsigned workers)
{
	return (all + workers - 1) / workers;
}

void shedding_configure(struct l7 *l7, const struct snapshot *snap)
{
	const struct overload_conf *conf = &snap->overload;
	const struct overload_limits limits = {
		.lag_ns = (uint64_t)conf->lag_ms * NS_PER_MS,
		.memory = share(conf->memory, snap->node.workers),
		.connections = share(conf->connections, snap->node.workers)};
	struct shedding *s = &l7->shedding;

	queue_configure(l7, (uint32_t)share(conf->requests, snap->node.workers), conf->wait_ms);
	s->retry_s = conf->retry_after_s;
	s->awake_ns = clock_now_ns();
	overload_set_limits(&s->state, &limits, s->awake_ns);
	stop(s);
	s->is_on = limits.lag_ns || limits.memory || limits.connections;
	if (s->is_on) {
		poller_add_hook(l7->env.poller, &s->before);
		poller_add_woken(l7->env.poller, &s->woken);
	}
}

enum request_priority shedding_priority(const struct service *s, const struct route_action *action)
{
	return action && action->priority < PRIORITY_COUNT ? (enum request_priority)action->priority
							   : s->priority;
}

void shedding_count(const struct conn *c, unsigned priority)
{
	struct service_counters *n = conn_counters(c);
	_Atomic uint64_t *of[PRIORITY_COUNT] = {&n->shed_low, &n->shed_normal, &n->shed_high};

	counter_add(of[priority], 1);
}

bool shedding_refuses(const struct client *who, const struct head *h, const struct routing *routing,
		      size_t block_len)
{
	struct l7 *l7 = who->conn->l7;
	enum request_priority priority = shedding_priority(who->service, routing->action);

	overload_look(&l7->shedding.state, memory_of(l7), l7->conn_count);
	if (!overload_sheds(&l7->shedding.state, priority, l7_random(l7)))
		return false;
	shedding_count(who->conn, priority);
	turn_away(who, h, routing, REASON_OVERLOADED, l7->shedding.retry_s, (struct slice){0},
		  block_len);
	return true;
}

bool l7_may_accept(const struct l7 *l7)
{
	const struct overload *o = &l7->shedding.state;

	/* Exact, where many come in one turn. */
	return !o->is_full && !(o->limits.connections && l7->conn_count >= o->limits.connections);
}

void l7_load(const struct l7 *l7, struct l7_load *ret_load)
{
	const struct overload *o = &l7->shedding.state;

	*ret_load = (struct l7_load){.pressure = o->pressure,
				     .lag_us = o->lag_ns / 1000,
				     .waiting = l7->queue.waiting_count,
				     .memory = memory_of(l7),
				     .is_full = !l7_may_accept(l7)};
}
