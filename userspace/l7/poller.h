/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker waits for: its sockets (sock.h), in an epoll set of their own, and a loop of libuv
 * with all the rest, which is one member of that set. Were the sockets the loop's, it would make
 * three system calls for a new one, to see whether it can be watched, and one for each that is
 * closed, which the kernel forgets anyway; and it has its turn only when something is due there.
 * One thread.
 */
#ifndef L7_POLLER_H
#define L7_POLLER_H

#include <stdbool.h>
#include <uv.h>

#include "core/list.h"
#include "l7/batch.h"

struct poller {
	uv_loop_t *loop;
	int epoll;
	uint64_t turns;	    /* waits so far */
	unsigned socks;	    /* open, or closed and not yet let go of */
	struct list closed; /* sockets that the events at hand may still name */
	struct list hooks, woken;
	struct list due; /* hooks that are run once, when all that happened was told */
	struct batch batch;
};

/* Done before each wait, or right after it. The loop's own handles of that kind (uv_prepare_t, uv_check_t) are not, as
 * it has no part in most turns. */
struct poller_hook {
	struct list node;
	bool (*run)(struct poller_hook *hook); /* true: more is to be done, in the next turn;
						* after a wait it means nothing */
};

/* 0, or -errno. loop: outlives it. batched: by io_uring, if it can be had. */
int poller_init(struct poller *p, uv_loop_t *loop, bool batched);

/* One wait, and what came of it. */
void poller_turn(struct poller *p);

/* Until the loop has run dry and all sockets are closed. */
void poller_run(struct poller *p);
void poller_deinit(struct poller *p);

/* Once, at the end of this turn, or of the next one where it is asked for between two of them, which do not wait
 * then. Asked for again before that: once. Not any more: list_unlink(). What it returns means nothing. */
void poller_run_soon(struct poller *p, struct poller_hook *hook);

/* Before each wait, after each wait. Out of the list again: list_unlink(), but not while hooks run. */
void poller_add_hook(struct poller *p, struct poller_hook *hook);
void poller_add_woken(struct poller *p, struct poller_hook *hook);

#endif
