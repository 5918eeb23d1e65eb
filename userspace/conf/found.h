/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backends that were found for pools, by DNS or in files: what conf_build() puts beside those that a
 * document lists. A set is not changed once it is in the table. Main thread.
 */
#ifndef CONF_FOUND_H
#define CONF_FOUND_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/discover.h"
#include "conf/snapshot.h"
#include "core/arena.h"
#include "core/diag.h"

struct tree;

/* What schema_endpoint describes: a row of a file. */
struct endpoint_row {
	struct backend backend; /* first: some keys are those of a backend */
	uint16_t port;
};

/* Most that a set has. */
#define FOUND_MAX 65536

struct found_backend {
	const char *name;
	struct endpoint ep; /* port 0: none was found with it */
	unsigned weight;
	unsigned priority;
	const char *zone; /* NULL: none */
	enum admin_state admin;
	const struct tree *node; /* its place in the file; NULL: it has none */
};

struct found_set {
	enum discover_kind kind;
	const char *source; /* discover_source() of where it comes from */
	bool restored;	    /* by an earlier process */
	struct found_backend *list;
	size_t count, room;
	struct arena arena;
	struct tree *tree; /* of the file; the nodes are in it */
};

/* An empty one; NULL: out of memory. */
struct found_set *found_set_new(enum discover_kind kind, const char *source);
void found_set_free(struct found_set *s); /* NULL is fine */

/* One that DNS named, with a name that follows from its address. Addresses that no host can have as its own
 * are left out: false. -> *ret_err: 0, or -ENOMEM. */
bool found_set_add(struct found_set *s, const struct endpoint *ep, unsigned weight,
		   unsigned priority, int *ret_err);

/* When all are in: by name, and of those with one address the one with the lowest priority alone. */
void found_set_finish(struct found_set *s);

/* The same from a list in a file, and which it is of; errors at their line. file: what messages call it;
 * copied. NULL: see d. */
struct found_set *found_set_load(const char *path, enum discover_kind kind, const char *source,
				 struct diag *d);

/* As such a list; malloc'ed. NULL: out of memory. */
char *found_set_text(const struct found_set *s);

/* Do both name the same backends with the same weights, priorities, zones and states? NULL: none. */
bool found_set_equal(const struct found_set *a, const struct found_set *b);

const struct found_backend *found_set_get(const struct found_set *s, const char *name);

/* The table of sets by pool. */
struct found;

struct found *found_new(void); /* NULL: out of memory */
void found_free(struct found *f);
const struct found_set *found_get(const struct found *f, const char *pool); /* NULL: none */

/* Take set (NULL: none) for the pool and give back what was there. 0, or -ENOMEM, not for a pool that had
 * one before. */
int found_put(struct found *f, const char *pool, struct found_set *set,
	      struct found_set **ret_former);

/* All pools that ever had one. */
size_t found_count(const struct found *f);
const char *found_pool(const struct found *f, size_t index);

#endif
