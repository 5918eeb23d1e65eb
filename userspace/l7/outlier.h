/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backends that are left out for a time by what became of their requests (conf/resilience.h). What is
 * known of a backend is shared by all workers (struct outlier_rt), so each of them leaves it out.
 * Any worker's thread.
 */
#ifndef L7_OUTLIER_H
#define L7_OUTLIER_H

#include "conf/runtime.h"
#include "conf/snapshot.h"

enum outlier_result {
	OUTLIER_GOOD,
	OUTLIER_5XX,	 /* other than 502, 503 and 504 */
	OUTLIER_GATEWAY, /* those, and all that is no response */
};

/* What became of one request after ms. was_probe: it was the one on trial, from outlier_try(). */
void outlier_note(const struct backend *be, enum outlier_result result, uint64_t ms,
		  bool was_probe);

/* A request goes to the backend: is it the one on trial? Then it must be told what became of it, or
 * that nothing is known of that. */
bool outlier_try(const struct backend *be);
void outlier_forget(const struct backend *be);

/* Is there a request on trial? Then nobody else goes to it. */
static inline bool outlier_is_taken(const struct backend *be)
{
	return outlier_is_on(&be->pool->outlier) &&
	       atomic_load_explicit(&be->rt->outlier.is_probed, memory_order_relaxed);
}

enum outlier_result outlier_of_status(unsigned status);

#endif
