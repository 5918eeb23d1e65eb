/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One worker: a thread with its loop, its listeners and its part of the proxy. The main thread
 * speaks to it by messages alone, which come back to the main mailbox when they are done.
 */
#ifndef WORKER_WORKER_THREAD_H
#define WORKER_WORKER_THREAD_H

#include <stdatomic.h>

#include "conf/snapshot.h"
#include "worker/listener.h"
#include "worker/mailbox.h"

struct conn_walk;
struct worker;

enum worker_task {
	WORKER_COMMIT, /* serve snapshot, take over listeners */
	WORKER_DRAIN,  /* worker_drain() */
	WORKER_CLOSE,  /* worker_close_all() */
	WORKER_STOP,   /* worker_stop() */
	WORKER_WALK,   /* the next page of walk */
};

struct worker_message {
	struct list node;
	enum worker_task task;
	struct snapshot *snapshot; /* WORKER_COMMIT: a reference, the receiver's */
	struct list listeners;	   /* WORKER_COMMIT: not started; the receiver's */
	bool is_steered;	   /* WORKER_COMMIT: as workers_commit() says */
	bool is_handed_over;	   /* WORKER_DRAIN: as worker_drain() says */
	struct conn_walk *walk;	   /* WORKER_WALK: the sender's, in whose message this is */
	int status;		   /* on the way back */
	void *op;		   /* the sender's */
};

/* What a worker lets others see, at any time. */
struct worker_counts {
	_Atomic uint64_t connections, upstream_idle, buffer_bytes, generation;
	_Atomic uint64_t timer_lag_us, timer_lag_max_us; /* how late a timer was: last, and most */
	_Atomic uint64_t turned_ms; /* clock_now_ms() when it came to a timer last */
	_Atomic uint64_t batched;   /* reads and writes that io_uring made */
	_Atomic int batch_problem;  /* -errno, why it makes none; 0: none */
	_Atomic uint64_t pressure, lag_us, memory, is_full, waiting; /* as struct l7_load */
};

/* Start the thread, all signals blocked in it. batched: see poller_init(). 0, or -errno. */
struct tls_shared;
int worker_start(unsigned index, bool batched, struct tls_shared *tls, struct mailbox *main_mailbox,
		 struct worker **ret_worker);

/* Takes m; it comes back to the main mailbox. */
void worker_post(struct worker *w, struct worker_message *m);

/* Stop accepting, let requests end; a message of this task comes back when no connection is left,
 * which the worker keeps the memory of. handed_over: another process has the listening sockets too,
 * and serves who waits there. Once. */
void worker_drain(struct worker *w, bool handed_over);

/* Close all connections now; once. */
void worker_close_all(struct worker *w);

const struct worker_counts *worker_counts(const struct worker *w);

/* End the thread, after what was posted before; once. Then wait for that; then free all. */
void worker_stop(struct worker *w);
void worker_join(struct worker *w);
void worker_free(struct worker *w);

struct worker_message *worker_message_new(enum worker_task task);
void worker_message_free(struct worker_message *m); /* NULL is fine */

#endif
