/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool of four backends with what is known of them, for tests of what chooses among them. */
#ifndef TESTS_UNIT_POOL_UTIL_H
#define TESTS_UNIT_POOL_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "conf/runtime.h"
#include "conf/snapshot.h"

#define BACKENDS 4

struct world {
	struct runtime *rt;
	struct pool pool;
	struct backend backends[BACKENDS];
};

/* Their weights are 1, 2, 3 and 4. */
static inline int set_up(void **state)
{
	static const char *const names[BACKENDS] = {"a", "b", "c", "d"};
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->rt = runtime_new();
	assert_non_null(w->rt);
	w->pool = (struct pool){.name = "p", .backends = w->backends, .backend_count = BACKENDS};
	for (unsigned i = 0; i < BACKENDS; i++) {
		struct backend *be = &w->backends[i];

		be->name = names[i];
		be->pool = &w->pool;
		be->weight = i + 1;
		assert_int_equal(endpoint_parse("127.0.0.1:80", &be->ep), 0);
		be->rt = runtime_backend(w->rt, "p", be->name, &be->ep);
		assert_non_null(be->rt);
	}
	w->pool.rt = w->backends[0].rt->of;
	*state = w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < BACKENDS; i++)
		backend_rt_unref(w->backends[i].rt);
	runtime_free(w->rt);
	free(w);
	return 0;
}

#endif
