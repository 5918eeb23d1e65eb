/* SPDX-License-Identifier: BSD-2-Clause */
/* Which flows and connections a question is about, whether the kernel steers them or a worker proxies
 * them. Pure; any thread. */
#ifndef CONF_FLOW_FILTER_H
#define CONF_FLOW_FILTER_H

#include <stdbool.h>

#include "bpf/abi.h"
#include "core/addr.h"

/* Empty fields: any. All that are given must fit. */
struct flow_filter {
	char service[SHUNT_NAME_MAX];
	char pool[SHUNT_NAME_MAX];
	char backend[SHUNT_NAME_MAX]; /* of the pool */
	struct addr source;	      /* family 0: any */
	unsigned source_len;
};

/* Each is true where the filter does not say. Names that are not known: "". */
bool flow_filter_has_service(const struct flow_filter *f, const char *service);
bool flow_filter_has_backend(const struct flow_filter *f, const char *pool, const char *backend);
bool flow_filter_has_source(const struct flow_filter *f, const struct addr *source);

#endif
