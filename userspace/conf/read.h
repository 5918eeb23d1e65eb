/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one mapping of a document to one struct of a snapshot, by the keyword table: defaults, types,
 * ranges, unknown and missing keys. Errors go to the diag and the field keeps its default. Main
 * thread.
 */
#ifndef CONF_READ_H
#define CONF_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "core/diag.h"

struct arena;
struct keyword;
struct section;
struct tree;

#define READ_PATH_MAX 256

struct reader {
	struct arena *arena; /* where text and arrays go */
	struct diag *diag;
	bool out_of_memory;
	char object[READ_PATH_MAX]; /* "pool web: ": what is being read, for messages; or empty */
	char path[READ_PATH_MAX];   /* "health.http.": the key is below these */
};

void reader_init(struct reader *r, struct arena *arena, struct diag *d);

/* "pool %s", "backend %s/%s", ... */
void reader_set_object(struct reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* "backend POOL/NAME" and the like, for what there is much of. */
void reader_set_member(struct reader *r, const char *what, const char *owner, const char *name);

/* Defaults first, then what node says. node NULL: the defaults alone. */
void read_section(struct reader *r, const struct section *s, const struct tree *node, void *object);
/* The same where object has the defaults already: a copy of one that got them. */
void read_given(struct reader *r, const struct section *s, const struct tree *node, void *object);

/* Warn of keys that have no effect where key says word. */
void read_warn_without_effect(struct reader *r, const struct section *s, const struct tree *node,
			      const char *key, const char *word);

/* A list of mappings into an array of the reader's memory, each by k's section. NULL: it was no list, or
 * there is no memory, which was reported; *ret_count is 0 then. */
void *read_sections(struct reader *r, const struct keyword *k, const struct tree *value,
		    size_t item_size, size_t *ret_count);

/* Is node a mapping (or nothing at all, which is an empty one)? If not, an error. */
bool read_expect_mapping(struct reader *r, const struct tree *node);

/* The values of a scalar or of a list of scalars, one at a time: *at starts at 0. NULL: no more.
 * What is no scalar is reported as not being of the form that k wants. */
const struct tree *read_next_scalar(struct reader *r, const struct keyword *k,
				    const struct tree *value, size_t *at);
size_t read_count(const struct tree *value); /* how many there are at most */

/* "OBJECT: PATH.KEY: expected WHAT, found ..." at the value's place. */
void read_expected(struct reader *r, const struct keyword *k, const struct tree *value,
		   const char *what);
void read_error(struct reader *r, const struct keyword *k, const struct pos *pos, const char *fmt,
		...) __attribute__((format(printf, 4, 5)));

/* Memory of the snapshot; NULL is remembered in out_of_memory. */
void *read_alloc(struct reader *r, size_t count, size_t size);
const char *read_strdup(struct reader *r, const char *text);

#endif
