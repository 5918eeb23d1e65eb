/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that grows while it is written. A failed allocation is remembered and told once, at the
 * end. Owner: the caller; one thread. */
#ifndef CORE_STRBUF_H
#define CORE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *text; /* NULL while empty; else with a terminating zero */
	size_t len;
	size_t room;
	bool failed;
};

void strbuf_init(struct strbuf *b);
void strbuf_deinit(struct strbuf *b);

void strbuf_add(struct strbuf *b, const char *text);
void strbuf_add_bytes(struct strbuf *b, const void *bytes, size_t len);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text, now the caller's to free(), never NULL unless an allocation failed; b is empty again. */
char *strbuf_take(struct strbuf *b);

#endif
