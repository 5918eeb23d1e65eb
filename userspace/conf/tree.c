/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration documents as they were written, the nodes: see tree.h. */
#include "conf/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tree *tree_new(enum tree_kind kind)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (t)
		t->kind = kind;
	return t;
}

struct tree *tree_new_scalar(const char *text)
{
	struct tree *t = tree_new(TREE_SCALAR);

	if (!t)
		return NULL;
	t->text = strdup(text);
	if (!t->text) {
		tree_free(t);
		return NULL;
	}
	return t;
}

/* What of a node lies in the memory of the copy that it is in, whose root is the beginning of that. */
enum { PACKED_NODE = 1, PACKED_TEXT = 2, PACKED_KEY = 4, PACKED_CHILDREN = 8 };

/* Recursion is bounded: tree_parse() limits the depth. */
void tree_free(struct tree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++)
		tree_free(t->children[i]);
	if (!(t->packed & PACKED_CHILDREN))
		free(t->children);
	if (!(t->packed & PACKED_TEXT))
		free(t->text);
	if (!(t->packed & PACKED_KEY))
		free(t->key);
	if (!(t->packed & PACKED_NODE))
		free(t);
}

void tree_set_text(struct tree *scalar, char *text)
{
	if (!(scalar->packed & PACKED_TEXT))
		free(scalar->text);
	scalar->packed &= (unsigned char)~PACKED_TEXT;
	scalar->text = text;
}

/* Out of the copy's memory, which has no room for more. */
static int unpack_children(struct tree *t)
{
	size_t room = 4;
	struct tree **children;

	while (room <= t->count)
		room *= 2;
	children = malloc(room * sizeof(struct tree *));
	if (!children)
		return -ENOMEM;
	memcpy(children, t->children, t->count * sizeof(struct tree *));
	t->children = children;
	t->packed &= (unsigned char)~PACKED_CHILDREN;
	return 0;
}

/* There is always room for the next power of two, so a count of one calls for more. */
static int reserve_child(struct tree *t)
{
	size_t room = t->count ? t->count * 2 : 4;
	struct tree **children;

	if (t->packed & PACKED_CHILDREN)
		return unpack_children(t);
	if (t->count && (t->count < 4 || (t->count & (t->count - 1))))
		return 0;
	children = realloc(t->children, room * sizeof(struct tree *));
	if (!children)
		return -ENOMEM;
	t->children = children;
	return 0;
}

int tree_append(struct tree *sequence, struct tree *value)
{
	if (reserve_child(sequence) < 0)
		return -ENOMEM;
	sequence->children[sequence->count++] = value;
	return 0;
}

static size_t child_index(const struct tree *t, const char *key)
{
	size_t i = 0;

	while (i < t->count &&
	       (t->children[i]->key[0] != key[0] || strcmp(t->children[i]->key, key) != 0))
		i++;
	return i;
}

struct tree *tree_get(const struct tree *t, const char *key)
{
	size_t i;

	if (!t || t->kind != TREE_MAPPING)
		return NULL;
	i = child_index(t, key);
	return i < t->count ? t->children[i] : NULL;
}

bool tree_is_null(const struct tree *t)
{
	return !t || (t->kind == TREE_SCALAR && !t->quoted &&
		      (!*t->text || !strcmp(t->text, "~") || !strcmp(t->text, "null")));
}

int tree_set(struct tree *mapping, const char *key, struct tree *value)
{
	size_t i = child_index(mapping, key);
	char *copy = strdup(key);

	if (!copy)
		return -ENOMEM;
	if (i < mapping->count) {
		value->key_pos = mapping->children[i]->key_pos;
		tree_free(mapping->children[i]);
		mapping->children[i] = value;
	} else if (tree_append(mapping, value) < 0) {
		free(copy);
		return -ENOMEM;
	}
	if (!(value->packed & PACKED_KEY))
		free(value->key);
	value->packed &= (unsigned char)~PACKED_KEY;
	value->key = copy;
	return 0;
}

void tree_remove(struct tree *parent, struct tree *child)
{
	size_t i = 0;

	while (i < parent->count && parent->children[i] != child)
		i++;
	if (i == parent->count)
		return;
	parent->count--;
	memmove(parent->children + i, parent->children + i + 1,
		(parent->count - i) * sizeof(struct tree *));
	tree_free(child);
}

/* A copy is one piece of memory: its nodes, the lists of their children, and all text. Documents are copied
 * and freed with every change, and read from one end to the other. */
struct pack {
	struct tree *nodes;
	struct tree **lists;
	char *text;
};

static void measure(const struct tree *t, size_t *nodes, size_t *text)
{
	++*nodes;
	*text += (t->text ? strlen(t->text) + 1 : 0) + (t->key ? strlen(t->key) + 1 : 0);
	for (size_t i = 0; i < t->count; i++)
		measure(t->children[i], nodes, text);
}

static char *pack_text(struct pack *p, const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = memcpy(p->text, text, len);

	p->text += len;
	return copy;
}

static struct tree *pack(struct pack *p, const struct tree *t)
{
	struct tree *copy = p->nodes++;

	*copy = *t;
	copy->packed = PACKED_NODE | PACKED_TEXT | PACKED_KEY | PACKED_CHILDREN;
	if (t->text)
		copy->text = pack_text(p, t->text);
	if (t->key)
		copy->key = pack_text(p, t->key);
	copy->children = p->lists;
	p->lists += t->count;
	for (size_t i = 0; i < t->count; i++)
		copy->children[i] = pack(p, t->children[i]);
	return copy;
}

struct tree *tree_copy(const struct tree *t)
{
	size_t nodes = 0, text = 0;
	struct pack p;

	measure(t, &nodes, &text);
	p.nodes = malloc(nodes * (sizeof(*p.nodes) + sizeof(*p.lists)) + text);
	if (!p.nodes)
		return NULL;
	p.lists = (struct tree **)(void *)(p.nodes + nodes);
	p.text = (char *)(p.lists + nodes); /* one list has each but the root */
	pack(&p, t)->packed &= (unsigned char)~PACKED_NODE;
	return p.nodes - nodes;
}
