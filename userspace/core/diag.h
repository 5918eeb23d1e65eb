/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is told to a person about a configuration, a command or a kernel: a list of errors and
 * warnings, each with the place it speaks of. Owner: the caller; one thread. Libraries fill it,
 * main, control and the commands print it.
 */
#ifndef CORE_DIAG_H
#define CORE_DIAG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* file: borrowed, must outlive the diag. line and column count from 1; 0: not known. */
struct pos {
	const char *file;
	int line;
	int column;
};

enum diag_level { DIAG_ERROR, DIAG_WARNING };

struct diag_item {
	enum diag_level level;
	struct pos pos;
	char *text;
};

/* Of each level, no more than this are kept: a file that is no configuration at all does not bury
 * its reader. */
#define DIAG_MAX_KEPT 100

struct diag {
	struct diag_item *items; /* in the order they were found */
	size_t count;
	size_t errors;	    /* all that were reported, kept or not */
	size_t warnings;    /* the same */
	bool out_of_memory; /* an item was lost; counted all the same */
};

void diag_init(struct diag *d);
void diag_deinit(struct diag *d);

/* pos may be NULL: the message is of no place. Text: one sentence, no full stop, no newline; control
 * bytes in it become '?'. */
void diag_error(struct diag *d, const struct pos *pos, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void diag_warning(struct diag *d, const struct pos *pos, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void diag_vadd(struct diag *d, enum diag_level level, const struct pos *pos, const char *fmt,
	       va_list ap) __attribute__((format(printf, 4, 0)));

/* Put the items from index first on in the order of the files and their lines; those without a place come last. */
void diag_sort(struct diag *d, size_t first);

/* Where nobody wants warnings: an error beside them. 0: there was none; else -EINVAL. */
int diag_refuse_warnings(struct diag *d);

/* "error" or "warning". */
const char *diag_level_name(enum diag_level level);

/* One line an item: "FILE:LINE:COLUMN: error: TEXT"; says so where some were not kept. */
void diag_print(const struct diag *d, FILE *out);

/* The same text for one item, without a newline; as snprintf. */
int diag_format(const struct diag_item *item, char *buf, size_t len);

#endif
