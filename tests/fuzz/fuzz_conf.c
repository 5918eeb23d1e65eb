/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration text: whatever is in it, it is a snapshot or an error with a place; a document that
 * is written and read again is the same, and so is one in the usual form; a snapshot does not differ from itself; the commands work
 * on every document. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/build.h"
#include "conf/diff.h"
#include "conf/edit.h"
#include "conf/format.h"
#include "conf/runtime.h"
#include "conf/tree.h"
#include "tests/unit/tree_equal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_round_trip(const struct tree *t)
{
	char *text = tree_emit(t);
	struct tree *again;
	struct diag d;

	diag_init(&d);
	assert(text);
	again = tree_parse("again", text, strlen(text), &d);
	assert(again && !d.count);
	assert(tree_equal(t, again));
	tree_free(again);
	free(text);
	diag_deinit(&d);
}

/* The usual form says the same and is its own; a comment in the midst of something may be refused. */
static void check_format(const struct tree *t, const char *text, size_t len)
{
	char *once, *twice;
	struct tree *again;
	struct diag d;

	diag_init(&d);
	once = format_document("fuzz", text, len, &d);
	assert(!once == (d.errors > 0));
	if (once) {
		again = tree_parse("formatted", once, strlen(once), &d);
		assert(again && tree_equal(t, again));
		twice = format_document("formatted", once, strlen(once), &d);
		assert(twice && !strcmp(once, twice));
		free(twice);
		tree_free(again);
	}
	free(once);
	diag_deinit(&d);
}

static void check_build(const struct tree *t, struct runtime *rt, struct diag *d)
{
	struct snapshot *s = conf_build(t, rt, d), *twin;
	struct change_list list;
	struct diag ignored;

	assert(!s == (d->errors > 0));
	if (!s)
		return;
	diag_init(&ignored);
	twin = conf_build(t, rt, &ignored);
	assert(twin);
	assert(!diff_snapshots(s, twin, &list) && !list.count);
	change_list_deinit(&list);
	assert(!diff_snapshots(NULL, s, &list));
	assert(list.count >= s->pool_count + s->service_count);
	change_list_deinit(&list);
	diag_deinit(&ignored);
	snapshot_unref(twin);
	snapshot_unref(s);
}

static void check_edits(const struct tree *t, struct runtime *rt)
{
	const struct tree *pools = tree_get(t, "pools");
	struct tree *copy = tree_copy(t);
	unsigned weight = 3;
	struct diag d;

	diag_init(&d);
	assert(copy);
	for (size_t i = 0; pools && pools->kind == TREE_MAPPING && i < pools->count && i < 3; i++) {
		const char *pool = pools->children[i]->key;

		if (!edit_backend_add(copy, pool, "fuzz", "192.0.2.9", &weight, &d)) {
			assert(!edit_backend_state(copy, pool, "fuzz", ADMIN_DRAIN, &d));
			assert(!edit_backend_weight(copy, pool, "fuzz", 5, &d));
		}
		(void)edit_backend_remove(copy, pool, "a", &d); /* there or not */
	}
	check_round_trip(copy);
	snapshot_unref(conf_build(copy, rt, &d));
	tree_free(copy);
	diag_deinit(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct runtime *rt = runtime_new();
	struct tree *t;
	struct diag d;

	assert(rt);
	diag_init(&d);
	t = tree_parse("fuzz", (const char *)data, len, &d);
	assert(!t == (d.errors > 0));
	if (t) {
		check_round_trip(t);
		check_format(t, (const char *)data, len);
		check_build(t, rt, &d);
		check_edits(t, rt);
	}
	for (size_t i = 0; i < d.count; i++) {
		char text[64];

		assert(diag_format(&d.items[i], text, sizeof(text)) > 0);
		assert(!strchr(d.items[i].text, '\n'));
	}
	tree_free(t);
	diag_deinit(&d);
	runtime_free(rt);
	return 0;
}
