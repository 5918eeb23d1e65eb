/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proxy's threads: one libuv loop each, with its own listeners, connections, idle upstream
 * connections and counters. Nothing on the way of a request is shared. All calls: main thread; the
 * callbacks come on the main loop.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "conf/snapshot.h"
#include "core/diag.h"

struct legacy;
struct workers;
struct worker_sockets; /* listening sockets made ready for a snapshot, not yet handed out */

typedef void (*workers_cb)(void *ctx, int status);

/* node: how many, and how they work; for this call. legacy: what another process hands over, which is
 * taken with its descriptors, also on error; NULL: nothing. */
int workers_start(uv_loop_t *main_loop, const struct node *node, struct legacy *legacy,
		  struct workers **ret_workers, struct diag *d);

/*
 * Bind and listen, once a worker (SO_REUSEPORT, IP_FREEBIND), for each address of a proxied service
 * that is not served yet; for its ranges and prefixes, somewhere else: these get only what a program
 * gives them, and there has to be one. Nothing is accepted before the commit. 0, or -errno with a line in d for
 * each address that failed; then nothing is kept.
 */
int workers_prepare(struct workers *w, const struct snapshot *snap,
		    struct worker_sockets **ret_sockets, struct diag *d);
void worker_sockets_free(struct worker_sockets *s); /* not committed; NULL is fine */

/* What another process gets of these workers: descriptors are borrowed. 0, or -ENOMEM. */
int workers_legacy(const struct workers *w, struct legacy *ret_legacy);

/* All groups of sockets that the snapshot is served by, also those that are there already, until fn
 * returns other than 0, which is returned. group: as listen_group(). fds: the workers'. */
typedef int (*worker_sockets_fn)(void *ctx, const char *group, const int *fds, size_t count);
int worker_sockets_each(const struct worker_sockets *s, worker_sockets_fn fn, void *ctx);

/* Once all have taken over, a program is told who gets new connections. Sockets in whose place there
 * are others then, also of another address, stay open for some seconds after the commit. */
void worker_sockets_set_steered(struct worker_sockets *s);

/*
 * Hand snap and the new sockets to every worker; cb once all have taken over. New requests are
 * served by snap; requests under way keep the snapshot that they started on; connections stay.
 * Listeners of addresses that snap no longer has are closed, their idle connections too, busy ones
 * after their response. Takes sockets, which are of workers_prepare() for this snap, and references
 * of its own to snap. A worker without memory tries again until it has some. status: 0, or -errno
 * where a worker could not start to accept at one of the addresses.
 */
void workers_commit(struct workers *w, struct snapshot *snap, struct worker_sockets *sockets,
		    workers_cb cb, void *ctx);

/* Stop accepting, close idle connections, let requests end (answers carry Connection: close); cb
 * when nothing is left (0) or after deadline_ms, when the rest has been closed (-ETIMEDOUT). Once. */
void workers_drain(struct workers *w, unsigned deadline_ms, workers_cb cb, void *ctx);

/* The same when another process has taken over with workers_legacy(): who waits for being accepted is
 * left to it, and idle connections have a moment to ask for something. */
void workers_drain_handed_over(struct workers *w, unsigned deadline_ms, workers_cb cb, void *ctx);

/* End the threads, after a drain or at once; waits for them, then frees all in the main loop's next
 * turns. Callbacks that have not come yet do not come, but those of walks. NULL is fine. */
void workers_stop(struct workers *w);

/*
 * Walk through the client connections of all workers, one worker after the other and a page at a time:
 * between two of them workers and main loop do other things. Connections that come or go meanwhile, and
 * commits, disturb nothing. page: on the main loop, some of them may be empty; false: that was enough.
 * Then done, once: 0, or -ECANCELED, from within workers_stop().
 */
struct conn_question;
struct conn_walk;
struct workers_walk {
	bool (*page)(void *ctx, const struct conn_walk *walk);
	void (*done)(void *ctx, int status);
	void *ctx;
};

/* question: l7/conn_walk.h; it is copied. 0, or -ENOMEM: nothing is called. Not after workers_stop(). */
int workers_walk(struct workers *w, const struct conn_question *question,
		 const struct workers_walk *events);

struct workers_status {
	unsigned count;
	uint64_t connections; /* open client connections */
	uint64_t upstream_idle;
	uint64_t buffer_bytes; /* held for bytes that are under way */
	uint64_t generation;   /* lowest one that a worker serves */
	/* struct l7_load: the highest of each, of memory and those that wait the sum; and who
	 * accepts nobody. */
	uint64_t pressure, lag_us, memory, waiting;
	unsigned full;
	int batch_problem; /* -errno, why one of them has no io_uring that is wanted; 0: none */
};
void workers_status(const struct workers *w, struct workers_status *ret_status);

/* Has every worker's loop turned within the last so many milliseconds? An idle one turns every second:
 * less than some of these is taken as some. */
bool workers_turn(const struct workers *w, unsigned within_ms);

/* Of one of them, by number below count. */
struct worker_facts {
	uint64_t connections, upstream_idle, generation, batched;
	uint64_t lag_us, lag_max_us; /* how late its loop came to a timer: last, and most */
};
void workers_facts(const struct workers *w, unsigned number, struct worker_facts *ret_facts);

#endif
