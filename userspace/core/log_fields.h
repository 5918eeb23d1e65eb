/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message of the log taken apart: "MODULE: SENTENCE KEY=VALUE ...". Keys are those that the program
 * has written, never what a value says: they are found in the format, not in the text. Pure.
 */
#ifndef CORE_LOG_FIELDS_H
#define CORE_LOG_FIELDS_H

#include <stdarg.h>
#include <stddef.h>

#include "core/slice.h"

#define LOG_FIELDS_MAX	16
#define LOG_MESSAGE_MAX 2048

struct log_fields {
	struct slice module; /* empty: none */
	struct slice message;
	struct {
		struct slice key, value;
	} fields[LOG_FIELDS_MAX];
	size_t count;
	char text[LOG_MESSAGE_MAX]; /* where all of them are; control bytes as '?' */
};

void log_fields_read(struct log_fields *f, const char *fmt, va_list ap);

/* {"time": ..., "level": ..., "module": ..., "message": ..., KEY: VALUE, ...} and a line end; numbers as
 * numbers. Returns the bytes written; more than there is room for are cut. */
size_t log_fields_json(const struct log_fields *f, const char *time, const char *level, char *out,
		       size_t room);

/* As journald wants them: "SHUNT_KEY=VALUE\n". The same. */
size_t log_fields_journal(const struct log_fields *f, char *out, size_t room);

#endif
