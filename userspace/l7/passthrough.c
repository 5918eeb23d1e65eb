/* SPDX-License-Identifier: BSD-2-Clause */
/* ClientHellos of tls services: see passthrough.h. */
#include "l7/passthrough.h"

#include <errno.h>

#include "core/log.h"
#include "l7/conn.h"
#include "l7/sni_route.h"

static void refuse(struct conn *c, enum tls_alert alert, _Atomic uint64_t *counter)
{
	char record[TLS_ALERT_RECORD];

	counter_add(counter, 1);
	log_debug("l7: refused service=%s alert=%d", c->service->name, alert);
	tls_alert_write(record, alert);
	conn_refuse(c, (struct slice){record, sizeof(record)});
}

/* The ClientHello is whole. */
static void choose_pool(struct conn *c)
{
	char *scratch = l7_scratch(c->l7, CLIENT_HELLO_MAX);
	const struct pool *pool;
	struct client_hello hello;
	enum tls_alert alert;

	if (!scratch) {
		conn_abort(c);
		return;
	}
	alert = client_hello_read(&c->hello, buf_head(&c->io.in), scratch, &hello);
	if (alert != TLS_ALERT_NONE) {
		refuse(c, alert, &conn_counters(c)->hello_invalid);
		return;
	}
	pool = sni_route_pool(c->service, &hello);
	if (pool)
		conn_pass(c, pool, &hello);
	else
		refuse(c, TLS_ALERT_UNRECOGNIZED_NAME, &conn_counters(c)->unrecognized_names);
}

/* Look at what is here. */
static void look(struct conn *c)
{
	struct buf *in = &c->io.in;
	enum tls_alert alert;
	int whole;

	if (!buf_len(in))
		return;
	whole = client_hello_scan(&c->hello, buf_head(in), buf_len(in), &alert);
	if (whole > 0)
		choose_pool(c);
	else if (whole < 0)
		refuse(c, alert, &conn_counters(c)->hello_invalid);
	else if ((!buf_room(in) && buf_reserve(c->io.pool, in, in->cap) < 0) ||
		 stream_watch(&c->io) < 0)
		conn_abort(c);
}

void passthrough_begin(struct conn *c)
{
	c->hello = (struct client_hello_scan){0};
	conn_await(c, CONN_HELLO, c->service->relay.client_hello_ms);
	if (c->state == CONN_HELLO)
		look(c);
}

void passthrough_on_event(struct conn *c)
{
	bool more;
	ssize_t n = stream_read(&c->io, &more);

	if (n == -EAGAIN)
		return;
	if (n > 0) {
		look(c);
		return;
	}
	if (buf_len(&c->io.in))
		counter_add(&conn_counters(c)->aborted, 1);
	conn_close(c);
}

void passthrough_on_deadline(struct conn *c)
{
	counter_add(&conn_counters(c)->hello_timeouts, 1);
	conn_abort(c);
}
