/* SPDX-License-Identifier: BSD-2-Clause */
/* Intrusive doubly linked list. A node outside any list may be unlinked again without harm. */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define list_entry(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

/* The current node may be removed in the body. */
#define list_for_each_safe(it, head)                                                               \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                  \
	     it = it##_next, it##_next = it->next)

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert(struct list *node, struct list *prev, struct list *next)
{
	node->prev = prev;
	node->next = next;
	prev->next = node;
	next->prev = node;
}

static inline void list_push(struct list *head, struct list *node)
{
	list_insert(node, head, head->next);
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert(node, head->prev, head);
}

static inline void list_unlink(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif
