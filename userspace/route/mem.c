/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of a route table: see mem.h. */
#include "route/mem.h"

#include "route/regex.h"

void route_mem_init(struct route_mem *m)
{
	arena_init(&m->arena);
	m->regexes = NULL;
}

void route_mem_deinit(struct route_mem *m)
{
	regex_free_all(m->regexes);
	arena_deinit(&m->arena);
	m->regexes = NULL;
}

struct slice route_mem_copy(struct route_mem *m, struct slice text)
{
	char *copy = arena_alloc(&m->arena, text.len + 1);

	if (copy && text.len)
		memcpy(copy, text.ptr, text.len);
	return (struct slice){copy, copy ? text.len : 0};
}
