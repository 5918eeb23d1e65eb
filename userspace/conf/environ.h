/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References to the environment in a document: "${NAME}" in a value, NAME in capitals, digits and
 * underscores, stands for the variable NAME of the daemon's environment. The document in force keeps
 * the reference, so what is shown, saved and kept never has the value. Main thread.
 */
#ifndef CONF_ENVIRON_H
#define CONF_ENVIRON_H

#include <stddef.h>

#include "conf/tree.h"

struct arena;

/* What a reference stood for. */
struct secret {
	const char *name;
	const char *value;
	size_t len; /* of value */
};

struct secrets {
	struct secret *list;
	size_t count;
};

/* Are there references at all? */
bool environ_is_used(const struct tree *document);

/*
 * A copy of document with the values in place of the references, and what they were, in arena. A
 * variable that is not set is an error at the value's place. "$$" stands for itself and is left as it
 * is: templates read it. A value that is one reference and nothing else may be a number or a word, in
 * quotes or not. NULL: out of memory.
 */
struct tree *environ_resolve(const struct tree *document, struct arena *arena,
			     struct secrets *ret_secrets, struct diag *d);

/* Put the references back into a text that a person will read. Values shorter than four bytes are
 * words and numbers, not secrets. Takes text (malloc'ed); NULL: out of memory, or text was. */
char *secrets_mask(const struct secrets *s, char *text);

/* The same in what is said from item first on. */
void secrets_mask_diag(const struct secrets *s, struct diag *d, size_t first);

#endif
