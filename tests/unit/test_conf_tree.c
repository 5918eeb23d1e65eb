/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/tree: what is read, what is refused, what an edit leaves, and that writing goes back. */
#include "tests/unit/conf_util.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/tree_equal.h"

static void nodes_keep_their_place(void **state)
{
	struct tree *t = parse_good("node:\n  interfaces: [eth0, \"eth1\"]\npools: {}\n");
	struct tree *node = tree_get(t, "node"), *list = tree_get(node, "interfaces");

	(void)state;
	assert_int_equal(t->kind, TREE_MAPPING);
	assert_int_equal(t->count, 2);
	assert_string_equal(node->key, "node");
	assert_int_equal(node->key_pos.line, 1);
	assert_int_equal(node->pos.line, 2);
	assert_int_equal(node->pos.column, 3);
	assert_string_equal(list->children[1]->pos.file, "t");
	assert_int_equal(list->children[1]->pos.line, 2);
	assert_int_equal(list->children[1]->pos.column, 22);
	assert_false(list->children[0]->quoted);
	assert_true(list->children[1]->quoted);
	assert_null(tree_get(t, "nodes"));
	assert_null(tree_get(list, "node"));
	assert_null(tree_get(NULL, "node"));
	tree_free(t);
}

static void nothing_is_known_as_nothing(void **state)
{
	struct tree *t = parse_good("{a: , b: ~, c: null, d: '', e: x, f: []}");

	(void)state;
	assert_true(tree_is_null(NULL));
	assert_true(tree_is_null(tree_get(t, "a")));
	assert_true(tree_is_null(tree_get(t, "b")));
	assert_true(tree_is_null(tree_get(t, "c")));
	assert_false(tree_is_null(tree_get(t, "d")));
	assert_false(tree_is_null(tree_get(t, "e")));
	assert_false(tree_is_null(tree_get(t, "f")));
	tree_free(t);
}

static void what_is_no_configuration_is_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "t:1:1: error: the document is empty\n"},
		{"# nothing\n", "t:1:1: error: the document is empty\n"},
		{"--- ~", "t:1:1: error: the document is empty\n"},
		{"a: [1\nb: 2\n", "t:2:2: error: malformed YAML: did not find expected ',' or ']', "
				  "while parsing a flow sequence that starts at line 1\n"},
		{"a:\n\tb: 1\n", "t:2:1: error: malformed YAML: a tab cannot indent, use spaces\n"},
		{"\"\xc3\xa9\":\n\tb: 1\n",
		 "t:2:1: error: malformed YAML: a tab cannot indent, use spaces\n"},
		{"a: \"open\n",
		 "t:2:1: error: malformed YAML: found unexpected end of stream, while "
		 "scanning a quoted scalar that starts at line 1\n"},
		{"a: 1\nb: \xff\n", "t:2:4: error: not UTF-8 text: invalid leading UTF-8 octet\n"},
		{"a: 1\nb: 1\na: 2\n", "t:3:1: error: key \"a\" is here twice, first at line 1\n"},
		{"a: {x: 1, y: 1, x: 1}",
		 "t:1:17: error: key \"x\" is here twice, first at line 1\n"},
		{"a: 1\n---\nb: 1\n", "t:2:1: error: a second document: a configuration is one\n"},
		{"a: &here 1\n",
		 "t:1:4: error: anchors are not supported, write the value out: &here\n"},
		{"a: *here\n",
		 "t:1:4: error: aliases are not supported, write the value out: *here\n"},
		{"a: !!int 1\n",
		 "t:1:4: error: tags are not supported, remove \"tag:yaml.org,2002:int\"\n"},
		{"# x\n%TAG !a! tag:x\n--- x\n",
		 "t:2:1: error: tags are not supported, remove the directive\n"},
		{"# x\r%TAG !a! tag:x\n--- x\n",
		 "t:1:5: error: tags are not supported, remove the directive\n"},
		{"? [a]\n: 1\n", "t:1:3: error: expected a key, found a list\n"},
		{"{{}: 1}", "t:1:2: error: expected a key, found a mapping\n"},
		{"a: \"x\\0y\"\n", "t:1:4: error: text with a zero byte in it\n"},
		{"a: 1\x01\n",
		 "t:1:5: error: not UTF-8 text: control characters are not allowed\n"},
	};
	char text[4096];
	bool built;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		report(rows[i].text, text, sizeof(text), &built);
		assert_string_equal(text, rows[i].message);
	}
}

static void all_that_can_be_said_at_once_is(void **state)
{
	char text[4096];
	bool built;

	(void)state;
	report("a: &x 1\nb: !!str 2\na: 3\n", text, sizeof(text), &built);
	assert_string_equal(text,
			    "t:1:4: error: anchors are not supported, write the value out: &x\n"
			    "t:2:4: error: tags are not supported, remove "
			    "\"tag:yaml.org,2002:str\"\n"
			    "t:3:1: error: key \"a\" is here twice, first at line 1\n");
}

/* Text of count times a piece. */
static char *repeat(const char *piece, size_t count)
{
	size_t len = strlen(piece);
	char *text = malloc(len * count + 1);

	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * len, piece, len);
	text[len * count] = 0;
	return text;
}

static void sizes_have_limits(void **state)
{
	struct {
		char *text;
		const char *message;
	} rows[] = {
		{repeat("[", 100), "too deep: more than 32 levels"},
		{repeat("- ", 100000), "too deep: more than 32 levels"},
		{repeat("{a: ", 100), "too deep: more than 32 levels"},
		{repeat("- a\n", 600000), "too large: more than 500000 values"},
		{repeat("# 34567\n", 3 << 20), "too large: more than 16777216 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct diag d;

		diag_init(&d);
		assert_null(tree_parse("t", rows[i].text, strlen(rows[i].text), &d));
		assert_int_equal(d.count, 1);
		assert_string_equal(d.items[0].text, rows[i].message);
		diag_deinit(&d);
		free(rows[i].text);
	}
}

static void a_directive_inside_text_is_text(void **state)
{
	struct tree *t = parse_good("a: \"%TAG x\" # %TAG\nb: x%TAG\n");

	(void)state;
	assert_string_equal(tree_get(t, "a")->text, "%TAG x");
	tree_free(t);
}

static void depth_up_to_the_limit_is_fine(void **state)
{
	struct tree *t =
		parse_good("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");

	(void)state;
	tree_free(t);
}

static void copies_are_equal_and_apart(void **state)
{
	struct tree *t = parse_good("a: {b: [1, \"2\", {c: d}]}\ne: \"\"\n");
	struct tree *copy = tree_copy(t);

	(void)state;
	assert_non_null(copy);
	assert_true(tree_equal(t, copy));
	assert_int_equal(tree_get(copy, "e")->pos.line, 2);
	assert_ptr_not_equal(tree_get(copy, "a"), tree_get(t, "a"));
	tree_remove(copy, tree_get(copy, "a"));
	assert_non_null(tree_get(t, "a"));
	assert_false(tree_equal(t, copy));
	tree_free(copy);
	tree_free(t);
}

static void many_children_come_and_go(void **state)
{
	struct tree *list = tree_new(TREE_SEQUENCE);
	unsigned seed = 1, count = 0;

	(void)state;
	assert_non_null(list);
	for (int i = 0; i < 2000; i++) {
		seed = seed * 1103515245U + 12345U;
		if (count && seed >> 16 & 1 && seed >> 17 & 1) {
			tree_remove(list, list->children[(seed >> 18) % count]);
			count--;
		} else {
			assert_int_equal(tree_append(list, tree_new_scalar("x")), 0);
			count++;
		}
		assert_int_equal(list->count, count);
	}
	tree_free(list);
}

static void keys_are_set_and_replaced(void **state)
{
	struct tree *t = parse_good("a: 1\nb: 2\n");

	(void)state;
	assert_int_equal(tree_set(t, "a", tree_new_scalar("3")), 0);
	assert_int_equal(tree_set(t, "c", tree_new_scalar("4")), 0);
	assert_int_equal(t->count, 3);
	assert_string_equal(t->children[0]->text, "3");
	assert_string_equal(t->children[0]->key, "a");
	assert_int_equal(t->children[0]->key_pos.line, 1);
	assert_string_equal(t->children[2]->key, "c");
	tree_remove(t, tree_get(t, "b"));
	tree_remove(t, t); /* none of its children: nothing happens */
	assert_int_equal(t->count, 2);
	tree_free(t);
}

static void check_round_trip(const char *source)
{
	struct tree *t = parse_good(source), *again;
	char *text = tree_emit(t);

	assert_non_null(text);
	again = parse_good(text);
	if (!tree_equal(t, again))
		fail_msg("not the same:\n%s\nbecame:\n%s", source, text);
	tree_free(again);
	free(text);
	tree_free(t);
}

static void what_is_written_reads_the_same(void **state)
{
	static const char *const sources[] = {
		"{}",
		"[]",
		"x",
		"a: {}\nb: []\nc:\nd: ~\ne: ''\nf: \"~\"\n",
		"a: \"5\"\nb: 5\nc: '5'\n",
		"a: |\n  one\n  two\n\nb: >\n  folded\n  text\nc: plain\n  folded\n\n  twice\n",
		"a: \"\\x1b\\u00e9\\u2028\\ufeff\\U0001f600\"\n",
		"listen: [10.0.0.1:80/tcp, '[::1]:80/tcp', \"x, y\", 'a: b', \"#\", '- x', '?']\n",
		"a: ---b\nb: -x\nc: ...x\nd: a#b\ne: 'a #b'\nf: '!x'\ng: 'null'\nh: null\n",
		"'': 1\n' a ': 2\n'a: b': 3\n\"x\\ny\": 4\n'-': 5\n'? a': 6\n",
		"a: {b: {c: {d: {e: [{f: g}, {h: [i, j]}]}}}}\n",
		"- - - a\n  - b\n- {c: [d]}\n- - e\n",
	};
	char *longest = repeat("0123456789abcdef ", 100), doc[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		check_round_trip(sources[i]);
	snprintf(doc, sizeof(doc), "a: \"%s\"\n", longest);
	check_round_trip(doc);
	longest[1600] = 0;
	snprintf(doc, sizeof(doc), "? \"%s\"\n: 1\n", longest);
	check_round_trip(doc);
	free(longest);
}

static void a_document_is_written_for_people(void **state)
{
	static const char text[] = "node:\n"
				   "  interfaces: [eth0, eth1]\n"
				   "  limits: {flows: 4096, pending: 1024}\n"
				   "pools:\n"
				   "  web:\n"
				   "    forward: ipip\n"
				   "    health: {tcp: {port: 80}, every: 2s}\n"
				   "    backends:\n"
				   "    - {name: a, address: 10.0.0.1}\n"
				   "    - {name: b, address: \"10.0.0.2:80\", weight: 2}\n"
				   "  none: {backends: []}\n"
				   "services: {}\n";
	struct tree *t = parse_good(text);
	char *again = tree_emit(t);

	(void)state;
	assert_string_equal(again, text);
	free(again);
	tree_free(t);
}

static void files_are_loaded(void **state)
{
	char path[] = "/tmp/shunt-test-XXXXXX", name[64];
	struct tree *t;
	struct diag d;
	int fd = mkstemp(path);
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	for (int i = 0; i < 5000; i++) /* more than one read */
		fprintf(f, "key-%d: value\n", i);
	fclose(f);
	diag_init(&d);
	t = tree_load(path, &d);
	unlink(path);
	assert_non_null(t);
	assert_int_equal(t->count, 5000);
	assert_int_equal(t->children[4999]->pos.line, 5000);
	assert_ptr_equal(t->pos.file, path);
	tree_free(t);
	assert_null(tree_load(path, &d));
	assert_null(tree_load("/proc/self/mem", &d));
	assert_int_equal(d.count, 2);
	assert_string_equal(d.items[0].text, "cannot read: No such file or directory");
	assert_string_equal(d.items[1].text, "cannot read: Input/output error");
	snprintf(name, sizeof(name), "%s", path);
	assert_string_equal(d.items[0].pos.file, name);
	diag_deinit(&d);
}

/* All of its memory is one piece; what is changed in it is not. */
static void a_copy_is_edited_like_any_tree(void **state)
{
	struct tree *t = parse_good("a: {b: x, c: [1, 2]}\nd: \"y\"\ne:\n"), *copy, *again;
	struct tree *list;
	char *text;

	(void)state;
	copy = tree_copy(t);
	assert_non_null(copy);
	tree_free(t); /* nothing of it is shared */
	list = tree_get(tree_get(copy, "a"), "c");
	for (int i = 0; i < 9; i++)
		assert_int_equal(tree_append(list, tree_new_scalar("7")), 0);
	tree_remove(list, list->children[0]);
	assert_int_equal(tree_set(copy, "a2", tree_new_scalar("new")), 0);
	assert_int_equal(tree_set(copy, "d", tree_new_scalar("other")), 0);
	tree_set_text(tree_get(tree_get(copy, "a"), "b"), strdup("z"));
	tree_remove(copy, tree_get(copy, "e"));
	again = tree_copy(copy);
	tree_free(copy);
	text = tree_emit(again);
	assert_string_equal(text,
			    "a:\n  b: z\n  c: [2, 7, 7, 7, 7, 7, 7, 7, 7, 7]\nd: other\na2: new\n");
	free(text);
	/* A part of one, in a tree of its own. */
	copy = tree_new(TREE_MAPPING);
	assert_int_equal(tree_set(copy, "part", tree_copy(tree_get(again, "a"))), 0);
	tree_free(again);
	assert_string_equal(tree_get(tree_get(copy, "part"), "b")->text, "z");
	tree_free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_edited_like_any_tree),
		cmocka_unit_test(nodes_keep_their_place),
		cmocka_unit_test(nothing_is_known_as_nothing),
		cmocka_unit_test(what_is_no_configuration_is_refused),
		cmocka_unit_test(all_that_can_be_said_at_once_is),
		cmocka_unit_test(sizes_have_limits),
		cmocka_unit_test(a_directive_inside_text_is_text),
		cmocka_unit_test(depth_up_to_the_limit_is_fine),
		cmocka_unit_test(copies_are_equal_and_apart),
		cmocka_unit_test(many_children_come_and_go),
		cmocka_unit_test(keys_are_set_and_replaced),
		cmocka_unit_test(what_is_written_reads_the_same),
		cmocka_unit_test(a_document_is_written_for_people),
		cmocka_unit_test(files_are_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
