/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/edit: what the commands make of documents in every style of writing. */
#include "tests/unit/conf_util.h"

#include <errno.h>
#include <stdlib.h>

#include "conf/edit.h"

static const char source[] = "pools:\n"
			     "  flow:\n"
			     "    backends: [{name: a, address: 10.0.0.1, state: drain}]\n"
			     "  block:\n"
			     "    backends:\n"
			     "    - name: a\n"
			     "      address: 10.0.0.1\n"
			     "    - name: b\n"
			     "      address: 10.0.0.2\n"
			     "      weight: 5\n"
			     "  bare:\n"
			     "    mtu: 1400\n"
			     "  null:\n"
			     "    mtu: 1400\n"
			     "    backends:\n"
			     "  wrong:\n"
			     "    backends: text\n"
			     "  text: text\n";

static struct tree *doc;
static struct diag diag;

static int make_document(void **state)
{
	(void)state;
	doc = parse_good(source);
	diag_init(&diag);
	return 0;
}

static int free_document(void **state)
{
	(void)state;
	tree_free(doc);
	diag_deinit(&diag);
	return 0;
}

/* The pool as it would be written. */
static void assert_pool(const char *pool, const char *expected)
{
	char *text = tree_emit(tree_get(tree_get(doc, "pools"), pool));

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void assert_refused(int err, int expected, const char *message)
{
	assert_int_equal(err, expected);
	assert_int_equal(diag.count, 1);
	assert_int_equal(diag.errors, 1);
	assert_string_equal(diag.items[0].text, message);
	diag_deinit(&diag);
}

static void backends_are_added(void **state)
{
	unsigned weight = 3;

	(void)state;
	assert_int_equal(edit_backend_add(doc, "flow", "b", "10.0.0.2:80", &weight, &diag), 0);
	assert_pool("flow", "backends:\n"
			    "- {name: a, address: 10.0.0.1, state: drain}\n"
			    "- {name: b, address: \"10.0.0.2:80\", weight: 3}\n");
	assert_int_equal(edit_backend_add(doc, "block", "c", "10.0.0.3", NULL, &diag), 0);
	assert_pool("block", "backends:\n"
			     "- {name: a, address: 10.0.0.1}\n"
			     "- {name: b, address: 10.0.0.2, weight: 5}\n"
			     "- {name: c, address: 10.0.0.3}\n");
	assert_int_equal(edit_backend_add(doc, "bare", "a", "10.0.0.1", NULL, &diag), 0);
	assert_pool("bare", "mtu: 1400\nbackends:\n- {name: a, address: 10.0.0.1}\n");
	assert_int_equal(edit_backend_add(doc, "null", "a", "10.0.0.1", NULL, &diag), 0);
	assert_pool("null", "mtu: 1400\nbackends:\n- {name: a, address: 10.0.0.1}\n");
	assert_int_equal(diag.count, 0);
	assert_refused(edit_backend_add(doc, "block", "b", "10.0.0.9", NULL, &diag), -EEXIST,
		       "pool block has a backend \"b\" already");
	assert_refused(edit_backend_add(doc, "blok", "b", "10.0.0.9", NULL, &diag), -ENOENT,
		       "pool \"blok\" is not there; did you mean \"block\"?");
	assert_int_equal(edit_backend_add(doc, "wrong", "b", "10.0.0.9", NULL, &diag), -EINVAL);
	assert_string_equal(diag.items[0].text, "pool wrong: backends is no list");
	assert_int_equal(diag.items[0].pos.line, 17);
	diag_deinit(&diag);
	assert_refused(edit_backend_add(doc, "text", "b", "10.0.0.9", NULL, &diag), -EINVAL,
		       "pool \"text\" is no mapping");
}

static void backends_are_removed(void **state)
{
	(void)state;
	assert_int_equal(edit_backend_remove(doc, "block", "a", &diag), 0);
	assert_pool("block", "backends:\n- {name: b, address: 10.0.0.2, weight: 5}\n");
	assert_int_equal(edit_backend_remove(doc, "block", "b", &diag), 0);
	assert_pool("block", "backends: []\n");
	assert_refused(edit_backend_remove(doc, "block", "b", &diag), -ENOENT,
		       "pool block: backend \"b\" is not there");
	assert_refused(edit_backend_remove(doc, "none", "b", &diag), -ENOENT,
		       "pool \"none\" is not there");
	assert_refused(edit_backend_remove(doc, "bare", "b", &diag), -ENOENT,
		       "pool bare: backend \"b\" is not there");
	assert_refused(edit_backend_remove(doc, "null", "b", &diag), -ENOENT,
		       "pool null: backend \"b\" is not there");
	assert_int_equal(edit_backend_add(doc, "block", "b", "10.0.0.2", NULL, &diag), 0);
	assert_pool("block", "backends:\n- {name: b, address: 10.0.0.2}\n");
}

static void states_are_set(void **state)
{
	(void)state;
	assert_int_equal(edit_backend_state(doc, "block", "a", ADMIN_DRAIN, &diag), 0);
	assert_int_equal(edit_backend_state(doc, "block", "b", ADMIN_DISABLED, &diag), 0);
	assert_pool("block", "backends:\n"
			     "- {name: a, address: 10.0.0.1, state: drain}\n"
			     "- {name: b, address: 10.0.0.2, weight: 5, state: disabled}\n");
	/* Up is what is not said. */
	assert_int_equal(edit_backend_state(doc, "block", "a", ADMIN_UP, &diag), 0);
	assert_int_equal(edit_backend_state(doc, "block", "a", ADMIN_UP, &diag), 0);
	assert_int_equal(edit_backend_state(doc, "flow", "a", ADMIN_UP, &diag), 0);
	assert_pool("block", "backends:\n"
			     "- {name: a, address: 10.0.0.1}\n"
			     "- {name: b, address: 10.0.0.2, weight: 5, state: disabled}\n");
	assert_pool("flow", "backends:\n- {name: a, address: 10.0.0.1}\n");
	assert_refused(edit_backend_state(doc, "flow", "b", ADMIN_UP, &diag), -ENOENT,
		       "pool flow: backend \"b\" is not there");
}

static void weights_are_set(void **state)
{
	(void)state;
	assert_int_equal(edit_backend_weight(doc, "block", "a", 0, &diag), 0);
	assert_int_equal(edit_backend_weight(doc, "block", "b", 1000, &diag), 0);
	assert_pool("block", "backends:\n"
			     "- {name: a, address: 10.0.0.1, weight: 0}\n"
			     "- {name: b, address: 10.0.0.2, weight: 1000}\n");
	assert_refused(edit_backend_weight(doc, "block", "c", 1, &diag), -ENOENT,
		       "pool block: backend \"c\" is not there");
}

/* Names come from outside: a name that is none is for conf_build() to refuse, and is written so
 * that it stays what it is. */
static void odd_text_is_carried_whole(void **state)
{
	struct tree *again;
	char *text;

	(void)state;
	assert_int_equal(edit_backend_add(doc, "bare", "a: [\n\"", "- {}", NULL, &diag), 0);
	text = tree_emit(doc);
	assert_non_null(text);
	again = parse_good(text);
	assert_string_equal(
		tree_get(tree_get(tree_get(tree_get(again, "pools"), "bare"), "backends")
				 ->children[0],
			 "name")
			->text,
		"a: [\n\"");
	free(text);
	tree_free(again);
}

static void documents_without_pools_are_fine(void **state)
{
	static const char *const sources[] = {"[]",	"x",	      "{}",
					      "pools:", "pools: [a]", "pools: {a: }"};

	(void)state;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct tree *t = parse_good(sources[i]);

		assert_refused(edit_backend_add(t, "web", "a", "10.0.0.1", NULL, &diag), -ENOENT,
			       "pool \"web\" is not there");
		assert_refused(edit_backend_remove(t, "web", "a", &diag), -ENOENT,
			       "pool \"web\" is not there");
		tree_free(t);
	}
}

/* What the commands leave is a configuration again. */
static void an_edited_document_builds(void **state)
{
	struct runtime *rt = runtime_new();
	struct tree *t = parse_good("pools: {api: }\n"
				    "services: {api: {listen: 10.9.0.1:80/tcp, mode: http, pool: "
				    "api}}\n");
	struct snapshot *s;
	unsigned weight = 7;

	(void)state;
	assert_null(conf_build(t, rt, &diag));
	diag_deinit(&diag);
	/* Nothing became a mapping with a list. */
	assert_int_equal(edit_backend_add(t, "api", "a", "10.0.0.1:80", &weight, &diag), 0);
	assert_int_equal(edit_backend_add(t, "api", "b", "[2001:db8::1]:80", NULL, &diag), 0);
	assert_int_equal(edit_backend_state(t, "api", "b", ADMIN_DRAIN, &diag), 0);
	s = conf_build(t, rt, &diag);
	assert_non_null(s);
	assert_int_equal(s->pools[0].backends[0].weight, 7);
	assert_int_equal(s->pools[0].backends[1].admin, ADMIN_DRAIN);
	snapshot_unref(s);
	tree_free(t);
	runtime_free(rt);
}

#define WITH_DOCUMENT(test) cmocka_unit_test_setup_teardown(test, make_document, free_document)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DOCUMENT(backends_are_added),
		WITH_DOCUMENT(backends_are_removed),
		WITH_DOCUMENT(states_are_set),
		WITH_DOCUMENT(weights_are_set),
		WITH_DOCUMENT(odd_text_is_carried_whole),
		WITH_DOCUMENT(documents_without_pools_are_fine),
		WITH_DOCUMENT(an_edited_document_builds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
