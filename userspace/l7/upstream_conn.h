/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to a backend: connecting, busy with one request, or idle. Freed once, when the
 * loop has let go of it. Or one stream of a connection that many requests share: h2_client.h. One
 * thread.
 */
#ifndef L7_UPSTREAM_CONN_H
#define L7_UPSTREAM_CONN_H

#include "core/addr.h"
#include "core/list.h"
#include "l7/stream.h"

struct upstream;

enum upstream_state { UPSTREAM_CONNECTING, UPSTREAM_BUSY, UPSTREAM_IDLE, UPSTREAM_CLOSED };

/* How the request that uses a connection hears of it. None is called before the call that asked for
 * it returns, and none after upstream_conn_close() or upstream_put_idle(). */
struct upstream_user {
	/* 0: connected. -errno (-ETIMEDOUT, -ECONNREFUSED, ...): not, and it is closed already. */
	void (*on_connect)(void *ctx, int status);
	void (*on_event)(void *ctx, int events); /* SOCK_READ, SOCK_WRITE */
	/* May be NULL: io.deadline has passed, else the connection ends; its memory is gone, the last call of all. */
	void (*on_deadline)(void *ctx);
	void (*on_closed)(void *ctx);
};

struct upstream_conn {
	struct stream io;
	struct list node; /* in upstream.idle */
	struct upstream *up;
	const struct upstream_user *user;
	void *ctx;
	struct tls_client *tls; /* a reference; NULL: plain */
	enum upstream_state state;
	struct addr addr;
	uint16_t port;
};

/* Connect to ep, at most connect_ms long. 0, or -errno where it failed at once; -EUSERS: the pool has
 * as many connections as it may have. What is put into io.out
 * before it is connected is said first, and in the clear where TLS follows. */
int upstream_conn_open(struct upstream *up, const struct endpoint *ep, unsigned connect_ms,
		       const struct upstream_user *user, void *ctx,
		       struct upstream_conn **ret_conn);

void upstream_conn_close(struct upstream_conn *uc); /* NULL is fine */

/* For upstream.c. Clean: of the way that the backend is spoken to now, and without a byte that was not
 * asked for. */
bool upstream_conn_is_clean(const struct upstream_conn *uc);
void upstream_conn_enter_idle(struct upstream_conn *uc, unsigned idle_ms);
void upstream_conn_leave_idle(struct upstream_conn *uc);

#endif
