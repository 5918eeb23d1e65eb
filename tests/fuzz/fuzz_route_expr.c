/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions: whatever the text is, it is refused with one reason, or a tree within its bounds that
 * says the same of the same request each time. */
#include <stdio.h>
#include <stdlib.h>

#include "route/expr_int.h"
#include "tests/fuzz/route_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_value(const struct expr *e, const struct route_input *in)
{
	char first[EXPR_SHOWN_MAX], second[EXPR_SHOWN_MAX];
	struct slice a = expr_show(e, in, first);
	char *copy = malloc(a.len + 1);
	struct slice b;

	assert(copy);
	if (a.len)
		memcpy(copy, a.ptr, a.len);
	b = expr_show(e, in, second);
	assert(a.len == b.len && (!a.len || !memcmp(copy, b.ptr, a.len)));
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct route_input nothing;
	struct slice rest = {(const char *)data, len}, text;
	const struct expr *e = NULL;
	struct route_input in;
	struct fuzz_world w;
	int err;

	fuzz_world_init(&w);
	text = next_part(&rest);
	err = expr_compile(&w.scope, text, NULL, &e);
	assert(!err == (e != NULL));
	check_told(&w, err);
	if (e) {
		assert(e->depth <= EXPR_DEPTH_MAX && e->cost <= EXPR_COST_MAX);
		in = fuzz_request(&w, rest);
		check_value(e, &in);
		in = nothing;
		in.room = w.room;
		check_value(e, &in);
	}
	fuzz_world_deinit(&w);
	return 0;
}
