/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of a fuzz input, which zero bytes separate, and a request made of them. */
#ifndef TESTS_FUZZ_ROUTE_INPUT_H
#define TESTS_FUZZ_ROUTE_INPUT_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/diag.h"
#include "route/expr.h"
#include "route/input.h"
#include "route/scope.h"

struct fuzz_world {
	struct route_mem mem;
	struct diag diag;
	struct route_room *room;
	struct route_scope scope;
	struct route_variable variable;
	struct route_field fields[2];
};

static inline struct slice next_part(struct slice *rest)
{
	const char *zero = rest->len ? memchr(rest->ptr, '\0', rest->len) : NULL;
	struct slice part = {rest->ptr, zero ? (size_t)(zero - rest->ptr) : rest->len};

	rest->ptr += part.len + (zero ? 1 : 0);
	rest->len -= part.len + (zero ? 1 : 0);
	return part;
}

static inline void fuzz_world_init(struct fuzz_world *w)
{
	memset(w, 0, sizeof(*w));
	route_mem_init(&w->mem);
	diag_init(&w->diag);
	w->room = route_room_new(512);
	assert(w->room);
	w->scope = (struct route_scope){.mem = &w->mem, .diag = &w->diag};
	w->variable.name = "tenant";
	assert(!expr_compile(&w->scope, SLICE("header[\"x\"]"), NULL, &w->variable.value));
	w->scope.variables = &w->variable;
	w->scope.variable_count = 1;
}

static inline void fuzz_world_deinit(struct fuzz_world *w)
{
	route_room_free(w->room);
	route_mem_deinit(&w->mem);
	diag_deinit(&w->diag);
}

/* What is left of the input: path, a header field and cookies, query, host. A path has the form
 * that paths have when rules see them. */
static inline struct route_input fuzz_request(struct fuzz_world *w, struct slice rest)
{
	struct route_input in = {.method = SLICE("GET"),
				 .scheme = SLICE("https"),
				 .next_field = route_next_in_array,
				 .fields = w->fields,
				 .field_count = 2,
				 .room = w->room};

	in.path = next_part(&rest);
	w->fields[0] = (struct route_field){SLICE("X"), next_part(&rest)};
	w->fields[1] = (struct route_field){SLICE("cookie"), w->fields[0].value};
	in.query = next_part(&rest);
	in.host = next_part(&rest);
	assert(!addr_parse("192.0.2.7", &in.source));
	return in;
}

/* What was told of a text: one error if it was refused, else nothing; a line each. */
static inline void check_told(const struct fuzz_world *w, int err)
{
	assert(w->diag.errors == (err ? 1 : 0));
	for (size_t i = 0; i < w->diag.count; i++)
		assert(!strchr(w->diag.items[i].text, '\n'));
}

#endif
