/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outliers: a backend whose requests fail is ejected, that is not chosen for a while, whatever its health
 * checks say. A failure is a connection that could not be made, no usable answer, or a 5xx; what a client
 * breaks off is none. Each ejection lasts longer than the one before, until the backend does well for as
 * long again. When its time is over it is on trial: one request at a time, until one has gone well.
 *
 * What is known of a backend is of all workers (struct backend_rt): atomics that two of them may write to
 * at once, which costs a count, never more. Health checks, and so the kernel's tables, are not touched.
 * Any worker.
 */
#ifndef L7_OUTLIER_H
#define L7_OUTLIER_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/runtime.h"
#include "conf/snapshot.h"

static inline bool pool_ejects(const struct pool *p)
{
	return p->outlier.consecutive || p->outlier.error_percent;
}

/* A request, or a connection, of the backend has gone well, or failed. */
void outlier_note(const struct backend *be, bool good);

/* Is it ejected? On trial? */
static inline bool outlier_is_ejected(const struct backend *be, uint64_t now_ms)
{
	return now_ms < atomic_load_explicit(&be->rt->ejected_until_ms, memory_order_relaxed);
}

static inline bool outlier_is_on_trial(const struct backend *be)
{
	return atomic_load_explicit(&be->rt->on_trial, memory_order_relaxed);
}

#endif
