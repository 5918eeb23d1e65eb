/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections to backends: see upstream_conn.h. */
#include "l7/upstream_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "l7/upstream.h"

static void set_state(struct upstream_conn *uc, enum upstream_state state)
{
	static const unsigned legal[] = {
		[UPSTREAM_CONNECTING] = 1U << UPSTREAM_BUSY | 1U << UPSTREAM_CLOSED,
		[UPSTREAM_BUSY] = 1U << UPSTREAM_IDLE | 1U << UPSTREAM_CLOSED,
		[UPSTREAM_IDLE] = 1U << UPSTREAM_BUSY | 1U << UPSTREAM_CLOSED,
	};

	assert(uc->state != UPSTREAM_CLOSED && legal[uc->state] & 1U << state);
	uc->state = state;
}

static void connected(struct upstream_conn *uc)
{
	int err = sock_error(&uc->io.sock);

	if (err == 0)
		err = stream_watch(&uc->io);
	if (err < 0) {
		upstream_conn_close(uc);
	} else {
		set_state(uc, UPSTREAM_BUSY);
		deadline_set(&uc->io.deadline, DEADLINE_NONE);
		counter_add(&uc->up->counters->connections, 1);
	}
	uc->user->on_connect(uc->ctx, err);
}

static void on_event(struct sock *s, int events)
{
	struct upstream_conn *uc = list_entry(stream_of_sock(s), struct upstream_conn, io);

	switch (uc->state) {
	case UPSTREAM_CONNECTING: connected(uc); break;
	case UPSTREAM_BUSY: uc->user->on_event(uc->ctx, events); break;
	/* The backend closed it, or said something that nobody asked for. */
	case UPSTREAM_IDLE: upstream_conn_close(uc); break;
	case UPSTREAM_CLOSED: break;
	}
}

static void on_deadline(struct deadline *d)
{
	struct upstream_conn *uc = list_entry(stream_of_deadline(d), struct upstream_conn, io);
	bool connecting = uc->state == UPSTREAM_CONNECTING;

	upstream_conn_close(uc);
	if (connecting)
		uc->user->on_connect(uc->ctx, -ETIMEDOUT);
}

int upstream_conn_open(struct upstream *up, const struct endpoint *ep, unsigned connect_ms,
		       const struct upstream_user *user, void *ctx, struct upstream_conn **ret_conn)
{
	struct upstream_conn *uc = calloc(1, sizeof(*uc));
	int fd, err;

	if (!uc)
		return -ENOMEM;
	err = sock_connect(ep, &fd);
	if (err == 0)
		err = stream_open(&uc->io, up->l7->env.loop, &up->l7->pool, fd, on_event,
				  on_deadline);
	if (err < 0) {
		free(uc);
		return err;
	}
	uc->io.bytes_in = &up->counters->bytes_in;
	uc->io.bytes_out = &up->counters->bytes_out;
	list_init(&uc->node);
	uc->up = upstream_ref(up);
	uc->user = user;
	uc->ctx = ctx;
	uc->port = ep->port;
	uc->state = UPSTREAM_CONNECTING;
	err = sock_watch(&uc->io.sock, SOCK_WRITE);
	if (err < 0) {
		upstream_conn_close(uc);
		return err;
	}
	deadline_set(&uc->io.deadline, deadline_in(&uc->io.deadline, connect_ms));
	*ret_conn = uc;
	return 0;
}

static void on_closed(struct stream *st)
{
	struct upstream_conn *uc = list_entry(st, struct upstream_conn, io);

	upstream_unref(uc->up);
	free(uc);
}

void upstream_conn_close(struct upstream_conn *uc)
{
	if (!uc || uc->state == UPSTREAM_CLOSED)
		return;
	if (uc->state == UPSTREAM_IDLE)
		upstream_conn_leave_idle(uc);
	set_state(uc, UPSTREAM_CLOSED);
	stream_close(&uc->io, on_closed);
}

void upstream_conn_enter_idle(struct upstream_conn *uc, unsigned idle_ms)
{
	set_state(uc, UPSTREAM_IDLE);
	list_push(&uc->up->idle, &uc->node);
	uc->up->idle_count++;
	uc->up->l7->upstream_idle++;
	deadline_set(&uc->io.deadline, deadline_in(&uc->io.deadline, idle_ms));
}

void upstream_conn_leave_idle(struct upstream_conn *uc)
{
	set_state(uc, UPSTREAM_BUSY);
	list_unlink(&uc->node);
	uc->up->idle_count--;
	uc->up->l7->upstream_idle--;
	deadline_set(&uc->io.deadline, DEADLINE_NONE);
}
