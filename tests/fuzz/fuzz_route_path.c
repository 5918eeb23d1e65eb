/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules for paths: whatever rule and path are, captures are pieces of the path, and a rule covers
 * itself and no path that it does not fit. The first byte says which kind. */
#include <stdbool.h>

#include "route/path_rule.h"
#include "tests/fuzz/route_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_captures(const struct path_captures *c, const struct path_rule *r,
			   struct slice path)
{
	assert(c->count == r->name_count && c->count <= REGEX_GROUPS_MAX);
	for (unsigned i = 0; i < c->count; i++) {
		struct slice s = c->values[i];

		assert(!s.len || (s.ptr >= path.ptr && s.ptr + s.len <= path.ptr + path.len));
	}
	assert(slice_eq(c->values[0], path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum path_kind kind = len ? data[0] % 5 : PATH_ANY;
	struct slice rest = {(const char *)data + (len > 0), len - (len > 0)}, text, path;
	struct path_captures captures;
	struct path_rule r, exact;
	struct fuzz_world w;
	bool fits;
	int err;

	fuzz_world_init(&w);
	text = next_part(&rest);
	path = next_part(&rest);
	err = path_rule_compile(&w.scope, kind, text, NULL, &r);
	check_told(&w, err);
	if (!err) {
		fits = path_rule_fits(&r, path, w.room, &captures);
		assert(fits == path_rule_fits(&r, path, w.room, NULL));
		assert(path_rule_covers(&r, &r, w.room) || kind == PATH_EXACT);
		if (fits)
			check_captures(&captures, &r, path);
		if (!path_rule_compile(&w.scope, PATH_EXACT, path, NULL, &exact))
			assert(path_rule_covers(&r, &exact, w.room) == fits);
	}
	fuzz_world_deinit(&w);
	return 0;
}
