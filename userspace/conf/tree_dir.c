/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration in several files: see tree_dir.h. */
#include "conf/tree_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/text.h"

/* Trees and what is said of them borrow the names of their files. There are few, and they come again
 * with each reload. */
static struct name {
	struct name *next;
	char text[];
} * names;

static const char *keep_name(const char *directory, const char *file)
{
	size_t len = strlen(directory) + strlen(file) + sizeof("/");
	struct name *n = malloc(sizeof(*n) + len);

	if (!n)
		return NULL;
	(void)snprintf(n->text, len, "%s/%s", directory, file); /* fits */
	for (struct name *it = names; it; it = it->next) {
		if (!strcmp(it->text, n->text)) {
			free(n);
			return it->text;
		}
	}
	n->next = names;
	names = n;
	return n->text;
}

bool tree_dir_is_one(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_wanted(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && ((len > 5 && !strcmp(name + len - 5, ".yaml")) ||
				  (len > 4 && !strcmp(name + len - 4, ".yml")));
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_path(struct file_list *files, const char *path)
{
	const char **paths = realloc(files->paths, (files->count + 1) * sizeof(*paths));

	if (paths)
		files->paths = paths;
	if (!paths || !path)
		return -ENOMEM;
	files->paths[files->count++] = path;
	return 0;
}

int tree_dir_list(const char *path, struct file_list *ret_files)
{
	struct file_list files = {0};
	struct dirent *entry;
	DIR *dir = opendir(path);
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir)))
		if (is_wanted(entry->d_name))
			err = add_path(&files, keep_name(path, entry->d_name));
	closedir(dir);
	if (err) {
		file_list_deinit(&files);
		return err;
	}
	if (files.count)
		qsort(files.paths, files.count, sizeof(*files.paths), compare_paths);
	*ret_files = files;
	return 0;
}

void file_list_deinit(struct file_list *files)
{
	free(files->paths);
	*files = (struct file_list){0};
}

static void say_twice(const struct tree *again, const struct tree *first, struct diag *d)
{
	diag_error(d, &again->key_pos, "key %s is here twice, first at %s:%d",
		   text_quote(again->key).s, first->key_pos.file, first->key_pos.line);
}

/* Move the children of from over; depth: levels below at which both may have a key. */
static void merge(struct tree *into, struct tree *from, unsigned depth, struct diag *d)
{
	for (size_t i = 0; i < from->count; i++) {
		struct tree *child = from->children[i], *have = tree_get(into, child->key);

		if (!have && !tree_append(into, child))
			from->children[i] = NULL;
		else if (!have)
			diag_error(d, NULL, "out of memory");
		else if (depth && have->kind == TREE_MAPPING && child->kind == TREE_MAPPING)
			merge(have, child, depth - 1, d);
		else
			say_twice(child, have, d);
	}
}

static struct tree *merge_file(struct tree *document, const char *path, struct diag *d)
{
	struct tree *t = tree_load_file(path, d);

	if (!t)
		return document;
	if (t->kind != TREE_MAPPING) {
		diag_error(d, &t->pos, "expected a mapping of keys to values");
	} else if (document) {
		merge(document, t, 1, d);
	} else {
		return t;
	}
	tree_free(t);
	return document;
}

struct tree *tree_dir_load(const char *path, struct diag *d)
{
	struct pos where = {.file = path};
	struct tree *document = NULL;
	struct file_list files;
	size_t errors = d->errors;
	int err = tree_dir_list(path, &files);

	if (err) {
		diag_error(d, &where, "cannot read: %s", strerror(-err));
		return NULL;
	}
	if (!files.count)
		diag_error(d, &where, "no file in it has a name that ends in .yaml or .yml");
	for (size_t i = 0; i < files.count; i++)
		document = merge_file(document, files.paths[i], d);
	file_list_deinit(&files);
	if (d->errors > errors) {
		tree_free(document);
		return NULL;
	}
	return document;
}

static bool is_of(const struct tree *t, const char *file, bool last)
{
	return t->key_pos.file ? !strcmp(t->key_pos.file, file) : last;
}

static int add_copy(struct tree *into, const struct tree *child)
{
	struct tree *copy = tree_copy(child);

	if (copy && !tree_append(into, copy))
		return 0;
	tree_free(copy);
	return -ENOMEM;
}

/* A mapping of the document with those of its keys that are the file's; nothing where there are
 * none. */
static int add_part(struct tree *into, const struct tree *t, const char *file, bool last)
{
	struct tree *part = tree_new(TREE_MAPPING);
	int err = part ? 0 : -ENOMEM;

	for (size_t i = 0; i < t->count && !err; i++)
		if (is_of(t->children[i], file, last))
			err = add_copy(part, t->children[i]);
	if (!err && !part->count && !is_of(t, file, last)) {
		tree_free(part);
		return 0;
	}
	if (!err)
		err = tree_set(into, t->key, part);
	if (err)
		tree_free(part);
	return err;
}

struct tree *tree_dir_part(const struct tree *document, const char *file, bool last)
{
	struct tree *part = tree_new(TREE_MAPPING);
	int err = part ? 0 : -ENOMEM;

	for (size_t i = 0; i < document->count && !err; i++) {
		const struct tree *child = document->children[i];

		if (child->kind == TREE_MAPPING)
			err = add_part(part, child, file, last);
		else if (is_of(child, file, last))
			err = add_copy(part, child);
	}
	if (err) {
		tree_free(part);
		return NULL;
	}
	return part;
}
