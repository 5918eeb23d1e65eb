/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What people read: aligned tables, numbers with units, ages, errors. Text that came from outside
 * never reaches the terminal with control bytes in it.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* "shuntctl: TEXT" on standard error. */
void tell_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* As fprintf, with control bytes masked. */
void print_safe(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line of a page about one thing: "LABEL         TEXT"; label "": goes on with the one before. */
void print_line(const char *label, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void print_json(FILE *out, const json_t *value);

/* "9999", "12.3k", "4.56M"; "0 B", "8 KiB", "1.53 KiB"; "250ms", "5s", "3m", "2h5m", "4d3h". buf of
 * PRINT_UNIT_MAX; returns buf. */
#define PRINT_UNIT_MAX 32
const char *format_count(uint64_t n, char *buf);
const char *format_bytes(uint64_t n, char *buf);
const char *format_age(uint64_t ms, char *buf);

#define TABLE_COLUMNS_MAX 12

/* A table in the making. A heading that starts with '>' is of a column aligned to the right. */
struct table {
	const char *const *headings;
	unsigned columns;
	char **cells; /* rows * columns */
	size_t rows;
	unsigned filled; /* cells of the row under way */
	int failed;	 /* -ENOMEM, told by table_print() */
};

void table_init(struct table *t, const char *const *headings, unsigned columns);
void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print and release. An exit code. */
int table_print(struct table *t);

/* A table of what is in list, a row by add for each; none: said in place of a table without rows. An
 * exit code. */
struct table_form {
	const char *const *headings;
	size_t count;
	void (*add)(struct table *t, const json_t *item);
	const char *none;
};
int table_of_list(const struct table_form *form, const json_t *list);

/* The same for two, each where it has rows, an empty line between them; where neither has, the line
 * `nothing`. */
int table_print_both(struct table *a, struct table *b, const char *nothing);
void table_deinit(struct table *t); /* one that is not printed; after table_print() too */

#endif
