/* SPDX-License-Identifier: BSD-2-Clause */
/* Configurations in several files, and references to the environment. */
#include "conf_util.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/diff.h"
#include "conf/environ.h"
#include "conf/tree_dir.h"
#include "core/strbuf.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/shunt-conf-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	struct file_list files;

	(void)state;
	if (tree_dir_list(dir, &files))
		return -1;
	for (size_t i = 0; i < files.count; i++)
		(void)unlink(files.paths[i]);
	file_list_deinit(&files);
	return rmdir(dir);
}

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* The YAML text of the directory, or what is said of it; the directory's name is taken out. */
static char *load(void)
{
	struct strbuf b;
	struct tree *t;
	struct diag d;
	char *text, line[512];

	diag_init(&d);
	strbuf_init(&b);
	t = tree_load(dir, &d);
	for (size_t i = 0; !t && i < d.count; i++) {
		diag_format(&d.items[i], line, sizeof(line));
		strbuf_printf(&b, "%s\n", line + strlen(dir) + 1);
	}
	text = t ? tree_emit(t) : strbuf_take(&b);
	strbuf_deinit(&b);
	tree_free(t);
	diag_deinit(&d);
	assert_non_null(text);
	return text;
}

static void expect(const char *want)
{
	char *have = load();

	assert_string_equal(have, want);
	free(have);
}

static void files_are_one_document_in_the_order_of_their_names(void **state)
{
	(void)state;
	put("20-b.yaml", "pools:\n  b: {health: none}\nnode: {echo: off}\n");
	put("10-a.yml", "pools:\n  a: {health: none}\nnode: {workers: 1}\n");
	assert_int_equal(chdir("/"), 0);
	expect("pools:\n  a: {health: none}\n  b: {health: none}\n"
	       "node:\n  workers: 1\n  echo: off\n");
}

static void each_file_gets_back_what_came_from_it(void **state)
{
	struct tree *t, *part, *extra;
	char path[128], *text;
	struct diag d;

	(void)state;
	diag_init(&d);
	t = tree_load(dir, &d);
	assert_non_null(t);
	extra = tree_new(TREE_MAPPING);
	assert_non_null(extra);
	assert_int_equal(tree_set(t, "guard", extra), 0);
	(void)snprintf(path, sizeof(path), "%s/10-a.yml", dir);
	part = tree_dir_part(t, path, false);
	text = tree_emit(part);
	assert_string_equal(text, "pools:\n  a: {health: none}\nnode:\n  workers: 1\n");
	free(text);
	tree_free(part);
	(void)snprintf(path, sizeof(path), "%s/20-b.yaml", dir);
	part = tree_dir_part(t, path, true);
	text = tree_emit(part);
	assert_string_equal(text, "pools:\n  b: {health: none}\nnode:\n  echo: off\nguard: {}\n");
	free(text);
	tree_free(part);
	tree_free(t);
	diag_deinit(&d);
}

static void errors_name_the_right_file(void **state)
{
	char *have;

	(void)state;
	put("30-c.yaml", "pools:\n  a: {}\nservices: [\n");
	put("40-d.yaml", "node: {workers: 2}\npools:\n  b: {}\n");
	have = load();
	assert_non_null(strstr(have, "30-c.yaml:4:1: error: malformed YAML"));
	assert_non_null(strstr(have, "40-d.yaml:1:8: error: key \"workers\" is here twice, first"));
	assert_non_null(strstr(have, "40-d.yaml:3:3: error: key \"b\" is here twice, first at"));
	assert_non_null(strstr(have, "20-b.yaml:2\n"));
	free(have);
	put("30-c.yaml", "[a]\n");
	put("40-d.yaml", "node: {}\n");
	expect("30-c.yaml:1:1: error: expected a mapping of keys to values\n");
}

static const char base[] = "node: {pin_path: %s, workers: \"${SHUNT_T_WORKERS}\"}\n"
			   "pools: {p: {health: none, backends: [{name: a, address: "
			   "\"10.0.0.1:80\"}]}}\n"
			   "services: {s: {listen: \"127.0.0.1:80/tcp\", mode: http, pool: p}}\n";

static void references_stand_for_what_the_environment_says(void **state)
{
	struct runtime *rt = runtime_new();
	struct change_list changes;
	struct snapshot *a, *b;
	char text[512], *shown;

	(void)state;
	assert_int_equal(setenv("SHUNT_T_WORKERS", "3", 1), 0);
	assert_int_equal(setenv("SHUNT_T_PATH", "/sys/fs/bpf/secret", 1), 0);
	(void)snprintf(text, sizeof(text), base, "\"${SHUNT_T_PATH}/x\"");
	a = build_good(rt, text);
	assert_int_equal(a->node.workers, 3);
	assert_string_equal(a->node.pin_path, "/sys/fs/bpf/secret/x");

	/* Shown and compared without the value. */
	shown = tree_emit(a->document);
	assert_non_null(strstr(shown, "\"${SHUNT_T_PATH}/x\""));
	assert_null(strstr(shown, "secret"));
	free(shown);
	assert_int_equal(setenv("SHUNT_T_PATH", "/sys/fs/bpf/other", 1), 0);
	b = build_good(rt, text);
	assert_int_equal(diff_snapshots(a, b, &changes), 0);
	assert_int_equal(changes.count, 1);
	assert_string_equal(changes.items[0].old_text, "${SHUNT_T_PATH}/x");
	assert_string_equal(changes.items[0].new_text, "${SHUNT_T_PATH}/x");
	change_list_deinit(&changes);
	snapshot_unref(a);
	snapshot_unref(b);
	runtime_free(rt);
}

static void what_is_wrong_with_a_value_does_not_show_it(void **state)
{
	char text[512], said[2048];
	bool built;

	(void)state;
	assert_int_equal(setenv("SHUNT_T_PATH", "hidden words", 1), 0);
	(void)snprintf(text, sizeof(text), base, "\"${SHUNT_T_PATH}\"");
	report(text, said, sizeof(said), &built);
	assert_false(built);
	assert_string_equal(said, "t:1:18: error: node.pin_path: expected an absolute path, found "
				  "\"${SHUNT_T_PATH}\"\n");
	assert_int_equal(unsetenv("SHUNT_T_PATH"), 0);
	(void)snprintf(text, sizeof(text), base, "\"/a${SHUNT_T_PATH}\"");
	report(text, said, sizeof(said), &built);
	assert_false(built);
	assert_string_equal(said, "t:1:18: error: ${SHUNT_T_PATH}: there is no such variable in "
				  "the environment\n");
}

static void names_of_templates_are_none_of_the_environment(void **state)
{
	struct tree *t = parse_good("a: [\"${region}\", \"$${HOME}\", \"${1}\", \"$HOME\", "
				    "\"${}\", \"${A\"]\n");
	struct tree *one = parse_good("a: {b: [\"$$${HOME}\"]}\n");

	(void)state;
	assert_false(environ_is_used(t));
	assert_true(environ_is_used(one));
	tree_free(t);
	tree_free(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_one_document_in_the_order_of_their_names),
		cmocka_unit_test(each_file_gets_back_what_came_from_it),
		cmocka_unit_test(errors_name_the_right_file),
		cmocka_unit_test(references_stand_for_what_the_environment_says),
		cmocka_unit_test(what_is_wrong_with_a_value_does_not_show_it),
		cmocka_unit_test(names_of_templates_are_none_of_the_environment),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
