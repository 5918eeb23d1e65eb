/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/flow_filter.h"

#include <string.h>

#include "conf/listen.h"

bool flow_filter_has_service(const struct flow_filter *f, const char *service)
{
	return !f->service[0] || !strcmp(f->service, service);
}

bool flow_filter_has_backend(const struct flow_filter *f, const char *pool, const char *backend)
{
	return (!f->pool[0] || !strcmp(f->pool, pool)) &&
	       (!f->backend[0] || !strcmp(f->backend, backend));
}

bool flow_filter_has_source(const struct flow_filter *f, const struct addr *source)
{
	return !f->source.family || (source->family == f->source.family &&
				     addr_in_prefix(source, &f->source, f->source_len));
}
