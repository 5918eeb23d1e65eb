/* SPDX-License-Identifier: BSD-2-Clause */
/* A second try beside the first: see hedge.h. */
#include "l7/hedge.h"

#include <errno.h>
#include <stdlib.h>

#include "core/clock.h"
#include "l7/attempt.h"
#include "l7/balance.h"
#include "l7/h2_client.h"
#include "l7/request_int.h"
#include "l7/retry.h"

#define STATUS_AT  9 /* in "HTTP/1.1 200" */
#define STATUS_END 12

/* The other try. Owner: request.hedge, until it takes the first one's place. */
struct hedge {
	struct request *r;
	struct upstream_conn *up; /* being connected, or ours */
	const struct backend *backend;
	struct claims claims;
	uint64_t began_ms, sent_ns;
	struct flow body; /* only the header, that is */
	bool is_connected, was_reused, body_done;
};

static struct backend_counters *counters(const struct hedge *h)
{
	return &h->backend->rt->counters[h->r->client.conn->l7->env.worker];
}

/* ---- its end ------------------------------------------------------------------------------- */

static void hedge_free(struct hedge *h)
{
	flow_deinit(&h->body);
	h->r->hedge = NULL;
	free(h);
}

void hedge_cancel(struct request *r)
{
	struct hedge *h = r->hedge;

	if (!h)
		return;
	if (h->is_connected)
		counter_add(&counters(h)->active_down, 1);
	breaker_end(h->backend, &h->claims);
	balance_move(&h->backend, NULL);
	upstream_conn_close(h->up);
	hedge_free(h);
}

/* What attempt.c would repeat without a word: a kept connection that had died, a refused stream. */
static bool is_excused(const struct hedge *h)
{
	return h->up->io.carrier ? h2_client_is_refused(h->up)
				 : h->was_reused && !buf_len(&h->up->io.in);
}

/* It came to nothing (status 0), or to an error: the first try goes on alone, until the next one is
 * due. */
static void drop(struct hedge *h, unsigned status)
{
	struct request *r = h->r;
	bool is_blamed = status || !is_excused(h);

	if (status) {
		counter_add(&counters(h)->responses_5xx, 1);
	} else if (is_blamed) {
		counter_add(&counters(h)->failures, 1);
		counter_add(&counters(h)->resets, 1);
	}
	if (is_blamed)
		attempt_note(r, h->backend, &h->claims,
			     status ? outlier_of_status(status) : OUTLIER_GATEWAY, h->began_ms);
	hedge_cancel(r);
	hedge_schedule(r);
	request_set_deadline(r);
}

/* In place of the first, which is given up; what is known of it was noted before. */
static void take_over(struct hedge *h)
{
	struct request *r = h->r;

	attempt_detach(r, false);
	if (r->state == REQUEST_AWAIT && !h->is_connected)
		request_set_state(r, REQUEST_CONNECT);
	r->up = h->up;
	r->up->user = &attempt_user;
	r->up->ctx = r;
	balance_move(&r->backend, NULL);
	r->backend = h->backend; /* with its place in the accounts */
	r->sent_ns = h->sent_ns;
	r->claims = h->claims;
	r->tried_ms = h->began_ms;
	r->was_reused = h->was_reused;
	r->body_refused = r->close_backend = false;
	r->body_done = h->is_connected && h->body_done;
	r->scan = (struct http1_scan){0};
	r->body_at = r->reply_at = r->hedge_at = DEADLINE_NONE;
	if (h->is_connected) { /* else attach() begins it */
		flow_deinit(&r->body);
		r->body = h->body;
		h->body = (struct flow){0};
	} else {
		flow_restart(&r->body);
	}
	hedge_free(h);
}

bool hedge_promote(struct request *r)
{
	if (!r->hedge || r->state != REQUEST_AWAIT)
		return false;
	take_over(r->hedge);
	(void)request_advance(r, (struct slice){0});
	return true;
}

/* ---- its response -------------------------------------------------------------------------- */

/* Of the response whose header is here, or the beginning of it; 0: not yet; 599: it is none. */
static unsigned status_of(struct hedge *h)
{
	struct l7 *l7 = h->r->client.conn->l7;
	const struct buf *in = &h->up->io.in;
	unsigned status = 0;

	if (h->up->io.carrier) {
		struct head head = {.cap = h2_client_head_cap(h->up) + 1};

		if (!h2_client_has_head(h->up))
			return 0;
		head.fields = l7_fields(l7, head.cap);
		if (!head.fields || h2_client_head(h->up, h->r->is_head, &head) != REASON_NONE)
			return RETRY_STATUS_MAX;
		return head.status;
	}
	if (buf_len(in) < STATUS_END)
		return 0;
	for (size_t i = STATUS_AT; i < STATUS_END; i++)
		status = status * 10 + (unsigned)(unsigned char)(buf_head(in)[i] - '0');
	return status;
}

/* What came of it so far. */
static void look(struct hedge *h, bool is_over)
{
	struct request *r = h->r;
	unsigned status = status_of(h);

	if (status >= 500 || (!status && is_over)) {
		drop(h, status);
		return;
	}
	if (!status) {
		if (stream_watch(&h->up->io) < 0)
			drop(h, 0);
		return;
	}
	counter_add(&request_counters(r)->hedges_won, 1);
	take_over(h);
	(void)request_advance(r, (struct slice){0});
}

static void push(struct hedge *h, struct slice head)
{
	enum flow_status status = flow_pump(&h->body, head);

	h->body_done = status == FLOW_DONE;
	look(h, status == FLOW_BROKEN);
}

static void on_event(void *ctx, int events)
{
	struct hedge *h = ctx;
	bool more;
	ssize_t n = -EAGAIN;

	if (events & SOCK_READ)
		n = stream_read(&h->up->io, &more);
	if (stream_is_error(n) || h->up->io.is_eof || h->body_done)
		look(h, stream_is_error(n) || h->up->io.is_eof);
	else
		push(h, (struct slice){0});
}

/* ---- its beginning ------------------------------------------------------------------------- */

static void attach(struct hedge *h, bool reused)
{
	struct request *r = h->r;

	h->is_connected = true;
	if (pool_times(h->backend->pool))
		h->sent_ns = clock_now_ns();
	h->was_reused = reused;
	counter_add(&counters(h)->requests, 1);
	counter_add(&counters(h)->active_up, 1);
	if (reused)
		counter_add(&counters(h)->reused, 1);
	flow_init(&h->body, r->client.io, BODY_NONE, 0);
	flow_send_to(&h->body, &h->up->io, r->framing);
	push(h, (struct slice){r->head, r->head_len});
}

static void on_connect(void *ctx, int status)
{
	struct hedge *h = ctx;
	struct request *r = h->r;
	struct failure before = r->failure;

	if (status >= 0) {
		breaker_go(h->backend, &h->claims);
		attach(h, false);
		return;
	}
	attempt_note_connect(r, h->backend, status, h->claims.probe);
	r->failure = before;
	h->claims.probe = false;
	h->up = NULL; /* closed already */
	hedge_cancel(r);
	hedge_schedule(r);
	request_set_deadline(r);
}

static const struct upstream_user user = {.on_connect = on_connect, .on_event = on_event};

void hedge_schedule(struct request *r)
{
	const struct hedge_conf *c = r->hedging;

	r->hedge_at = DEADLINE_NONE;
	if (!c->after_ms || r->hedge_count >= c->max || !r->is_idempotent || r->upgrade.len ||
	    r->is_connect || r->body.body.kind != BODY_NONE || r->state != REQUEST_AWAIT ||
	    r->tried_count >= RETRY_ATTEMPTS_MAX || r->backend->pool->proxy_out != PROXY_OUT_OFF)
		return;
	r->hedge_at = deadline_in(&r->client.io->deadline, c->after_ms);
}

static bool is_answered(const struct request *r)
{
	return buf_len(&r->up->io.in) || r->interim_count ||
	       (r->up->io.carrier && h2_client_has_head(r->up));
}

void hedge_start(struct request *r)
{
	const struct balance_ask ask = {r->tried, r->tried_count, r->hash};
	const struct backend *be;
	struct hedge *h;

	r->hedge_at = DEADLINE_NONE;
	be = balancer_pick(view_pool(r->client.view, r->pool)->balancer, &ask);
	if (!be || is_answered(r) || !attempt_take_retry(r) || !(h = calloc(1, sizeof(*h)))) {
		request_set_deadline(r);
		return;
	}
	h->r = r;
	balance_move(&h->backend, be);
	h->began_ms = deadline_in(&r->client.io->deadline, 0);
	r->hedge = h;
	r->hedge_count++;
	r->tried[r->tried_count++] = be;
	counter_add(&request_counters(r)->hedges, 1);
	request_set_deadline(r);
	breaker_try(be, &h->claims);
	h->up = attempt_take(r, be, &user, h);
	if (h->up)
		attach(h, true);
	else if (attempt_open(r, be, &user, h, &h->claims, &h->up) < 0)
		hedge_cancel(r);
}
