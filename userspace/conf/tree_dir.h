/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration in several files: those of a directory whose names end in .yaml or .yml and do not
 * begin with a dot, in the order of their names, as one document. Keys of the document's own mappings
 * (pools, services, node, ...) may come from several files; the same key twice is an error. Main
 * thread.
 */
#ifndef CONF_TREE_DIR_H
#define CONF_TREE_DIR_H

#include "conf/tree.h"

bool tree_dir_is_one(const char *path);

/* The paths of its files, sorted. They live as long as the process. 0, or -errno. */
struct file_list {
	const char **paths;
	size_t count;
};
int tree_dir_list(const char *path, struct file_list *ret_files);
void file_list_deinit(struct file_list *files);

/* NULL: see d; every file is read, whatever is wrong with one. */
struct tree *tree_dir_load(const char *path, struct diag *d);

/* One file, or "-". */
struct tree *tree_load_file(const char *path, struct diag *d);

/*
 * What of document belongs into the file: what came from it, and, where last is set, what was made by
 * an edit and has no place in any. NULL: out of memory.
 */
struct tree *tree_dir_part(const struct tree *document, const char *file, bool last);

#endif
