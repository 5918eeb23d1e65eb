/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the proxy needs of the thread it runs on, and what the thread needs of the proxy. The worker
 * fills struct l7_env and keeps it for its life; l7/ knows nothing else of workers. One thread.
 */
#ifndef L7_L7_H
#define L7_L7_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "conf/snapshot.h"

struct l7;
struct poller;
struct tls_shared;

struct l7_env {
	uv_loop_t *loop;
	struct poller *poller;	/* of this loop */
	unsigned worker;	/* row of the runtime counters */
	struct tls_shared *tls; /* among the workers; outlives them */
};

int l7_new(const struct l7_env *env, struct l7 **ret_l7);

/* New requests are served by snap from now on (takes a reference of its own). Connections accepted
 * for an address that snap no longer has are closed when idle. 0, or -ENOMEM: all stays as it was. */
int l7_set_snapshot(struct l7 *l7, struct snapshot *snap);

/* A client of the service waits that cannot be accepted: counts it. */
void l7_accept_failed(struct l7 *l7, const char *service);

/* Serve a client. Takes fd (non-blocking, connected, TCP_NODELAY), whatever is returned. service: by
 * name, so that it is found again in later snapshots. peer, local: the connection's two ends. 0,
 * -ENOENT (no such service), -EBUSY (over its limit; counted), or another -errno. */
int l7_accept(struct l7 *l7, int fd, const char *service, const struct endpoint *peer,
	      const struct endpoint *local);

/* May clients be accepted, or is there too much to do? */
bool l7_may_accept(const struct l7 *l7);

struct l7_load {
	unsigned pressure; /* as in limit/overload.h */
	uint64_t lag_us;
	uint64_t waiting; /* requests in the queue */
	uint64_t memory;  /* bytes that connections, buffers and requests hold */
	bool is_full;	  /* nobody is accepted */
};
void l7_load(const struct l7 *l7, struct l7_load *ret_load);

/* Close idle ones, after idle_ms without a request (0: now), the rest after its response. */
void l7_drain(struct l7 *l7, unsigned idle_ms);
void l7_close_all(struct l7 *l7); /* now, whatever is under way; nothing is accepted any more */
uint64_t l7_connections(const struct l7 *l7); /* client connections not yet freed */
uint64_t l7_upstream_idle(const struct l7 *l7);
uint64_t l7_buffer_bytes(const struct l7 *l7); /* held for bytes that are under way */
void l7_free(struct l7 *l7); /* after l7_close_all() and when the loop ran dry; NULL is fine */

#endif
