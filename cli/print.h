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

void print_json(FILE *out, const json_t *value);

/* "9999", "12.3k", "4.56M"; "0 B", "1.5 KiB"; "5 s", "3 min", "2 h 5 min", "4 d 3 h". buf of
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

#endif
