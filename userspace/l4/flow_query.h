/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions about the kernel's tables of flows: a walk through all of them, with what fits a filter told,
 * counted, or deleted. Calls of the kernel alone: any thread, as long as the loader is open. */
#ifndef L4_FLOW_QUERY_H
#define L4_FLOW_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/flow_filter.h"
#include "core/addr.h"
#include "loader/loader.h"

struct flow_item {
	struct endpoint source, destination;
	uint8_t proto;
	uint8_t state; /* enum shunt_flow_state */
	bool pending;
	bool stale;			      /* its backend is gone, or down: it is void */
	uint64_t age_ms;		      /* since its last packet, up to a second more */
	const char *service, *pool, *backend; /* borrowed from the query; backend "": not known */
};

struct flow_query;

/* Names of rows as they are now. 0, or -errno. */
int flow_query_new(struct loader *l, struct flow_query **ret_query);
void flow_query_free(struct flow_query *q); /* NULL is fine */

/* Calls back for each entry that fits; false: enough. An entry that comes to another table meanwhile may be
 * told twice. erase: delete it. 0, or -errno. */
typedef bool (*flow_item_cb)(void *ctx, const struct flow_item *item);
int flow_query_each(struct flow_query *q, const struct flow_filter *filter, bool erase,
		    flow_item_cb cb, void *ctx);

const char *flow_state_name(uint8_t state);

#endif
