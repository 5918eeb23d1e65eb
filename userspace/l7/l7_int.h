/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of l7/ share in one worker: see l7.h for what others may know. One thread. */
#ifndef L7_L7_INT_H
#define L7_L7_INT_H

#include "core/buf.h"
#include "core/list.h"
#include "core/log.h"
#include "l7/deadline.h"
#include "l7/l7.h"
#include "l7/mirror.h"
#include "l7/poller.h"
#include "l7/queue.h"
#include "l7/request_id.h"
#include "l7/shedding.h"
#include "l7/splice.h"
#include "l7/tls.h"
#include "tls/resume.h"

struct conn;
struct field;
struct view;

/* Of conn_walk(): where the one under way, or the last one, has come to. */
struct l7_cursor {
	struct list *next; /* of l7.conns; NULL: there was no walk yet */
	uint64_t left;	   /* to be looked at */
};

struct l7 {
	struct l7_env env;
	struct buf_pool pool;
	struct pipes pipes;
	struct deadlines deadlines;
	struct view *view; /* the newest; NULL before the first snapshot */
	struct list conns; /* all client connections */
	struct l7_cursor cursor;
	uint64_t conn_count;
	uint64_t upstream_idle;
	uint64_t request_bytes; /* memory of the requests under way */
	struct shedding shedding;
	struct queue queue;
	struct mirrors mirrors;
	struct conn *deferred,
		**deferred_end; /* client connections with requests left in their buffers */
	unsigned deferred_count;
	struct poller_hook deferred_hook; /* due while there are any */
	struct list h2_flush;	    /* HTTP/2 sessions with something to be written this turn */
	struct poller_hook h2_hook; /* writes it */
	struct list exchanges;	    /* kept for later: h2_server.c */
	unsigned exchange_count;
	struct tls_waker waker;
	struct tls_resumer resumer;
	uv_timer_t tickets;		/* forgets their old keys */
	struct routing_room *routing;	/* routing.c; NULL: no service has routes */
	uint64_t random;		/* state of l7_random() */
	struct log_limit failure_limit; /* failure.c */
	unsigned drain_idle_ms; /* how long an idle connection may still ask for something */
	bool is_draining;
	bool is_closed; /* l7_close_all() was called */
	/* Memory that is used within one call only. */
	char *scratch;
	size_t scratch_cap;
	struct field *fields;
	unsigned field_cap;
	char request_id[REQUEST_ID_MAX]; /* of the request that begins */
};

/* A node of l7.conns; the walk does not lose its place. */
static inline void l7_unlink(struct l7 *l7, struct list *node)
{
	if (l7->cursor.next == node)
		l7->cursor.next = node->next;
	list_unlink(node);
}

/* For choices that nobody needs to be unable to guess. */
uint64_t l7_random(struct l7 *l7);

/* At least len bytes, count fields; valid until the next call. NULL: out of memory. */
char *l7_scratch(struct l7 *l7, size_t len);
struct field *l7_fields(struct l7 *l7, unsigned count);

/* Call conn_resume(c) in the loop's next turn, once; c may be closed until then. */
void l7_defer(struct l7 *l7, struct conn *c);
void l7_undefer(struct l7 *l7, struct conn *c); /* no longer */

#endif
