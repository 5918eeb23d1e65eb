/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Active checks: one prober for each backend (pool, name, address) on the main loop, with rise, fall, interval,
 * time-out and jitter from its pool. Writes only conf/runtime's health fields; tells its owner when
 * a state changed. Main thread.
 */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include <uv.h>

#include "conf/snapshot.h"

struct health;

/* Called once for any number of changes in one turn of the loop. */
typedef void (*health_change_cb)(void *ctx);

int health_start(uv_loop_t *loop, health_change_cb on_change, void *ctx,
		 struct health **ret_health);

/* Probe what snap says from now on; backends that stay keep their state and their schedule. Keeps a
 * reference to snap. A first check is due at once, spread over a tenth of the interval. A backend without a check is "unknown".
 * 0, or -ENOMEM (the former set goes on). */
int health_apply(struct health *h, struct snapshot *snap);

/* Ends all probes; done_cb (may be NULL) when the loop holds nothing of it any more. */
void health_close(struct health *h, void (*done_cb)(void *ctx), void *ctx);

#endif
