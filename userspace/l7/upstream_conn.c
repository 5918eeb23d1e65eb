/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections to backends: see upstream_conn.h. */
#include "l7/upstream_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/log.h"
#include "l7/breaker.h"
#include "l7/h2_client.h"
#include "l7/tls.h"
#include "l7/upstream.h"
#include "tls/client.h"

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

/* The connection is ready to be used; err: or it is not. */
static void connected(struct upstream_conn *uc, int err)
{
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

static void handshake(struct upstream_conn *uc, int events)
{
	int err = tls_handshake(&uc->io, events & SOCK_READ);

	if (err == -EAGAIN) {
		err = stream_watch(&uc->io);
		if (err == 0)
			return;
	} else if (err < 0) {
		log_debug("l7: TLS handshake failed backend=%s/%s reason=\"%s\"", uc->up->rt->pool,
			  uc->up->rt->name, tls_failure(&uc->io));
	}
	connected(uc, err);
}

/* What is said before TLS. 0: all of it; 1: there is no room for the rest yet; or -errno. */
static int say_first(struct upstream_conn *uc)
{
	struct pieces none = {0};
	ssize_t n = buf_len(&uc->io.out) ? stream_write(&uc->io, &none) : 0;

	if (n < 0)
		return (int)n;
	if (!uc->io.is_blocked)
		return 0;
	n = sock_watch(&uc->io.sock, SOCK_WRITE);
	return n < 0 ? (int)n : 1;
}

/* Something became of the connection that was begun. */
static void go_on(struct upstream_conn *uc, int events)
{
	int err;

	if (uc->io.tls) {
		handshake(uc, events);
		return;
	}
	err = sock_error(&uc->io.sock);
	if (err == 0 && uc->tls) {
		err = say_first(uc);
		if (err > 0)
			return;
	}
	if (err < 0 || !uc->tls) {
		connected(uc, err);
		return;
	}
	err = tls_connect(&uc->io, uc->tls, &uc->addr, &uc->up->session, &uc->up->l7->waker);
	if (err < 0)
		connected(uc, err);
	else
		handshake(uc, 0); /* it has to speak first */
}

static void idle_event(struct upstream_conn *uc)
{
	/* The backend closed it, or said something that nobody asked for; in TLS that may be a
	 * session for later. */
	if (!stream_is_quiet(&uc->io) || stream_watch(&uc->io) < 0)
		upstream_conn_close(uc);
}

static void on_event(struct sock *s, int events)
{
	struct upstream_conn *uc = list_entry(stream_of_sock(s), struct upstream_conn, io);

	switch (uc->state) {
	case UPSTREAM_CONNECTING: go_on(uc, events); break;
	case UPSTREAM_BUSY: uc->user->on_event(uc->ctx, events); break;
	case UPSTREAM_IDLE: idle_event(uc); break;
	case UPSTREAM_CLOSED: break;
	}
}

static void on_deadline(struct deadline *d)
{
	struct upstream_conn *uc = list_entry(stream_of_deadline(d), struct upstream_conn, io);
	bool connecting = uc->state == UPSTREAM_CONNECTING;

	if (uc->state == UPSTREAM_BUSY && uc->user->on_deadline) {
		uc->user->on_deadline(uc->ctx);
		return;
	}

	upstream_conn_close(uc);
	if (connecting)
		uc->user->on_connect(uc->ctx, -ETIMEDOUT);
}

int upstream_conn_open(struct upstream *up, const struct endpoint *ep, unsigned connect_ms,
		       const struct upstream_user *user, void *ctx, struct upstream_conn **ret_conn)
{
	struct upstream_conn *uc;
	int fd, err;

	if (!breaker_take_connection(&up->limits, up->rt))
		return -EUSERS;
	uc = calloc(1, sizeof(*uc));
	if (!uc) {
		breaker_give_connection(up->rt);
		return -ENOMEM;
	}
	err = sock_connect(ep, &fd);
	if (err == 0)
		err = stream_open(&uc->io, up->l7, fd, on_event, on_deadline);
	if (err < 0) {
		breaker_give_connection(up->rt);
		free(uc);
		return err;
	}
	uc->io.bytes_in = &up->counters->bytes_in;
	uc->io.bytes_out = &up->counters->bytes_out;
	list_init(&uc->node);
	uc->up = upstream_ref(up);
	uc->user = user;
	uc->ctx = ctx;
	uc->tls = tls_client_ref(up->tls);
	uc->addr = ep->addr;
	uc->port = ep->port;
	uc->state = UPSTREAM_CONNECTING;
	err = sock_watch(&uc->io.sock, SOCK_WRITE);
	if (err < 0) {
		uc->user = NULL; /* never heard of it */
		upstream_conn_close(uc);
		return err;
	}
	deadline_set(&uc->io.deadline, deadline_in(&uc->io.deadline, connect_ms));
	*ret_conn = uc;
	return 0;
}

static void on_closed(struct sock *s)
{
	struct upstream_conn *uc = list_entry(stream_of_sock(s), struct upstream_conn, io);

	if (uc->user && uc->user->on_closed)
		uc->user->on_closed(uc->ctx);
	upstream_unref(uc->up);
	tls_client_unref(uc->tls);
	free(uc);
}

bool upstream_conn_is_clean(const struct upstream_conn *uc)
{
	return uc->tls == uc->up->tls && (!uc->io.tls || !tls_has_pending(uc->io.tls));
}

void upstream_conn_close(struct upstream_conn *uc)
{
	if (!uc || uc->state == UPSTREAM_CLOSED)
		return;
	if (uc->io.carrier) {
		h2_client_close(uc);
		return;
	}
	if (uc->state == UPSTREAM_IDLE) {
		stream_end(&uc->io);
		upstream_conn_leave_idle(uc);
	}
	set_state(uc, UPSTREAM_CLOSED);
	breaker_give_connection(uc->up->rt);
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
