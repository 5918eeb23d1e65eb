/* SPDX-License-Identifier: BSD-2-Clause */
/* What a body must look like: see health_pattern.h. */
#include "conf/health_pattern.h"

#include <errno.h>
#include <stdlib.h>

int health_pattern_new(const char *text, struct health_pattern **ret_pattern,
		       struct regex_error *ret_error)
{
	struct health_pattern *p = malloc(sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	route_mem_init(&p->mem);
	err = regex_compile_within(&p->mem, slice_of(text), &p->regex, ret_error);
	if (err < 0) {
		health_pattern_free(p);
		return err;
	}
	*ret_pattern = p;
	return 0;
}

void health_pattern_free(struct health_pattern *p)
{
	if (!p)
		return;
	route_mem_deinit(&p->mem);
	free(p);
}
