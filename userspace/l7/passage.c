/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes both ways: see passage.h. */
#include "l7/passage.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/log.h"
#include "l7/balance.h"
#include "l7/breaker.h"
#include "l7/conn.h"
#include "l7/duplex.h"
#include "l7/outlier.h"
#include "l7/proxy_out.h"
#include "l7/upstream.h"
#include "l7/upstream_conn.h"

#define BACKENDS_MAX 3 /* tried for one connection */

enum passage_state {
	PASSAGE_CONNECT, /* no connection to a backend yet */
	PASSAGE_RELAY,
	PASSAGE_OVER,
};

struct passage {
	struct conn *conn;
	struct upstream_conn *up; /* being connected, or ours */
	const struct pool *pool;
	const struct backend *backend;
	struct duplex duplex; /* PASSAGE_RELAY */
	const struct backend *tried[BACKENDS_MAX];
	char *head; /* what the backend is told first; malloc'ed, until it is */
	size_t head_len;
	enum passage_state state;
	uint8_t tried_count;
	struct claims claims; /* of the one with backend */
	uint64_t hash;	      /* of its client, for maglev */
};

static void dispatch(struct passage *t);

static struct upstream *upstream_of(const struct passage *t)
{
	return view_upstream(t->conn->view, t->backend);
}

static void set_state(struct passage *t, enum passage_state state)
{
	static const unsigned legal[] = {
		[PASSAGE_CONNECT] = 1U << PASSAGE_RELAY | 1U << PASSAGE_OVER,
		[PASSAGE_RELAY] = 1U << PASSAGE_OVER,
		[PASSAGE_OVER] = 0,
	};

	assert(legal[t->state] & 1U << state);
	t->state = state;
}

/* ---- how it ends ----------------------------------------------------------------------------- */

void passage_cancel(struct passage *t)
{
	if (!t)
		return;
	if (t->state == PASSAGE_RELAY)
		counter_add(&upstream_of(t)->counters->active_down, 1);
	if (t->backend)
		breaker_end(t->backend, &t->claims);
	upstream_conn_close(t->up);
	balance_move(&t->backend, NULL);
	set_state(t, PASSAGE_OVER);
	free(t->head);
	free(t);
}

bool passage_is_relay(const struct passage *t)
{
	return t->state == PASSAGE_RELAY;
}

const struct pool *passage_pool(const struct passage *t)
{
	return t->pool;
}

const struct backend *passage_backend(const struct passage *t)
{
	return t->backend;
}

void passage_reset_backend(struct passage *t)
{
	if (t->up)
		sock_reset(&t->up->io.sock);
}

/* Whoever is still there is to see that the other did not come to its end. */
static void break_off(struct passage *t)
{
	struct conn *c = t->conn;

	counter_add(&conn_counters(c)->resets, 1);
	passage_reset_backend(t);
	conn_abort(c);
}

/* No backend took it. */
static void give_up(struct passage *t)
{
	struct conn *c = t->conn;
	char record[TLS_ALERT_RECORD];

	counter_add(&conn_counters(c)->connect_failures, 1);
	c->passage = NULL;
	passage_cancel(t);
	if (c->service->mode == SERVICE_TLS) {
		tls_alert_write(record, TLS_ALERT_INTERNAL_ERROR);
		conn_refuse(c, (struct slice){record, sizeof(record)});
	} else {
		conn_abort(c);
	}
}

void passage_on_deadline(struct passage *t)
{
	counter_add(&conn_counters(t->conn)->idle_timeouts, 1);
	conn_close(t->conn);
}

/* ---- both ways ------------------------------------------------------------------------------- */

static void follow(struct passage *t, enum duplex_status status)
{
	const struct relay_conf *conf = &t->conn->service->relay;
	struct deadline *d = &t->conn->io.deadline;

	if (status == DUPLEX_DONE)
		conn_close(t->conn);
	else if (status == DUPLEX_BROKEN)
		break_off(t);
	else if (duplex_has_moved(&t->duplex))
		deadline_set(d,
			     deadline_in(d, duplex_is_half_closed(&t->duplex) ? conf->half_closed_ms
									      : conf->idle_ms));
}

void passage_on_client_event(struct passage *t, int events)
{
	struct stream *client = &t->conn->io;
	bool more;

	if (t->state == PASSAGE_RELAY)
		follow(t, duplex_on_event(&t->duplex, client, events));
	else if (stream_is_error(stream_read(client, &more)) || stream_watch(client) < 0)
		break_off(t);
}

static void on_backend_event(void *ctx, int events)
{
	struct passage *t = ctx;

	follow(t, duplex_on_event(&t->duplex, &t->up->io, events));
}

/* ---- the backend ----------------------------------------------------------------------------- */

static void attach(struct passage *t)
{
	struct backend_counters *n = upstream_of(t)->counters;
	struct slice head = {t->head, t->head_len};
	char *memory = t->head;

	counter_add(&n->requests, 1);
	counter_add(&n->active_up, 1);
	set_state(t, PASSAGE_RELAY);
	t->head = NULL;
	follow(t, duplex_start(&t->duplex, &t->conn->io, &t->up->io, head));
	free(memory);
}

/* Of a connection there is no more to be told than whether it could be made. */
static void note(struct passage *t, enum outlier_result result)
{
	bool was_probe = t->claims.probe;

	t->claims.probe = false;
	if (was_probe || outlier_is_on(&t->pool->outlier))
		outlier_note(t->backend, result, 0, was_probe);
}

static void note_failure(struct passage *t, int err)
{
	bool is_ours = err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS ||
		       err == -EUSERS;
	struct backend_counters *n = upstream_of(t)->counters;

	if (!is_ours) {
		counter_add(&n->failures, 1);
		counter_add(&n->connect_failures, 1);
		note(t, OUTLIER_GATEWAY);
	}
	breaker_end(t->backend, &t->claims);
	log_debug("l7: connect failed backend=%s/%s error=%d", t->pool->name, t->backend->name,
		  -err);
}

static void on_connect(void *ctx, int status)
{
	struct passage *t = ctx;

	if (status < 0) {
		t->up = NULL; /* closed already */
		note_failure(t, status);
		dispatch(t);
	} else {
		note(t, OUTLIER_GOOD);
		attach(t);
	}
}

static const struct upstream_user user = {.on_connect = on_connect, .on_event = on_backend_event};

/* To the next backend that will have it; nothing was sent to any yet. */
static void dispatch(struct passage *t)
{
	struct balancer *balancer = view_pool(t->conn->view, t->pool)->balancer;

	while (t->tried_count < BACKENDS_MAX) {
		const struct balance_ask ask = {t->tried, t->tried_count, t->hash};
		int err;

		balance_move(&t->backend, balancer_pick(balancer, &ask));
		if (!t->backend)
			break;
		if (t->tried_count)
			counter_add(&conn_counters(t->conn)->retries, 1);
		t->tried[t->tried_count++] = t->backend;
		breaker_try(t->backend, &t->claims);
		err = upstream_conn_open(upstream_of(t), &t->backend->ep, t->pool->connect_ms,
					 &user, t, &t->up);
		if (err == 0) {
			if (stream_watch(&t->conn->io) < 0)
				break_off(t);
			return;
		}
		note_failure(t, err);
	}
	give_up(t);
}

int passage_start(struct conn *c, const struct pool *pool, const struct client_hello *hello)
{
	char head[PROXY_WRITE_MAX];
	size_t head_len = proxy_out_write(head, c, pool->proxy_out, hello);
	struct passage *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->conn = c;
	t->pool = pool;
	if (pool->balance == BALANCE_MAGLEV)
		t->hash = balance_hash_addr(&conn_peer(c)->addr);
	if (head_len) {
		t->head = malloc(head_len);
		if (!t->head) {
			free(t);
			return -ENOMEM;
		}
		memcpy(t->head, head, head_len);
		t->head_len = head_len;
	}
	c->passage = t;
	dispatch(t);
	return 0;
}
