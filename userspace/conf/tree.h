/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration document as it was written: scalars, sequences and mappings, each node with its
 * place in the file. The file, `config apply` and every command that changes something end here;
 * conf_build() makes a snapshot of it. Owner: the caller. One thread.
 */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/diag.h"

enum tree_kind { TREE_SCALAR, TREE_SEQUENCE, TREE_MAPPING };

struct tree {
	enum tree_kind kind;
	struct pos pos;	      /* file: the name given to tree_parse(), borrowed, also by copies */
	bool quoted;	      /* scalars: was written in quotes, so never a number or a boolean */
	unsigned char packed; /* tree.c: what of it lies in the one piece of memory of a copy */
	char *text;	      /* scalars */
	char *key;	      /* children of a mapping */
	struct pos key_pos;
	struct tree **children; /* sequences and mappings, in the order written */
	size_t count;
};

/* Parse YAML text (NULL where len is 0 is fine). name: what messages call it; must outlive the tree. Anchors, tags, several
 * documents, a key twice, too deep or too large a document are errors. NULL: see d. */
struct tree *tree_parse(const char *name, const char *text, size_t len, struct diag *d);

/* The same from a file, "-" is standard input, or from a directory (conf/tree_dir.h). */
struct tree *tree_load(const char *path, struct diag *d);

void tree_free(struct tree *t);				      /* NULL is fine */
struct tree *tree_copy(const struct tree *t);		      /* NULL: out of memory */
struct tree *tree_get(const struct tree *t, const char *key); /* of a mapping; NULL: not there */
bool tree_is_null(const struct tree *t); /* no node, or one written as nothing, ~ or null */

/* Edits for the commands. 0, or -ENOMEM; the tree is unchanged on error. */
int tree_set(struct tree *mapping, const char *key, struct tree *value); /* takes value */
void tree_remove(struct tree *parent, struct tree *child);		 /* frees child */
int tree_append(struct tree *sequence, struct tree *value);		 /* takes value */
struct tree *tree_new(enum tree_kind kind);				 /* NULL: out of memory */
struct tree *tree_new_scalar(const char *text);
void tree_set_text(struct tree *scalar, char *text); /* takes text, malloc'ed or NULL */

/* YAML text of it, malloc'ed; comments of the source are gone. NULL: out of memory. */
char *tree_emit(const struct tree *t);

#endif
